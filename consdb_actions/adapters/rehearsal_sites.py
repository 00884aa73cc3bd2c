"""Two replicating sites for a rehearsal, and a writer that never stops."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Composed, Identifier, Literal
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.simulation import prepare, replay
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import Connection, ScratchServer, connect, scratch_server
from consdb_actions.adapters.postgres_server import Preference
from consdb_actions.adapters.seeding import seed
from consdb_actions.adapters.shell import unwinding_on_signals
from consdb_actions.adapters.tree import Section
from consdb_actions.catalog import Snapshot
from consdb_actions.errors import ExternalError
from consdb_actions.migration.data import TableRows
from consdb_actions.migration.row_rules import RowMigration
from consdb_actions.process.runbook_steps import Account, Template, made_row, templates_of
from consdb_actions.process.sites import Replication, Site, Sites

_SETTINGS = {
    "wal_level": "logical",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "max_worker_processes": "12",
    # As at the sites: committed rows are flushed before the WAL position for which the runbook waits.
    "synchronous_commit": "on",
    # A failed worker restarts quickly, so that a rehearsal need not wait for it.
    "wal_retrieve_retry_interval": "200ms",
    "wal_receiver_status_interval": "1s",
    # The backend type marks log lines of replication workers.
    "log_line_prefix": "%m [%p] %b ",
}

_COPIED = """
SELECT count(*) FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
WHERE s.subname = %s AND r.srsubstate <> 'r'
"""

_COPY_SECONDS = 120.0


@dataclass(frozen=True)
class RehearsalSite:
    """One site with its server."""

    site: Site
    server: ScratchServer
    replication: Replication

    def url(self, account: Account = "owner") -> sa.URL:
        """Return the URL of its database."""
        user = {"owner": self.site.user, "administrator": "postgres", "replication": self.replication.role}
        return self.server.url(self.site.database).set(username=user[account])

    def connect(self, account: Account = "owner") -> Connection:
        """Connect with autocommit."""
        return connect(self.url(account))

    def snapshot(self, schema: str) -> Snapshot:
        """Read the catalog of a schema."""
        with self.server.open_database(self.site.database) as engine, engine.connect() as connection:
            return read_snapshot(connection, schema)

    @property
    def text(self) -> str:
        """Describe the site and its server."""
        info = self.server.info
        return f"{self.site.title}: Postgres {info.version} ({info.source}), {info.pgsphere}"


@dataclass(frozen=True)
class Begun:
    """A section before the migration."""

    section: Section
    revision: str  # ``base`` for none
    change: RowMigration  # requirements of the migration on its rows


@dataclass(frozen=True)
class Pair:
    """Publisher and replica."""

    publisher: RehearsalSite
    replica: RehearsalSite

    def place(self, site: str) -> RehearsalSite | None:
        """Return the place of a site; None if it is neither."""
        return next((p for p in (self.publisher, self.replica) if p.site.id == site), None)

    def lay_out(self, published: Sequence[Begun], local: Sequence[Begun], rows: int) -> None:
        """Create the state before a migration: revisions, rows, publication, subscription."""
        for place, sections in ((self.publisher, published), (self.replica, [*published, *local])):
            self._history(place, sections)
        self._rows(self.publisher, published, rows)
        self._rows(self.replica, local, rows)
        if published:
            self._replicate([begun.section for begun in published])

    def _history(self, place: RehearsalSite, sections: Sequence[Begun]) -> None:
        engine = sa.create_engine(place.url(), poolclass=sa.NullPool)
        try:
            with engine.begin() as connection:
                for begun in sections:
                    prepare(connection, begun.section)
                    history = begun.section.revisions()
                    ids = [one.revision for one in history]
                    count = ids.index(begun.revision) + 1 if begun.revision in ids else 0
                    replay(connection, begun.section, history[:count])
        finally:
            engine.dispose()

    def _rows(self, place: RehearsalSite, sections: Sequence[Begun], rows: int) -> None:
        with place.server.open_database(place.site.database) as engine, engine.begin() as connection:
            for begun in sections:
                snapshot = read_snapshot(connection, begun.section.schema)
                seed(connection, snapshot, rows=rows, change=begun.change)

    def _replicate(self, sections: Sequence[Section]) -> None:
        replication = self.publisher.replication
        role, publication = Identifier(replication.role), Identifier(replication.publication)
        with self.publisher.connect("administrator") as connection:
            connection.execute(SQL("CREATE PUBLICATION {}").format(publication))
            for section in sections:
                schema = Identifier(section.schema)
                connection.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
                for name, relation in self.publisher.snapshot(section.schema).tables.items():
                    if relation.kind == "table":
                        table = Identifier(section.schema, name)
                        connection.execute(SQL("GRANT SELECT ON {} TO {}").format(table, role))
                        connection.execute(
                            SQL("ALTER PUBLICATION {} ADD TABLE {}").format(publication, table)
                        )
        url = self.publisher.url("replication")
        address = f"host={url.query['host']} port={url.port} dbname={url.database} user={url.username}"
        with self.replica.connect("administrator") as connection:
            create = SQL("CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {}")
            subscription = Identifier(replication.subscription)
            connection.execute(create.format(subscription, Literal(address), publication))
            deadline = time.monotonic() + _COPY_SECONDS
            while (connection.execute(_COPIED, [replication.subscription]).fetchone() or (1,))[0]:
                if time.monotonic() > deadline:
                    raise ExternalError(
                        "the first copy of the tables does not end",
                        place="the rehearsal's replica",
                        remedy="Its log says:\n" + self.replica.server.log()[-2000:],
                    )
                time.sleep(0.05)


@contextmanager
def two_sites(sites: Sites, publisher: Preference = "auto", replica: Preference = "auto") -> Iterator[Pair]:
    """Run two servers during the block, and remove them afterwards."""
    replication = sites.replication
    with unwinding_on_signals(), ExitStack() as stack:
        places = []
        for site, prefer in ((sites.of("publisher")[0], publisher), (sites.of("replica")[0], replica)):
            roles = list(dict.fromkeys(("usdf", "oods", site.user, replication.role)))
            server = stack.enter_context(scratch_server(prefer=prefer, roles=roles, settings=_SETTINGS))
            server.create_database(site.database)
            place = RehearsalSite(site, server, replication)
            with place.connect("administrator") as connection:
                _roles(connection, place)
            places.append(place)
        pair = Pair(*places)
        try:
            yield pair
        finally:
            _disconnect(pair)


def _roles(connection: Connection, place: RehearsalSite) -> None:
    owner, role = Identifier(place.site.user), Identifier(place.replication.role)
    connection.execute(SQL("ALTER ROLE {} LOGIN").format(owner))
    connection.execute(SQL("ALTER ROLE {} LOGIN REPLICATION").format(role))
    connection.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(place.site.database), owner))


def _disconnect(pair: Pair) -> None:
    """Drop the subscription, so that no server waits for the other."""
    try:
        with pair.replica.connect("administrator") as connection:
            name = Identifier(pair.replica.replication.subscription)
            connection.execute(SQL("ALTER SUBSCRIPTION {} DISABLE").format(name))
    except psycopg.Error:
        return  # there is no subscription, or no server any more


_PAUSE = 0.03  # seconds between two rounds

_ROWS = 4

_START = 100_000


@dataclass
class _Known:
    revision: str
    snapshot: Snapshot
    templates: Sequence[Template]


@dataclass
class RowWriter:
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
