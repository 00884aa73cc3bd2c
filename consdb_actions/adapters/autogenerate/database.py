"""One state of a database's schema, read in all the ways that are needed."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from consdb_actions.adapters.autogenerate.recall import Inspected, inspect_tables
from consdb_actions.adapters.autogenerate.reflect import plain_state
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.migration.catalog import Snapshot
from consdb_actions.migration.state import SchemaState

__all__ = ["Database", "read_database"]


@dataclass(frozen=True)
class Database:
    """One state of a schema.

    Attributes
    ----------
    inspected
        As SQLAlchemy's inspector tells it, for Alembic.
    state
        The same as plain state, for our own rules.
    catalog
        As Postgres's catalog tells it, which knows more than SQLAlchemy.
    """

    inspected: Inspected
    state: SchemaState
    catalog: Snapshot


def read_database(
    connection: sa.Connection, schema: str, catalog: Snapshot | None = None, like: Database | None = None
) -> Database:
    """Read what a transaction sees of a schema.

    Parameters
    ----------
    connection
        Open connection.
    schema
        Name of the schema.
    catalog
        Its catalog, where it was read already.
    like
        What the same statements made of the same state before: the answer, if the catalog is the same.
    """
    catalog = catalog or read_snapshot(connection, schema)
    if like is not None and like.catalog == catalog:
        return like
    inspected = inspect_tables(connection, schema)
    return Database(inspected, plain_state(inspected, connection.dialect), catalog)
