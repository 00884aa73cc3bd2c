"""Carry out the blocks of a runbook on two servers of a rehearsal."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pglast
import psycopg

from consdb_actions.adapters.apply_run import error_words
from consdb_actions.adapters.rehearsal_sites import Pair, Place
from consdb_actions.adapters.rehearsal_writer import Writer
from consdb_actions.adapters.shell import run, tail
from consdb_actions.adapters.tree import Tree
from consdb_actions.errors import CheckFailed, ExternalError
from consdb_actions.process.rehearsal import BlockResult
from consdb_actions.process.runbook_reading import Placed
from consdb_actions.process.runbook_steps import Block

__all__ = ["Hands"]

_EQUAL = 30.0  # seconds in which both sites must come to the same answer
_AGAIN = 0.2
_COMMAND = 600.0
_TRIES = 20  # of a command that does not get its locks


@dataclass
class Hands:
    """Does what the runbook says, where people would.

    Attributes
    ----------
    pair
        The servers.
    tree
        The tree whose revisions are applied.
    folder
        Where evidence goes.
    writers
        What writes, by site.
    by_hand
        Whether to use the commands of alembic in place of our own.
    patience
        The most that a statement or a ``wait`` may take here, in seconds.
    schemas
        A checkout of sdm_schemas for an ``env.py`` that wants one.
    """

    pair: Pair
    tree: Tree
    folder: Path
    writers: Mapping[str, Writer]
    by_hand: bool = False
    patience: float = 60.0
    schemas: Path | None = None
    _done: dict[str, Callable[[Block], str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._done = {
            "sql": self._sql,
            "check": self._check,
            "wait": self._wait,
            "compare": self._compare,
            "look": self._sql,
            "preflight": self._ours,
            "upgrade": self._ours,
            "downgrade": self._ours,
            "by-hand": self._alembic,
            "stop": self._stop,
            "start": self._start,
        }

    def carry_out(self, placed: Placed) -> BlockResult:
        """Do one block, and say what came of it; nothing is raised when it fails."""
        block = placed.block
        skipped = "upgrade" if self.by_hand else "by-hand"
        if block.kind == skipped or (self.by_hand and block.kind in ("downgrade", "preflight")):
            return BlockResult(placed, "not rehearsed", words="the other way to do it was rehearsed")
        if block.kind not in self._done or not self._here(block):
            return BlockResult(placed, "not rehearsed", words="nothing here can do that")
        started = time.monotonic()
        try:
            words = self._done[block.kind](block)
        except (psycopg.Error, CheckFailed, ExternalError, pglast.Error) as error:
            said = str(getattr(error, "cause", "") or error).strip()
            if "SDM_SCHEMAS_DIR" in said and self.schemas is None:
                said += "\nThe tree's env.py reads schema files: name a checkout with --sdm-schemas."
            return BlockResult(placed, "failed", time.monotonic() - started, said)
        return BlockResult(placed, "done", time.monotonic() - started, words)

    def _here(self, block: Block) -> bool:
        return all(self.pair.place(site) is not None for site in block.site.split(","))

    def _place(self, block: Block) -> Place:
        place = self.pair.place(block.site)
        assert place is not None
        return place

    def _ask(self, place: Place, block: Block) -> str:
        """Run statements one by one, as psql does, and return the last answer as psql shows it."""
        answer = ""
        with place.connect(block.account) as connection:
            connection.execute(f"SET statement_timeout = {int(self.patience * 1000)}".encode())
            for statement in pglast.split(block.text):
                cursor = connection.execute(statement.encode())
                if cursor.description is not None:
                    rows = cursor.fetchall()
                    answer = "; ".join(" | ".join(map(_shown, row)) for row in rows)
        return answer

    def _sql(self, block: Block) -> str:
        return self._ask(self._place(block), block)

    def _check(self, block: Block) -> str:
        answer = self._ask(self._place(block), block)
        if answer != block.answer:
            raise CheckFailed(f"it answers {answer or 'nothing'}, and not {block.answer}")
        return answer

    def _wait(self, block: Block) -> str:
        place = self._place(block)
        deadline = time.monotonic() + min(block.seconds or self.patience, self.patience)
        while (answer := self._ask(place, block)) != block.answer:
            if time.monotonic() > deadline:
                raise CheckFailed(f"it still answers {answer or 'nothing'}, and not {block.answer}")
            time.sleep(_AGAIN)
        return answer

    def _compare(self, block: Block) -> str:
        places = [place for site in block.site.split(",") if (place := self.pair.place(site))]
        deadline = time.monotonic() + _EQUAL
        while len(answers := {self._ask(place, block) for place in places}) > 1:
            if time.monotonic() > deadline:
                raise CheckFailed(f"the sites answer {' and '.join(sorted(answers))}")
            time.sleep(_AGAIN)
        return answers.pop()

    def _stop(self, block: Block) -> str:
        if writer := self.writers.get(block.site):
            writer.pause()
        return "what writes here stands still"

    def _start(self, block: Block) -> str:
        if writer := self.writers.get(block.site):
            writer.resume()
        return "what writes here goes on"

    def _ours(self, block: Block) -> str:
        """Run our own command, on the database of the rehearsal and with its evidence elsewhere."""
        lines = [line for line in _lines(block.text) if not line.startswith(":")]
        words = [word for line in lines for word in shlex.split(line)]
        if words[:1] != ["consdb-actions"]:
            raise CheckFailed(f"this is no command of consdb-actions: {block.text.splitlines()[0]}")
        arguments = words[1:]
        evidence = self.folder / f"{block.site}-{block.kind}.json"
        if "--evidence" in arguments:
            place = arguments.index("--evidence")
            del arguments[place : place + 2]
        arguments += ["--evidence", str(evidence)]
        url = self._place(block).url(block.account).render_as_string(hide_password=False)
        # A tree that is being worked on can be rehearsed as well.
        arguments += ["--database-url", url, "--yes", "--accept", "checkout"]
        evidence.unlink(missing_ok=True)
        try:
            return self._run([sys.executable, "-m", "consdb_actions", *arguments], {})
        except CheckFailed:
            if evidence.exists():
                raise CheckFailed(_against(json.loads(evidence.read_text(encoding="utf-8")))) from None
            raise

    def _alembic(self, block: Block) -> str:
        """Run the commands of alembic, on the database of the rehearsal."""
        environment: dict[str, str] = {}
        said = ""
        for line in _lines(block.text):
            words = shlex.split(line)
            if words[:1] == ["export"]:
                name, _, value = words[1].partition("=")
                environment[name] = value
            elif words[:1] == ["alembic"]:
                url = self._place(block).url(block.account).render_as_string(hide_password=False)
                environment["CONSDB_URL"] = url.replace("%2F", "/")
                said = self._again([sys.executable, "-m", "alembic", *words[1:]], environment)
        return said

    def _again(self, command: list[str], environment: Mapping[str, str]) -> str:
        """Run a command until it gets its locks, as the runbook says."""
        for attempt in range(_TRIES):
            try:
                return self._run(command, environment)
            except CheckFailed as error:
                if "lock timeout" not in error.cause or attempt == _TRIES - 1:
                    raise
        raise AssertionError

    def _run(self, command: list[str], environment: Mapping[str, str]) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        schemas = {"SDM_SCHEMAS_DIR": str(self.schemas.resolve())} if self.schemas else {}
        done = run(
            command,
            cwd=self.tree.root,
            env={**kept, **schemas, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            check=False,
            timeout=_COMMAND,
        )
        if done.returncode:
            raise CheckFailed(error_words(f"{done.stdout}\n{done.stderr}"))
        return tail(done.stdout or done.stderr, lines=3)


def _against(report: dict[str, Any]) -> str:
    """Return what stopped a migration, from its evidence."""
    checks = [*report["checks"], *(c for s in report["sections"] for c in s["verification"])]
    stops = [check for check in checks if check["state"] == "refused" and not check["accepted"]]
    lines = [line for check in stops for line in (check["words"], *check["details"])]
    return "\n".join(lines or [str(report["problem"])])


def _lines(text: str) -> list[str]:
    """Return the commands of a block, those over several lines joined."""
    return [line.strip() for line in text.replace("\\\n", " ").split("\n") if line.strip()]


def _shown(value: object) -> str:
    """Show a value as psql does."""
    if value is None:
        return ""
    return {True: "t", False: "f"}[value] if isinstance(value, bool) else str(value)
