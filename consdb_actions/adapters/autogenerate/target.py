"""Create the database that a schema file describes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from consdb_actions.adapters.autogenerate.replay import postgres_message
from consdb_actions.adapters.felis import LoadedSchema
from consdb_actions.adapters.schema_yaml import Lines
from consdb_actions.adapters.tree import Shadow
from consdb_actions.errors import InputError
from consdb_actions.migration.rewrite.statements import escape_binds, qualified
from consdb_actions.migration.views import ViewRule, projection

_NAME = r'(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>\w+))'
_TARGET = re.compile(rf"(?:CREATE TABLE|ALTER TABLE|\bON) (?:\w+\.){_NAME}")
_CONSTRAINT = re.compile(rf"CONSTRAINT {_NAME}")

__all__ = ["build_metadata", "create_tables", "create_views"]


def build_metadata(
    loaded: LoadedSchema, shadow: Shadow | None, views: Collection[str]
) -> tuple[sa.MetaData, set[tuple[str, str]]]:
    """Build metadata with shadow columns and without views."""
    metadata = loaded.metadata()
    before = {(t.name, c.name) for t in metadata.tables.values() for c in t.columns}
    if shadow is not None:
        shadow.add(metadata)
    for table in list(metadata.tables.values()):
        if table.name in views:
            metadata.remove(table)
            continue
        for column in table.columns:
            column.type = _as_written(column.type)
    return metadata, {(t.name, c.name) for t in metadata.tables.values() for c in t.columns} - before


def _as_written(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Read ``TIMESTAMP(6)`` as Postgres does: six digits, no time zone."""
    written = type_._variant_mapping.get("postgresql", type_)
    if isinstance(written, postgresql.TIMESTAMP) and type(written.timezone) is int:
        return postgresql.TIMESTAMP(timezone=False, precision=written.timezone)
    return type_


def create_tables(
    connection: sa.Connection,
    metadata: sa.MetaData,
    source: str,
    lines: Lines,
    tables: Sequence[sa.Table] | None = None,
) -> None:
    """Create tables in an empty schema."""
    made = metadata.tables.values() if tables is None else tables
    keys = [k for t in made for k in t.foreign_key_constraints if k.comment]
    comments = [(key, key.comment) for key in keys]
    for key in keys:
        # SQLAlchemy comments on a table's keys along with the table, but creates keys of a cycle later.
        key.comment = None
    try:
        with warnings.catch_warnings():
            # For a cycle of tables SQLAlchemy warns, and adds the keys afterwards.
            warnings.filterwarnings("ignore", "Cannot correctly sort tables", sa.exc.SAWarning)
            metadata.create_all(connection, tables=tables, checkfirst=False)
        for key, comment in comments:
            key.comment = comment
            connection.execute(sa.schema.SetConstraintComment(key))
    except SQLAlchemyError as error:
        element, line = _refused_element(error, lines)
        raise InputError(
            f"Postgres cannot make {element or 'the tables of this schema'}: {postgres_message(error)}",
            place=f"{source}:{line}" if line else source,
            remedy="Correct the schema file; the message after the colon is the database's own.",
        ) from error


def _refused_element(error: SQLAlchemyError, lines: Lines) -> tuple[str, int]:
    """Return the element and line of a refused statement (rule M23)."""
    statement = str(getattr(error, "statement", "") or "")
    match = _TARGET.search(statement)
    if match is None:
        return "", 0
    table = (match["quoted"] or match["plain"] or "").replace('""', '"')
    position = getattr(getattr(getattr(error, "orig", None), "diag", None), "statement_position", None)
    # The position counts from 1; the last constraint that begins before it is the refused one.
    before = statement[: int(position)] if position else statement if "ADD CONSTRAINT" in statement else ""
    named = [(m["quoted"] or m["plain"]).replace('""', '"') for m in _CONSTRAINT.finditer(before)]
    if named:
        name = f"{table}.{named[-1]}"
        return name, lines.get(("constraint", table, named[-1]), lines.get(("table", table), 0))
    return f"table {table}", lines.get(("table", table), 0)


def create_views(
    connection: sa.Connection, schema: str, metadata: sa.MetaData, views: Mapping[str, ViewRule]
) -> None:
    """Create the configured views over these tables."""
    columns = {t.name: [c.name for c in t.columns] for t in metadata.tables.values()}
    for name, rule in views.items():
        query = projection(schema, rule, columns[rule.table])
        statement = f"CREATE VIEW {qualified(schema, name)} AS {query}"
        connection.execute(sa.text(escape_binds(statement)))
