"""Insert planned rows and read rows back, as texts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Composed, Identifier, Literal

from consdb_actions.catalog import Snapshot
from consdb_actions.errors import CheckFailed
from consdb_actions.migration.rows import Rows, TableRows
from consdb_actions.migration.seed import Demands, Seeding, plan_rows

__all__ = [
    "SeedResult",
    "count_rows",
    "hash_columns",
    "insert_rows",
    "printed",
    "read_rows",
    "remove_rows",
    "seed",
]

# Texts that do not depend on where the server was started, and that read back as the same value.
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


@dataclass(frozen=True)
class SeedResult:
    """What stands in the database now.

    Attributes
    ----------
    seeded
        Rows by table.
    unseeded
        Tables without rows, and why: no row could be made, or the database's words.
    refused
        Tables where the database refused some rows: how many, and its words for the first.
    blank
        Columns that hold nothing but NULL or their default.
    """

    seeded: dict[str, int] = field(default_factory=dict)
    unseeded: dict[str, str] = field(default_factory=dict)
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    blank: tuple[tuple[str, str], ...] = ()


def seed(
    connection: sa.Connection, snapshot: Snapshot, *, rows: int = 8, demands: Demands | None = None
) -> SeedResult:
    """Fill every table of a schema, in the connection's transaction.

    Parameters
    ----------
    connection
        Open on a scratch database; the caller commits.
    snapshot
        The schema as it stands there.
    rows
        How many rows for each table.
    demands
        What a migration will ask of them.

    Returns
    -------
    SeedResult
        What was inserted, and what was not with the reason.
    """
    return insert_rows(connection, snapshot, plan_rows(snapshot, rows, demands))


def insert_rows(connection: sa.Connection, snapshot: Snapshot, seeding: Seeding) -> SeedResult:
    """Insert planned rows, in the connection's transaction.

    Rows go in a table at a time. Where the database refuses a table, its rows are tried one by one.

    Raises
    ------
    CheckFailed
        The rows that the database took break a deferred constraint.
    """
    result = SeedResult(unseeded=dict(seeding.unplanned), blank=seeding.blank)
    with _stable(connection) as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        for table in seeding.tables:
            if _copy(cursor, snapshot.schema, table, table.rows) is None:
                result.seeded[table.table] = len(table.rows)
                continue
            problems = [_copy(cursor, snapshot.schema, table, [row]) for row in table.rows]
            refusals = [words for words in problems if words is not None]
            if len(refusals) == len(table.rows):
                result.unseeded[table.table] = refusals[0]
            else:
                result.seeded[table.table] = len(table.rows) - len(refusals)
            if refusals and table.table in result.seeded:
                result.refused[table.table] = (len(refusals), refusals[0])
        try:
            # Nothing may stay unchecked: statements of a migration trip over events that are still pending.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.DatabaseError as error:
            raise CheckFailed(
                f"the rows made to try the migration on break a deferred constraint: {_words(error)}",
                place=snapshot.schema,
                remedy="The database refused other rows that these refer to; a CHECK constraint is the usual "
                f"reason: {'; '.join(w for _, w in result.refused.values()) or 'none was told'}.",
            ) from error
        _advance_sequences(cursor, snapshot, result.seeded)
    return result


def read_rows(
    connection: sa.Connection,
    snapshot: Snapshot,
    tables: Collection[str] | None = None,
    first: Mapping[str, tuple[Sequence[str], int]] | None = None,
) -> Rows:
    """Read all rows of tables, each value as the text that Postgres prints.

    Parameters
    ----------
    connection
        Open connection; its transaction and its settings stay as they are.
    snapshot
        The schema as it stands there.
    tables
        Which tables; by default all.
    first
        Tables of which only the first rows are read: in the order of these columns, and how many.

    Returns
    -------
    Rows
        Rows by table, sorted.
    """
    out = {}
    with _stable(connection) as cursor:
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
    with _stable(connection) as cursor:
        for name, table in snapshot.tables.items():
            if table.kind == "table":
                cursor.execute(SQL("SELECT count(*) FROM {}").format(Identifier(snapshot.schema, name)))
                row = cursor.fetchone()
                out[name] = 0 if row is None else int(row[0])
    return out


def hash_columns(
    connection: sa.Connection, schema: str, table: str, key: Collection[str], columns: Collection[str]
) -> dict[str, str]:
    """Hash each column of a table in the database, together with the key of each row.

    Parameters
    ----------
    connection
        Open connection.
    schema, table
        Which table.
    key
        Columns that tell its rows; without any, only the values count, in whatever row.
    columns
        Which columns.

    Returns
    -------
    dict
        By column the number of its values, and the sum of their hashes.
    """
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
    with _stable(connection) as cursor:
        cursor.execute(SQL("SELECT {} FROM {}").format(SQL(", ").join(parts), Identifier(schema, table)))
        row = cursor.fetchone()
    return dict(zip(columns, row or (), strict=True))


def remove_rows(connection: sa.Connection, snapshot: Snapshot) -> None:
    """Empty all tables of a schema, in the connection's transaction."""
    names = [n for n, table in snapshot.tables.items() if table.kind == "table"]
    if names:
        tables = SQL(", ").join(Identifier(snapshot.schema, n) for n in names)
        with _stable(connection) as cursor:
            cursor.execute(SQL("TRUNCATE {} CASCADE").format(tables))


def printed(connection: sa.Connection, text: str, type_: str) -> str | None:
    """Return how Postgres prints a text once it is of a type, as :func:`read_rows` would read it."""
    with _stable(connection) as cursor:
        cursor.execute(SQL("SELECT CAST({} AS {})::text").format(Literal(text), SQL(type_)))
        row = cursor.fetchone()
    return None if row is None else row[0]


@contextmanager
def _stable(connection: sa.Connection) -> Iterator[psycopg.Cursor[Any]]:
    """Give the driver's own cursor, which knows COPY and leaves percent and colons alone."""
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


def _copy(
    cursor: psycopg.Cursor[Any], schema: str, table: TableRows, rows: Iterable[tuple[str | None, ...]]
) -> str | None:
    """Insert rows by one statement; return the database's words where it refuses."""
    columns = SQL(", ").join(Identifier(c) for c in table.columns)
    statement = SQL("COPY {} ({}) FROM STDIN").format(Identifier(schema, table.table), columns)
    try:
        with cursor.connection.transaction(), cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.DatabaseError as error:
        return _words(error)
    return None


def _words(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error)


def _advance_sequences(cursor: psycopg.Cursor[Any], snapshot: Snapshot, tables: Collection[str]) -> None:
    """Let sequences go on behind the seeded values, as they would in a database that is in use."""
    for sequence in snapshot.sequences.values():
        owner, _, column = (sequence.owned_by or "").rpartition(".")
        if owner in tables and column in snapshot.tables[owner].columns:
            cursor.execute(
                SQL("SELECT setval({}, greatest(1, (SELECT max({}) FROM {})))").format(
                    Literal(Identifier(snapshot.schema, sequence.name).as_string(cursor)),
                    Identifier(column),
                    Identifier(snapshot.schema, owner),
                )
            )
