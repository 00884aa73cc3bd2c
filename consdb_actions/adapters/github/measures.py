"""What a run measures itself by: time, and the calls that it makes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Budget", "Clock", "SystemClock"]


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def now(self) -> float:
        """Return seconds since 1970."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(slots=True)
class Budget:
    """The calls that were made.

    Attributes
    ----------
    limit
        Calls that a run may make; one more is an error.
    calls
        Calls that were answered or failed, repeated ones included.
    unchanged
        Those among them that GitHub answered with "not modified", which cost nothing of the hourly limit.
    retries
        Those among them that repeated a failed call.
    remaining
        What GitHub says is left of the hourly limit; -1 when it did not say.
    """

    limit: int = 2000
    calls: int = 0
    unchanged: int = 0
    retries: int = 0
    remaining: int = -1

    def __str__(self) -> str:
        calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
        text = f"{calls} to GitHub, {self.unchanged} of them unchanged, {self.retries} repeated"
        return text + (f"; {self.remaining} left this hour" if self.remaining >= 0 else "")
