"""Facts and outcome of an upgrade by an operator, and the locks that it takes."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import ClassVar, Literal

from alembic.operations import ops

from consdb_actions.catalog import CatalogRelation, Snapshot
from consdb_actions.errors import CheckFailed, DatabaseChanged
from consdb_actions.forms import Public
from consdb_actions.migration.rewrite.statements import (
    Phase,
    Rename,
    SqlStatement,
    literal,
    phase_of,
    qualified,
    subject,
)
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.sites import Site
from consdb_actions.schema.model import Name

CheckState = Literal["ok", "warning", "refused"]

# Checks that an operator can ignore, by name; the evidence records it.
ACCEPTABLE = ("replication", "waiting", "grants", "drift", "checkout")

# Checks that steps of the runbook before the upgrade fulfil.
BROUGHT_ABOUT = ("replication", "waiting", "publication", "identity")


@dataclass(frozen=True, slots=True)
class ApplyCheck(Public):
    """A check before or after a migration; several checks may share an id."""

    PUBLIC: ClassVar[str] = "id state accepted message=text remedy details"

    id: str
    state: CheckState
    text: str
    remedy: str = ""
    details: tuple[str, ...] = ()  # one fact per line
    accepted: bool = False  # whether the operator ignores it

    @property
    def stops(self) -> bool:
        """Return whether the check prevents the migration."""
        return self.state == "refused" and not self.accepted


@dataclass(frozen=True, slots=True)
class Checkout:
    """The commit of the tree; empty if it is not a git checkout."""

    commit: str = ""
    tag: str = ""
    edited: tuple[str, ...] = ()  # files that differ from the commit


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock of another session; invisible fields are empty."""

    relation: str  # ``schema.name``
    pid: int
    user: str
    application: str
    state: str
    mode: str
    granted: bool
    since: str = ""  # start of the transaction in ISO 8601
    seconds: float | None = None  # age of the transaction; None if invisible

    def __str__(self) -> str:
        who = f"pid {self.pid}, user {self.user or 'unknown'}"
        who += f", {self.application}" if self.application else ""
        who += f", {self.state}" if self.state else ""
        who += f", since {self.since}" if self.since else ""
        return f"{self.relation}: {who} ({self.mode}{'' if self.granted else ', waiting'})"


