"""Fixtures for the tests of the approvals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.approval.stage import MakeStage, Stage
from tests.support.github import World
from tests.support.github.plugin import Double


@pytest.fixture
def make_stage(world: World, github_double: Double) -> MakeStage:
    def make(**values: Any) -> Stage:
        return Stage(world, github_double(world), **values)

    return make
