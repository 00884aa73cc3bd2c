"""What a revision did: statements, catalogs before and after."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from consdb_actions.catalog import Snapshot
from consdb_actions.lint.sql import ParsedStatement
from consdb_actions.lint.state import LintRelation, LintState, Name

INCLUDED = (
    "ban-alter-row-level-security",
    "ban-create-policy",
    "ban-drop-policy",
    "require-concurrent-reindex",
)

"""Rules of squawk that are off by default and matter here."""


@dataclass(frozen=True, slots=True)
class SquawkFinding:
    """A finding of squawk, with the index of its statement."""

    statement: int
    rule: str
    message: str


def write_input(statements: Sequence[str]) -> str:
    """Join statements for squawk, each starting on its own line."""
    return "\n".join(f"{statement}\n;" for statement in statements)


def read_output(output: str, statements: Sequence[str]) -> tuple[SquawkFinding, ...]:
    """Read squawk's JSON, and find the statement of each finding."""
    first, lines = 0, []
    for statement in statements:
        lines.append(first)
        first += statement.count("\n") + 2
    return tuple(
        SquawkFinding(bisect_right(lines, found["line"]) - 1, found["rule_name"], found["message"])
        for found in json.loads(output or "[]")
    )


Direction = Literal["upgrade", "downgrade"]


@dataclass(frozen=True, slots=True)
class LintStep:
    """One statement."""

    sql: str
    line: int  # Line of the revision's file that executes it
    parsed: ParsedStatement | None  # None where it is not SQL
    before: LintState
    after: LintState
    problem: str = ""  # Message of the parser or of Postgres, if refused
    in_transaction: bool = True
    unjudged: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a direction ended early."""

    kind: Literal["error", "unsupported", "refused"]
    """``unsupported``: NotImplementedError; ``refused``: lint does not allow it."""
    message: str
    line: int


@dataclass(frozen=True, slots=True)
class Notice:
    """An observation during the run that belongs to no statement."""

    kind: Literal["unjudged", "transaction"]
    message: str
    line: int


@dataclass(frozen=True, slots=True)
class DirectionRun:
    """One direction of a revision."""

    direction: Direction
    line: int  # Line of the function's ``def``
    steps: tuple[LintStep, ...]
    start: LintState
    end: LintState
    failure: Failure | None = None
    notices: tuple[Notice, ...] = ()
    catalog: Snapshot | None = None  # The section's schema at the end, with all that is compared

    @property
    def whole(self) -> bool:
        """Whether it runs to its end without a refused statement."""
        return self.failure is None and not any(step.problem for step in self.steps)

    def is_old(self, relation: LintRelation | None) -> bool:
        """Return whether a relation existed before, and so may have rows and users."""
        return relation is not None and relation.oid in self.start.relations

    def target(self, step: LintStep) -> LintRelation | None:
        """Return the relation that a statement changes, if it existed before this direction."""
        named = step.parsed.target if step.parsed else None
        found = step.before.find(named) if named else None
        return found if self.is_old(found) else None

    def made(self) -> Iterator[tuple[LintRelation, LintStep]]:
        """Yield the new relations that remain, with the statement that named them."""
        for oid, relation in self.end.relations.items():
            if oid not in self.start.relations:
                steps = [
                    step
                    for step in self.steps
                    if (after := step.after.relations.get(oid)) is not None
                    and ((before := step.before.relations.get(oid)) is None or before.name != after.name)
                ]
                if steps:
                    yield relation, steps[-1]


@dataclass(frozen=True, slots=True)
class RevisionScript:
    """A revision with all facts for the rules."""

    file: str
    section: str
    revision: str
    schema: str
    version_schema: str
    version_table: str  # Table with the section's revision, in ``version_schema``
    upgrade: DirectionRun
    downgrade: DirectionRun
    line: int = 1  # Line of ``down_revision``
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Configured privileges of roles on new relations of this schema."""
    catalog: Snapshot | None = None  # The section's schema before the upgrade
    squawk: tuple[SquawkFinding, ...] = ()  # Squawk's findings in the upgrade
    history: str = ""  # Why the state before the revision is unknown; empty if known
    heads: Mapping[str, str] = field(default_factory=dict)  # Files of all heads of the section, by revision
    edited: bool = False  # Whether this revision differs from the merged one
    removed: Mapping[str, str] = field(default_factory=dict)
    """Missing merged revisions of the section, with their files; only for its first head."""

    @property
    def runs(self) -> tuple[DirectionRun, DirectionRun]:
        """Both directions."""
        return self.upgrade, self.downgrade

    def own(self, name: Name) -> bool:
        """Return whether a relation is in the section's own schema."""
        return name.schema == self.schema
