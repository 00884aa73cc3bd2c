"""Ground for counting calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.budget.flows import Ground
from tests.support.budget_scene import Town
from tests.support.github import World
from tests.support.github.plugin import Double
from tests.support.registry import RegistryDouble


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Give a town to copy; nobody changes this one."""
    return Town(World(tmp_path_factory.mktemp("town") / "github"))


@pytest.fixture
def ground(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    connected: Double,
    registry_double: RegistryDouble,
    town: Town,
) -> Ground:
    return Ground(tmp_path, monkeypatch, connected, registry_double, town)