@dataclass(frozen=True, slots=True)
class PublicationFacts:
    """A publication."""

    name: str
    tables: frozenset[str]  # as ``schema.name``
    everything: bool = False  # whether new tables are included automatically
    unidentified: frozenset[str] = frozenset()  # tables whose updates need a primary key


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of this database."""

    name: str
    enabled: bool
    tables: frozenset[str]  # as ``schema.name``


@dataclass(frozen=True, slots=True)
class SectionFacts:
    """Facts about the schema of one section."""

    schema: str
    revisions: tuple[str, ...] | None  # rows of the version table; None if there is no such table
    schemas: frozenset[str]  # existing ones of the two schemas that every revision needs
    snapshot: Snapshot
    owners: Mapping[str, str] = field(default_factory=dict)  # of each table, view and sequence
    may_alter: frozenset[str] = frozenset()  # relations that the owner may change
    may_create: bool = False  # whether the owner can create tables
    may_stamp: bool = True  # whether the owner can write the version table
    owner: str = ""  # owner of most tables, or of the schema; must own new relations
    may_act: bool = True  # whether this user can act as the owner
    privileges: frozenset[tuple[str, str, str]] = frozenset()  # relation, role, privilege
    # our relation, and a view or foreign table elsewhere that reads it
    dependents: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DatabaseFacts(Public):
    """Facts about a database and its server."""

    PUBLIC: ClassVar[str] = "name=database host port user server_version=version"

    database: str
    host: str
    port: int
    user: str
    version: str  # such as ``15.18``
    read_only: bool = False  # a standby, or read-only by its settings
    roles: frozenset[str] = frozenset()
    spoly: bool = True  # whether the pgSphere type exists
    publications: tuple[PublicationFacts, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    slots: Mapping[str, bool] = field(default_factory=dict)  # whether each slot of this database is active
    # changed rows that wait in each slot that could be read
    waiting: Mapping[str, int] = field(default_factory=dict)
    locks: tuple[Lock, ...] = ()  # of other sessions, on relations of the change
    sections: Mapping[str, SectionFacts] = field(default_factory=dict)  # by schema

    @property
    def major(self) -> int:
        """Return the major version of the server."""
        return int(self.version.split(".")[0])


# Lock modes of Postgres, weakest first.
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)

_STRONGER = ("EXCLUSIVE", "ACCESS EXCLUSIVE")

_WRITES, _KEEPS_WRITERS_OUT = "ROW EXCLUSIVE", "SHARE ROW EXCLUSIVE"


@dataclass(frozen=True, slots=True)
class TableLock:
    """A table or view and its lock mode."""

    name: Name
    mode: str = "ACCESS EXCLUSIVE"
    view: bool = False


def needed_mode(held: Iterable[str]) -> str:
    """Return the mode to lock a table with; may be empty."""
    strongest = max((MODES.index(mode) for mode in held), default=0)
    if strongest < MODES.index(_WRITES):
        return ""
    # An upgrade that changes rows can deadlock with a writer of the same rows as well.
    return MODES[max(strongest, MODES.index(_KEEPS_WRITERS_OUT))]


def in_order(locks: Iterable[TableLock], snapshots: Mapping[str, Snapshot]) -> tuple[TableLock, ...]:
    """Sort locks as writers take them: parents before children, views and unknown tables last."""
    known = {lock.name: lock for lock in locks}

    def relation(name: Name) -> CatalogRelation | None:
        return snapshots[name.schema].relations.get(name.name) if name.schema in snapshots else None

    tables = {name for name in known if (found := relation(name)) and not found.is_view}
    graph: dict[Name, list[Name]] = {}
    for name in sorted(tables):
        constraints = snapshots[name.schema].relations[name.name].constraints.values()
        parents = {Name(name.schema, c.references) for c in constraints if c.references}
        graph[name] = sorted((parents - {name}) & tables)
    try:
        ordered = list(TopologicalSorter(graph).static_order())
    except CycleError:
        ordered = sorted(tables)
    rest = sorted(set(known) - tables, key=lambda name: (relation(name) is None, name))
    return (
        *(known[name] for name in ordered),
        *(replace(known[name], view=(r := relation(name)) is not None and r.is_view) for name in rest),
    )


# Operations that others can read the table beside.
_WEAKER = {
    *(Phase.DROP_VIEW, Phase.CREATE_VIEW, Phase.CREATE_TABLE, Phase.FILL, Phase.FILL_REST),
    *(Phase.CHECK_DEFERRED, Phase.ADD_INDEX, Phase.ADD_FOREIGN_KEY, Phase.COMMENT, Phase.GRANT),
}


def locked_first(
    operations: Sequence[ops.MigrateOperation], before: Snapshot
) -> tuple[ops.MigrateOperation, ...]:
    """Put locks on several tables before all other operations, parents first.

    An operator who runs a plain ``alembic upgrade`` then waits at one point only, and gives up before
    Postgres looks for a deadlock: all waits together take less than the default ``deadlock_timeout``.
    """
    renames = [op for op in operations if isinstance(op, Rename) and op.kind == "table"]
    old = {op.new: op.old for op in renames}
    found = {op.old for op in renames}
    for op in operations:
        table = old.get(subject(op)[0], subject(op)[0])
        if phase_of(op) in _WEAKER or table not in before.tables:
            continue
        found.add(table)
        if phase_of(op) in (Phase.DROP_FOREIGN_KEY, Phase.DROP_TABLE, Phase.DROP_COPIED_TABLE):
            # The triggers of a foreign key go from both of its tables.
            name = subject(op)[1] if isinstance(op, ops.DropConstraintOp) else ""
            keys = before.tables[table].constraints.items()
            found.update(c.references for key, c in keys if c.references and name in ("", key))
    found &= before.tables.keys()
    if len(found) < 2:
        return tuple(operations)
    dropped = sorted({subject(op)[0] for op in operations if phase_of(op) is Phase.DROP_VIEW})
    names: dict[str, None] = {}
    for lock in in_order([TableLock(Name(before.schema, table)) for table in found], {before.schema: before}):
        # Readers of a view hold it while they wait for its table.
        views = (before.relations[name] for name in dropped if name in before.relations)
        names |= {v.name: None for v in views if v.kind == "view" and lock.name.name in v.reads}
        names[lock.name.name] = None
    tables = ", ".join(qualified(before.schema, name) for name in names)
    first = (
        f"SET LOCAL lock_timeout = '{800 // len(names)}ms'",
        f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE",
    )
    return (*(SqlStatement(sql, phase=Phase.DROP_VIEW, text="lock tables") for sql in first), *operations)


def lock_statement(locks: Sequence[TableLock], tries: int = 8) -> str:
    """Write the statement that takes all locks, or none.

    Between tries it pauses for the other sessions. Every sixth time it waits longer than ``deadlock_timeout``
    for a busy table without holding a lock, since only then does Postgres cancel an autovacuum. Missing
    tables are left out; after the last try it fails with SQLSTATE 55P03.
    """
    steps = [(lock.name, _KEEPS_WRITERS_OUT) for lock in locks if not lock.view]
    steps += [(lock.name, lock.mode) for lock in locks if lock.view]
    steps += [(lock.name, lock.mode) for lock in locks if not lock.view and lock.mode in _STRONGER]
    names = ", ".join(literal(qualified(name.schema, name.name)) for name, _ in steps)
    modes = ", ".join(literal(mode) for _, mode in steps)
    return f"""DO $lock$
