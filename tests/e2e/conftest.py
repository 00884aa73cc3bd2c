"""Runners for the tests of whole workflows, and the table of what they did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.workflows import Kit, Workflows
from tests.support.github import World
from tests.support.github.plugin import Double

HEAD = ["scenario", "events", "API calls", "faults tried", "seconds"]
TABLE: list[list[str]] = []
FIGURES: dict[str, str] = {}


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Give what all runs share; the command line is installed as on a runner."""
    return Kit.make(tmp_path_factory.mktemp("kit"))


@pytest.fixture
def workflows(
    kit: Kit, tmp_path: Path, world: World, github_double: Double, request: pytest.FixtureRequest
) -> Workflows:
    """Give a GitHub with its runners."""

    def tell(kind: str, value: object) -> None:
        # Properties reach the session's own process also from another one that ran the test.
        request.node.user_properties.append((kind, value))

    made = Workflows(kit, tmp_path / "runs", world, github_double(world), tell)
    made.figure("installing the command line from the lock file", f"{kit.install_seconds:.1f} s")
    return made


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect what a test tells."""
    if report.when != "call":
        return
    for kind, value in report.user_properties:
        if kind == "row" and isinstance(value, list):
            TABLE.append([str(cell) for cell in value])
        elif kind == "figure" and isinstance(value, list):
            FIGURES[str(value[0])] = str(value[1])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    if not TABLE:
        return
    terminalreporter.section("workflows, run for real")
    rows = [HEAD, *TABLE]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        terminalreporter.line("  ".join(cells).rstrip())
    for name, value in FIGURES.items():
        terminalreporter.line(f"{name}: {value}")
