"""Long tables of cases: some in every run, the others in the slow session."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

__all__ = ["every"]


def every(step: int, cases: Iterable[Any]) -> list[Any]:
    """Mark as slow all cases but the first of each ``step``."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        if number % step
        else case
        for number, case in enumerate(cases)
    ]
