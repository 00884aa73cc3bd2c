"""Connect to a Postgres server of our own."""

from __future__ import annotations

import time

import psycopg
from sqlalchemy.engine import URL

from consdb_actions.adapters.postgres_process import SUPERUSER, ServerProcess
from consdb_actions.adapters.postgres_sql import connect, is_lost, trouble
from consdb_actions.errors import ExternalError

__all__ = ["OwnServer"]

_SECONDS_TO_START = 60.0


class OwnServer:
    """A running server of our own; the constructor waits until it answers."""

    maintenance = "postgres"
    # The whole cluster is ours, so its default template is prepared.
    template = "template1"

    def __init__(self, process: ServerProcess) -> None:
        self._process = process
        self._wait_until_ready()

    def physical(self, name: str) -> str:
        """Return the name unchanged."""
        return name

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
