"""Wait for a condition, also on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 300.0  # seconds; a limit for hanging tests only


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail after `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"it does not come about within {PATIENCE:.0f} seconds"
        time.sleep(0.01)
