"""The scratch Postgres: one temporary server, a database each for everything that needs one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import URL

from consdb_actions.adapters.postgres_find import Preference, find_installation
from consdb_actions.adapters.postgres_process import OwnServer, own_server, unprivileged_account
from consdb_actions.adapters.stand_in import make_spoly_available
from consdb_actions.errors import ExternalError

__all__ = ["ScratchServer", "ServerInfo", "scratch_server"]

_TEMPLATE = "consdb_template"


@dataclass(frozen=True)
class ServerInfo:
    """Facts about the scratch server for the report.

    Attributes
    ----------
    source
        ``given URL``, ``system`` or ``embedded``.
    version
        Version of the server, such as ``15.18``.
    pgsphere
        ``pg_sphere`` for the real extension, ``stand-in`` where the server has none that works.
    pgsphere_problem
        Why an extension that is installed could not be used, in the words of Postgres.
    """

    source: str
    version: str
    pgsphere: str
    pgsphere_problem: str = ""


class ScratchServer:
    """A server on which databases are made and thrown away."""

    def __init__(self, own: OwnServer, info: ServerInfo) -> None:
        self._own = own
        self.info = info

    def url(self, database: str) -> URL:
        """Return the address of a database for SQLAlchemy."""
        return self._own.url(database)

    def create_database(self, name: str, *, template: str | None = None) -> URL:
        """Create a database prepared for ConsDB, or a copy of another one."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template or _TEMPLATE)
        )
        if int(self.info.version.split(".")[0]) >= 15:
            statement = statement + sql.SQL(" STRATEGY file_copy")
        _execute(self.url("postgres"), statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending its sessions."""
        _execute(
            self.url("postgres"),
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)),
        )

    def execute(self, database: str, sql: str) -> None:
        """Run SQL statements in a database, each in a transaction of its own."""
        _execute(self.url(database), sql.encode())


@contextmanager
def scratch_server(
    *,
    database_url: str | None = None,
    prefer: Preference = "auto",
    roles: Sequence[str] = ("usdf", "oods"),
) -> Iterator[ScratchServer]:
    """Give a scratch server until the block ends."""
    if database_url:
        raise NotImplementedError
    account = unprivileged_account()
    installation = find_installation(prefer, account, os.environ)
    with own_server(installation, account) as own:
        _execute(
            own.url("postgres"),
            sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(_TEMPLATE)),
        )
        for role in roles:
            _execute(own.url("postgres"), sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        with _connect(own.url(_TEMPLATE)) as connection:
            pgsphere, problem = make_spoly_available(connection)
        yield ScratchServer(own, ServerInfo(installation.source, installation.version, pgsphere, problem))


def _connect(url: URL) -> psycopg.Connection[tuple[object, ...]]:
    _, keywords = PGDialect_psycopg().create_connect_args(url)
    return psycopg.connect(**keywords, autocommit=True)


def _execute(url: URL, statement: bytes | sql.Composable) -> None:
    try:
        with _connect(url) as connection:
            connection.execute(statement)
    except psycopg.Error as error:
        raise ExternalError(f"Postgres refused a statement: {error}") from error
