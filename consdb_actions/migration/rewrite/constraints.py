"""Rule M6: compare the constraints and indexes of a table, and rename rather than drop.

Alembic's own comparison does not see primary keys, renamed foreign keys or CHECK texts. Here two constraints
are the same when they say the same, whatever their names; then a name that differs is a rename.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.operations import ops

from consdb_actions.migration.rewrite.statements import Phase, Rename, escape_binds
from consdb_actions.migration.state import Check, ForeignKey, Index, Key, TableState, Unique
from consdb_actions.schema.names import primary_key_name

__all__ = ["compare_constraints", "create_foreign_key", "create_indexes", "drop_constraint"]

T = TypeVar("T", Key, Unique, ForeignKey, Check, Index)


def compare_constraints(
    schema: str, before: TableState, after: TableState, *, described: bool = False
) -> list[ops.MigrateOperation]:
    """Return the operations that bring the constraints of one table from one state to another.

    Parameters
    ----------
    schema
        Name of the schema.
    before, after
        The table on both sides, under the same name and with renames of columns already done.
    described
        Whether the right side comes from a schema file, which does not name primary keys: one with
        Postgres's own name then matches any name.

    Returns
    -------
    list
        In no particular order; the ordering rule knows what goes first.
    """
    table = after.name
    if described:
        after = _named_like(after, before)
    out: list[ops.MigrateOperation] = []

    def settle(old: Iterable[T], new: Iterable[T], kind: str, create: Callable[[Any], Any]) -> None:
        dropped, added, renamed = _match(old, new, _meaning)
        for a, b in renamed:
            what = {"index": "index", "primary": "key", "unique": "key"}.get(kind, "constraint")
            out.append(Rename(what, schema, table, a.name, b.name, phase=Phase.RENAME_CONSTRAINT))
        for a in dropped:
            if kind == "index":
                out.append(ops.DropIndexOp(a.name, table, schema=schema))
            else:
                out.append(drop_constraint(schema, table, a.name, kind))
        out.extend(create(b) for b in added)

    if not _same_keys(before, after):
        settle(
            [before.primary_key] if before.primary_key else [],
            [after.primary_key] if after.primary_key else [],
            "primary",
            lambda k: ops.CreatePrimaryKeyOp(k.name, table, list(k.columns), schema=schema),
        )
        settle(
            before.uniques,
            after.uniques,
            "unique",
            lambda u: ops.CreateUniqueConstraintOp(
                u.name, table, list(u.columns), schema=schema, **dict(u.options)
            ),
        )
    else:
        mine = _twin_names(before)
        settle(
            [u for u in before.uniques if u.name not in mine],
            [u for u in after.uniques if u.name not in _twin_names(after)],
            "unique",
            lambda u: ops.CreateUniqueConstraintOp(
                u.name, table, list(u.columns), schema=schema, **dict(u.options)
            ),
        )
    settle(
        before.foreign_keys,
        after.foreign_keys,
        "foreignkey",
        lambda f: create_foreign_key(schema, table, f),
    )
    settle(
        before.checks,
        after.checks,
        "check",
        lambda c: ops.CreateCheckConstraintOp(c.name, table, sa.text(escape_binds(c.sql)), schema=schema),
    )
    settle(before.indexes, after.indexes, "index", lambda i: create_indexes(schema, table, [i])[0])
    return out


def create_foreign_key(schema: str, table: str, key: ForeignKey) -> ops.CreateForeignKeyOp:
    """Return the operation that makes a foreign key."""
    return ops.CreateForeignKeyOp(
        key.name,
        table,
        key.table,
        list(key.columns),
        list(key.referenced),
        source_schema=schema,
        referent_schema=key.schema or schema,
        **dict(key.options),
    )


def create_indexes(schema: str, table: str, indexes: Iterable[Index]) -> list[ops.CreateIndexOp]:
    """Return the operations that make these indexes."""
    return [
        ops.CreateIndexOp(
            i.name,
            table,
            [
                sa.text(escape_binds(e)) if expression else e
                for e, expression in zip(i.elements, i.is_expression, strict=True)
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


def _named_like(described: TableState, actual: TableState) -> TableState:
    """Take apart what Postgres merged, and name the primary key, which the file does not name.

    A primary key under another than its automatic name was merged with a UNIQUE; on a table that exists, both
    can stand side by side, and a UNIQUE that is there already stays. A primary key keeps its name while its
    columns are the same, and a UNIQUE that becomes the primary key gives it its own.
    """
    key, found = described.primary_key, actual.primary_key
    if key is None:
        return described
    automatic = primary_key_name(described.name)
    if key.name != automatic:
        described = replace(
            described,
            primary_key=replace(key, name=automatic),
            uniques=(*described.uniques, Unique(key.name, key.columns)),
        )
    taken = {u.name for u in described.uniques if u.columns != key.columns}
    if found is not None and key.columns == found.columns and found.name not in taken:
        return replace(described, primary_key=found)
    kept = {u.name for u in described.uniques}
    promoted = [
        u for u in actual.uniques if u.columns == key.columns and u.name not in kept and not u.options
    ]
    name = promoted[0].name if promoted else automatic
    return replace(described, primary_key=Key(name, key.columns))


def _meaning(constraint: Any) -> tuple[Any, ...]:
    return tuple(v for k, v in vars(constraint).items() if k != "name")


def _match(
    old: Iterable[T], new: Iterable[T], meaning: Callable[[T], tuple[Any, ...]]
) -> tuple[list[T], list[T], list[tuple[T, T]]]:
    """Pair constraints by meaning; of several with one meaning, those with equal names first."""
    left, right = {c.name: c for c in old}, {c.name: c for c in new}
    for name in [n for n in left if n in right and meaning(left[n]) == meaning(right[n])]:
        del left[name], right[name]
    renamed = []
    for name in sorted(left):
        twin = next((n for n in sorted(right) if meaning(right[n]) == meaning(left[name])), None)
        if twin is not None:
            renamed.append((left.pop(name), right.pop(twin)))
    return list(left.values()), list(right.values()), renamed


def _twin_names(table: TableState) -> set[str]:
    if table.primary_key is None:
        return set()
    return {u.name for u in table.uniques if u.columns == table.primary_key.columns and not u.options}


def _same_keys(before: TableState, after: TableState) -> bool:
    """Whether the primary keys mean the same, as Postgres merges a UNIQUE with equal columns into it."""

    def merged(table: TableState) -> tuple[str, tuple[str, ...]] | None:
        if table.primary_key is None:
            return None
        return min(_twin_names(table), default=table.primary_key.name), table.primary_key.columns

    return merged(before) == merged(after)
