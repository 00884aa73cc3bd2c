"""Start a Postgres server of our own while something else goes on, such as the import of large libraries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread

from consdb_actions.adapters.interrupts import shielded, unwinding_on_signals
from consdb_actions.adapters.postgres_process import ServerProcess, server_process

__all__ = ["Ahead", "server_ahead"]


class Ahead:
    """A server that is being started.

    Parameters
    ----------
    stack
        What ends the server when it is closed.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._process: ServerProcess | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._start)
        self._thread.start()

    def _start(self) -> None:
        try:
            self._process = self._stack.enter_context(server_process())
        except BaseException as error:
            self._error = error

    def settle(self) -> None:
        """Wait until it was started, or could not be."""
        self._thread.join()

    def process(self) -> ServerProcess:
        """Return the server.

        Raises
        ------
        ExternalError, InputError
            It cannot be started.
        """
        self.settle()
        if self._process is None:
            raise self._error or RuntimeError("the thread has ended without a server")
        return self._process


@contextmanager
def server_ahead() -> Iterator[Ahead]:
    """Begin to start a server, and end it with the block (rule F2).

    Yields
    ------
    Ahead
        What it is asked for when it is needed; if nobody asks, nobody hears that it cannot be started.
    """
    with unwinding_on_signals(), ExitStack() as stack:
        with shielded():
            ahead = Ahead(stack)
        try:
            yield ahead
        finally:
            with shielded():
                ahead.settle()
