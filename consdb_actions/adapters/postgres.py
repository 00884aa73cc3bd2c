"""Scratch databases: a server of our own or one that is given, engines, copies."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
import sqlalchemy as sa
import sqlalchemy.exc
from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy.engine import URL, make_url

from consdb_actions.adapters.catalog import PREPARED
from consdb_actions.adapters.postgres_server import (
    OLDEST,
    SUPERUSER,
    Preference,
    ServerProcess,
    StartingServer,
    server_process,
)
from consdb_actions.adapters.shell import shielded, unwinding_on_signals
from consdb_actions.errors import ExternalError, InputError
from consdb_actions.redaction import redact

Connection = psycopg.Connection[tuple[object, ...]]

LONGEST_NAME = 63  # bytes of an identifier

# SQLSTATE classes in which the server is at fault, not the statement.
_SERVER_ERRORS = {
    "08": "the connection to Postgres failed",
    "53": "Postgres ran out of room, memory or connections",
    "57": "Postgres is being shut down",
    "58": "Postgres met an error of the system below it",
    "XX": "Postgres met an internal error",
}


def connect(url: URL) -> Connection:
    """Open a connection with autocommit."""
    keywords = url.translate_connect_args(username="user", database="dbname")
    for name, value in url.query.items():
        keywords[name] = value if isinstance(value, str) else ",".join(value)
    return psycopg.connect(**keywords, autocommit=True)


def execute(url: URL, statement: str | Composed) -> None:
    """Run SQL in a database."""
    try:
        with connect(url) as connection:
            connection.execute(statement.encode() if isinstance(statement, str) else statement)
    except psycopg.Error as error:
        raise _refusal(error, url) from error


class Administration:
    """Statements run at ``url``; ``keep`` keeps a connection, which prevents copying that database."""

    def __init__(self, url: URL, *, keep: bool) -> None:
        self._url = url
        self._keep = keep
        self._connection: Connection | None = None
        self._process = 0

    def execute(self, statement: Composed) -> None:
        """Run a statement."""
        try:
            if self._connection is None or self._connection.closed or self._process != os.getpid():
                self._connection, self._process = connect(self._url), os.getpid()
            self._connection.execute(statement)
        except psycopg.Error as error:
            raise _refusal(error, self._url) from error
        finally:
            if not self._keep:
                self.close()

    def close(self) -> None:
        """Close the connection, in the process that opened it."""
        if self._connection is not None and self._process == os.getpid():
            self._connection.close()
            self._connection = None


def _refusal(error: psycopg.Error, url: URL) -> ExternalError:
    return ExternalError(
        f"Postgres refused a statement: {error_text(error, url)}", place=f"database {url.database}"
    )


def error_text(error: psycopg.Error, url: URL) -> str:
    """Return Postgres's message without the URL's password."""
    return redact(str(error).strip(), [url.password or ""])


def is_lost(error: BaseException) -> bool:
    """Return whether the error can come from a lost connection."""
    return any(
        isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        or (isinstance(cause, sqlalchemy.exc.DBAPIError) and cause.connection_invalidated)
        for cause in _causes(error)
    )


def trouble(error: BaseException) -> ExternalError | None:
    """Return an error where the server is at fault, not the statement; else None."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and isinstance(error.orig, psycopg.Error):
        error = error.orig
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate
    if state is None and isinstance(error, psycopg.OperationalError):
        state = "08"
    cause = _SERVER_ERRORS.get((state or "")[:2])
    if cause is None:
        return None
    return ExternalError(
        f"{cause}: {redact(str(error).strip())}",
        remedy="Run again; if it persists, check for a full disk or too little memory.",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


EXTENSION = "pg_sphere"

STAND_IN = "stand-in"

# A base type of its own, so that the catalog shows a column's type as it would with the real extension.
# Values are kept as the text they came as: nothing checks them and no operator knows them.
_STAND_IN_SQL = """
CREATE TYPE public.spoly;
CREATE FUNCTION public.spoly_in(cstring) RETURNS public.spoly
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textin';
CREATE FUNCTION public.spoly_out(public.spoly) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textout';
CREATE TYPE public.spoly (INPUT = public.spoly_in, OUTPUT = public.spoly_out, LIKE = text);
COMMENT ON TYPE public.spoly IS 'stand-in for the pgSphere type: text without geometry';
"""


def make_spoly_available(connection: Connection) -> str:
    """Create the extension pg_sphere, or a stand-in for its type where the server has none that works."""
    present = connection.execute(
        "SELECT t.oid, e.extname FROM (SELECT to_regtype('spoly') AS oid) t"
        " LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'"
        " LEFT JOIN pg_extension e ON e.oid = d.refobjid"
    ).fetchone()
    if present is not None and present[0] is not None:
        return EXTENSION if present[1] == EXTENSION else STAND_IN
    available = connection.execute("SELECT name FROM pg_available_extensions WHERE name = %s", [EXTENSION])
    if available.fetchone() is not None:
        # It fails with pg_sphere 1.2.0 and Postgres 15.20, which checks operators more strictly than 15.18.
        with suppress(psycopg.Error):
            connection.execute("CREATE EXTENSION pg_sphere SCHEMA public")
            return EXTENSION
    connection.execute(_STAND_IN_SQL)
    return STAND_IN


class SharedEngine:
    """An engine that switches between databases; ``address`` returns a database's URL."""

    def __init__(self, address: Callable[[str], URL]) -> None:
        self._address = address
        self._opened: list[str] = []

    @contextmanager
    def open(self, name: str) -> Iterator[sa.Engine]:
        """Switch to a database; its connections close with the outermost block."""
        self._opened.append(name)
        try:
            yield self._engine
        finally:
            self._opened.pop()
            if name not in self._opened:
                self._engine.dispose()

    @cached_property
    def _engine(self) -> sa.Engine:
        engine = sa.create_engine(
            self._address(self._opened[-1]),
            pool_size=1,
            max_overflow=-1,
            pool_reset_on_return=None,
            # Resetting the session would lose prepared statements.
            connect_args={"prepare_threshold": None},
        )

        @sa.event.listens_for(engine, "do_connect")
        def choose(_dialect: Any, record: Any, _arguments: Any, keywords: dict[str, Any]) -> None:
            keywords["dbname"] = self._address(self._opened[-1]).database
            record.info["opened"] = self._owner()
            record.info[PREPARED] = {}

        @sa.event.listens_for(engine, "checkout")
        def compare(_connection: Any, record: Any, _proxy: Any) -> None:
            if record.info["opened"] != self._owner():
                raise sa.exc.DisconnectionError("it leads to another database, or is another process's")

        @sa.event.listens_for(engine, "reset")
        def make_as_new(connection: Any, record: Any, _state: Any) -> None:
            connection.rollback()
            connection.autocommit = True
            connection.execute("DISCARD ALL")
            record.info[PREPARED] = {}
            connection.autocommit = False

        return engine

    def _owner(self) -> tuple[int, str]:
        return os.getpid(), self._opened[-1]


class Backend:
    """A running server, our own or a given one."""

    maintenance = "postgres"  # The database for administrative statements
    template = "template1"  # The prepared database that others are copied from

    def physical(self, name: str) -> str:
        """Return a database's name in the server."""
        return name

    def address(self, database: str) -> URL:
        """Return a database's address, by its name in the server."""
        raise NotImplementedError

    def log(self) -> str:
        """Return the server's log; empty where that cannot be read."""
        return ""

    def failure(self, error: BaseException) -> ExternalError | None:
        """Return an error where the server is at fault, else None."""
        return trouble(error)


_SECONDS_TO_START = 60.0


class OwnServer(Backend):
    """A running server of our own; the constructor waits until it answers."""

    def __init__(self, process: ServerProcess) -> None:
        self._process = process
        self._wait_until_ready()

    def address(self, database: str) -> URL:
        """Return the address of a database, with the superuser's name."""
        return URL.create(
            "postgresql+psycopg",
            username=SUPERUSER,
            port=5432,
            database=database,
            query={"host": str(self._process.sockets)},
        )

    def failure(self, error: BaseException) -> ExternalError | None:
        """Return an error where the server is at fault, else None."""
        if is_lost(error):
            self._process.wait(1.0)  # a client can lose its connection before the server's end is seen
        return self._process.ending() or trouble(error)

    def log(self) -> str:
        """Return the server's log so far."""
        return self._process.log()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            try:
                connect(self.address(self.maintenance)).close()
            except psycopg.OperationalError as error:
                if failure := self._process.ending():
                    raise failure from error
                if time.monotonic() > deadline:
                    raise ExternalError(
                        "the scratch Postgres server did not answer in "
                        f"{_SECONDS_TO_START:g} seconds: {error}",
                        remedy="Run again when the machine is less busy, or name a server with "
                        "--database-url.",
                    ) from error
                time.sleep(0.005)
            else:
                return


_OPTION = "--database-url"

_ROLE_MARK = "made by consdb-actions for a scratch database"


class GivenServer(Backend):
    """A running server, reached through one URL; names of databases start with this run's prefix."""

    def __init__(self, url: URL, prefix: str, version: str, *, superuser: bool) -> None:
        self.url, self.prefix, self.version, self.superuser = url, prefix, version, superuser
        self.maintenance = url.database or "postgres"
        self.template = f"{prefix}template"

    def physical(self, name: str) -> str:
        """Return a database's name in the server, unique to this run."""
        full = self.prefix + name
        if len(full.encode()) <= LONGEST_NAME:
            return full
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        kept = full.encode()[: LONGEST_NAME - len(digest) - 1].decode("utf-8", "ignore")
        return f"{kept}_{digest}"

    def address(self, database: str) -> URL:
        """Return a database's address, by its name in the server."""
        return self.url.set(database=database)


@contextmanager
def given_server(database_url: str, roles: Sequence[str]) -> Iterator[GivenServer]:
    """Use a server, and drop at the end what was created on it."""
    url = _parsed(database_url)
    with unwinding_on_signals(), ExitStack() as stack:
        server = _inspect(url)
        stack.push(lambda kind, _error, _trace: _clean_up(server, roles, failed=kind is not None))
        _make_roles(server, roles)
        yield server


def given_address(database_url: str) -> URL:
    """Return the address of a database after a test connection."""
    return _inspect(_parsed(database_url)).url


def _parsed(database_url: str) -> URL:
    try:
        url = make_url(database_url)
    except sqlalchemy.exc.ArgumentError:
        # The reason is not shown: it may repeat a part of the password.
        url = None
    # A second at sign comes from a password that was not encoded: its rest would be taken for the host, and
    # be shown.
    misread = url is not None and "@" in f"{url.host}{url.database}"
    if url is None or misread or url.drivername.partition("+")[0] not in ("postgres", "postgresql"):
        raise InputError(
            f"{_OPTION} is not the address of a Postgres database",
            remedy="Write it as postgresql://<user>:<password>@<host>:<port>/<database>, with special "
            "characters of the password percent-encoded.",
        )
    return url.set(drivername="postgresql+psycopg", database=url.database or "postgres")


def _inspect(url: URL) -> GivenServer:
    try:
        with connect(url) as connection:
            row = connection.execute(
                "SELECT current_setting('server_version_num')::int, rolsuper, rolcreatedb, rolname"
                " FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
    except (psycopg.Error, UnicodeError) as error:
        said = error_text(error, url) if isinstance(error, psycopg.Error) else type(error).__name__
        raise ExternalError(
            f"the Postgres server cannot be reached: {said}",
            place=_OPTION,
            remedy="Check host, port, user and password, or omit the option to use a server of our own.",
        ) from error
    assert row is not None  # every session has a current user
    number, superuser, creates_databases, user = row
    major, minor = divmod(int(str(number)), 10000)
    if major < OLDEST:
        raise InputError(
            f"the server is Postgres {major}.{minor}; {OLDEST} is the oldest that works",
            place=_OPTION,
            remedy="Name a newer server, or omit the option to use one of our own.",
        )
    if not (superuser or creates_databases):
        raise InputError(
            f'user "{user}" may not create databases',
            place=_OPTION,
            remedy=f'Have an administrator run `ALTER ROLE "{user}" CREATEDB`, name another user, or leave '
            "the option out to use a server of our own.",
        )
    return GivenServer(
        url, f"consdb_actions_{secrets.token_hex(4)}_", f"{major}.{minor}", superuser=bool(superuser)
    )


def _make_roles(server: GivenServer, roles: Sequence[str]) -> None:
    with connect(server.url) as connection:
        known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        missing = [role for role in roles if role not in known]
        for role in missing:
            try:
                connection.execute(SQL("CREATE ROLE {}").format(Identifier(role)))
                connection.execute(SQL("COMMENT ON ROLE {} IS {}").format(Identifier(role), _ROLE_MARK))
            except psycopg.errors.DuplicateObject:
                continue  # another run was faster
            except psycopg.errors.InsufficientPrivilege as error:
                statements = "; ".join(f'CREATE ROLE "{name}"' for name in missing)
                raise InputError(
                    f"the roles {', '.join(missing)} are not on the server, and the user may not create them",
                    place=_OPTION,
                    remedy=f"Have an administrator run `{statements}`, or name a user who may.",
                ) from error


def _clean_up(server: GivenServer, roles: Sequence[str], *, failed: bool) -> None:
    try:
        with shielded(), connect(server.url) as connection:
            made = connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [server.prefix]
            )
            for (name,) in made.fetchall():
                connection.execute(
                    SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(str(name)))
                )
            marked = connection.execute(
                "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
                " AND shobj_description(oid, 'pg_authid') = %s",
                [list(roles), _ROLE_MARK],
            )
            for (name,) in marked.fetchall():
                # Another run may still need it; the last one drops it.
                with suppress(psycopg.errors.DependentObjectsStillExist):
                    connection.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(str(name))))
    except psycopg.Error as error:
        if failed:
            return  # the first failure is more informative, most often a lost server
        raise ExternalError(
            f"databases named {server.prefix}… could not be dropped: {error_text(error, server.url)}",
            place=_OPTION,
            remedy="Drop them by hand.",
        ) from error


