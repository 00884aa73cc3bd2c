"""Read, count, hash and delete rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Composed, Identifier, Literal

from consdb_actions.catalog import Snapshot
from consdb_actions.migration.data import Rows, TableRows

# Output that does not depend on the server's settings, and that reads back as the same value.
_SETTINGS = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmloption": "content",
    "lc_monetary": "C",
    "search_path": "pg_catalog, public",
}


def read_rows(
    connection: sa.Connection,
    snapshot: Snapshot,
    tables: Collection[str] | None = None,
    first: Mapping[str, tuple[Sequence[str], int]] | None = None,
) -> Rows:
    """Read tables, each value as the text that Postgres prints."""
    out = {}
    with stable_cursor(connection) as cursor:
        for name, table in snapshot.tables.items():
            if (tables is not None and name not in tables) or table.kind != "table" or not table.columns:
                continue
            columns = SQL(", ").join(SQL("{}::text").format(Identifier(c)) for c in table.columns)
            statement = SQL("SELECT {} FROM {}").format(columns, Identifier(snapshot.schema, name))
            if first and name in first:
                order, most = first[name]
                names = SQL(", ").join(map(Identifier, order))
                statement += SQL(" ORDER BY {} LIMIT {}").format(names, Literal(most))
            cursor.execute(statement)
            rows = sorted(cursor.fetchall(), key=lambda row: [(v is None, v or "") for v in row])
            out[name] = TableRows(
                name, tuple(table.columns), tuple(c.type for c in table.columns.values()), tuple(rows)
            )
    return out


def count_rows(connection: sa.Connection, snapshot: Snapshot) -> dict[str, int]:
    """Count the rows of every table."""
    out = {}
    with stable_cursor(connection) as cursor:
        for name, table in snapshot.tables.items():
            if table.kind == "table":
                cursor.execute(SQL("SELECT count(*) FROM {}").format(Identifier(snapshot.schema, name)))
                row = cursor.fetchone()
                out[name] = 0 if row is None else int(row[0])
    return out


def hash_columns(
    connection: sa.Connection, schema: str, table: str, key: Collection[str], columns: Collection[str]
) -> dict[str, str]:
    """Hash each column with the keys of its rows."""
    if not columns:
        return {}
    keys = SQL(", ").join(SQL("{}::text").format(Identifier(c)) for c in key)
    parts = [
        SQL("concat_ws(':', count({c}), sum(hashtextextended(row({row})::text, 0)::numeric))").format(
            c=Identifier(c),
            row=SQL(", ").join([SQL("{}::text").format(Identifier(c)), *([keys] if key else [])]),
        )
        for c in columns
    ]
    with stable_cursor(connection) as cursor:
        cursor.execute(SQL("SELECT {} FROM {}").format(SQL(", ").join(parts), Identifier(schema, table)))
        row = cursor.fetchone()
    return dict(zip(columns, row or (), strict=True))


def remove_rows(connection: sa.Connection, snapshot: Snapshot) -> None:
    """Empty all tables of a schema, in the connection's transaction."""
    names = [n for n, table in snapshot.tables.items() if table.kind == "table"]
    if names:
        tables = SQL(", ").join(Identifier(snapshot.schema, n) for n in names)
        with stable_cursor(connection) as cursor:
            cursor.execute(SQL("TRUNCATE {} CASCADE").format(tables))


def printed(connection: sa.Connection, text: str, type_: str) -> str | None:
    """Return how Postgres prints a text once cast to a type."""
    with stable_cursor(connection) as cursor:
        cursor.execute(SQL("SELECT CAST({} AS {})::text").format(Literal(text), SQL(type_)))
        row = cursor.fetchone()
    return None if row is None else row[0]


@contextmanager
def stable_cursor(connection: sa.Connection) -> Iterator[psycopg.Cursor[Any]]:
    """Yield the driver's cursor, which supports COPY and literal percent signs."""
    names = list(_SETTINGS)
    # Through SQLAlchemy, so that it knows of the transaction.
    shown = sa.text("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
    before = connection.execute(shown).one()
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with driver.cursor() as cursor:
        cursor.execute(_set(zip(names, _SETTINGS.values(), strict=True)))
        yield cursor
        cursor.execute(_set(zip(names, before, strict=True)))


def _set(settings: Iterable[tuple[str, str]]) -> Composed:
    calls = [SQL("set_config({}, {}, false)").format(Literal(n), Literal(v)) for n, v in settings]
    return SQL("SELECT {}").format(SQL(", ").join(calls))
