"""The database that a schema file describes, made from the file alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from consdb_actions.adapters.autogenerate.replay import prepare
from consdb_actions.adapters.felis import LoadedSchema
from consdb_actions.adapters.tree import Section, Shadow
from consdb_actions.errors import InputError
from consdb_actions.migration.rewrite.statements import escape_binds, qualified
from consdb_actions.migration.views import ViewRule, projection

__all__ = ["build_metadata", "create_target", "table_columns"]


def build_metadata(
    loaded: LoadedSchema, shadow: Shadow | None, views: Collection[str]
) -> tuple[sa.MetaData, dict[str, list[str]]]:
    """Build the metadata of a schema file, with shadow columns and without the tables that are views.

    Returns
    -------
    tuple
        The metadata, and the columns of each table in the order of the file.
    """
    metadata = loaded.metadata()
    if shadow is not None:
        shadow.add(metadata)
    for table in list(metadata.tables.values()):
        if table.name in views:
            metadata.remove(table)
            continue
        for column in table.columns:
            column.type = _as_written(column.type)
        for constraint in table.constraints:
            # Alembic cannot write comments of constraints, so ConsDB has none.
            constraint.comment = None
    return metadata, table_columns(metadata)


def _as_written(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Take ``TIMESTAMP(6)`` as Postgres does: six digits, no time zone.

    Felis passes the number on as SQLAlchemy's first argument, which is the time zone. Schema files before
    July 2024 write their times so, and the databases made of them have none.
    """
    written = type_._variant_mapping.get("postgresql", type_)
    if isinstance(written, postgresql.TIMESTAMP) and type(written.timezone) is int:
        return postgresql.TIMESTAMP(timezone=False, precision=written.timezone)
    return type_


def table_columns(metadata: sa.MetaData) -> dict[str, list[str]]:
    """Return the names of the columns of each table, in order."""
    return {t.name: [c.name for c in t.columns] for t in metadata.tables.values()}


def create_target(
    connection: sa.Connection,
    section: Section,
    loaded: LoadedSchema,
    metadata: sa.MetaData,
    views: Mapping[str, ViewRule],
) -> None:
    """Create everything in an empty database.

    Raises
    ------
    InputError
        Postgres refuses something of the file.
    """
    prepare(connection, section)
    columns = table_columns(metadata)
    try:
        metadata.create_all(connection, checkfirst=False)
        for name, rule in views.items():
            query = projection(section.schema, rule, columns[rule.table])
            statement = f"CREATE VIEW {qualified(section.schema, name)} AS {query}"
            connection.execute(sa.text(escape_binds(statement)))
    except SQLAlchemyError as error:
        words = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise InputError(
            f"Postgres cannot make the tables of this schema: {words}",
            place=loaded.source,
            remedy="Mend the schema file; the words after the colon are the database's own.",
        ) from error
