"""Releases on a scene, as the tests of whole flows need them."""

from __future__ import annotations

from datetime import UTC, datetime

from consdb_actions.adapters.github import connect
from consdb_actions.adapters.github.releases import Releaser, ReleaseReader
from consdb_actions.commands.release import make_release
from consdb_actions.config import DEFAULT_CONFIG
from consdb_actions.release.versions import ReleasePolicy
from consdb_actions.report.release import ReleaseOutcome
from tests.support.github import GitHubDouble, TestClock
from tests.support.releases import REPOSITORY, TOKEN, ReleaseScene

__all__ = ["NOW", "run"]

NOW = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)


def run(
    scene: ReleaseScene,
    double: GitHubDouble,
    *,
    dry: bool = False,
    commit: str | None = None,
    tag: str | None = None,
    now: datetime = NOW,
    run_id: str = "",
    policy: ReleasePolicy | None = None,
) -> ReleaseOutcome:
    """Release once."""
    github = connect(TOKEN, double.url, clock=TestClock())
    try:
        reader = ReleaseReader(github, REPOSITORY, run=run_id)
        releaser = None if dry else Releaser(github, REPOSITORY)
        tickets = DEFAULT_CONFIG.ticket_patterns
        policy = policy or ReleasePolicy()
        return make_release(reader, releaser, REPOSITORY, policy, tickets, now, commit, tag)
    finally:
        github.close()
