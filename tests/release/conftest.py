"""A scene for each test, copied from one that is made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.github import World
from tests.support.releases import ReleaseScene


@pytest.fixture(scope="session")
def first_scene(tmp_path_factory: pytest.TempPathFactory) -> ReleaseScene:
    return ReleaseScene(World(tmp_path_factory.mktemp("release") / "github"))


@pytest.fixture
def scene(first_scene: ReleaseScene, tmp_path: Path) -> ReleaseScene:
    """Give a scene of its own to a test."""
    return first_scene.copy(tmp_path / "github")
