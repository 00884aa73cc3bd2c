"""Connections to a scratch Postgres, and its errors."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import sqlalchemy.exc
from psycopg.sql import Composed
from sqlalchemy.engine import URL

from consdb_actions.errors import ExternalError
from consdb_actions.redaction import redact

__all__ = [
    "LONGEST_NAME",
    "Administration",
    "Connection",
    "connect",
    "execute",
    "is_lost",
    "trouble",
    "words",
]

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
        f"Postgres refused a statement: {words(error, url)}", place=f"database {url.database}"
    )


def words(error: psycopg.Error, url: URL) -> str:
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
        remedy="Run again; when it happens every time, look for a full disk or too little memory.",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
