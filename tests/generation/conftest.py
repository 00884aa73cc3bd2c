"""A fresh tree for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from consdb_actions.adapters.postgres import ScratchServer
from tests.support.workbench import Workbench


@pytest.fixture
def bench(server: ScratchServer, tmp_path: Path) -> Workbench:
    """Give the section ``latiss`` of a tree without revisions."""
    return Workbench(server, tmp_path / "tree")
