"""Reflect a schema with SQLAlchemy: as metadata for Alembic, and as plain state for our own comparators."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.reflection import Inspector

from consdb_actions.adapters.autogenerate.recall import Inspected, recalled
from consdb_actions.migration.rewrite.statements import escape_binds
from consdb_actions.migration.state import (
    Check,
    ColumnState,
    ForeignKey,
    Index,
    Key,
    SchemaState,
    TableState,
    Unique,
)

__all__ = ["build_metadata", "plain_state"]

_NEXTVAL = re.compile(r"^nextval\('((?:[^']|'')+)'::regclass\)$")


def plain_state(inspected: Inspected, dialect: sa.Dialect) -> SchemaState:
    """Return the tables of a schema as plain state."""
    columns, primary, uniques, foreign, checks, indexes, comments = (
        inspected.items(f"get_multi_{name}")
        for name in (
            "columns",
            "pk_constraint",
            "unique_constraints",
            "foreign_keys",
            "check_constraints",
            "indexes",
            "table_comment",
        )
    )
    out: dict[str, TableState] = {}
    for key in sorted(columns, key=lambda k: k[1]):
        name = key[1]
        pk: Any = primary.get(key) or {}
        comment: Any = comments.get(key) or {}
        out[name] = TableState(
            name=name,
            columns={c["name"]: _column(c, dialect) for c in columns[key]},
            primary_key=Key(pk["name"], tuple(pk["constrained_columns"])) if pk.get("name") else None,
            uniques=tuple(
                Unique(u["name"], tuple(u["column_names"]), _options(u.get("dialect_options")))
                for u in _named(uniques.get(key))
            ),
            foreign_keys=tuple(
                ForeignKey(
                    f["name"],
                    tuple(f["constrained_columns"]),
                    f["referred_table"],
                    tuple(f["referred_columns"]),
                    f["referred_schema"],
                    _options(f.get("options")),
                )
                for f in _named(foreign.get(key))
            ),
            checks=tuple(
                Check(c["name"], c["sqltext"], _options(c.get("dialect_options")))
                for c in _named(checks.get(key))
            ),
            indexes=tuple(_index(i) for i in _named(indexes.get(key)) if not i.get("duplicates_constraint")),
            comment=comment.get("text"),
        )
    return SchemaState(inspected.schema, out)


def _named(items: Any) -> list[Any]:
    return sorted(items or (), key=lambda item: str(item["name"]))


def _options(options: Mapping[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    """Sort options and leave out those that say nothing, so that equal constraints compare equal."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(value)
        if isinstance(value, Mapping):
            return tuple(sorted(value.items()))
        return value

    return tuple(
        sorted(
            (k, plain(v)) for k, v in (options or {}).items() if v not in (None, False, [], {}, "NO ACTION")
        )
    )


def _plain_type(type_: Any) -> Any:
    """Take the precision from ``double precision``, which has but one."""
    return sa.DOUBLE_PRECISION() if isinstance(type_, sa.DOUBLE_PRECISION) else type_


def _column(column: Any, dialect: sa.Dialect) -> ColumnState:
    default, sequence = column.get("default"), None
    if default and (match := _NEXTVAL.match(default)):
        default, sequence = None, match[1].replace("''", "'")
    return ColumnState(
        name=column["name"],
        type=_plain_type(column["type"]),
        type_text=column["type"].compile(dialect),
        nullable=column["nullable"],
        default=default,
        sequence=sequence,
        identity=_options(column.get("identity")),
        comment=column.get("comment"),
    )


def _index(index: Any) -> Index:
    expressions = index.get("expressions")
    names = index["column_names"]
    return Index(
        name=index["name"],
        elements=tuple(expressions or names),
        is_expression=tuple(n is None for n in names),
        unique=bool(index["unique"]),
        options=_options({**index.get("dialect_options", {}), "sorting": index.get("column_sorting")}),
    )


def build_metadata(connection: sa.Connection, inspected: Inspected, tables: Collection[str]) -> sa.MetaData:
    """Return some tables of a schema as metadata that Alembic can render.

    A SERIAL column comes back as ``autoincrement`` without its default, as Alembic itself has it, and texts
    of defaults and conditions are escaped for ``sqlalchemy.text``. The connection is asked nothing.
    """
    metadata = sa.MetaData()

    @sa.event.listens_for(metadata, "column_reflect")
    def _on_column(_inspector: Inspector, _table: sa.Table, info: Any) -> None:
        info["type"] = _plain_type(info["type"])
        default = info.get("default")
        if default and _NEXTVAL.match(default):
            info["default"] = None
        elif default:
            info["default"] = escape_binds(default)

    with recalled(connection, inspected):
        metadata.reflect(
            bind=connection,
            schema=inspected.schema,
            only=lambda name, _metadata: name in tables,
            views=False,
            resolve_fks=False,
        )
    for table in metadata.tables.values():
        for column in table.columns:
            # Reflection says "no" where nothing was to be said; only a lone key column could number itself.
            if column.autoincrement is False and not (column.primary_key and len(table.primary_key) == 1):
                column.autoincrement = "auto"
        for constraint in table.constraints:
            # Reflection names options that say nothing; they would all stand in the script.
            for name in [n for n, value in constraint.dialect_kwargs.items() if value in (None, False, [])]:
                del constraint.dialect_kwargs[name]
            if isinstance(constraint, sa.CheckConstraint):
                constraint.sqltext = sa.text(escape_binds(str(constraint.sqltext)))
    return metadata
