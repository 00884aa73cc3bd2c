"""What a revision did: statements, the catalog before and after each of them, and squawk's findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from consdb_actions.catalog import Snapshot
from consdb_actions.lint.sql import ParsedStatement
from consdb_actions.schema.model import Name

Grants = frozenset[tuple[str, str]]  # Privileges that roles other than the owner hold: role and privilege


class LintColumn(NamedTuple):
    """A column; ``default`` is its expression, also of a generated column."""

    name: str
    type: str
    not_null: bool
    default: str | None = None
    identity: str = ""
    generated: str = ""

    @property
    def required(self) -> bool:
        """Whether a row without a value for it is refused."""
        return self.not_null and self.default is None and not self.identity


class LintConstraint(NamedTuple):
    """A constraint; ``kind`` is ``pg_constraint.contype``, ``definition`` that of a CHECK."""

    kind: str
    columns: tuple[str, ...]
    valid: bool
    definition: str = ""

    @property
    def proves_not_null(self) -> bool:
        """Whether it proves that its only column is not NULL."""
        return self.kind == "c" and self.valid and len(self.columns) == 1 and "IS NOT NULL" in self.definition


@dataclass(frozen=True, slots=True)
class LintRelation:
    """A table or view."""

    oid: int
    name: Name
    kind: str  # ``table``, ``view``, ``materialized view`` or ``foreign table``
    file: int  # ``pg_class.relfilenode``: it changes when Postgres rewrites the table
    owner: str
    columns: Mapping[int, LintColumn]  # By ``pg_attribute.attnum``
    constraints: Mapping[str, LintConstraint]
    indexes: Mapping[str, int]  # ``relfilenode`` of each, by name
    grants: Grants
    persistence: str = "p"
    identity: str = "d"  # ``pg_class.relreplident``
    row_security: bool = False

    @property
    def is_table(self) -> bool:
        """Whether it holds rows."""
        return self.kind in ("table", "foreign table")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns, in order."""
        return tuple(column.name for column in self.columns.values())

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of its primary key."""
        return next((c.columns for c in self.constraints.values() if c.kind == "p"), ())

    def column(self, name: str) -> LintColumn | None:
        """Return a column by its name."""
        return next((column for column in self.columns.values() if column.name == name), None)


@dataclass(frozen=True)
class LintState:
    """All relations outside of Postgres's own schemas, and the session's state."""

    relations: Mapping[int, LintRelation] = field(default_factory=dict)  # By ``pg_class.oid``
    locks: Mapping[int, str] = field(default_factory=dict)
    """The transaction's strongest lock on each relation, by oid."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """``lock_timeout``, ``search_path``, ``session_replication_role`` and ``role``."""

    @cached_property
    def by_name(self) -> dict[Name, LintRelation]:
        """The relations by name."""
        return {relation.name: relation for relation in self.relations.values()}

    def find(self, name: Name) -> LintRelation | None:
        """Return the relation that a statement names, through the search path if unqualified."""
        if name.schema:
            return self.by_name.get(name)
        path = [part.strip().strip('"') for part in self.settings.get("search_path", "").split(",")]
        return next((r for schema in path if (r := self.by_name.get(Name(schema, name.name)))), None)


@dataclass(frozen=True, slots=True)
class SquawkFinding:
    """A finding of squawk, with the index of its statement."""

    statement: int
    rule: str
    message: str


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

    @property
    def statements(self) -> Iterator[tuple[LintStep, ParsedStatement]]:
        """The steps that are SQL."""
        return ((step, step.parsed) for step in self.steps if step.parsed is not None)

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

    @property
    def statements(self) -> Iterator[tuple[DirectionRun, LintStep, ParsedStatement]]:
        """The statements of both directions."""
        return ((run, *found) for run in self.runs for found in run.statements)

    def own(self, name: Name) -> bool:
        """Return whether a relation is in the section's own schema."""
        return name.schema == self.schema
