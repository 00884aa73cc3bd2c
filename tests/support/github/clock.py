"""A clock for tests: sleeping takes no time and is written down."""

from __future__ import annotations


class TestClock:
    """Time that passes only by sleeping."""

    __test__ = False

    def __init__(self, start: float = 0.0) -> None:
        self.seconds = start
        self.slept: list[float] = []

    def time(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
