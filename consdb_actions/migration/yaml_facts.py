"""Convert the YAML's tables to the input of rename matching (rule M4)."""

from __future__ import annotations

from collections.abc import Collection

from consdb_actions.migration.matching.facts import ColumnFacts, ForeignKeyFacts, TableFacts
from consdb_actions.schema.model import Column, Schema, Table

_TYPES = {
    "byte": "smallint",
    "short": "smallint",
    "int": "integer",
    "long": "bigint",
    "float": "double precision",
    "double": "double precision",
    "binary": "bytea",
}
_SIZED = {"char": "character", "string": "character varying", "unicode": "character varying"}


def postgres_type(column: Column) -> str:
    """Return the type that Felis gives a column in Postgres, as the server prints it."""
    overrides = dict(column.type_overrides)
    if "postgresql" in overrides:
        return overrides["postgresql"].lower()
    if column.datatype in _SIZED:
        return f"{_SIZED[column.datatype]}({column.length})"
    if column.datatype == "timestamp":
        precision = "" if column.precision is None else f"({column.precision})"
        return f"timestamp{precision} without time zone"
    return _TYPES.get(column.datatype, column.datatype)


def table_facts(schema: Schema, views: Collection[str] = ()) -> tuple[TableFacts, ...]:
    """Return the tables of a schema."""
    return tuple(_table(table) for table in schema if table.name not in views)


def _table(table: Table) -> TableFacts:
    return TableFacts(
        name=table.name,
        columns=tuple(
            ColumnFacts(
                table=table.name,
                name=column.name,
                type=postgres_type(column),
                nullable=column.nullable and column.name not in table.primary_key,
                description=column.description or None,
                unit=column.unit or None,
                ucd=column.ucd or None,
                id=column.id,
                position=position,
            )
            for position, column in enumerate(table.columns)
        ),
        description=table.description or None,
        id=table.id,
        primary_key=table.primary_key,
        unique_keys=tuple(item.columns for item in table.constraints if item.kind == "unique"),
        foreign_keys=tuple(
            ForeignKeyFacts(key.columns, key.referenced_table, key.referenced_columns)
            for key in table.foreign_keys
        ),
    )
