"""Goldens: reviewed texts in ``tests/data``. ``pytest --update-goldens`` rewrites them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data"

Golden = Callable[[str, str], None]
"""Compares a text with the file of that name."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="Write the goldens again; read them before you commit."
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return a function that compares a text with a golden."""
    update = bool(request.config.getoption("--update-goldens"))

    def check(name: str, text: str) -> None:
        path = DATA / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        assert path.is_file(), f"there is no golden {name}; pytest --update-goldens writes it"
        assert text + "\n" == path.read_text(encoding="utf-8"), f"{name} differs from its golden"

    return check
