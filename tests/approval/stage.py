"""A scene with its double running, for tests of whole runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consdb_actions.approval.evaluate import StatusState
from consdb_actions.approval.plan import MARKER
from tests.approval.flow import run
from tests.support.approvals import Scene
from tests.support.github import GitHubDouble, World

__all__ = ["CONSDB", "DE", "PO", "MakeStage", "Stage"]

DE, PO, CONSDB = "approved: data-engineering", "approved: product-owner", "approved: consdb"


class Stage(Scene):
    """A scene with its double running."""

    def __init__(self, world: World, double: GitHubDouble, **values: Any) -> None:
        super().__init__(world, **values)
        self.double = double

    def sync(self) -> StatusState:
        return run(self, self.double).decision.state

    @property
    def status(self) -> tuple[str, str | None]:
        found = [
            item
            for item in self.repo.statuses
            if item.sha == self.head and item.context == "consdb/approvals"
        ]
        return found[-1].state, found[-1].description

    @property
    def comment(self) -> str:
        (only,) = [item for item in self.repo.comments if item.body.startswith(MARKER)]
        return only.body


MakeStage = Callable[..., Stage]
