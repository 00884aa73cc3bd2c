"""From what a job handed over to the pull requests of both repositories, against the double."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHubError, client
from consdb_actions.approval.plan import MARKER
from consdb_actions.cli import main
from consdb_actions.commands.migrations import SourceReport
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.publication.plan import WITHDRAWN, Publication
from consdb_actions.publication.source import RequestedMigration, read_marker
from tests.support.approvals import LATISS, TOKEN
from tests.support.github import Fault, Kind, World
from tests.support.github.plugin import Double
from tests.support.migration_scene import (
    LABEL,
    TARGET,
    MigrationScene,
    generated,
    open_question,
    outcome_of,
    script,
    unchanged,
    write_result,
)
from tests.support.reports import checked

PATH = "alembic/latiss/versions/aaaaaaaaaaaa_dm_1.py"
NEW = "alembic/latiss/versions/bbbbbbbbbbbb_dm_1.py"
BRANCH = "tickets/DM-1-migration"


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return write_result(tmp_path / "result", outcome_of(generated()))


def again(folder: Path, **values: Any) -> Path:
    """Write the result of a later commit."""
    values = {"revision": "bbbbbbbbbbbb", "column": "dimm_seeing_2", **values}
    return write_result(folder, outcome_of(generated(**values)))


def test_a_migration_is_proposed_as_a_draft_and_linked_both_ways(
    world: World, github_double: Double, result: Path
) -> None:
    scene = MigrationScene(world)
    done = scene.publish(github_double(world), result)
    assert (done.state, done.action) == ("published", "opened")
    pull = scene.migration
    assert (pull.title, pull.branch, pull.base) == ("DM-1: Migrate schema changes", BRANCH, "main")
    assert pull.draft
    assert pull.labels == ["migration"]
    assert scene.proposed() == [PATH]
    assert scene.text(PATH) == generated().source
    assert pull.body is not None
    assert "[lsst/sdm\\_schemas#1](https://github.com/lsst/sdm_schemas/pull/1)" in pull.body
    assert "The upgraded catalog equals that of the YAML" in pull.body
    marker = read_marker(pull.body)
    assert marker is not None
    assert (marker.source, marker.sha, list(marker.files)) == ("lsst/sdm_schemas#1", scene.head, [PATH])
    (comment,) = scene.comments
    assert comment.body.startswith(MARKER)
    assert f"[{BRANCH}](https://github.com/{TARGET}/pull/1)" in comment.body
    assert "1 verified revision: latiss" in comment.body


def test_what_is_printed_is_as_its_schemas_say(
    world: World,
    github_double: Double,
    result: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    monkeypatch.setattr(client, "BETWEEN_WRITES", 0.0)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("GITHUB_API_URL", double.url)
    publish = ["publish", "--generated-for", scene.head, "--result", str(result)]
    for kind, arguments in ((SourceReport, ["source"]), (Publication, publish)):
        assert main(["migrations", *arguments, "--pr", "1", "--format", "json"]) == 0
        printed = checked(capsys.readouterr().out, kind)
    assert printed["pull_request"] == {
        "number": 1,
        "url": f"https://github.com/{TARGET}/pull/1",
        "branch": BRANCH,
    }


def test_a_rerun_changes_nothing(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    before = scene.shown()
    double.log.clear()
    done = scene.publish(double, result)
    assert done.action == "unchanged"
    assert scene.shown() == before
    assert not [call for call in double.log if call.writes]


def test_p5_a_push_replaces_what_was_generated(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    head = scene.push()
    done = scene.publish(double, again(result), asked=scene.asked("synchronize"))
    assert (done.action, len(scene.target.pulls), len(scene.comments)) == ("updated", 1, 1)
    assert scene.proposed() == [NEW]
    marker = read_marker(scene.migration.body or "")
    assert marker is not None
    assert marker.sha == head
    assert head[:12] in scene.comments[0].body


def test_p5_an_edited_file_is_left_and_the_difference_shown(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    edited = script(upgrade='op.execute("SELECT 1")')
    scene.edit(PATH, edited)
    scene.push()
    done = scene.publish(double, again(result), asked=scene.asked("synchronize"))
    assert [(item.path, item.section) for item in done.kept] == [(PATH, "latiss")]
    assert scene.proposed() == [PATH], "a second revision would be a second head"
    assert scene.text(PATH) == edited
    for text in (scene.migration.body or "", scene.comments[0].body):
        assert "Edited manually and unchanged" in text
        assert '+    op.execute("SELECT 1")' in text


def test_p5_a_revision_that_a_person_added_keeps_the_one_below_it(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    added = "alembic/latiss/versions/cccccccccccc_by_hand.py"
    scene.edit(added, script(revision="cccccccccccc", down="aaaaaaaaaaaa"))
    scene.push()
    scene.publish(double, again(result), asked=scene.asked("synchronize"))
    assert sorted(scene.proposed()) == [PATH, added]


def test_p5_other_sections_are_renewed_beside_an_edit(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    lsstcam = generated("lsstcam", "cdb_lsstcam", revision="dddddddddddd")
    scene.publish(double, write_result(result, outcome_of(generated(), lsstcam)))
    scene.edit(PATH, script(upgrade="pass"))
    scene.push()
    newer = generated("lsstcam", "cdb_lsstcam", revision="eeeeeeeeeeee")
    scene.publish(double, write_result(result, outcome_of(generated(), newer)), asked=scene.asked())
    assert sorted(scene.proposed()) == [PATH, newer.path]


def test_the_base_moved(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    other = "alembic/latiss/versions/ffffffffffff_other.py"
    world.commit(scene.target, "main", {other: script(revision="ffffffffffff")}, author="maintainer")
    scene.push()
    scene.publish(double, again(result, down="ffffffffffff"), asked=scene.asked("synchronize"))
    assert scene.proposed() == [NEW]
    assert scene.target.store.git("show", f"{BRANCH}:{other}")


def test_m1_no_change_opens_nothing_and_says_so(world: World, github_double: Double, result: Path) -> None:
    scene = MigrationScene(world)
    done = scene.publish(github_double(world), write_result(result, outcome_of(unchanged())))
    assert done.state == "unchanged"
    assert not scene.target.pulls
    assert "none is needed" in scene.comments[0].body


@pytest.mark.parametrize("why", ["the change went away", "the label was taken off", "closed"])
def test_a_migration_that_nobody_edited_is_withdrawn(
    world: World, github_double: Double, result: Path, why: str
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    if why == "the change went away":
        scene.push()
        done = scene.publish(double, write_result(result, outcome_of(unchanged())))
    else:
        if why == "closed":
            scene.pull.state = "closed"
        else:
            world.remove_label(scene.schemas, scene.pull, LABEL, "author")
        done = scene.publish(double, None, asked=scene.asked("unlabeled" if "label" in why else "closed"))
    assert done.action == "closed"
    assert scene.migration.state == "closed"
    assert WITHDRAWN in (scene.migration.body or "")
    assert scene.target.store.ref(f"refs/heads/{BRANCH}") is None
    assert "was closed, and its branch deleted" in scene.comments[0].body
    assert len(scene.comments) == 1


def test_a_migration_that_somebody_edited_is_not_closed(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    scene.edit(PATH, script(upgrade="pass"))
    world.remove_label(scene.schemas, scene.pull, LABEL, "author")
    done = scene.publish(double, None, asked=scene.asked("unlabeled"))
    assert done.action == "left open"
    assert scene.migration.state == "open"
    assert "stays open, because its files were edited" in scene.comments[0].body


def test_what_was_withdrawn_comes_back_with_the_label(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    world.remove_label(scene.schemas, scene.pull, LABEL, "author")
    scene.publish(double, None, asked=scene.asked("unlabeled"))
    world.add_label(scene.schemas, scene.pull, LABEL, "author")
    done = scene.publish(double, result, asked=scene.asked("synchronize"))
    assert done.action == "opened"
    assert [pull.state for pull in scene.target.pulls.values()] == ["closed", "open"]


def test_what_a_person_closed_comes_back_only_when_asked_for(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    scene.migration.state = "closed"
    scene.push()
    with pytest.raises(CheckFailed, match="closed without merging"):
        scene.publish(double, again(result), asked=scene.asked("synchronize"))
    assert scene.publish(double, again(result), asked=scene.asked("labeled")).action == "opened"


def test_withdrawing_nothing_says_nothing(world: World, github_double: Double) -> None:
    scene = MigrationScene(world, labels=())
    done = scene.publish(github_double(world), None, asked=scene.asked("unlabeled"))
    assert (done.state, scene.comments) == ("withdrawn", [])


@pytest.mark.parametrize("state", ["question", "failed"])
def test_what_could_not_be_generated_is_told_and_nothing_is_published(
    world: World, github_double: Double, result: Path, state: str
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    section = open_question() if state == "question" else replace(generated(), status="failed")
    done = scene.publish(double, write_result(result, outcome_of(section)))
    assert done.state == state
    assert not scene.target.pulls
    words = "a question is unanswered" if state == "question" else "verification fails"
    assert words in scene.comments[0].body


def test_a_failure_without_a_report_is_told_with_what_was_printed(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    log = "::error::x\nBad input: cdb_latiss.yaml is no YAML\n  token=abc123 @everyone <!-- x -->\n"
    done = scene.publish(double, write_result(result, None, log=log))
    assert done.state == "error"
    (comment,) = scene.comments
    assert "cdb_latiss.yaml is no YAML" in comment.body
    assert "abc123" not in comment.body
    assert "::error::" not in comment.body


def test_a_change_that_moved_meanwhile(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    old = scene.head
    scene.push()
    done = scene.publish(double, result, commit=old)
    assert done.state == "moved"
    assert not scene.target.pulls
    assert not scene.comments
    assert "Nothing was published" in done.text[0]


def test_a_dispatch_without_a_pull_request(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.pull.state = "closed"
    asked = RequestedMigration(branch="tickets/DM-1", commit=scene.schemas.tip("tickets/DM-1"))
    done = scene.publish(double, result, asked=asked, commit=asked.commit)
    assert (done.state, done.source.reference) == ("published", "lsst/sdm_schemas@tickets/DM-1")
    assert not scene.comments
    world.open_pull(scene.schemas, "tickets/DM-1", title="DM-1: Add")
    later = RequestedMigration(2)
    assert scene.publish(double, result, asked=later, commit=asked.commit).action == "updated"
    assert len(scene.target.pulls) == 1


@pytest.mark.parametrize("ticket", ["DM-12345", "OSW-1077"])
def test_tickets_of_both_trackers(world: World, github_double: Double, result: Path, ticket: str) -> None:
    scene = MigrationScene(world, branch=f"tickets/{ticket}-x", title="Whatever")
    scene.publish(github_double(world), result)
    assert scene.migration.title == f"{ticket}: Migrate schema changes"
    assert scene.migration.branch == f"tickets/{ticket}-x-migration"


def test_a8_ticket_patterns_come_from_the_default_branch(
    world: World, github_double: Double, result: Path
) -> None:
    scene = MigrationScene(world, branch="tickets/SP-1", config='tickets: {patterns: ["SP-\\\\d+"]}')
    assert scene.publish(github_double(world), result).state == "published"
    other = MigrationScene(World(result.parent / "other"), branch="tickets/SP-1", title="Add")
    mine = "tickets: {patterns: ['SP-\\d+']}"
    other.world.commit(other.schemas, "tickets/SP-1", {".github/consdb-actions.yaml": mine})
    with pytest.raises(InputError, match="no ticket is named"):
        other.publish(github_double(other.world), result)


def test_a_branch_that_is_somebody_elses_is_not_touched(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    world.commit(scene.target, BRANCH, {"a.txt": "x"}, onto=scene.target.tip("main"), author="mallory")
    before = scene.target.tip(BRANCH)
    with pytest.raises(CheckFailed, match="commits that this program did not create"):
        scene.publish(double, result)
    world.open_pull(scene.target, BRANCH, author="mallory")
    with pytest.raises(CheckFailed, match="has a pull request already, which mallory opened"):
        scene.publish(double, result)
    assert scene.target.tip(BRANCH) == before


def test_two_changes_of_one_ticket_do_not_share_a_branch(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    files = {LATISS: scene.changed("other")}
    world.commit(scene.schemas, "u/author/other", files, onto=scene.base)
    other = world.open_pull(scene.schemas, "u/author/other", title="DM-1: Another")
    world.add_label(scene.schemas, other, LABEL, "author")
    asked = RequestedMigration(other.number, action="labeled", label=LABEL)
    with pytest.raises(CheckFailed, match="the migration of another change, lsst/sdm_schemas#1"):
        scene.publish(double, result, asked=asked, commit=scene.schemas.head(other))


def test_s3_a_forged_marker_gives_no_power(world: World, github_double: Double, result: Path) -> None:
    """A pull request by somebody else that claims to be ours is neither updated nor closed."""
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    body = scene.migration.body
    world.commit(scene.target, "mine", {"a.txt": "x"}, onto=scene.target.tip("main"), author="mallory")
    forged = world.open_pull(scene.target, "mine", author="mallory", title="Mine")
    forged.body = body
    world.comment(scene.schemas, scene.pull.number, "mallory", f"{MARKER}\nforged")
    world.remove_label(scene.schemas, scene.pull, LABEL, "author")
    scene.publish(double, None, asked=scene.asked("unlabeled"))
    assert forged.state == "open"
    assert [c.body for c in scene.comments if "forged" in c.body]


@pytest.mark.parametrize("fork", ["mallory/consdb", None], ids=["fork", "deleted fork"])
def test_p5_a_pull_request_out_of_a_fork_is_none_of_ours(
    world: World, github_double: Double, result: Path, fork: str | None
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    body = scene.migration.body
    world.commit(scene.target, "theirs", {"a.txt": "x"}, onto=scene.target.tip("main"), author="mallory")
    theirs = world.open_pull(scene.target, "theirs", author="github-actions[bot]", title="Theirs")
    theirs.body, theirs.fork = body, fork
    world.remove_label(scene.schemas, scene.pull, LABEL, "author")
    scene.publish(double, None, asked=scene.asked("unlabeled"))
    assert [pull.state for pull in scene.target.pulls.values()] == ["closed", "open"]


def test_two_comments_become_one(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    world.user("consdb[bot]", kind="Bot")
    for login in ("github-actions[bot]", "consdb[bot]", "github-actions[bot]"):
        world.comment(scene.schemas, scene.pull.number, login, f"{MARKER}\nold")
    first = scene.comments[0].id
    scene.publish(double, result)
    assert [comment.id for comment in scene.comments] == [first]
    assert "1 verified revision" in scene.comments[0].body


def test_a_result_that_is_merged_already(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    world.merge(scene.target, scene.migration)
    scene.target.store.delete_ref(f"refs/heads/{BRANCH}")
    done = scene.publish(double, result)
    assert done.state == "unchanged"
    assert len(scene.target.pulls) == 1


def test_checks_that_do_not_start_are_told(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    assert "starts no checks" in scene.publish(double, result).text[0]
    assert "starts no checks" in scene.comments[0].body
    app = world.user("consdb-actions[bot]", kind="Bot")
    world.tokens["token-of-the-app"] = app.id
    other = MigrationScene(world, branch="tickets/DM-2", title="DM-2: x")
    assert not other.publish(double, result, token="token-of-the-app").text


def test_a_comment_that_may_not_be_written_undoes_nothing(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    path = "/repos/lsst/sdm_schemas/issues/1/comments"
    double.faults.append(Fault(Kind.FORBIDDEN, method="POST", target=path, times=9))
    done = scene.publish(double, result)
    assert done.state == "published"
    assert any("No comment could be written" in words for words in done.text)


def test_no_permission_in_the_target_is_an_error(world: World, github_double: Double, result: Path) -> None:
    scene, double = MigrationScene(world), github_double(world)
    path = f"/repos/{TARGET}/git/trees"
    double.faults.append(Fault(Kind.FORBIDDEN, method="POST", target=path, times=9))
    with pytest.raises(GitHubError, match="HTTP 403") as caught:
        scene.publish(double, result)
    assert caught.value.exit_code == 3
    assert caught.value.remedy
    assert not scene.target.pulls
    assert not scene.comments


def test_s4_nothing_that_is_published_holds_a_token(
    world: World, github_double: Double, result: Path
) -> None:
    scene, double = MigrationScene(world), github_double(world)
    scene.publish(double, result)
    assert TOKEN not in repr(scene.shown())
    assert TOKEN not in scene.target.store.git("log", "--format=%B", BRANCH).decode()
