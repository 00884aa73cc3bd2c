"""Something that writes to a database all the time, as a site does, while a migration goes on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Composed, Identifier, Literal
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.seeding import seed
from consdb_actions.adapters.tree import Section
from consdb_actions.catalog import Snapshot
from consdb_actions.migration.rows import TableRows
from consdb_actions.process.rehearsal_rows import Template, made_row, templates_of

__all__ = ["Writer"]

_PAUSE = 0.03  # seconds between two rounds
_ROWS = 4
_START = 100_000


@dataclass
class _Known:
    """The tables of a section as they were when they were last looked at."""

    revision: str
    snapshot: Snapshot
    templates: Sequence[Template]


@dataclass
class Writer:
    """Writes rows into the tables of sections, in a thread of its own, until it is stopped.

    Each round is a transaction: a row for every table, with keys of its own and parents of the same round; a
    change of a row that is there; now and then the removal of one. When a section gets another revision, it
    goes on with the tables as they are then.

    Attributes
    ----------
    url
        The database, as who owns the tables.
    sections
        What to write to.
    written
        Rows by table.
    refused
        What the database did not take, by its words.
    """

    url: sa.URL
    sections: Sequence[Section]
    written: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._running = threading.Event()
        self._ended = threading.Event()
        self._idle = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._round = 0
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._running.set()
        self._thread.start()

    def pause(self) -> None:
        """Write nothing more, once the round that is under way has ended."""
        self._running.clear()
        with self._idle:
            pass

    def resume(self) -> None:
        """Write again."""
        self._running.set()

    def rounds(self, count: int, seconds: float = 30.0) -> None:
        """Wait until so many more rounds have ended, or so long."""
        wanted, deadline = self._round + count, time.monotonic() + seconds
        while self._round < wanted and time.monotonic() < deadline and self._thread.is_alive():
            time.sleep(_PAUSE)

    def stop(self) -> None:
        """Write nothing more, for good."""
        self._ended.set()
        self._running.set()
        if self._thread.is_alive():
            self._thread.join(30.0)

    def _work(self) -> None:
        engine = sa.create_engine(
            self.url, poolclass=sa.NullPool, connect_args={"application_name": "writer"}
        )
        while not self._ended.is_set():
            self._running.wait()
            with self._idle:
                if self._running.is_set() and not self._ended.is_set():
                    try:
                        with engine.begin() as connection:
                            self._write(connection)
                    except (SQLAlchemyError, psycopg.Error) as error:
                        self._refuse(error)
                        self._known.clear()
                    self._round += 1
            time.sleep(_PAUSE)
        engine.dispose()

    def _refuse(self, error: Exception) -> None:
        cause = getattr(error, "orig", None) or error
        self.refused[str(cause).strip().split("\n", 1)[0][:200]] += 1

    def _write(self, connection: sa.Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        # A round must not wait for longer than a writer at a site would.
        connection.exec_driver_sql("SET LOCAL lock_timeout = '20s'")
        for section in self.sections:
            known = self._look(connection, section)
            number = _START + self._round
            made: dict[str, dict[str, str | None]] = {}
            for template in known.templates:
                row = made_row(template, number, made)
                if self._try(driver, _insert(known.snapshot.schema, template.rows, row)):
                    made[template.rows.table] = row
                    self.written[f"{known.snapshot.schema}.{template.rows.table}"] += 1
            for template in known.templates:
                if template.changeable:
                    self._try(driver, _change(known.snapshot.schema, template))
                if template.leaf and self._round % 5 == 4:
                    self._try(driver, _remove(known.snapshot.schema, template))

    def _look(self, connection: sa.Connection, section: Section) -> _Known:
        """Read the tables again when the section has another revision."""
        query = SQL("SELECT version_num FROM {}").format(
            Identifier(section.version_schema, section.version_table)
        )
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        revision = str((driver.execute(query).fetchone() or ("",))[0])
        known = self._known.get(section.name)
        if known is None or known.revision != revision:
            snapshot = read_snapshot(connection, section.schema)
            with connection.begin_nested() as trial:
                made = seed(connection, snapshot, rows=_ROWS, start=_START // 2).made
                trial.rollback()
            templates = templates_of(snapshot, made)
            known = self._known[section.name] = _Known(revision, snapshot, templates)
        return known

    def _try(self, driver: psycopg.Connection[tuple[object, ...]], statement: Composed) -> bool:
        """Run a statement; what is refused is undone alone."""
        try:
            with driver.transaction():
                driver.execute(statement)
        except psycopg.errors.LockNotAvailable:
            raise
        except psycopg.DatabaseError as error:
            self._refuse(error)
            return False
        return True


def _insert(schema: str, rows: TableRows, row: dict[str, str | None]) -> Composed:
    values = [
        SQL("{}::{}").format(Literal(row[name]), SQL(type_))
        for name, type_ in zip(rows.columns, rows.types, strict=True)
    ]
    return SQL("INSERT INTO {} ({}) VALUES ({})").format(
        Identifier(schema, rows.table),
        SQL(", ").join(map(Identifier, rows.columns)),
        SQL(", ").join(values),
    )


def _change(schema: str, template: Template) -> Composed:
    table, column = Identifier(schema, template.rows.table), Identifier(template.changeable)
    return SQL("UPDATE {0} SET {1} = {1} WHERE ctid = (SELECT ctid FROM {0} LIMIT 1)").format(table, column)


def _remove(schema: str, template: Template) -> Composed:
    table = Identifier(schema, template.rows.table)
    return SQL("DELETE FROM {0} WHERE ctid = (SELECT ctid FROM {0} LIMIT 1)").format(table)
