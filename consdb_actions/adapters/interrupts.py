"""Convert termination signals to exceptions, and defer them during cleanup (rule F2)."""

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
    """A signal terminated the process; the exit code is 128 plus its number."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


def raise_terminated(signum: int, _frame: FrameType | None) -> NoReturn:
    """Unwind the stack: a handler for termination signals."""
    raise Terminated(signum)


@contextmanager
def unwinding_on_signals() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM and SIGHUP, so that ``finally`` blocks run.

    Ignored signals (``nohup``) and existing handlers stay. It has no effect outside of the main thread, where
    Python allows no handlers.
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
    """Defer SIGINT, SIGTERM and SIGHUP until the end of the block.

    Handlers are replaced rather than signals blocked: a blocked signal would reach another thread, and Python
    then reports it in the main thread all the same. It has no effect outside of the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda signum, _frame: came.append(signum))
        for number in _HELD_OFF
        # None is a handler that was not set from Python and could not be restored.
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came_number in came:
            signal.raise_signal(came_number)
