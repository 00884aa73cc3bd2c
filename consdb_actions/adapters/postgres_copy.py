"""Copy a database on its own server, without changing it."""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import URL

from consdb_actions.adapters.postgres_sql import connect, words
from consdb_actions.errors import ExternalError, InputError

__all__ = ["copy_database"]

_OPTION = "--database-url"
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
        raise _in_use(database, words(error, url)) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise InputError(
            f'user "{url.username}" may not copy the database "{database}": {words(error, url)}',
            place=_OPTION,
            remedy=f"Name the owner of the database or a superuser, or have an administrator run `ALTER "
            f'DATABASE "{database}" OWNER TO "{url.username}"`.',
        ) from error
    except psycopg.Error as error:
        raise ExternalError(
            f"Postgres did not copy the database: {words(error, url)}",
            place=_OPTION,
            remedy="Look at the words of Postgres; a copy takes as much room as the database.",
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
