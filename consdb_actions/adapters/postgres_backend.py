"""The interface of our own and given servers."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy.engine import URL

from consdb_actions.errors import ExternalError

__all__ = ["Backend"]


class Backend(Protocol):
    """A running server, our own or a given one."""

    @property
    def maintenance(self) -> str:
        """The database for administrative statements."""

    @property
    def template(self) -> str:
        """The prepared database that others are copied from."""

    def physical(self, name: str) -> str:
        """Return a database's name in the server."""

    def address(self, database: str) -> URL:
        """Return a database's address, by its name in the server."""

    def log(self) -> str:
        """Return the server's log; empty where that cannot be read."""

    def failure(self, error: BaseException) -> ExternalError | None:
        """Return an error where the server is at fault, else None."""
