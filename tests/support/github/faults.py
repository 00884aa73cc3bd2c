"""Faults that the double can be told to have (rule F1)."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

import pytest

HANGS = b"*hangs*"
"""What a double sends in place of an answer that does not come in time."""


@contextmanager
def without_waiting() -> Iterator[None]:
    """Let clients in this process run out of patience at once where a double hangs.

    Their time-outs can then be as long as in real use: short ones would also strike on a busy machine.
    """
    begin = http.client.HTTPResponse.begin

    def begin_or_time_out(self: http.client.HTTPResponse) -> None:
        if self.fp.peek(1).startswith(HANGS):
            raise TimeoutError("timed out")
        begin(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http.client.HTTPResponse, "begin", begin_or_time_out)
        yield


class Kind(Enum):
    """What goes wrong. Of those with a action done, the caller never learns that it was done."""

    INTERNAL = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    TIMEOUT = "timeout"
    RESET = "reset"
    GARBLED = "answer cut off"
    SECONDARY = "403 secondary limit"
    PRIMARY = "403 rate limit"
    TOO_MANY = "429"
    CONFLICT = "409"
    INVALID = "422"
    FORBIDDEN = "403"
    MISSING = "404"
    STRANGE = "an answer of another form"
    MOVING = "202"
    DONE_THEN_RESET = "done, then reset"
    DONE_THEN_502 = "done, then 502"

    @property
    def after(self) -> bool:
        """Whether the call is carried out before it fails."""
        return self in (Kind.DONE_THEN_RESET, Kind.DONE_THEN_502, Kind.GARBLED)


@dataclass
class Fault:
    """A fault at a call: method and path, with or without the query; empty ones fit every call.

    `skip` fitting calls go well first, then `times` fail. Rate limits ask for `retry_after` seconds.
    """

    kind: Kind
    method: str = ""
    target: str = ""
    skip: int = 0
    times: int = 1
    retry_after: int = 7
    body: bytes = b""  # the answer of another form, with HTTP 200
    hits: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False)

    def strikes(self, method: str, target: str) -> bool:
        """Tell whether this call fails, and count it."""
        if self.method and self.method != method:
            return False
        if self.target and self.target not in (target, target.partition("?")[0]):
            return False
        self._seen += 1
        if self.skip < self._seen <= self.skip + self.times:
            self.hits += 1
            return True
        return False
