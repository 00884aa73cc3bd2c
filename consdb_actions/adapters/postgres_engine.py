"""One SQLAlchemy engine, with its caches, for all databases of a scratch server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

__all__ = ["SharedEngine"]


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

        @sa.event.listens_for(engine, "checkout")
        def compare(_connection: Any, record: Any, _proxy: Any) -> None:
            if record.info["opened"] != self._owner():
                raise sa.exc.DisconnectionError("it leads to another database, or is another process's")

        @sa.event.listens_for(engine, "reset")
        def make_as_new(connection: Any, _record: Any, _state: Any) -> None:
            connection.rollback()
            connection.autocommit = True
            connection.execute("DISCARD ALL")
            connection.autocommit = False

        return engine

    def _owner(self) -> tuple[int, str]:
        return os.getpid(), self._opened[-1]
