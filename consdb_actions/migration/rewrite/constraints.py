"""Operations for constraints and foreign keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.operations import ops

from consdb_actions.catalog import CatalogConstraint, CatalogIndex, CatalogRelation
from consdb_actions.catalog.snapshot import Options
from consdb_actions.migration.rewrite.plan import DirectionFacts, MigrationPlan
from consdb_actions.migration.rewrite.statements import (
    Phase,
    Rename,
    SqlStatement,
    escape_binds,
    qualified,
    quote,
)

T = TypeVar("T", CatalogConstraint, CatalogIndex)

_KINDS = {"primary key": "primary", "unique": "unique", "foreign key": "foreignkey", "check": "check"}


def compare_constraints(
    schema: str, before: CatalogRelation, after: CatalogRelation
) -> Iterator[ops.MigrateOperation]:
    """Yield the operations that change a table's constraints and indexes."""
    table = after.name
    retyped = {
        n for n, c in after.columns.items() if n in before.columns and before.columns[n].type != c.type
    }
    for kind, word in _KINDS.items():
        dropped, added, renamed = _match(
            [c for c in before.constraints.values() if c.kind == kind],
            [c for c in after.constraints.values() if c.kind == kind],
        )
        if kind == "check":
            cast = [
                (old, new)
                for new in after.checks
                if (old := before.constraints.get(new.name)) is not None
                and not retyped.isdisjoint(new.columns)
                and new not in added
                and _casts(old.expression) - _casts(new.expression)
            ]
            # Otherwise a wider type of the constants would be cast on the column.
            dropped += [old for old, _ in cast]
            added += [new for _, new in cast]
            for old, new in cast:
                if new.comment is not None and old.comment == new.comment:
                    yield comment_on_constraint(schema, table, new)
        for old, new in renamed:
            what = "key" if kind in {"primary key", "unique"} else "constraint"
            yield Rename(what, schema, table, old.name, new.name, phase=Phase.RENAME_CONSTRAINT)
        for old in dropped:
            yield drop_constraint(schema, table, old.name, word)
        for new in added:
            yield _create(schema, table, new)
    old_indexes, new_indexes, moved = _match(before.indexes.values(), after.indexes.values())
    for a, b in moved:
        yield Rename("index", schema, table, a.name, b.name, phase=Phase.RENAME_CONSTRAINT)
    for index in old_indexes:
        yield ops.DropIndexOp(index.name, table, schema=schema)
    yield from create_indexes(schema, table, new_indexes)


def _casts(expression: str) -> set[str]:
    return set(re.findall(r"::(smallint|integer|bigint|numeric|real|double precision)", expression))


def _create(schema: str, table: str, item: CatalogConstraint) -> ops.MigrateOperation:
    columns, options = list(item.columns), plain_options(item.options)
    if item.kind == "primary key":
        return ops.CreatePrimaryKeyOp(item.name, table, columns, schema=schema, **options)
    if item.kind == "unique":
        return ops.CreateUniqueConstraintOp(item.name, table, columns, schema=schema, **options)
    if item.kind == "foreign key":
        return create_foreign_key(schema, table, item)
    return ops.CreateCheckConstraintOp(item.name, table, sa.text(escape_binds(item.sql)), schema=schema)


