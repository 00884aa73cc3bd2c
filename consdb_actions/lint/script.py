"""A revision as the rules see it: its statements one by one, with the catalog before and after each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from consdb_actions.catalog import Snapshot
from consdb_actions.lint.sql import Parsed
from consdb_actions.lint.squawk import SquawkFinding
from consdb_actions.lint.state import Name, Relation, State

__all__ = ["Direction", "Failure", "Notice", "Run", "Script", "Step"]

Direction = Literal["upgrade", "downgrade"]


@dataclass(frozen=True, slots=True)
class Step:
    """One statement.

    Attributes
    ----------
    line
        Line of the revision's file that sends it.
    parsed
        The statement; None where it is not SQL, and then ``problem`` has the parser's message.
    problem
        Why Postgres refuses it here, in its own words.
    before, after
        The catalog before and after it.
    in_transaction
        Whether it runs inside of a transaction.
    unjudged
        What of it cannot be judged.
    """

    sql: str
    line: int
    parsed: Parsed | None
    before: State
    after: State
    problem: str = ""
    in_transaction: bool = True
    unjudged: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a function of a revision ended early.

    ``unsupported`` is NotImplementedError; ``refused`` is what lint does not let a revision do.
    """

    kind: Literal["error", "unsupported", "refused"]
    message: str
    line: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that is seen while a revision runs, besides its statements."""

    kind: Literal["unjudged", "transaction"]
    message: str
    line: int


@dataclass(frozen=True, slots=True)
class Run:
    """One direction of a revision.

    Attributes
    ----------
    line
        Line of the function's ``def``.
    catalog
        The section's schema at the end, with all that the project compares.
    """

    direction: Direction
    line: int
    steps: tuple[Step, ...]
    start: State
    end: State
    failure: Failure | None = None
    notices: tuple[Notice, ...] = ()
    catalog: Snapshot | None = None

    @property
    def whole(self) -> bool:
        """Whether it comes to its end, and no statement is refused."""
        return self.failure is None and not any(step.problem for step in self.steps)

    def is_old(self, relation: Relation | None) -> bool:
        """Tell whether a relation was there before, so that it may hold rows, and others may use it."""
        return relation is not None and relation.oid in self.start.relations

    def target(self, step: Step) -> Relation | None:
        """Return the relation that a statement changes, if it was there before this direction."""
        named = step.parsed.target if step.parsed else None
        found = step.before.find(named) if named else None
        return found if self.is_old(found) else None

    def made(self) -> Iterator[tuple[Relation, Step]]:
        """Yield the relations that it makes and leaves, with the statement that gave them their name."""
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
class Script:
    """A revision with everything that a rule may know about it.

    Attributes
    ----------
    file
        Path as it is shown.
    line
        Line that names what the revision revises.
    schema, version_schema, version_table
        The section's own schema, and the table with its revision.
    roles
        Privileges of roles on new relations of this schema, as configured.
    catalog
        The section's schema before the upgrade.
    squawk
        What squawk says of the statements of the upgrade.
    history
        Why what is there before the revision is not known; empty where it is.
    heads
        Files of all heads of the section, by revision.
    edited
        Whether this revision does something else than when it was merged.
    removed
        Merged revisions of the section that are missing, with their files; given to its first head alone.
    """

    file: str
    section: str
    revision: str
    schema: str
    version_schema: str
    version_table: str
    upgrade: Run
    downgrade: Run
    line: int = 1
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    catalog: Snapshot | None = None
    squawk: tuple[SquawkFinding, ...] = ()
    history: str = ""
    heads: Mapping[str, str] = field(default_factory=dict)
    edited: bool = False
    removed: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[Run, Run]:
        """Both directions."""
        return self.upgrade, self.downgrade

    def own(self, name: Name) -> bool:
        """Tell whether a relation is in the section's own schema."""
        return name.schema == self.schema
