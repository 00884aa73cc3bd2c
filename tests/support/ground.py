"""A copy of ``migrations/`` and of the example schemas, to run commands on."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from consdb_actions.adapters import postgres, postgres_server
from consdb_actions.adapters.autogenerate import run
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.cli import main

__all__ = ["SECTION", "Ground", "SectionFolder", "refuse_postgres", "share_postgres"]

ROOT = Path(__file__).resolve().parents[2]
SECTION = "startrackerwide"


@dataclass(frozen=True)
class SectionFolder:
    path: Path

    @property
    def versions(self) -> Path:
        return self.path / "versions"

    @property
    def template(self) -> Path:
        return self.path / "script.py.mako"

    def head(self) -> str:
        """Return the id of its newest revision."""
        texts = [path.read_text(encoding="utf-8") for path in self.versions.glob("*.py")]
        ids = {m[1] for t in texts if (m := re.search(r"^revision\b.*?= ['\"](\w+)", t, re.M))}
        downs = {m[1] for t in texts if (m := re.search(r"^down_revision\b.*?= ['\"](\w+)", t, re.M))}
        (head,) = ids - downs
        return head

    def add(self, body: str, *, down: str | None = None, name: str = "0000deadbeef") -> Path:
        """Add a revision after its head, with this body."""
        path = self.versions / f"{name}_by_hand.py"
        path.write_text(
            f'"""By hand."""\nfrom alembic import op\n\nrevision = {name!r}\n'
            f"down_revision = {down or self.head()!r}\n\n{body}\n",
            encoding="utf-8",
        )
        return path


class Ground:
    """A folder with ``consdb``, ``before`` and ``after``."""

    def __init__(self, root: Path) -> None:
        self.root, self.consdb = root, root / "consdb"
        self.before, self.after = root / "before", root / "after"
        shutil.copytree(ROOT / "migrations", self.consdb, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "examples" / "schemas" / "before", self.before)
        shutil.copytree(ROOT / "examples" / "schemas" / "after", self.after)

    def section(self, name: str = SECTION) -> SectionFolder:
        return SectionFolder(self.consdb / "alembic" / name)

    def schema(self, name: str = f"cdb_{SECTION}") -> Path:
        """Return a schema file of the change."""
        return self.after / f"{name}.yaml"

    def edit(self, old: str, new: str, name: str = f"cdb_{SECTION}") -> None:
        """Replace text in a schema file."""
        text = self.schema(name).read_text(encoding="utf-8")
        assert old in text
        self.schema(name).write_text(text.replace(old, new), encoding="utf-8")

    def args(self, command: str, *more: str, section: str | None = SECTION) -> list[str]:
        args = ["migrations", command, "--consdb", str(self.consdb), "--sdm-schemas", str(self.after)]
        args += ["--message", "Change"] if command == "generate" and "--message" not in more else []
        return [*args, *(["--section", section] if section else []), *more]

    def run(self, command: str, *more: str, section: str | None = SECTION) -> int:
        return main(self.args(command, *more, section=section))

    def contents(self) -> dict[str, bytes | None]:
        """Return every file with its content, and every folder."""
        return {
            str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else None
            for path in self.root.rglob("*")
        }

    @contextlib.contextmanager
    def untouched(self) -> Iterator[None]:
        """Assert that the block changes and creates no file."""
        before = self.contents()
        yield
        assert self.contents() == before


def refuse_postgres(patch: pytest.MonkeyPatch) -> None:
    """Fail a test when a server is started."""

    def refuse(**_options: object) -> None:
        pytest.fail("Postgres was started for an input that is plainly wrong")

    patch.setattr(postgres_server, "server_ahead", contextlib.nullcontext)
    patch.setattr(run, "scratch_server", refuse)
    patch.setattr(postgres, "scratch_server", refuse)


def share_postgres(patch: pytest.MonkeyPatch, server: ScratchServer) -> None:
    """Use an existing server in all runs."""

    @contextlib.contextmanager
    def share(**options: object) -> Iterator[ScratchServer]:
        assert options.get("database_url") is None
        yield server

    patch.setattr(postgres_server, "server_ahead", contextlib.nullcontext)
    patch.setattr(run, "scratch_server", share)
    patch.setattr(postgres, "scratch_server", share)
