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


def read_database(connection: sa.Connection, schema: str, catalog: Snapshot | None = None) -> Database:
    """Read what a transaction sees of a schema; its catalog too, unless it is known."""
    inspected = inspect_tables(connection, schema)
    state = plain_state(inspected, connection.dialect)
    return Database(inspected, state, catalog or read_snapshot(connection, schema))
