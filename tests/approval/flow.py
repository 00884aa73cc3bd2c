"""Runs of the program on a scene, as the tests of whole flows need them."""

from __future__ import annotations

from datetime import UTC, datetime

from consdb_actions.adapters.github import connect
from consdb_actions.adapters.github.pull_requests import ApprovalReader, PullPublisher
from consdb_actions.approval.evaluate import Decision
from consdb_actions.approval.facts import ApprovalFacts
from consdb_actions.commands.approvals import approvals_flow
from consdb_actions.commands.pull_requests import PullResult, sync_pull
from tests.support.approvals import REPOSITORY, TOKEN, Scene
from tests.support.github import GitHubDouble, TestClock

__all__ = ["NOW", "run"]

NOW = datetime(2026, 3, 20, tzinfo=UTC)


def run(scene: Scene, double: GitHubDouble, *, dry: bool = False) -> PullResult[ApprovalFacts, Decision]:
    """Sync the scene's pull request once."""
    github = connect(TOKEN, double.url, clock=TestClock())
    try:
        publisher = None if dry else PullPublisher(github, REPOSITORY)
        reader = ApprovalReader(github, REPOSITORY)
        return sync_pull(approvals_flow(), reader, publisher, scene.pull.number, NOW)
    finally:
        github.close()