DECLARE
    tables text[] := ARRAY[{names}];
    modes text[] := ARRAY[{modes}];
    deadlock int := (SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout');
    patience int := least(deadlock * 4 / 5,
        (SELECT nullif(setting::int, 0) FROM pg_settings WHERE name = 'lock_timeout'));
    deadline timestamptz;
    place int := 1;
BEGIN
    FOR attempt IN 1..{tries} LOOP
        BEGIN
            IF attempt % 6 = 0 AND to_regclass(tables[place]) IS NOT NULL THEN
                PERFORM set_config('lock_timeout', (deadlock * 3 / 2)::text, true);
                EXECUTE format('LOCK TABLE %s IN %s MODE', tables[place], modes[place]);
            END IF;
            deadline := clock_timestamp() + patience * interval '1 millisecond';
            FOR turn IN 1..array_length(tables, 1) LOOP
                place := turn;
                CONTINUE WHEN to_regclass(tables[turn]) IS NULL;
                PERFORM set_config('lock_timeout', greatest(1, extract(epoch FROM
                    deadline - clock_timestamp()) * 1000)::int::text, true);
                EXECUTE format('LOCK TABLE %s IN %s MODE', tables[turn], modes[turn]);
            END LOOP;
            PERFORM set_config('lock_timeout', patience::text, true);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            NULL;  -- everything is given back
        END;
        PERFORM pg_sleep(least(0.05 * 2 ^ attempt, 1.0) * (0.5 + random()));
    END LOOP;
    RAISE EXCEPTION '% is locked by others', tables[place] USING ERRCODE = 'lock_not_available';
END $lock$"""  # noqa: S608


Result = Literal[
    "planned", "applied", "nothing to do", "refused", "declined", "failed", "interrupted", "not verified"
]

# State of the database; "in part" is some sections or a part of one.
Changed = Literal["nothing", "verified", "not verified", "in part", "unknown"]

State = Literal["planned", "applied", "already there", "untouched", "failed", "applied in part", "unknown"]

Direction = Literal["upgrade", "downgrade"]


def statements(change: SectionChange, direction: Direction) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the revisions of a section with their statements, in running order."""
    for revision in change.revisions:
        yield revision.id, revision.upgrade if direction == "upgrade" else revision.downgrade


@dataclass(frozen=True, slots=True)
class SectionResult(Public):
    """The outcome for one section."""

    PUBLIC: ClassVar[str] = (
        "section=change.section schema=change.schema from=change.start to=change.end "
        "revisions=change.ids changes=change.text losses=change.forward.losses state at part attempts "
        "seconds sql sql_sha256=digest verification"
    )

    change: SectionChange  # without revisions if it was applied already
    direction: Direction
    state: State = "planned"
    attempts: int = 0
    seconds: float = 0.0
    verification: tuple[ApplyCheck, ...] = ()
    at: str = ""  # present revision after a failure; empty if unknown
    part: tuple[str, ...] = ()  # new elements in the catalog after a failure

    @property
    def verified(self) -> bool:
        """Return whether verification found nothing wrong."""
        return not any(check.stops for check in self.verification)

    @property
    def sql(self) -> tuple[str, ...]:
        """Return the statements in running order."""
        return tuple(sql for _, parts in statements(self.change, self.direction) for sql in parts)

    @property
    def digest(self) -> str:
        """Return a digest of the statements; empty if there are none."""
        text = "\n".join(self.sql)
        return hashlib.sha256(text.encode()).hexdigest() if text else ""


@dataclass(frozen=True, slots=True)
class ApplyOutcome(Public):
    """The outcome of a run."""

    FORMAT: ClassVar[str] = "consdb-actions/apply/1"
    PUBLIC: ClassVar[str] = (
        "result changed next=next_step problem when direction site=site.id attests database=facts "
        "consdb=checkout checks sections rollback=way_back comment"
    )

    result: Result
    when: str  # start in ISO 8601
    direction: Direction
    facts: DatabaseFacts
    site: Site | None  # None if not given
    checkout: Checkout
    checks: tuple[ApplyCheck, ...]  # before the change
    sections: tuple[SectionResult, ...]
    problem: str = ""  # why it failed, if that is not obvious
    comment: str = ""  # the evidence as Markdown

    @property
    def done(self) -> tuple[SectionResult, ...]:
        """Return the changed sections."""
        return tuple(section for section in self.sections if section.state == "applied")

    @property
    def changed(self) -> Changed:
        """Return the state of the database."""
        states = {section.state for section in self.sections}
        if "unknown" in states:
            return "unknown"
        if "applied in part" in states:
            return "in part"
        if not all(section.verified for section in self.sections):
            return "not verified"
        if "applied" not in states:
            return "nothing"
        return "verified" if self.result == "applied" else "in part"

    @property
    def exit_code(self) -> int:
        """Return the exit code for this outcome."""
        if self.changed in ("in part", "not verified", "unknown"):
            return DatabaseChanged.exit_code
        return 0 if self.result in ("applied", "nothing to do", "planned") else CheckFailed.exit_code

    @property
    def next_step(self) -> str:
        """Return the next step of the runbook; empty if that is obvious."""
        if self.result in ("applied", "nothing to do", "planned"):
            return ""
        if self.changed == "nothing":
            return (
                "Nothing was changed. Fix the cause and run the same command again, or follow the part "
                "“Abort before anything is changed” of the runbook."
            )
        return (
            "The database was changed, or may have been. Do not enable the subscription, and do not "
            "continue with the runbook: follow its part “When an upgrade fails half way”."
        )

    @property
    def attests(self) -> str:
        """Return the step of the process that is done now; empty for none."""
        if self.direction == "downgrade" or self.result not in ("applied", "nothing to do"):
            return ""
        return self.site.attest if self.site else ""

    def way_back(self) -> tuple[str, ...]:
        """Return the commands that revert the changes, last section first."""
        turned = "upgrade" if self.direction == "downgrade" else "downgrade"
        return tuple(
            f"alembic -n {shlex.quote(section.change.section)} {turned} {section.change.start}"
            for section in reversed(self.done)
        )
