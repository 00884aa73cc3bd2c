"""Background writer for a rehearsal, which inserts rows during a migration."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from consdb_actions.process.rehearsal import Template, made_row, templates_of

__all__ = ["Writer"]

_PAUSE = 0.03  # seconds between two rounds
_ROWS = 4
_START = 100_000


@dataclass
class _Known:
    """The tables of a section at a revision."""

    revision: str
    snapshot: Snapshot
    templates: Sequence[Template]


@dataclass
class Writer:
    """Writes rows into the tables of sections in a thread.

    Each round begins with one transaction, as hinfo writes an image: a row for every table, parents first,
    with new keys and without a retry. Updates of single rows follow, and sometimes a deletion. After a
    migration of a section, it continues with the new tables.
    """

    url: sa.URL  # of the tables' owner
    sections: Sequence[Section]
    written: Counter[str] = field(default_factory=Counter)  # rows by table
    # database errors by message: each is a row that a site would lose
    refused: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0  # seconds of the slowest transaction

    def __post_init__(self) -> None:
        self._running = threading.Event()
        self._ended = threading.Event()
        self._idle = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._round = 0
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def start(self) -> None:
        """Start writing."""
        self._running.set()
        self._thread.start()

    def pause(self) -> None:
        """Stop writing after the current round."""
        self._running.clear()
        with self._idle:
            pass

    def resume(self) -> None:
        """Continue writing."""
        self._running.set()

    def rounds(self, count: int, seconds: float = 30.0) -> None:
        """Wait for a number of rounds, or for some seconds."""
        wanted, deadline = self._round + count, time.monotonic() + seconds
        while self._round < wanted and time.monotonic() < deadline and self._thread.is_alive():
            time.sleep(_PAUSE)

    def stop(self) -> None:
        """Stop the thread."""
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
                    self._write(engine)
                    self._round += 1
            time.sleep(_PAUSE)
        engine.dispose()

    def _write(self, engine: sa.Engine) -> None:
        """Write one round: an image in one transaction, then changes of single rows."""
        for section in self.sections:
            known = None
            with self._counted(engine) as connection:
                known = self._look(connection, section)
            if known is None:
                continue
            made: dict[str, dict[str, str | None]] = {}
            lost = self.refused.total()
            with self._counted(engine) as connection:
                for template in known.templates:
                    row = made_row(template, _START + self._round, made)
                    _driver(connection).execute(_insert(known.snapshot.schema, template.rows, row))
                    made[template.rows.table] = row
            if self.refused.total() == lost:
                self.written.update(f"{known.snapshot.schema}.{table}" for table in made)
            for template in known.templates:
                if template.changeable:
                    with self._counted(engine) as connection:
                        _driver(connection).execute(_change(known.snapshot.schema, template))
                if template.leaf and self._round % 5 == 4:
                    with self._counted(engine) as connection:
                        _driver(connection).execute(_remove(known.snapshot.schema, template))

    @contextmanager
    def _counted(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Open a transaction without a retry; a refusal is counted."""
        started = time.monotonic()
        try:
            with engine.begin() as connection:
                # A round must end; a writer at a site would wait longer.
                connection.exec_driver_sql("SET LOCAL lock_timeout = '20s'")
                yield connection
        except (SQLAlchemyError, psycopg.Error) as error:
            self._refuse(error)
            self._known.clear()
        self.longest = max(self.longest, time.monotonic() - started)

    def _refuse(self, error: Exception) -> None:
        cause = getattr(error, "orig", None) or error
        self.refused[str(cause).strip().split("\n", 1)[0][:200]] += 1

    def _look(self, connection: sa.Connection, section: Section) -> _Known:
        """Read the tables again if the section has another revision."""
        query = SQL("SELECT version_num FROM {}").format(
            Identifier(section.version_schema, section.version_table)
        )
        revision = str((_driver(connection).execute(query).fetchone() or ("",))[0])
        known = self._known.get(section.name)
        if known is None or known.revision != revision:
            snapshot = read_snapshot(connection, section.schema)
            templates = self._accepted(connection, snapshot)
            known = self._known[section.name] = _Known(revision, snapshot, templates)
        return known

    def _accepted(self, connection: sa.Connection, snapshot: Snapshot) -> list[Template]:
        """Drop templates whose rows the database refuses without a migration."""
        made: dict[str, dict[str, str | None]] = {}
        accepted = []
        driver = _driver(connection)
        with driver.transaction(force_rollback=True):
            with connection.begin_nested() as trial:
                rows = seed(connection, snapshot, rows=_ROWS, start=_START // 2).made
                trial.rollback()
            for template in templates_of(snapshot, rows):
                row = made_row(template, _START + self._round, made)
                try:
                    with driver.transaction():
                        driver.execute(_insert(snapshot.schema, template.rows, row))
                except psycopg.errors.LockNotAvailable:
                    raise
                except psycopg.DatabaseError:
                    continue
                made[template.rows.table] = row
                accepted.append(template)
        return accepted


def _driver(connection: sa.Connection) -> psycopg.Connection[tuple[object, ...]]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


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
