"""Merges, conflicts, stacks, and migrations that are made again (rules M18, M20, P5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from consdb_actions.adapters.github import GitHub, connect
from consdb_actions.adapters.github.migration_source import (
    WAITS,
    TargetRepository,
    find_outdated,
    read_answers_on,
    read_inputs,
    read_source,
    read_stack,
)
from consdb_actions.approval.plan import MARKER, Part, join
from consdb_actions.cli import main
from consdb_actions.process.comment_commands import write_answers
from consdb_actions.publication.source import REGENERATE, Inputs, RequestedMigration, read_marker
from tests.support.approvals import LATISS, REPOSITORY, TOKEN, schema_yaml
from tests.support.github import GitHubDouble, TestClock, World
from tests.support.github.plugin import Double
from tests.support.github.things import Pull
from tests.support.migration_scene import (
    FIRST,
    LABEL,
    TARGET,
    MigrationScene,
    generated,
    open_question,
    outcome_of,
    script,
    write_result,
)

T = TypeVar("T")
Commands = Callable[..., tuple[int, Any]]
PATH = "alembic/latiss/versions/aaaaaaaaaaaa_dm_1.py"
NEW = "alembic/latiss/versions/bbbbbbbbbbbb_dm_1.py"
OTHER = "alembic/latiss/versions/ffffffffffff_other.py"
BRANCH = "tickets/DM-1-migration"


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return write_result(tmp_path / "result", outcome_of(generated()))


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    """Run a command of ``migrations`` and return its exit code and what it printed."""

    def run(double: GitHubDouble, *args: str) -> tuple[int, Any]:
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_API_URL", double.url)
        code = main(["migrations", *args, "--format", "json"])
        return code, json.loads(capsys.readouterr().out.partition("\n::")[0])

    return run


def on(double: GitHubDouble, act: Callable[[GitHub], T]) -> T:
    github = connect(TOKEN, double.url, clock=TestClock(), timeout=1)
    try:
        return act(github)
    finally:
        github.close()


def inputs_of(double: GitHubDouble, number: int = 1) -> Inputs:
    return on(
        double,
        lambda github: read_inputs(github, read_source(github, REPOSITORY, RequestedMigration(number))),
    )


def outdated(double: GitHubDouble) -> list[tuple[str, str]]:
    found = on(
        double, lambda github: find_outdated(github, REPOSITORY, TargetRepository(github, TARGET), LABEL)
    )
    return [(item.source.reference.removeprefix("lsst/"), item.reason) for item in found]


def published(scene: MigrationScene, double: GitHubDouble, folder: Path) -> Path:
    """Publish the migration of the first commit, made from what is there now."""
    found = inputs_of(double)
    scene.publish(double, folder, base=found.base, target=scene.target.tip("main"))
    return folder


def merge_revision(
    scene: MigrationScene, path: str = OTHER, revision: str = "ffffffffffff", down: str = FIRST
) -> str:
    """Merge a revision of somebody else."""
    return scene.world.commit(
        scene.target, "main", {path: script(revision=revision, down=down)}, author="maintainer"
    )


def stacked(scene: MigrationScene) -> Pull:
    """Open a second pull request whose branch contains the first one's commits."""
    files = {LATISS: scene.changed().replace("Seeing.", "Seeing, again.")}
    scene.world.commit(scene.schemas, "tickets/DM-2", files, onto=scene.head)
    pull = scene.world.open_pull(scene.schemas, "tickets/DM-2", title="DM-2: More")
    scene.world.add_label(scene.schemas, pull, LABEL, "author")
    return pull


def hold(scene: MigrationScene, double: GitHubDouble, folder: Path, pull: Pull) -> Inputs:
    """Publish the migration of the second pull request."""
    write_result(folder, outcome_of(generated(revision="dddddddddddd")))
    found = inputs_of(double, pull.number)
    asked = RequestedMigration(pull.number, action="labeled", label=LABEL)
    scene.publish(
        double, folder, asked=asked, commit=found.commit, base=found.base, target=scene.target.tip("main")
    )
    return found


# What is compared


def test_m18_a_branch_that_is_behind_is_compared_after_the_merge(world: World, github_double: Double) -> None:
    scene, double = MigrationScene(world), github_double(world)
    newer = world.commit(scene.schemas, "main", {"README.md": "Newer.\n"}, author="maintainer")
    found = inputs_of(double)
    assert (found.commit, found.base, found.conflict) == (scene.head, newer, "")
    assert scene.schemas.store.info(found.merge).parents == (newer, scene.head)
    names = {path for _, path, _ in scene.schemas.store.changed(found.base, found.merge)}
    assert names == {LATISS}


