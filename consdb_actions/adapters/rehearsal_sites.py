"""Two Postgres servers with replication, configured like the sites (rule F2)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Identifier, Literal

from consdb_actions.adapters.autogenerate.replay import prepare, replay
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.interrupts import unwinding_on_signals
from consdb_actions.adapters.postgres import ScratchServer, scratch_server
from consdb_actions.adapters.postgres_find import Preference
from consdb_actions.adapters.postgres_sql import Connection, connect
from consdb_actions.adapters.seeding import seed
from consdb_actions.adapters.tree import Section
from consdb_actions.catalog import Snapshot
from consdb_actions.errors import ExternalError
from consdb_actions.migration.row_rules import Change
from consdb_actions.process.runbook_steps import Account
from consdb_actions.process.sites import Replication, Site, Sites

__all__ = ["Begun", "Pair", "Place", "two_sites"]

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
class Place:
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
    def words(self) -> str:
        """Describe the site and its server."""
        info = self.server.info
        return f"{self.site.title}: Postgres {info.version} ({info.source}), {info.pgsphere}"


@dataclass(frozen=True)
class Begun:
    """A section before the migration."""

    section: Section
    revision: str  # ``base`` for none
    change: Change  # requirements of the migration on its rows


@dataclass(frozen=True)
class Pair:
    """Publisher and replica."""

    publisher: Place
    replica: Place

    def place(self, site: str) -> Place | None:
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

    def _history(self, place: Place, sections: Sequence[Begun]) -> None:
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

    def _rows(self, place: Place, sections: Sequence[Begun], rows: int) -> None:
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
            place = Place(site, server, replication)
            with place.connect("administrator") as connection:
                _roles(connection, place)
            places.append(place)
        pair = Pair(*places)
        try:
            yield pair
        finally:
            _disconnect(pair)


def _roles(connection: Connection, place: Place) -> None:
    """Enable the roles' logins and set the owner of the database."""
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
