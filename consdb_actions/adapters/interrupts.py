"""Signals that ask the program to end: turned into exceptions, and held off while cleaning up (rule F2)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["Terminated", "shielded", "unwinding_on_signals"]

_FATAL = (signal.SIGTERM, signal.SIGHUP)
_HELD_OFF = (signal.SIGINT, *_FATAL)


class Terminated(SystemExit):
    """The process was asked to end by a signal; the exit code is 128 and the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


def _raise_terminated(signum: int, _frame: FrameType | None) -> NoReturn:
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
    changed = [number for number in _FATAL if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _raise_terminated)
    try:
        yield
    finally:
        for number in changed:
            if signal.getsignal(number) is _raise_terminated:
                signal.signal(number, signal.SIG_DFL)


@contextmanager
def shielded() -> Iterator[None]:
    """Hold off SIGINT, SIGTERM and SIGHUP in this thread; they are delivered when the block ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_OFF)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
