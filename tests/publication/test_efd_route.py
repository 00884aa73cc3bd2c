"""A pull request of consdb that changes an EFD schema gets the revision on its own branch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.github import connect
from consdb_actions.adapters.github.migration_source import TargetRepository, find_outdated
from consdb_actions.approval.plan import MARKER
from consdb_actions.commands.publication import MigrationPublisher
from consdb_actions.publication.plan import Publication
from consdb_actions.publication.source import Inputs, RequestedMigration, read_marker
from tests.support.approvals import TOKEN
from tests.support.github import GitHubDouble, TestClock, World
from tests.support.github.plugin import Double
from tests.support.github.things import Pull, Repo
from tests.support.migration_scene import (
    FIRST,
    INI,
    LABEL,
    TARGET,
    generated,
    outcome_of,
    script,
    write_result,
)

YAML = "python/lsst/consdb/transformed_efd/schemas/yml/efd_latiss.yaml"
FOLDER = "alembic/efd_latiss/versions"
PATH = f"{FOLDER}/aaaaaaaaaaaa_dm_1.py"
EFD: dict[str, Any] = {"name": "efd_latiss", "schema": "efd_latiss"}


class Scene:
    """A pull request of consdb with the label."""

    def __init__(self, world: World, double: GitHubDouble) -> None:
        self.world, self.double = world, double
        self.repo: Repo = world.repo(TARGET)
        first = {f"{FOLDER}/{FIRST}_initial.py": script("efd_latiss", revision=FIRST, down=None)}
        base = world.commit(
            self.repo, "main", {"alembic.ini": INI, YAML: "one\n", **first}, author="maintainer"
        )
        world.commit(self.repo, "tickets/DM-1", {YAML: "two\n"}, onto=base)
        self.pull: Pull = world.open_pull(self.repo, "tickets/DM-1", title="DM-1: Wind")
        world.add_label(self.repo, self.pull, LABEL, "author")

    @property
    def migration(self) -> Pull:
        return self.repo.pulls[max(self.repo.pulls)]

    def proposed(self) -> list[str]:
        between = "tickets/DM-1...tickets/DM-1-migration"
        return self.repo.store.git("diff", "--name-only", between).decode().split()

    def publish(self, folder: Path, action: str = "labeled", **values: Any) -> Publication:
        result = write_result(folder, outcome_of(generated(**EFD, **values)))
        github = connect(TOKEN, self.double.url, clock=TestClock())
        try:
            publisher = MigrationPublisher(github, github, TARGET, TARGET, LABEL, "migration")
            asked = RequestedMigration(
                self.pull.number, action=action, label=LABEL if "label" in action else ""
            )
            return publisher.run(asked, Inputs(self.repo.head(self.pull)), result)
        finally:
            github.close()

    def outdated(self) -> list[str]:
        github = connect(TOKEN, self.double.url, clock=TestClock())
        try:
            return [
                item.reason for item in find_outdated(github, TARGET, TargetRepository(github, TARGET), LABEL)
            ]
        finally:
            github.close()


@pytest.fixture
def scene(world: World, github_double: Double) -> Scene:
    return Scene(world, github_double(world))


def test_p9_the_revision_is_proposed_to_the_branch_of_the_pull_request(scene: Scene, tmp_path: Path) -> None:
    done = scene.publish(tmp_path / "result")
    assert (done.state, done.action) == ("published", "opened")
    pull = scene.migration
    assert (pull.base, pull.branch, pull.draft) == ("tickets/DM-1", "tickets/DM-1-migration", True)
    assert scene.proposed() == [PATH]
    marker = read_marker(pull.body or "")
    assert marker is not None
    assert marker.source == f"{TARGET}#{scene.pull.number}"
    (comment,) = [c for c in scene.repo.comments if c.body.startswith(MARKER)]
    assert comment.issue == scene.pull.number
    assert scene.publish(tmp_path / "result").action == "unchanged"
    assert scene.outdated() == []


def test_p5_a_push_replaces_what_was_generated(scene: Scene, tmp_path: Path) -> None:
    scene.publish(tmp_path / "result")
    scene.world.commit(scene.repo, "tickets/DM-1", {YAML: "three\n"})
    assert len(scene.outdated()) == 1
    done = scene.publish(tmp_path / "result", "synchronize", revision="bbbbbbbbbbbb")
    assert (done.action, scene.proposed()) == ("updated", [f"{FOLDER}/bbbbbbbbbbbb_dm_1.py"])


def test_nothing_is_proposed_twice_once_the_branch_has_it(scene: Scene, tmp_path: Path) -> None:
    scene.world.commit(scene.repo, "tickets/DM-1", {PATH: script("efd_latiss")})
    done = scene.publish(tmp_path / "result", "synchronize")
    assert (done.state, done.pull, len(scene.repo.pulls)) == ("unchanged", None, 1)
    assert "efd_latiss" in done.text[0]
    assert scene.outdated() == []


def test_a_second_head_never_reaches_the_branch(scene: Scene, tmp_path: Path) -> None:
    by_hand = f"{FOLDER}/cccccccccccc_by_hand.py"
    text = script("efd_latiss", revision="cccccccccccc")
    scene.world.commit(scene.repo, "tickets/DM-1", {by_hand: text})
    done = scene.publish(tmp_path / "result", "synchronize")
    assert (done.state, len(scene.repo.pulls)) == ("unchanged", 1)
    assert by_hand in done.text[0]


def test_it_is_withdrawn_with_the_label(scene: Scene, tmp_path: Path) -> None:
    scene.publish(tmp_path / "result")
    migration = scene.migration
    scene.pull.labels.remove(LABEL)
    done = scene.publish(tmp_path / "result", "unlabeled")
    assert (done.state, done.action, migration.state) == ("withdrawn", "closed", "closed")
