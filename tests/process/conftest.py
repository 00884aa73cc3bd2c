"""Fixtures for the tests of the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.github import GitHubDouble, World
from tests.support.github.plugin import Double
from tests.support.process import ProcessScene

__all__ = ["Made", "MakeWay"]

Made = tuple[ProcessScene, GitHubDouble]
MakeWay = Callable[..., Made]


@pytest.fixture
def make_way(world: World, github_double: Double) -> MakeWay:
    """Give a maker of a change on its way, with its double."""

    def make(**values: Any) -> Made:
        way = ProcessScene(world, **values)
        return way, github_double(world)

    return make
