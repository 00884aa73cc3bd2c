"""Run alembic on a section with time-outs and lock retries."""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from consdb_actions.adapters import apply_child
from consdb_actions.adapters.apply_facts import connected, read_locks, secrets_of
from consdb_actions.adapters.interrupts import shielded
from consdb_actions.adapters.shell import run, tail
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.errors import CheckFailed, ConsdbActionsError, ExternalError
from consdb_actions.process.apply_facts import Lock
from consdb_actions.process.apply_locks import TableLock, lock_statement

__all__ = [
    "Attempts",
    "Direction",
    "Timeouts",
    "environment_error",
    "error_words",
    "run_alembic",
    "seconds_of",
]

Direction = Literal["upgrade", "downgrade"]

_LOCKED = ("LockNotAvailable", "DeadlockDetected", "canceling statement due to lock timeout")
_LONGEST_WAIT = 30.0
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_ERROR = re.compile(r"(?:[\w.]+\.)?\w*(?:Error|Exception|Exit|Violation|Refused)\b[^:]*: |FAILED: ")
_LOST = re.compile(
    r"server closed the connection|terminating connection|connection (?:to server|is lost|refused|timed out)"
    r"|AdminShutdown|CrashShutdown|could not (?:connect|translate host)",
    re.IGNORECASE,
)
_LINES = 10  # lines of an error that are shown
_ENDING = 20.0  # seconds in which a terminated session must be gone


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Lock and statement time-outs in Postgres syntax, and the number of retries."""

    lock: str = "500ms"
    statement: str = "15min"
    retries: int = 5


@dataclass(frozen=True, slots=True)
class Attempts:
    """The number of attempts and their total time in seconds."""

    count: int
    seconds: float


def seconds_of(text: str) -> float:
    """Convert a time in Postgres syntax to seconds."""
    digits = text.rstrip("hinms")
    return int(digits) * _UNITS[text[len(digits) :]]


def run_alembic(
    tree: Tree,
    section: Section,
    url: sa.URL,
    direction: Direction,
    revision: str,
    *,
    locks: tuple[TableLock, ...],
    timeouts: Timeouts,
    role: str = "",
    schemas: Path | None = None,
    waiting: Callable[[int, float, tuple[Lock, ...]], None] = lambda _count, _seconds, _locks: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Attempts:
    """Run ``alembic -n SECTION upgrade REVISION``, or ``downgrade``.

    `locks` are taken in advance, in the writers' order. New relations belong to `role`. `schemas` is a
    checkout of sdm_schemas for an ``env.py`` that needs one. `waiting` is called before each retry with the
    number of the failed attempt, the seconds until the next, and the locks of others.

    Raises `CheckFailed` if the migration fails, and `ExternalError` if a lock was not granted or the database
    is unreachable. The database must be read afterwards: a revision can commit part of itself.
    """
    application = f"consdb-actions apply {secrets.token_hex(4)}"
    environment = _environment(url, timeouts, application, schemas, role)
    environment["CONSDB_ACTIONS_PARENT"] = str(os.getpid())
    if locks:
        environment["CONSDB_ACTIONS_BEGIN"] = lock_statement(locks)
    command: list[str | Path] = [
        sys.executable,
        apply_child.__file__,
        "-c",
        tree.ini,
        "-n",
        section.name,
        direction,
        revision,
    ]
    # A limit for hanging programs only: a revision may have dozens of long statements.
    limit = (seconds_of(timeouts.statement) + seconds_of(timeouts.lock)) * 50 + 120
    hidden = secrets_of(url)
    names = [str(lock.name) for lock in locks]
    started = time.monotonic()
    for attempt in range(1, timeouts.retries + 2):
        try:
            done = run(command, cwd=tree.root, env=environment, check=False, timeout=limit, secrets=hidden)
        except BaseException:
            # The program is gone by now, but Postgres may still execute its statement.
            with shielded():
                _end_sessions(url, application)
            raise
        if done.returncode == 0:
            return Attempts(attempt, time.monotonic() - started)
        said = done.stderr + done.stdout
        if not any(word in said for word in _LOCKED):
            raise _failure(said, section, direction, revision, hidden)
        others = read_locks(url, names, application)
        if attempt <= timeouts.retries:
            pause = min(2.0 ** (attempt - 1), _LONGEST_WAIT)
            waiting(attempt, pause, others)
            sleep(pause)
    holders = "\n".join(map(str, others)) or "no session any more"
    raise ExternalError(
        f"the locks that section {section.name} needs were not granted in {attempt} rounds. Locks are held "
        f"by:\n{holders}",
        place=f"section {section.name}",
        remedy="Run the same command again when they are gone, or with more --retries.",
    )


def environment_error(tree: Tree, section: Section, schemas: Path | None = None) -> str:
    """Return why the tree's ``env.py`` cannot run a section; empty if it can.

    It neither connects nor runs a revision. Without a checkout of sdm_schemas, an ``env.py`` that needs one
    passes.
    """
    environment = {
        **os.environ,
        "CONSDB_URL": "postgresql://nobody@localhost/none",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if schemas is not None:
        environment["SDM_SCHEMAS_DIR"] = str(schemas.resolve())
    alembic: list[str | Path] = [sys.executable, "-m", "alembic", "-c", tree.ini, "-n", section.name]
    command = [*alembic, "stamp", "--sql", "head"]
    done = run(command, cwd=tree.root, env=environment, check=False, timeout=120)
    words = error_words(done.stderr or done.stdout) if done.returncode else ""
    return "" if "SDM_SCHEMAS_DIR" in words else words


def _environment(
    url: sa.URL, timeouts: Timeouts, application: str, schemas: Path | None, role: str
) -> dict[str, str]:
    options = url.query.get("options") or os.environ.get("PGOPTIONS", "")
    given = options if isinstance(options, str) else " ".join(options)
    plain = (
        url.set(password=None).difference_update_query(["options"]) if url.query else url.set(password=None)
    )
    environment = {
        **os.environ,
        # A percent sign would be an interpolation in an env.py that writes the URL into its configuration.
        "CONSDB_URL": plain.render_as_string(hide_password=False).replace("%2F", "/"),
        "PGOPTIONS": f"{given} -c lock_timeout={timeouts.lock} -c statement_timeout={timeouts.statement}"
        f"{f' -c role={_option(role)}' if role else ''}".strip(),
        "PGAPPNAME": application,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if url.password:
        environment["PGPASSWORD"] = str(url.password)
    if schemas is not None:
        environment["SDM_SCHEMAS_DIR"] = str(schemas.resolve())
    return environment


def _option(value: str) -> str:
    """Escape a value for ``PGOPTIONS``."""
    return re.sub(r"([\s\\])", r"\\\1", value)


def _failure(
    said: str, section: Section, direction: str, revision: str, secrets: Sequence[str]
) -> ConsdbActionsError:
    """Build the error for a failed alembic."""
    words = error_words(said, secrets)
    command = f"alembic -n {section.name} {direction} {revision}"
    if "statement timeout" in said:
        return ExternalError(
            f"`{command}` took longer than --statement-timeout",
            place=f"section {section.name}",
            remedy="See what takes so long (migrations lint tells of rewrites), and allow more.",
        )
    if _LOST.search(words):
        return ExternalError(
            f"`{command}` lost its database:\n{words}",
            place=f"section {section.name}",
            remedy="Run the same command again: it sees first where the section is.",
        )
    remedy = "Mend the revision, try it at a test stand, and make a release again."
    if "SDM_SCHEMAS_DIR" in words:
        remedy = "The tree's env.py reads schema files: name a checkout of sdm_schemas with --sdm-schemas."
    return CheckFailed(
        f"`{command}` failed:\n{words}",
        place=f"section {section.name}",
        remedy=remedy,
    )


def error_words(said: str, secrets: Sequence[str] = ()) -> str:
    """Return the error at the end of a program's output, without the traceback."""
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    heads = [number for number, line in enumerate(lines) if _ERROR.match(line)]
    found = lines[heads[-1] :] if heads else lines[-_LINES:]
    kept = [line for line in found if not line.startswith("(Background on this error")]
    return tail("\n".join(kept[:_LINES]), secrets)


def _end_sessions(url: sa.URL, application: str) -> None:
    """End the sessions of a killed alembic."""
    question = sa.text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
    end = sa.text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :name"
    )
    deadline = time.monotonic() + _ENDING
    try:
        while time.monotonic() < deadline:
            with connected(url) as connection:
                if not connection.execute(question, {"name": application}).scalar_one():
                    return
                connection.execute(end, {"name": application})
            time.sleep(0.05)
    except ExternalError:
        return  # without a database there is no session to end
