"""Signals that ask the program to end: turned into exceptions, and held off while cleaning up (rule F2)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["Terminated", "raise_terminated", "shielded", "unwinding_on_signals"]

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_HELD_OFF = (signal.SIGINT, *_ENDING)


class Terminated(SystemExit):
    """The process was asked to end by a signal; the exit code is 128 and the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


def raise_terminated(signum: int, _frame: FrameType | None) -> NoReturn:
    """Unwind the stack: a handler for signals that ask a process to end."""
    raise Terminated(signum)


@contextmanager
def unwinding_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack of the main thread, so that ``finally`` blocks run.

    Only a signal whose default action would end the process is changed: one that is ignored (``nohup``) or
    has a handler already stays as it is. Outside of the main thread nothing is done, as Python allows
    handlers there only.

    Raises
    ------
    Terminated
        In the main thread, when such a signal comes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    changed = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, raise_terminated)
    try:
        yield
    finally:
        for number in changed:
            if signal.getsignal(number) is raise_terminated:
                signal.signal(number, signal.SIG_DFL)


@contextmanager
def shielded() -> Iterator[None]:
    """Hold off SIGINT, SIGTERM and SIGHUP; those that came are delivered when the block ends.

    Handlers are exchanged rather than signals blocked: a blocked signal would reach another thread, whose
    arrival Python then reports in the main thread all the same. Outside of the main thread, which never
    meets these exceptions, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda signum, _frame: came.append(signum))
        for number in _HELD_OFF
        # None is a handler that was not set from Python: it could not be put back.
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came_number in came:
            signal.raise_signal(came_number)