_SESSIONS = """
SELECT coalesce(nullif(application_name, ''), usename::text, 'pid ' || pid), client_addr::text
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
ORDER BY pid
"""

_MOST = 5


def copy_database(url: URL, name: str) -> None:
    """Copy the database of a URL."""
    database = url.database or ""
    statement = SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(database))
    try:
        with connect(url) as connection:
            # Postgres would wait for some seconds, and then not say whose connections they are.
            if users := _users(connection):
                raise _in_use(database, users)
            connection.execute(statement)
    except psycopg.errors.ObjectInUse as error:
        raise _in_use(database, error_text(error, url)) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise InputError(
            f'user "{url.username}" may not copy the database "{database}": {error_text(error, url)}',
            place=_OPTION,
            remedy=f"Name the owner of the database or a superuser, or have an administrator run `ALTER "
            f'DATABASE "{database}" OWNER TO "{url.username}"`.',
        ) from error
    except psycopg.Error as error:
        raise ExternalError(
            f"Postgres did not copy the database: {error_text(error, url)}",
            place=_OPTION,
            remedy="See the message of Postgres; a copy needs as much space as the database.",
        ) from error


def _in_use(database: str, users: str) -> InputError:
    return InputError(
        f'the database "{database}" cannot be copied while others use it: {users}',
        place=_OPTION,
        remedy="End these sessions, or name a copy that nobody works on, such as one restored from a dump.",
    )


