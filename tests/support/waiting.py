"""Waiting for something, as long as it takes on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["PATIENCE", "until"]

PATIENCE = 300.0  # seconds; a bound for the hopeless case only


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fail after `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"it does not come about within {PATIENCE:.0f} seconds"
        time.sleep(0.01)