@pytest.mark.parametrize(("looks", "is_known"), [(3, True), (len(WAITS) + 1, False)])
def test_m18_github_is_asked_again_until_it_knows(
    world: World, github_double: Double, looks: int, is_known: bool
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.pull.undecided = looks
    found = inputs_of(double)
    assert bool(found.merge) == is_known
    assert ("does not say yet" in found.conflict) != is_known
    reads = [call for call in double.log if call.target.startswith(f"/repos/{REPOSITORY}/pulls/1")]
    assert len(reads) <= len(WAITS) + 1


def test_m18_a_test_merge_of_an_older_commit_is_not_taken(world: World, github_double: Double) -> None:
    scene, double = MigrationScene(world), github_double(world)
    old = inputs_of(double)
    scene.push()
    found = inputs_of(double)
    assert found.merge != old.merge
    assert scene.schemas.store.info(found.merge).parents[1] == scene.head


def test_m18_a_pull_request_on_anothers_branch_is_compared_with_the_default_branch(
    world: World, github_double: Double
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    pull = stacked(scene)
    pull.base = "tickets/DM-1"
    found = inputs_of(double, pull.number)
    assert (found.merge, found.base) == (scene.schemas.head(pull), scene.base)


def test_m18_a_conflict_is_told_and_tried_again(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    world.commit(scene.schemas, "main", {LATISS: scene.changed("other")}, author="maintainer")
    assert "conflict with its base branch main" in inputs_of(double).conflict
    assert outdated(double) == [("sdm_schemas#1", "It cannot be merged into its base branch.")]
    done = scene.publish(double, None)
    assert (done.state, scene.target.pulls) == ("conflict", {})
    assert "resolve the conflict" in scene.comments[0].body
    assert outdated(double) == []
    world.commit(scene.schemas, "main", {LATISS: schema_yaml()}, author="maintainer")
    assert outdated(double) == [("sdm_schemas#1", "It can be merged again.")]
    published(scene, double, result)
    assert outdated(double) == []


# Answers


@pytest.mark.parametrize("who", ["github-actions[bot]", "mallory"])
def test_p6_answers_come_from_our_own_comment(world: World, github_double: Double, who: str) -> None:
    scene, double = MigrationScene(world), github_double(world)
    answers = write_answers(["take head exposure.ra", "x", "rename t.a=b\nx"])
    world.comment(scene.schemas, 1, who, join({Part.PROCESS: answers}))
    found = on(
        double, lambda github: read_answers_on(github, read_source(github, REPOSITORY, RequestedMigration(1)))
    )
    assert found == (("take head exposure.ra",) if who != "mallory" else ())


# M20


def test_m20_another_revision_makes_a_migration_outdated_until_it_is_made_again(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    published(scene, double, result)
    assert outdated(double) == []
    merge_revision(scene, "alembic/lsstcam/versions/eeeeeeeeeeee_other.py", "eeeeeeeeeeee")
    assert outdated(double) == [], "a revision of another section does not matter"
    merge_revision(scene)
    assert outdated(double) == [("sdm_schemas#1", f"Another revision was merged: {OTHER}.")]
    write_result(result, outcome_of(generated(revision="bbbbbbbbbbbb", down="ffffffffffff")))
    asked = RequestedMigration(1, commit=scene.head, action=REGENERATE)
    done = scene.publish(
        double, result, asked=asked, base=inputs_of(double).base, target=scene.target.tip("main")
    )
    assert (done.action, scene.proposed()) == ("updated", [NEW])
    assert len(scene.target.pulls) == 1
    assert outdated(double) == []


def test_m20_nothing_is_published_on_a_revision_that_is_not_the_newest_any_more(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    found, target = inputs_of(double), scene.target.tip("main")
    merge_revision(scene, "alembic/lsstcam/versions/eeeeeeeeeeee_other.py", "eeeeeeeeeeee")
    assert scene.publish(double, result, base=found.base, target=target).state == "published"
    merge_revision(scene)
    done = scene.publish(double, result, base=found.base, target=target)
    assert done.state == "moved"
    assert OTHER in done.text[0]
    assert len(outdated(double)) == 1


def test_m20_a_person_is_told_the_new_down_revision(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    published(scene, double, result)
    added = "alembic/latiss/versions/cccccccccccc_by_hand.py"
    scene.edit(PATH, script(upgrade="pass"))
    scene.edit(added, script(revision="cccccccccccc", down="aaaaaaaaaaaa"))
    merge_revision(scene)
    assert len(outdated(double)) == 1
    write_result(result, outcome_of(generated(revision="bbbbbbbbbbbb", down="ffffffffffff")))
    asked = RequestedMigration(1, commit=scene.head, action=REGENERATE)
    base, target = inputs_of(double).base, scene.target.tip("main")
    done = scene.publish(double, result, asked=asked, base=base, target=target)
    assert scene.text(PATH) == script(upgrade="pass")
    theirs = [item.body for item in scene.target.comments if item.body.startswith(MARKER)]
    assert len(theirs) == 1
    assert f"`{PATH}`: change `down_revision` from `{FIRST}` to `ffffffffffff`" in theirs[0]
    assert added not in theirs[0]
    assert any("change its down_revision" in words for words in done.text)
    assert outdated(double) == []
    scene.edit(PATH, script(upgrade="pass", down="ffffffffffff"))
    scene.publish(double, result, asked=asked, base=base, target=target)
    (comment,) = scene.target.comments
    assert "There is nothing to change" in comment.body


@pytest.mark.parametrize("state", ["question", "error", "conflict"])
def test_m20_what_cannot_be_made_again_says_that_it_must_not_be_merged(
    world: World, github_double: Double, result: Path, state: str
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    published(scene, double, result)

    def fail() -> str:
        outcome = outcome_of(open_question()) if state == "question" else None
        folder = None if state == "conflict" else write_result(result, outcome, log="Bad input")
        base, target = inputs_of(double).base, scene.target.tip("main")
        return scene.publish(double, folder, base=base, target=target).state

    assert fail() == state
    assert not scene.target.comments, "its revision still follows the newest one"
    merge_revision(scene)
    # A later revision on top of it: the newest is that.
    merge_revision(scene, NEW, "bbbbbbbbbbbb", "ffffffffffff")
    assert fail() == state
    (comment,) = scene.target.comments
    assert comment.body.startswith(MARKER)
    assert "Do not merge this yet" in comment.body
    assert f"`{PATH}`: change `down_revision` from `{FIRST}` to `bbbbbbbbbbbb`" in comment.body
    assert (outdated(double) == []) == (state != "conflict"), "what is told is told once"
    write_result(result, outcome_of(generated(revision="cccccccccccc", down="bbbbbbbbbbbb")))
    published(scene, double, result)
    (comment,) = scene.target.comments
    assert "There is nothing to change" in comment.body


def test_m20_a_conflict_hides_no_other_revision(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    published(scene, double, result)
    world.commit(scene.schemas, "main", {LATISS: scene.changed("other")}, author="maintainer")
    assert len(outdated(double)) == 1
    scene.publish(double, None, target=scene.target.tip("main"))
    assert outdated(double) == []
    merge_revision(scene)
    assert outdated(double) == [("sdm_schemas#1", f"Another revision was merged: {OTHER}.")]
    scene.publish(double, None, target=scene.target.tip("main"))
    assert "Do not merge this yet" in scene.target.comments[0].body
    assert outdated(double) == []


def test_m20_what_a_person_closed_is_not_opened_again(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    published(scene, double, result)
    scene.migration.state = "closed"
    merge_revision(scene)
    assert outdated(double) == []


def test_m20_a_question_is_asked_again_only_when_something_changed(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    published(scene, double, result)
    scene.push()
    published(scene, double, write_result(result, outcome_of(open_question())))
    assert outdated(double) == []
    merge_revision(scene)
    assert len(outdated(double)) == 1


def test_m20_runs_that_never_came_are_made_up_for(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    assert outdated(double) == [("sdm_schemas#1", "No migration was generated for it yet.")]
    published(scene, double, result)
    scene.push()
    assert outdated(double) == [("sdm_schemas#1", "It has newer commits than its migration.")]
    scene.pull.fork = "mallory/sdm_schemas"
    assert outdated(double) == [], "a person looks at each commit of a fork"


def test_m20_a_migration_of_a_branch_without_a_pull_request(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world, labels=()), github_double(world)
    scene.pull.state = "closed"
    commit = scene.schemas.tip("tickets/DM-1")
    asked = RequestedMigration(branch="tickets/DM-1", commit=commit)
    scene.publish(
        double, result, asked=asked, commit=commit, base=scene.base, target=scene.target.tip("main")
    )
    assert outdated(double) == []
    merge_revision(scene)
    assert outdated(double)[0][0] == "sdm_schemas@tickets/DM-1"
    scene.schemas.store.delete_ref("refs/heads/tickets/DM-1")
    assert outdated(double) == []


# Stacks


def test_stacked_pull_requests_have_one_migration(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    published(scene, double, result)
    pull = stacked(scene)
    hold(scene, double, result, pull)
    assert [item.state for item in scene.target.pulls.values()] == ["closed", "open"]
    marker = read_marker(scene.migration.body or "")
    assert marker is not None
    assert (marker.source, dict(marker.also)) == (
        "lsst/sdm_schemas#2",
        {"lsst/sdm_schemas#1": scene.head},
    )
    assert "contains the commits of lsst/sdm" in (scene.migration.body or "")
    (comment,) = scene.comments
    assert "held by [tickets/DM-2-migration]" in comment.body
    assert outdated(double) == []
    done = scene.publish(double, None, asked=scene.asked("synchronize"))
    assert (done.state, len(scene.comments)) == ("held", 1)


def test_a_stack_of_three_and_one_without_the_label(world: World, github_double: Double) -> None:
    scene, double = MigrationScene(world), github_double(world)
    second = stacked(scene)
    world.commit(scene.schemas, "tickets/DM-3", {"a.txt": "x"}, onto=scene.schemas.head(second))
    third = world.open_pull(scene.schemas, "tickets/DM-3", title="DM-3: Even more")

    def stack(number: int) -> tuple[int, list[int]]:
        def read(github: GitHub) -> tuple[int, list[int]]:
            found = read_stack(github, read_source(github, REPOSITORY, RequestedMigration(number)), LABEL)
            return found.holder.number if found.holder else 0, [pull.number for pull in found.below]

        return on(double, read)

    assert [stack(number) for number in (1, 2, 3)] == [(2, []), (0, [1]), (0, [2, 1])]
    world.add_label(scene.schemas, third, LABEL, "author")
    assert [stack(number) for number in (1, 2, 3)] == [(3, []), (3, [1]), (0, [2, 1])]
    third.fork = "mallory/sdm_schemas"
    assert [stack(number)[0] for number in (1, 2, 3)] == [2, 0, 0]


def test_a_stack_whose_lower_part_is_merged_is_made_smaller(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    pull = stacked(scene)
    hold(scene, double, result, pull)
    world.merge(scene.schemas, scene.pull)
    assert outdated(double) == [
        ("sdm_schemas#2", f"Another schema change was merged: {LATISS}."),
    ]
    found = hold(scene, double, result, pull)
    assert "dimm_seeing" in scene.schemas.store.git("show", f"{found.base}:{LATISS}").decode()
    marker = read_marker(scene.migration.body or "")
    assert marker is not None
    assert dict(marker.also) == {}
    assert outdated(double) == []


def test_a_stack_that_falls_apart_gives_each_its_own(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    pull = stacked(scene)
    hold(scene, double, result, pull)
    world.remove_label(scene.schemas, pull, LABEL, "author")
    scene.publish(
        double, None, asked=RequestedMigration(2, action="unlabeled", label=LABEL), commit=scene.head
    )
    assert outdated(double) == [("sdm_schemas#1", "Its stack of pull requests has changed.")]


# Commands


def test_what_is_compared_and_answered_is_handed_to_the_job_that_generates(
    world: World, github_double: Double, commands: Commands
) -> None:
    scene = MigrationScene(world)
    scene.pull.body = "Adds.\n\nconsdb: rename exposure.a=b\n"
    world.comment(
        scene.schemas, 1, "github-actions[bot]", join({Part.PROCESS: write_answers(["take head t.a"])})
    )
    newer = world.commit(scene.schemas, "main", {"README.md": "Newer.\n"}, author="maintainer")
    code, given = commands(github_double(world), "source", "--pr", "1")
    assert code == 0
    assert (given["action"], given["commit"], given["base"]) == ("generate", scene.head, newer)
    assert (given["merge"], given["target"]) == (
        scene.schemas.test_merge(scene.pull),
        scene.target.tip("main"),
    )
    assert given["directives"].splitlines() == ["consdb: rename exposure.a=b", "consdb: take head t.a"]


@pytest.mark.parametrize(("fork", "wanted"), [("", 0), ("mallory/sdm_schemas", 1), (None, 1)])
def test_m18_a_conflict_that_no_job_will_tell_fails_the_one_that_sees_it(
    world: World, github_double: Double, commands: Commands, tmp_path: Path, fork: str | None, wanted: int
) -> None:
    scene = MigrationScene(world)
    scene.pull.fork = fork
    world.commit(scene.schemas, "main", {LATISS: scene.changed("other")}, author="maintainer")
    event = tmp_path / "event.json"
    pull = {"number": 1}
    event.write_text(json.dumps({"action": "synchronize", "pull_request": pull}))
    options = ("--event", str(event), "--event-name", "pull_request")
    code, given = commands(github_double(world), "source", *options)
    assert (code, given["action"], given["publish"]) == (wanted, "conflict", not wanted)
    assert given["base"] == ""


def test_what_is_out_of_date_is_a_list_for_jobs(
    world: World, github_double: Double, commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    world.commit(scene.schemas, "u/author/none", {LATISS: scene.changed("x")}, onto=scene.base)
    nameless = world.open_pull(scene.schemas, "u/author/none", title="No ticket")
    world.add_label(scene.schemas, nameless, LABEL, "author")
    output = tmp_path / "output"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    code, found = commands(double, "outdated")
    assert code == 0
    assert found == [{"pr": "1", "branch": "", "commit": scene.head}]
    assert json.dumps(found) in output.read_text()
