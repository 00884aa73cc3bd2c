"""Order and statement of the table locks of an upgrade (rule O3).

A writer such as hinfo inserts a row and its child rows in one transaction: it locks the parent first. A child
row that is inserted alone locks the child first, and then the parent weakly, for its foreign key. SHARE ROW
EXCLUSIVE on all tables, parents first, suits both: it keeps writers out and allows foreign key checks, so
that sessions that wait for it hold nothing. Only then follow the stronger modes, which also block readers.

All of it takes less than ``deadlock_timeout``. Postgres checks for a deadlock only after a session has waited
for that long: by then the upgrade has released its locks, and no other session is aborted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter

from alembic.operations import ops

from consdb_actions.catalog import Relation, Snapshot
from consdb_actions.lint.state import Name
from consdb_actions.migration.rewrite.statements import (
    Phase,
    Rename,
    Statement,
    literal,
    phase_of,
    qualified,
)
from consdb_actions.migration.words import subject

__all__ = ["MODES", "TableLock", "in_order", "lock_statement", "locked_first", "needed_mode"]

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
"""Lock modes of Postgres, weakest first."""

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
    """Sort locks as writers take them: parents before children, views after all tables.

    `snapshots` is by schema; tables that are not in it come last.
    """
    known = {lock.name: lock for lock in locks}

    def relation(name: Name) -> Relation | None:
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


_WEAKER = {
    *(Phase.DROP_VIEW, Phase.CREATE_VIEW, Phase.CREATE_TABLE, Phase.FILL, Phase.FILL_REST),
    *(Phase.CHECK_DEFERRED, Phase.ADD_INDEX, Phase.ADD_FOREIGN_KEY, Phase.COMMENT, Phase.GRANT),
}
"""Operations that others can read the table beside."""


def locked_first(
    operations: Sequence[ops.MigrateOperation], before: Snapshot
) -> tuple[ops.MigrateOperation, ...]:
    """Let operations that lock several tables take all locks first, parents first.

    An operator who runs a plain ``alembic upgrade`` then meets others in one place only, and gives up before
    Postgres looks for a deadlock: all waiting together takes less than the default ``deadlock_timeout``.

    Parameters
    ----------
    operations
        One direction of a revision, in its order.
    before
        The catalog before it.
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
    return (*(Statement(sql, phase=Phase.DROP_VIEW, words="lock tables") for sql in first), *operations)


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
