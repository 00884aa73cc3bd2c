"""Use a given Postgres server, with databases under unique names."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import psycopg
import sqlalchemy.exc
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import URL, make_url

from consdb_actions.adapters.interrupts import shielded, unwinding_on_signals
from consdb_actions.adapters.postgres_find import OLDEST
from consdb_actions.adapters.postgres_sql import LONGEST_NAME, Connection, connect, trouble, words
from consdb_actions.errors import ExternalError, InputError

__all__ = ["GivenServer", "given_address", "given_server"]

_OPTION = "--database-url"
_ROLE_MARK = "made by consdb-actions for a scratch database"


@dataclass(frozen=True)
class GivenServer:
    """A running server, reached through one URL."""

    url: URL
    """The database for administrative statements."""
    prefix: str
    """First part of this run's database names."""
    version: str
    superuser: bool

    @property
    def maintenance(self) -> str:
        """The database for administrative statements."""
        return self.url.database or "postgres"

    @property
    def template(self) -> str:
        """The prepared database that others are copied from."""
        return f"{self.prefix}template"

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

    def log(self) -> str:
        """Return nothing: the log of a given server cannot be read."""
        return ""

    def failure(self, error: BaseException) -> ExternalError | None:
        """Return an error where the server is at fault, else None."""
        return trouble(error)


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
        said = words(error, url) if isinstance(error, psycopg.Error) else type(error).__name__
        raise ExternalError(
            f"the Postgres server cannot be reached: {said}",
            place=_OPTION,
            remedy="Check host, port, user and password, or leave the option out to use a server of our own.",
        ) from error
    assert row is not None  # every session has a current user
    number, superuser, creates_databases, user = row
    major, minor = divmod(int(str(number)), 10000)
    if major < OLDEST:
        raise InputError(
            f"the server is Postgres {major}.{minor}; {OLDEST} is the oldest that works",
            place=_OPTION,
            remedy="Name a newer server, or leave the option out to use one of our own.",
        )
    if not (superuser or creates_databases):
        raise InputError(
            f'user "{user}" may not create databases',
            place=_OPTION,
            remedy=f'Have an administrator run `ALTER ROLE "{user}" CREATEDB`, name another user, or leave '
            "the option out to use a server of our own.",
        )
    return GivenServer(url, f"consdb_actions_{secrets.token_hex(4)}_", f"{major}.{minor}", bool(superuser))


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
            _drop_databases(connection, server.prefix)
            _drop_roles(connection, roles)
    except psycopg.Error as error:
        if failed:
            return  # the first failure is more informative, most often a lost server
        raise ExternalError(
            f"databases named {server.prefix}… could not be dropped: {words(error, server.url)}",
            place=_OPTION,
            remedy="Drop them by hand.",
        ) from error


def _drop_databases(connection: Connection, prefix: str) -> None:
    made = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
    for (name,) in made.fetchall():
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(str(name))))


def _drop_roles(connection: Connection, roles: Sequence[str]) -> None:
    marked = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND shobj_description(oid, 'pg_authid') = %s",
        [list(roles), _ROLE_MARK],
    )
    for (name,) in marked.fetchall():
        # Another run may still need it; the last one drops it.
        with suppress(psycopg.errors.DependentObjectsStillExist):
            connection.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(str(name))))
