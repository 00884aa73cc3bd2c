"""Compare constraints and indexes by definition; a different name is a rename (rule M6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.operations import ops

from consdb_actions.catalog import Constraint, Index, Relation
from consdb_actions.catalog.snapshot import Options
from consdb_actions.migration.rewrite.statements import Phase, Rename, escape_binds

__all__ = ["compare_constraints", "create_foreign_key", "create_indexes", "drop_constraint", "plain_options"]

T = TypeVar("T", Constraint, Index)

_KINDS = {"primary key": "primary", "unique": "unique", "foreign key": "foreignkey", "check": "check"}


def compare_constraints(schema: str, before: Relation, after: Relation) -> Iterator[ops.MigrateOperation]:
    """Yield the operations that change a table's constraints and indexes."""
    table = after.name
    for kind, word in _KINDS.items():
        dropped, added, renamed = _match(
            [c for c in before.constraints.values() if c.kind == kind],
            [c for c in after.constraints.values() if c.kind == kind],
        )
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


def _create(schema: str, table: str, item: Constraint) -> ops.MigrateOperation:
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


def create_foreign_key(schema: str, table: str, key: Constraint) -> ops.CreateForeignKeyOp:
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


def create_indexes(schema: str, table: str, indexes: Iterable[Index]) -> list[ops.CreateIndexOp]:
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
