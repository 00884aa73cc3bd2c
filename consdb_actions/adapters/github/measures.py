"""What a run measures itself by: time, and the calls that it makes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import requests
import urllib3

__all__ = ["Budget", "Clock", "SystemClock", "read_body"]

WHOLE = 60.0
"""Seconds that one answer may take after its headers have come: a time-out only bounds the pauses in it."""


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


def read_body(answer: requests.Response, limit: int) -> bytes:
    """Read a streamed answer within bounds (rule G4).

    Raises
    ------
    RequestException
        It is longer than `limit` bytes, or takes too long.
    """
    end = time.monotonic() + WHOLE
    body = bytearray()
    try:
        while part := answer.raw.read1(65536, decode_content=True):
            body += part
            if len(body) > limit:
                raise requests.exceptions.ContentDecodingError(f"more than {limit:,} bytes")
            if time.monotonic() > end:
                raise requests.exceptions.ReadTimeout(f"more than {WHOLE:.0f} seconds")
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.exceptions.ReadTimeout from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ConnectionError from error
    return bytes(body)


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
    last
        The last call.
    remaining
        What GitHub says is left of the hourly limit; -1 when it did not say.
    """

    limit: int = 2000
    calls: int = 0
    unchanged: int = 0
    retries: int = 0
    last: str = ""
    remaining: int = -1

    def __str__(self) -> str:
        calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
        text = f"{calls} to GitHub, {self.unchanged} of them unchanged, {self.retries} repeated"
        return text + (f"; {self.remaining} left this hour" if self.remaining >= 0 else "")