def plain_options(options: Options) -> dict[str, Any]:
    """Return options as Alembic and SQLAlchemy accept them."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in options}


def create_foreign_key(schema: str, table: str, key: CatalogConstraint) -> ops.CreateForeignKeyOp:
    """Return the operation that creates a foreign key."""
    return ops.CreateForeignKeyOp(
        key.name,
        table,
        key.table,
        list(key.columns),
        list(key.referenced),
        source_schema=schema,
        referent_schema=key.referenced_schema or schema,
        **plain_options(key.options),
    )


def create_indexes(schema: str, table: str, indexes: Iterable[CatalogIndex]) -> list[ops.CreateIndexOp]:
    """Return the operations that create indexes."""
    return [
        ops.CreateIndexOp(
            i.name,
            table,
            [
                sa.text(escape_binds(e)) if expression else e
                for e, expression in (
                    [(e, True) for e in i.sources]
                    if i.sources
                    else zip(i.elements, i.is_expression, strict=True)
                )
            ],
            schema=schema,
            unique=i.unique,
            **{k: _index_option(k, v) for k, v in i.options if k.startswith("postgresql_")},
        )
        for i in indexes
    ]


def _index_option(name: str, value: Any) -> Any:
    if name == "postgresql_with":
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def comment_on_constraint(schema: str, table: str, item: CatalogConstraint) -> SqlStatement:
    """Return COMMENT, which Alembic lacks for constraints."""
    verb = "remove comment of" if item.comment is None else "change comment on"
    target = f"CONSTRAINT {quote(item.name)} ON {qualified(schema, table)}"
    return SqlStatement.commenting(target, item.comment, text=f"{verb} constraint {item.name}", table=table)


def drop_constraint(schema: str, table: str, name: str, kind: str) -> ops.DropConstraintOp:
    """Return the operation that drops a constraint; ``kind`` as Alembic names it."""
    return ops.DropConstraintOp(name, table, type_=kind, schema=schema)


def _match(old: Iterable[T], new: Iterable[T]) -> tuple[list[T], list[T], list[tuple[T, T]]]:
    """Pair equal definitions; of several, those with equal names first."""
    left, right = {c.name: c for c in old}, {c.name: c for c in new}
    for name in [n for n in left if n in right and left[n].meaning == right[n].meaning]:
        del left[name], right[name]
    renamed = []
    for name in sorted(left):
        twin = next((n for n in sorted(right) if right[n].meaning == left[name].meaning), None)
        if twin is not None:
            renamed.append((left.pop(name), right.pop(twin)))
    return list(left.values()), list(right.values()), renamed


def foreign_keys(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
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
                if key.comment is not None and before.comment == key.comment:
                    out.append(comment_on_constraint(facts.schema, name, key))
    for name, key in _dropped_cycles(facts):
        out.append(drop_constraint(facts.schema, name, key.name, "foreignkey"))
    for source in sorted({c.source for c in facts.copies} - facts.after.tables.keys()):
        # A table that waits for its values to be copied still exists when the keys are dropped.
        keys = facts.before.tables[source].foreign_keys
        out += [
            drop_constraint(facts.schema, source, k.name, "foreignkey") for k in keys if k.table != source
        ]
    permanent = _permanent_keys(out, facts)
    return replace(plan, ops=tuple(part for op in out for part in _detached(op, facts, permanent)))


def _dropped_cycles(facts: DirectionFacts) -> Iterator[tuple[str, CatalogConstraint]]:
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


def _lost_keys(
    operations: Iterable[ops.MigrateOperation], facts: DirectionFacts
) -> set[tuple[str, frozenset[str]]]:
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


def _permanent_keys(
    operations: list[ops.MigrateOperation], facts: DirectionFacts
) -> set[tuple[str, tuple[str, ...]]]:
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
    op: ops.MigrateOperation, facts: DirectionFacts, permanent: set[tuple[str, tuple[str, ...]]]
) -> list[ops.MigrateOperation]:
    """Keep in CREATE TABLE only constraints that Postgres can create there."""
    if not isinstance(op, ops.CreateTableOp):
        return [op]
    made = facts.after.tables[op.table_name]
    later = [
        k for k in made.foreign_keys if k.table != op.table_name and (k.table, k.referenced) not in permanent
    ]
    # CREATE TABLE merges two keys that are equal but for their names.
    keys = [*([made.primary_key] if made.primary_key else []), *made.uniques]
    later += [
        key
        for position, key in enumerate(keys)
        if any((k.columns, k.options) == (key.columns, key.options) for k in keys[:position])
    ]
    if not later:
        return [op]
    names = {k.name for k in later}
    kept = [item for item in op.columns if not (isinstance(item, sa.Constraint) and str(item.name) in names)]
    table = ops.CreateTableOp(op.table_name, kept, schema=op.schema, comment=op.comment, **op.kw)
    return [table, *(_create(facts.schema, op.table_name, k) for k in later)]