def _users(connection: psycopg.Connection[tuple[object, ...]]) -> str:
    rows = connection.execute(_SESSIONS).fetchall()
    named = [f"{name}{f' at {host}' if host else ''}" for name, host in rows[:_MOST]]
    more = [f"{len(rows) - _MOST} more"] if len(rows) > _MOST else []
    return ", ".join([*named, *more])


_FILE_COPY_SINCE = 15


@dataclass(frozen=True)
class ServerInfo:
    """Facts about the scratch server for the report."""

    source: str  # ``given URL``, ``system`` or ``embedded``
    version: str
    pgsphere: str  # ``pg_sphere`` for the real extension, else ``stand-in``


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
    prestarted: StartingServer | None = None,
) -> Iterator[ScratchServer]:
    """Run a scratch server, and remove it at the end (rule F2).

    A server at ``database_url`` is used instead: its databases get unique names, and are dropped with new
    roles. ``prestarted`` is a server that was started already. ExternalError if it fails; InputError if none
    is usable.
    """
    with ExitStack() as stack:
        server = _running(stack, database_url, prefer, roles, settings, prestarted)
        stack.callback(server.close)
        try:
            yield server
        except Exception as error:
            if failure := server._backend.failure(error):
                raise failure from error
            raise


def _running(
    stack: ExitStack,
    database_url: str | None,
    prefer: Preference,
    roles: Sequence[str],
    settings: Mapping[str, str] | None,
    prestarted: StartingServer | None,
) -> ScratchServer:
    if database_url is not None:
        given = stack.enter_context(given_server(database_url, roles))
        # Another user than a superuser finds the type only where an administrator put it: in template1.
        source = "template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'" if given.superuser else "template1"
        execute(
            given.url, SQL("CREATE DATABASE {} TEMPLATE ").format(Identifier(given.template)) + SQL(source)
        )
        return ScratchServer(given, ServerInfo("given URL", given.version, _with_spoly(given)), own=False)
    process = prestarted.process() if prestarted else stack.enter_context(server_process(prefer, settings))
    own = OwnServer(process)
    # Postgres's own roles exist already: at a site the tables may belong to one of them.
    missing = [role for role in roles if role != SUPERUSER and not role.startswith("pg_")]
    if missing:
        statements = [SQL("CREATE ROLE {}").format(Identifier(role)) for role in missing]
        execute(own.address(own.maintenance), SQL(";").join(statements))
    installation = process.installation
    info = ServerInfo(installation.source, installation.version, _with_spoly(own))
    return ScratchServer(own, info, own=True)


def _with_spoly(backend: Backend) -> str:
    url = backend.address(backend.template)
    try:
        with connect(url) as connection:
            return make_spoly_available(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise InputError(
            f"the server lacks the type spoly, and the user may not create it: {error_text(error, url)}",
            place="--database-url",
            remedy="Have an administrator run `CREATE EXTENSION pg_sphere` in the database template1, name a "
            "superuser, or omit the option to use a server of our own.",
        ) from error
