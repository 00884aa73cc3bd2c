"""Change rows only while their table has a primary key (rule M7).

A published table accepts UPDATE only with a replica identity, by default the primary key. So a new key is
created before the UPDATE where possible, else the old one is dropped after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeGuard

from alembic.operations import ops

from consdb_actions.catalog import Constraint, Relation
from consdb_actions.migration.rewrite.order import spare_name
from consdb_actions.migration.rewrite.plan import Facts, Plan, Risk
from consdb_actions.migration.rewrite.retype import base_type, narrowing
from consdb_actions.migration.rewrite.statements import (
    DropOldKey,
    Phase,
    ReadyKey,
    RelaxOldKey,
    Rename,
    Retype,
    Statement,
    phase_of,
)

__all__ = ["identity"]

_INTEGERS = {"smallint", "integer", "bigint"}
_OLD_KEY = (
    "its rows are changed under the old primary key; where the table is published, a replica that is "
    "migrated already refuses them"
)
_NO_KEY = (
    "its rows are changed while it has no primary key; where the table is published, Postgres refuses that"
)


def identity(plan: Plan, facts: Facts) -> Plan:
    """Place primary key changes around the statements that update rows.

    The new key is preferred, since a replica that has it finds rows by it alone. Without either, the table is
    a risk.
    """
    out, risks = list(plan.ops), list(plan.risks)
    for table in sorted({op.table for op in plan.ops if isinstance(op, Statement) and op.changes_rows}):
        # A new table has its key from the start.
        first = facts.before.tables.get(table, facts.after.tables.get(table))
        old = first.primary_key if first else None
        dropped = next((op for op in out if _drops(op, table, old)), None)
        if old is not None and dropped is None:
            continue
        created = next((op for op in out if _creates(op, table)), None)
        if created is not None and _ready(out, facts, created):
            out = [ReadyKey.of(created) if op is created else op for op in out]
        elif old is not None and dropped is not None and _can_drop_late(out, facts, table, old):
            out = _drop_late(out, facts, table, old, dropped)
            risks.append(_risk(facts, table, _OLD_KEY))
        else:
            risks.append(_risk(facts, table, _NO_KEY))
    return replace(plan, ops=tuple(out), risks=tuple(risks))


def _risk(facts: Facts, table: str, words: str) -> Risk:
    return Risk(
        table,
        f"{facts.direction}: {words} unless REPLICA IDENTITY FULL is set meanwhile, as the runbook says",
    )


def _drops(op: ops.MigrateOperation, table: str, key: Constraint | None) -> bool:
    return (
        isinstance(op, ops.DropConstraintOp)
        and key is not None
        and (op.table_name, op.constraint_name) == (table, key.name)
    )


def _creates(op: ops.MigrateOperation, table: str) -> TypeGuard[ops.CreatePrimaryKeyOp]:
    return isinstance(op, ops.CreatePrimaryKeyOp) and op.table_name == table


def _ready(operations: list[ops.MigrateOperation], facts: Facts, key: ops.CreatePrimaryKeyOp) -> bool:
    """Return whether a key can be created before rows change."""
    columns = facts.before.tables[key.table_name].columns
    emptied = {c for c, op in _retyped(operations, key.table_name) if isinstance(op, Retype) and op.empties}
    taken = {
        name
        for other in facts.before.tables.values()
        if other.name != key.table_name
        for name in _relations(other)
    }
    return key.constraint_name not in taken and all(
        c in columns and not columns[c].nullable and c not in emptied for c in key.columns
    )


def _can_drop_late(operations: list[ops.MigrateOperation], facts: Facts, table: str, key: Constraint) -> bool:
    """Return whether a key survives the type changes with distinct values."""
    before, after = facts.before.tables[table].columns, facts.after.tables[table].columns
    return not any(
        column in key.columns
        and (
            (isinstance(op, Retype) and op.empties)
            or _merges(before[column].type_text, after[column].type_text)
        )
        for column, op in _retyped(operations, table)
    )


def _merges(old: str, new: str) -> bool:
    """Return whether a conversion can make values equal; integers stay distinct or fail."""
    return bool(narrowing(old, new)) and not {base_type(old), base_type(new)} <= _INTEGERS


def _retyped(operations: list[ops.MigrateOperation], table: str) -> Iterator[tuple[str, ops.AlterColumnOp]]:
    for op in operations:
        if isinstance(op, ops.AlterColumnOp) and op.table_name == table and op.modify_type is not None:
            yield op.column_name, op


def _drop_late(
    operations: list[ops.MigrateOperation],
    facts: Facts,
    table: str,
    key: Constraint,
    dropped: ops.MigrateOperation,
) -> list[ops.MigrateOperation]:
    """Drop a key late with its NOT NULLs; rename it if its name is needed."""
    out = [RelaxOldKey.of(op) if _relaxes(op, table, key) else op for op in operations if op is not dropped]
    name = key.name
    if name in _early_names(out, facts):
        names = {
            n for side in (facts.before, facts.after) for t in side.tables.values() for n in _relations(t)
        }
        name = spare_name(name, names)
        out.append(Rename("key", facts.schema, table, key.name, name, phase=Phase.RENAME_CONSTRAINT))
    return [*out, DropOldKey(name, table, type_="primary", schema=facts.schema)]


def _relaxes(op: ops.MigrateOperation, table: str, key: Constraint) -> TypeGuard[ops.AlterColumnOp]:
    return (
        isinstance(op, ops.AlterColumnOp)
        and (op.table_name, op.modify_nullable) == (table, True)
        and op.column_name in key.columns
    )


def _early_names(operations: list[ops.MigrateOperation], facts: Facts) -> set[str]:
    made = {op.table_name for op in operations if isinstance(op, ops.CreateTableOp)}
    names = {name for table in made for name in _relations(facts.after.tables[table])}
    return names | {
        op.new
        for op in operations
        if isinstance(op, Rename) and op.space == "relation" and phase_of(op) is Phase.RENAME_CONSTRAINT
    }


def _relations(table: Relation) -> Iterator[str]:
    """Yield the relation names of a table, its keys and indexes."""
    yield table.name
    if table.primary_key is not None:
        yield table.primary_key.name
    yield from (unique.name for unique in table.uniques)
    yield from table.indexes
