"""The scratch Postgres server, with a database for each use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import URL

from consdb_actions.adapters.postgres_ahead import Ahead
from consdb_actions.adapters.postgres_backend import Backend
from consdb_actions.adapters.postgres_copy import copy_database
from consdb_actions.adapters.postgres_engine import SharedEngine
from consdb_actions.adapters.postgres_find import Preference
from consdb_actions.adapters.postgres_given import given_server
from consdb_actions.adapters.postgres_own import OwnServer
from consdb_actions.adapters.postgres_process import SUPERUSER, server_process
from consdb_actions.adapters.postgres_sql import Administration, connect, execute, words
from consdb_actions.adapters.spoly import make_spoly_available
from consdb_actions.errors import InputError

__all__ = ["ScratchServer", "ServerInfo", "scratch_server"]

_FILE_COPY_SINCE = 15


@dataclass(frozen=True)
class ServerInfo:
    """Facts about the scratch server for the report."""

    source: str
    """``given URL``, ``system`` or ``embedded``."""
    version: str
    pgsphere: str
    """``pg_sphere`` for the real extension, else ``stand-in``."""
    pgsphere_problem: str = ""
    """Postgres's message if an installed extension does not work."""


class ScratchServer:
    """A server on which databases are created and dropped (``own``: copied as files)."""

    def __init__(self, backend: Backend, info: ServerInfo, *, own: bool) -> None:
        self._backend = backend
        copy_files = own and int(info.version.split(".")[0]) >= _FILE_COPY_SINCE
        self._strategy = SQL(" STRATEGY file_copy" if copy_files else "")
        self._engine = SharedEngine(self.url)
        self._administration = Administration(backend.address(backend.maintenance), keep=own)
        self.info = info

    def url(self, database: str) -> URL:
        """Return the address of a database."""
        return self._backend.address(self._backend.physical(database))

    def log(self) -> str:
        """Return the server's log; empty for a given server."""
        return self._backend.log()

    def open_database(self, name: str) -> AbstractContextManager[sa.Engine]:
        """Open an engine on a database."""
        return self._engine.open(name)

    @contextmanager
    def database(self, name: str, *, made: bool = False) -> Iterator[None]:
        """Create a database for the block, and open an engine on it."""
        if not made:
            self.create_database(name)
        try:
            with self.open_database(name):
                yield
        finally:
            if not made:
                self.drop_database(name)

    def create_database(self, name: str, *, template: str | None = None) -> URL:
        """Create a database."""
        source = self._backend.template if template is None else self._backend.physical(template)
        statement = SQL("CREATE DATABASE {} TEMPLATE {}").format(
            Identifier(self._backend.physical(name)), Identifier(source)
        )
        self._administration.execute(statement + self._strategy)
        return self.url(name)

    def copy_given(self, name: str) -> URL:
        """Copy the database that ``database_url`` names, with its rows."""
        copy_database(self._backend.address(self._backend.maintenance), self._backend.physical(name))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, if it exists, and end its connections."""
        statement = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
            Identifier(self._backend.physical(name))
        )
        self._administration.execute(statement)

    def close(self) -> None:
        """Close this process's connections."""
        self._administration.close()

    def execute(self, database: str, sql: str) -> None:
        """Run SQL in a database."""
        execute(self.url(database), sql)


@contextmanager
def scratch_server(
    *,
    database_url: str | None = None,
    prefer: Preference = "auto",
    roles: Sequence[str] = ("usdf", "oods"),
    settings: Mapping[str, str] | None = None,
    ahead: Ahead | None = None,
) -> Iterator[ScratchServer]:
    """Run a scratch server, and remove it at the end (rule F2).

    A server at ``database_url`` is used instead: its databases get unique names, and are dropped with new
    roles. ``ahead`` is a server that was started already. ExternalError if it fails; InputError if none is
    usable.
    """
    with _running(database_url, prefer, roles, settings, ahead) as server:
        try:
            yield server
        except Exception as error:
            if failure := server._backend.failure(error):
                raise failure from error
            raise
        finally:
            server.close()


@contextmanager
def _running(
    database_url: str | None,
    prefer: Preference,
    roles: Sequence[str],
    settings: Mapping[str, str] | None,
    ahead: Ahead | None,
) -> Iterator[ScratchServer]:
    if database_url is not None:
        with given_server(database_url, roles) as given:
            # Another user than a superuser finds the type only where an administrator put it: in template1.
            source = (
                "template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'" if given.superuser else "template1"
            )
            statement = SQL("CREATE DATABASE {} TEMPLATE ").format(Identifier(given.template)) + SQL(source)
            execute(given.url, statement)
            info = ServerInfo("given URL", given.version, *_with_spoly(given))
            yield ScratchServer(given, info, own=False)
        return
    with ExitStack() as stack:
        process = ahead.process() if ahead else stack.enter_context(server_process(prefer, settings))
        own = OwnServer(process)
        # Postgres's own roles exist already: at a site the tables may belong to one of them.
        missing = [role for role in roles if role != SUPERUSER and not role.startswith("pg_")]
        if missing:
            statements = [SQL("CREATE ROLE {}").format(Identifier(role)) for role in missing]
            execute(own.address(own.maintenance), SQL(";").join(statements))
        installation = process.installation
        info = ServerInfo(installation.source, installation.version, *_with_spoly(own))
        yield ScratchServer(own, info, own=True)


def _with_spoly(backend: Backend) -> tuple[str, str]:
    url = backend.address(backend.template)
    try:
        with connect(url) as connection:
            return make_spoly_available(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise InputError(
            f"the server lacks the type spoly, and the user may not create it: {words(error, url)}",
            place="--database-url",
            remedy="Have an administrator run `CREATE EXTENSION pg_sphere` in the database template1, name a "
            "superuser, or leave the option out to use a server of our own.",
        ) from error
