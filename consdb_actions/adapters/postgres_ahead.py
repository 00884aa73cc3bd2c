"""Start a Postgres server while large libraries are imported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread

from consdb_actions.adapters.interrupts import shielded, unwinding_on_signals
from consdb_actions.adapters.postgres_process import ServerProcess, server_process

__all__ = ["Ahead", "server_ahead"]


class Ahead:
    """A server that is being started; closing ``stack`` stops it."""

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
        """Wait until the start succeeded or failed."""
        self._thread.join()

    def process(self) -> ServerProcess:
        """Return the server, or raise what prevented its start."""
        self.settle()
        if self._process is None:
            raise self._error or RuntimeError("the thread has ended without a server")
        return self._process


@contextmanager
def server_ahead() -> Iterator[Ahead]:
    """Start a server, and stop it at the end (rule F2); a failure is raised on use."""
    with unwinding_on_signals(), ExitStack() as stack:
        with shielded():
            ahead = Ahead(stack)
        try:
            yield ahead
        finally:
            with shielded():
                ahead.settle()
