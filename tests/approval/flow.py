"""Runs of the program on a scene, as the tests of whole flows need them."""

from __future__ import annotations

from datetime import UTC, datetime

from consdb_actions.adapters.config_file import parse_config
from consdb_actions.adapters.github import GitHub, connect
from consdb_actions.adapters.github.approvals import ApprovalPublisher, Gatherer
from consdb_actions.adapters.github.contents import ApiContents
from consdb_actions.approval.policy import DEFAULT_POLICY, Policy
from consdb_actions.commands.approvals_run import ApprovalsResult, sync_pull
from tests.support.approvals import REPOSITORY, TOKEN, Scene
from tests.support.github import GitHubDouble, TestClock

__all__ = ["NOW", "gatherer", "read_policy", "run"]

NOW = datetime(2026, 3, 20, tzinfo=UTC)


def read_policy(data: bytes | None, place: str) -> Policy:
    return parse_config(data, source=place).approvals if data else DEFAULT_POLICY


def gatherer(github: GitHub) -> Gatherer:
    return Gatherer(github, REPOSITORY, ApiContents(github, REPOSITORY), read_policy)


def run(scene: Scene, double: GitHubDouble, *, dry: bool = False) -> ApprovalsResult:
    """Sync the scene's pull request once."""
    github = connect(TOKEN, double.url, clock=TestClock())
    try:
        publisher = None if dry else ApprovalPublisher(github, REPOSITORY)
        return sync_pull(gatherer(github), publisher, scene.pull.number, NOW)
    finally:
        github.close()
