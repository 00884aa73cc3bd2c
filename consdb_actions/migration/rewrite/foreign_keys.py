"""Order foreign keys and what they refer to (rule M6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import sqlalchemy as sa
from alembic.operations import ops

from consdb_actions.catalog import Constraint
from consdb_actions.migration.rewrite.constraints import create_foreign_key, drop_constraint
from consdb_actions.migration.rewrite.plan import Facts, Plan

__all__ = ["foreign_keys"]


def foreign_keys(plan: Plan, facts: Facts) -> Plan:
    """Move keys out of CREATE TABLE, and recreate them if their target or type changes."""
    out = list(plan.ops)
    touched = {
        (op.table_name if isinstance(op, ops.DropConstraintOp) else op.source_table, op.constraint_name)
        for op in out
        if isinstance(op, ops.DropConstraintOp | ops.CreateForeignKeyOp)
    }
    lost = {
        str(getattr(op, "constraint_name", None) or getattr(op, "index_name", ""))
        for op in out
        if isinstance(op, ops.DropIndexOp)
        or (isinstance(op, ops.DropConstraintOp) and op.constraint_type in ("primary", "unique"))
    }
    retyped = {
        (op.table_name, op.column_name)
        for op in out
        if isinstance(op, ops.AlterColumnOp) and op.modify_type is not None
    }
    for name, table in sorted(facts.after.tables.items()):
        old = facts.before.tables.get(name)
        if old is None:
            continue
        for key in table.foreign_keys:
            if (name, key.name) in touched:
                continue
            before = next((k for k in old.foreign_keys if k.meaning == key.meaning), None)
            if before is None:
                continue
            ends = zip(key.columns, key.referenced, strict=True)
            moved = any((name, c) in retyped and (key.table, r) in retyped for c, r in ends)
            if moved or before.index in lost:
                out = [op for op in out if not _renames(op, name, before.name)]
                out.append(drop_constraint(facts.schema, name, before.name, "foreignkey"))
                out.append(create_foreign_key(facts.schema, name, key))
    for name, key in _dropped_cycles(facts):
        out.append(drop_constraint(facts.schema, name, key.name, "foreignkey"))
    for source in sorted({c.source for c in facts.copies} - facts.after.tables.keys()):
        # A table that waits for its values to be copied still exists when the keys are dropped.
        keys = facts.before.tables[source].foreign_keys
        out += [
            drop_constraint(facts.schema, source, k.name, "foreignkey") for k in keys if k.table != source
        ]
    standing = _permanent_keys(out, facts)
    return replace(plan, ops=tuple(part for op in out for part in _detached(op, facts, standing)))


def _dropped_cycles(facts: Facts) -> Iterator[tuple[str, Constraint]]:
    """Yield foreign keys in cycles of dropped tables."""
    gone = {n: t for n, t in facts.before.tables.items() if n not in facts.after.tables}
    sources = {c.source for c in facts.copies}

    def reached(name: str) -> set[str]:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for key in gone[waiting.pop()].foreign_keys:
                if key.table in gone and key.table not in found:
                    found.add(key.table)
                    waiting.append(key.table)
        return found

    for name, table in sorted(gone.items()):
        for key in table.foreign_keys:
            if key.table in gone and key.table != name and name not in sources and name in reached(key.table):
                yield name, key


def _renames(op: ops.MigrateOperation, table: str, name: str) -> bool:
    return getattr(op, "kind", "") == "constraint" and (getattr(op, "table", ""), getattr(op, "old", "")) == (
        table,
        name,
    )


def _lost_keys(operations: Iterable[ops.MigrateOperation], facts: Facts) -> set[tuple[str, frozenset[str]]]:
    """Return dropped keys as table and columns, in any order."""
    lost = set()
    for op in operations:
        if isinstance(op, ops.DropConstraintOp) and op.constraint_type in ("primary", "unique"):
            table = facts.before.tables[op.table_name]
            if table.primary_key and table.primary_key.name == op.constraint_name:
                lost.add((op.table_name, frozenset(table.primary_key.columns)))
            lost |= {
                (op.table_name, frozenset(u.columns)) for u in table.uniques if u.name == op.constraint_name
            }
    return lost


def _permanent_keys(operations: list[ops.MigrateOperation], facts: Facts) -> set[tuple[str, tuple[str, ...]]]:
    """Return keys (table, columns) that exist throughout, unless a dropped one has the same columns."""
    lost = _lost_keys(operations, facts)
    return {
        (name, columns)
        for name, table in facts.before.tables.items()
        if name in facts.after.tables
        for columns in table.keys
        if (name, frozenset(columns)) not in lost
    }


def _detached(
    op: ops.MigrateOperation, facts: Facts, standing: set[tuple[str, tuple[str, ...]]]
) -> list[ops.MigrateOperation]:
    """Keep only possible foreign keys in CREATE TABLE."""
    if not isinstance(op, ops.CreateTableOp):
        return [op]
    keys = facts.after.tables[op.table_name].foreign_keys
    later = [k for k in keys if k.table != op.table_name and (k.table, k.referenced) not in standing]
    if not later:
        return [op]
    names = {k.name for k in later}
    kept = [
        item
        for item in op.columns
        if not (isinstance(item, sa.ForeignKeyConstraint) and str(item.name) in names)
    ]
    table = ops.CreateTableOp(op.table_name, kept, schema=op.schema, comment=op.comment, **op.kw)
    return [table, *(create_foreign_key(facts.schema, op.table_name, k) for k in later)]
