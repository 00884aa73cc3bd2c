"""The last releases with what they hold, over the API and from a clone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from consdb_actions.adapters.github import connect
from consdb_actions.adapters.github.client import ATTEMPTS
from consdb_actions.adapters.github.releases import read_releases
from consdb_actions.adapters.release_clone import clone_releases
from consdb_actions.config import DEFAULT_CONFIG
from consdb_actions.errors import InputError
from consdb_actions.process.board import Releases
from consdb_actions.release.versions import ReleasePolicy
from tests.support.github import Fault, GitHubDouble, Kind, TestClock, World
from tests.support.github.plugin import Double
from tests.support.releases import FIRST, REPOSITORY, TOKEN, ReleaseScene, migration
from tests.support.repository import Repository

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


@pytest.fixture
def clone(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "consdb")
    repository.put(FIRST, migration("aaaaaaaaaaaa", "", "initial"))
    repository.commit("Start")
    repository.git("tag", "3.0.0")
    repository.git("tag", "-a", "-m", "26.5.1", "26.5.1")
    repository.put(POINTING, migration("bbbbbbbbbbbb", "aaaaaaaaaaaa", "add the pointing"))
    repository.put(FIRST, migration("aaaaaaaaaaaa", "", "initial, edited"))
    repository.commit("Work")
    repository.commit(
        "Merge pull request #7 from lsst-dm/tickets/DM-7\n\nDM-7: Add the pointing\n\nIn words."
    )
    repository.commit("Mend typos (#8)")
    repository.commit("Merge pull request #9 from lsst-dm/tickets/OSW-9")
    repository.git("tag", "26.06.1")
    return repository


def test_a_clone_tells_the_same_without_a_token(clone: Repository) -> None:
    found = clone_releases(clone.path, WEB, ReleasePolicy(), TICKETS, 8)
    second, first = found.items
    assert [second.tag, first.tag] == ["26.06.1", "26.5.1"]
    assert second.url == f"{WEB}/tree/26.06.1"
    assert second.at == first.at == datetime(2026, 1, 1, tzinfo=UTC)
    assert [second.annotated, first.annotated] == [False, True]
    assert [second.of_commit, first.of_commit] == [True, False]
    assert first.notes is not None
    assert first.notes.contents.previous is None
    assert second.notes is not None
    assert second.notes.contents.commits == 4
    assert [
        (topic.name, [(item.number, item.title) for item in topic.pulls]) for topic in second.notes.topics
    ] == [
        ("DM-7", [(7, "Add the pointing")]),
        ("OSW-9", [(9, "tickets/OSW-9")]),
    ]
    assert [(item.number, item.title) for item in second.notes.others] == [(8, "Mend typos")]
    assert [section for section, _ in second.notes.sections] == ["lsstcam"]
    assert second.notes.contents.changed == ((FIRST, "changed"),)


def test_a_bare_clone_will_do(clone: Repository, tmp_path: Path) -> None:
    clone.git("clone", "-q", "--bare", str(clone.path), str(tmp_path / "bare"))
    found = clone_releases(tmp_path / "bare", WEB, ReleasePolicy(), TICKETS, 1)
    assert ([item.tag for item in found.items], found.older) == (["26.06.1"], 1)


@pytest.mark.parametrize("what", ["nothing", "folder", "shallow"])
def test_f3_what_is_no_whole_clone_is_a_clear_error(clone: Repository, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "other"
    if what == "folder":
        folder.mkdir()
    if what == "shallow":
        clone.git("clone", "-q", "--depth=1", f"file://{clone.path}", str(folder))
    with pytest.raises(InputError) as caught:
        clone_releases(folder, WEB, ReleasePolicy(), TICKETS, 8)
    assert caught.value.place == str(folder)
    assert "--consdb" in caught.value.remedy
