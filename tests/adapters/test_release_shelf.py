"""The last releases with what they hold, over the API and from a clone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from consdb_actions.adapters.github import connect
from consdb_actions.adapters.github.client import ATTEMPTS
from consdb_actions.adapters.github.releases import read_releases
from consdb_actions.config import DEFAULT_CONFIG
from consdb_actions.process.board import Releases
from consdb_actions.release.versions import ReleasePolicy
from tests.support.github import Fault, GitHubDouble, Kind, TestClock, World
from tests.support.github.plugin import Double
from tests.support.releases import REPOSITORY, TOKEN, ReleaseScene

WEB = "https://github.com/lsst-dm/consdb"
TICKETS = DEFAULT_CONFIG.ticket_patterns
POINTING = "alembic/lsstcam/versions/bbbbbbbbbbbb_pointing.py"


@pytest.fixture
def scene(tmp_path: Path) -> ReleaseScene:
    made = ReleaseScene(World(tmp_path / "github"))
    made.tag("26.6.2", made.head, annotated=False)
    return made


def shelf(double: GitHubDouble, count: int = 8) -> Releases:
    github = connect(TOKEN, double.url, clock=TestClock())
    try:
        return read_releases(github, REPOSITORY, ReleasePolicy(), TICKETS, count)
    finally:
        github.close()


def test_releases_come_with_their_date_pull_requests_and_migrations(
    scene: ReleaseScene, github_double: Double
) -> None:
    found = shelf(github_double(scene.world))
    second, first = found.items
    assert (second.tag, second.annotated, second.of_commit) == ("26.6.2", False, True)
    assert second.url == f"{WEB}/tree/26.6.2"
    assert second.notes is not None
    assert [item.number for topic in second.notes.topics for item in topic.pulls] == [1]
    assert [item.number for item in second.notes.others] == [2]
    ((section, (revision,)),) = second.notes.sections
    assert (section, revision.revision, revision.path) == ("lsstcam", "bbbbbbbbbbbb", POINTING)
    assert revision.operations
    assert first.tag == "26.6.1"
    assert first.at == datetime.fromtimestamp(1780000000, UTC)
    assert (first.of_commit, first.annotated) == (False, True)
    assert (found.older, found.web) == (0, WEB)


def test_only_so_many_are_read_and_the_others_are_counted(scene: ReleaseScene, github_double: Double) -> None:
    found = shelf(github_double(scene.world), count=1)
    assert [item.tag for item in found.items] == ["26.6.2"]
    assert found.older == 1


def test_what_cannot_be_read_of_one_release_does_not_hide_the_others(
    scene: ReleaseScene, github_double: Double
) -> None:
    double = github_double(scene.world)
    call = f"/repos/{REPOSITORY}/compare/{scene.base}...{scene.head}"
    double.faults = [Fault(Kind.UNAVAILABLE, "GET", call, times=ATTEMPTS)]
    second, first = shelf(double).items
    assert second.notes is None
    assert "503" in second.trouble
    assert (first.notes is not None, first.trouble) == (True, "")
