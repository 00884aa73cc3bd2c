"""Fixtures for tests that need GitHub, and what is told about them at the end of a run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.github import client
from consdb_actions.cli import main
from tests.support.github.clock import TestClock
from tests.support.github.descriptions import UnavailableError, cache, description_file
from tests.support.github.faults import without_waiting
from tests.support.github.openapi import Description
from tests.support.github.server import GitHubDouble
from tests.support.github.world import World

Double = Callable[[World], GitHubDouble]
Run = Callable[..., tuple[int, str, str]]
"""Runs a command; returns its exit code, output and errors."""


@dataclass
class Tried:
    """What the run did, for the summary."""

    description: Description | None = None
    missing: str = ""
    faults: dict[str, int] = field(default_factory=dict)


TRIED = Tried()
CACHE = cache()  # Read before the guards of the tests take the environment away.


@pytest.fixture(scope="session")
def github_description() -> Description | None:
    """Give GitHub's OpenAPI description; None, said in the summary, when it truly cannot be had."""
    if TRIED.description is None and not TRIED.missing:
        os.environ["OPENAPI_CACHE_DIR"] = str(CACHE)
        try:
            TRIED.description = Description(description_file())
        except UnavailableError as error:
            TRIED.missing = str(error)
    return TRIED.description


@pytest.fixture(scope="session", autouse=True)
def impatient_clients() -> Iterator[None]:
    """Do not wait for doubles that hang."""
    with without_waiting():
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give an empty world; at the end no pull request of it has two comments of ours (rule P2)."""
    made = World(tmp_path / "github")
    yield made
    bots = {user.id for user in made.users.values() if user.type == "Bot"}
    ours = Counter(
        (repo.full_name, comment.issue)
        for repo in made.repos.values()
        for comment in repo.comments
        if comment.user in bots and comment.body.startswith("<!-- consdb-actions")
    )
    assert not [pull for pull, count in ours.items() if count > 1]


@pytest.fixture
def github_double(github_description: Description | None) -> Iterator[Double]:
    """Give a maker of doubles; each is closed at the end, and must have matched GitHub's description."""
    made: list[GitHubDouble] = []

    def make(world: World) -> GitHubDouble:
        made.append(GitHubDouble(world, github_description))
        return made[-1]

    yield make
    for double in made:
        double.close()


@pytest.fixture
def connected(github_double: Double, monkeypatch: pytest.MonkeyPatch) -> Double:
    """Give a maker of doubles that commands talk to, without waiting."""

    def make(world: World) -> GitHubDouble:
        double = github_double(world)
        monkeypatch.setenv("GITHUB_TOKEN", "token-of-actions")
        monkeypatch.setenv("GITHUB_API_URL", double.url)
        monkeypatch.setattr(client, "SYSTEM_CLOCK", TestClock())
        return double

    return make


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a function that runs commands."""

    def call(*args: str) -> tuple[int, str, str]:
        code = main(list(args))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was validated and how many faults were tried."""
    lines = []
    if TRIED.description is not None:
        lines.append(
            f"{TRIED.description.checked} requests and answers held against GitHub's OpenAPI description"
            + "".join(
                f", {count} with the known difference: {what}"
                for what, count in TRIED.description.tolerated.items()
            )
        )
    if TRIED.missing:
        lines.append(f"GitHub's description was NOT at hand, nothing was validated: {TRIED.missing}")
    lines += [f"{count} faults tried in the flow: {flow}" for flow, count in TRIED.faults.items()]
    if lines:
        terminalreporter.section("GitHub double")
        for line in lines:
            terminalreporter.line(line)
