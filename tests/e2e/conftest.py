"""Runners for the tests of whole workflows, and the table of what they did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.workflows import TABLE, Kit, Workflows
from tests.support.github import World
from tests.support.github.plugin import Double

__all__: list[str] = []

FIGURES: dict[str, str] = {}


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Give what all runs share; the command line is installed as on a runner."""
    made = Kit.make(tmp_path_factory.mktemp("kit"))
    FIGURES["installing the command line from the lock file, cold"] = f"{made.install_seconds:.1f} s"
    return made


@pytest.fixture
def workflows(kit: Kit, tmp_path: Path, world: World, github_double: Double) -> Workflows:
    """Give a GitHub with its runners."""
    return Workflows(kit, tmp_path / "runs", world, github_double(world))


@pytest.fixture
def figure() -> Callable[[str, str], None]:
    """Give a function that adds a figure to what is told at the end."""

    def add(name: str, value: str) -> None:
        FIGURES[name] = value

    return add


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    if not TABLE:
        return
    terminalreporter.section("workflows, run for real")
    rows = [("scenario", "events", "API calls", "faults tried", "seconds")]
    rows += [(r.scenario, r.events, str(r.calls), r.faults or "-", f"{r.seconds:.1f}") for r in TABLE]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        terminalreporter.line("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))
    for name, value in FIGURES.items():
        terminalreporter.line(f"{name}: {value}")
