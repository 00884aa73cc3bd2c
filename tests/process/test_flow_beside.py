"""Whole runs against the double: what can happen beside the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHubError
from consdb_actions.approval.facts import Account
from consdb_actions.process.comment_commands import read_answers
from consdb_actions.process.facts import PullLink
from consdb_actions.process.plan import StepStatus, requests_of
from consdb_actions.publication.source import Marker
from tests.process.conftest import MakeWay
from tests.support.approvals import CONFIG, LATISS, POLICY, REPOSITORY
from tests.support.github import Fault, Kind
from tests.support.phalanx import consdb_file
from tests.support.process import CONSDB, PROCESS, REVISION, ProcessScene

OURS = "github-actions[bot]"

pytestmark = pytest.mark.slow


def check_run(way: ProcessScene, at: str) -> None:
    """Have a check begin on the newest commit."""
    row = way.world.check(way.repo, way.head, "lint", "success")
    row.update(started_at=at, completed_at=at, app=None)


@pytest.mark.parametrize(("at", "counts"), [("2026-03-01T09:00:00Z", True), ("2026-03-02T11:00:00Z", False)])
def test_p1_a_commit_that_came_after_the_comment_is_not_what_it_was_about(
    make_way: MakeWay, at: str, counts: bool
) -> None:
    way, double = make_way()
    way.finish("bts")
    check_run(way, at)
    assert way.sync(double).progress.state("bts").done == counts


def test_p1_a_rebase_that_leaves_the_change_keeps_everything(make_way: MakeWay) -> None:
    way, double = make_way()
    way.finish("bts")
    way.sync(double)
    way.world.commit(way.repo, "main", {"README.md": "More.\n"}, author="maintainer")
    way.push(way.new_table(), onto=way.repo.tip("main"))
    progress = way.sync(double).progress
    assert progress.state("bts").done
    assert progress.state("generate").text.endswith(", which makes the same change")


def test_p5_a_migration_that_a_person_edits_has_to_be_tested_again(make_way: MakeWay) -> None:
    way, double = make_way()
    way.finish("bts")
    way.sync(double)
    assert way.migration is not None
    way.world.commit(way.consdb, way.migration.branch, {REVISION: "# by hand\n"}, author="carl")
    assert way.sync(double).progress.state("bts").text == "the migration has changed since"


def test_a_migration_is_found_by_its_branch_when_it_has_no_mark(make_way: MakeWay) -> None:
    way, double = make_way()
    way.world.commit(way.consdb, "tickets/DM-1", {REVISION: "# up\n"}, onto=way.consdb.tip("main"))
    way.world.open_pull(way.consdb, "tickets/DM-1", title="DM-1")
    way.world.commit(way.consdb, "tickets/DM-1-docs", {"doc/x.rst": "x\n"}, onto=way.consdb.tip("main"))
    way.world.open_pull(way.consdb, "tickets/DM-1-docs", title="DM-1: docs")
    facts = way.sync(double).facts
    assert [(item.number, item.link) for item in facts.migrations] == [(1, PullLink.BRANCH)]


def test_a_migration_of_a_stack_is_that_of_each_change_in_it(make_way: MakeWay) -> None:
    way, double = make_way()
    migration = way.generate()
    mine = Marker(f"{REPOSITORY}#99", "9" * 40, also={f"{REPOSITORY}#1": way.head})
    migration.body = str(mine)
    (found,) = way.sync(double).facts.migrations
    assert (found.link, found.source) == (PullLink.MARKER, way.head)
    way.push(way.new_table() + "# more\n")
    assert way.sync(double).facts.migrations[0].source != way.head


@pytest.mark.parametrize("fork", ["mallory/consdb", None], ids=["fork", "deleted fork"])
def test_p5_a_migration_out_of_a_fork_is_nothing_of_ours(make_way: MakeWay, fork: str | None) -> None:
    way, double = make_way()
    migration = way.generate()
    migration.fork = fork
    result = way.sync(double)
    assert result.facts.migrations == ()
    assert result.progress.state("generate").status is StepStatus.NEXT


def test_a_mark_that_names_another_change_is_nothing_of_ours(make_way: MakeWay) -> None:
    way, double = make_way()
    migration = way.generate()
    migration.body = (migration.body or "").replace("#1", "#99")
    assert way.sync(double).facts.migrations == ()


def test_a_tag_on_a_branch_that_lacks_the_merge_is_no_release_of_it(make_way: MakeWay) -> None:
    way, double = make_way()
    before = way.consdb.tip("main")
    way.finish("merge consdb")
    way.world.commit(way.consdb, "old", {"x": "y"}, onto=before)
    way.consdb.store.set_ref("refs/tags/26.3.9", way.consdb.tip("old"))
    result = way.sync(double)
    assert result.facts.releases == ()
    assert result.facts.newest_release == "26.3.9"
    assert result.progress.state("tag").status is StepStatus.NEXT


def test_a_github_release_is_linked(make_way: MakeWay) -> None:
    way, double = make_way()
    way.finish("tag")
    page = f"https://github.com/{CONSDB}/releases/tag/26.3.1"
    row: dict[str, Any] = {
        "html_url": page,
        "author": None,
        "tag_name": "26.3.1",
        "published_at": "2026-03-02T12:00:00Z",
    }
    way.consdb.rows["releases"] = [row]
    (release,) = way.sync(double).facts.releases
    assert (release.annotated, release.release_url) == (True, page)
    assert release.at is not None


def test_a_values_file_that_is_no_yaml_is_unknown(make_way: MakeWay) -> None:
    way, double = make_way()
    path = "applications/consdb/values-summit.yaml"
    way.world.commit(way.phalanx, "main", {path: "a: [\n"}, author="carl")
    assert way.sync(double).progress.state("tap").status is StepStatus.UNKNOWN
    assert "this is not YAML" in way.comment


def test_since_when_a_tag_is_there_is_found_behind_later_changes(make_way: MakeWay) -> None:
    way, double = make_way()
    way.finish("deploy")
    deployed = way.world.now
    text = consdb_file("summit", "26.3.1") + "more: {}\n"
    path = "applications/consdb/values-base.yaml"
    way.world.commit(way.phalanx, "main", {path: text}, author="carl")
    at = way.sync(double).progress.state("deploy").at
    assert at is not None
    assert at <= deployed


def test_the_policy_is_that_of_the_base_branch(make_way: MakeWay) -> None:
    way, double = make_way()
    mine = {"approvals": POLICY, "process": {**PROCESS, "roles": [{"id": "consdb", "people": ["author"]}]}}
    way.world.commit(way.repo, way.pull.branch, {CONFIG: json.dumps(mine)}, author="author")
    way.approve("dan", "olga", "carl")
    way.generate()
    way.say("author", "/consdb done bts")
    assert not way.sync(double).progress.state("bts").done


def test_a_schema_that_is_none_is_told_and_never_ready(make_way: MakeWay) -> None:
    way, double = make_way()
    way.push("name: [\n")
    result = way.sync(double)
    assert "cdb_latiss.yaml is not a valid schema" in result.facts.troubles[0].text
    assert result.progress.state("publication").status is StepStatus.WAITING


def test_views_are_no_tables_to_publish(make_way: MakeWay) -> None:
    way, double = make_way()
    way.push(way.new_table().replace("exposure_flexdata", "visit1"))
    assert way.sync(double).progress.state("publication").text == "there is no new table"


def test_requests_of_people_reach_the_workflow_once(make_way: MakeWay) -> None:
    way, double = make_way()
    way.generate()
    way.say("author", "/consdb rename exposure.seeing=dimm_seeing")
    answers = ("rename exposure.seeing=dimm_seeing",)
    first = way.sync(double)
    assert (first.requests.answers, first.requests.regenerate) == (answers, True)
    assert read_answers(way.comment) == answers
    second = way.sync(double)
    assert (second.requests.answers, second.requests.regenerate) == (answers, False)
    assert not requests_of(second.facts, second.progress).regenerate


def test_p6_a_request_that_comes_while_a_run_writes_is_acted_on_once(make_way: MakeWay) -> None:
    way, double = make_way()
    way.generate()
    late: list[str] = []

    def say(method: str, target: str) -> None:
        if method == "POST" and target.endswith("/comments") and not late:
            late.append(target)
            way.say("author", "/consdb regenerate")

    double.before = say
    assert way.sync(double).requests.regenerate
    assert late
    assert not way.sync(double).requests.regenerate


def test_p6_a_request_outlives_a_run_that_fails(make_way: MakeWay) -> None:
    way, double = make_way()
    way.generate()
    way.say("author", "/consdb take head exposure.seeing")
    double.faults.append(
        Fault(Kind.FORBIDDEN, method="POST", target=f"/repos/{REPOSITORY}/issues/1/comments")
    )
    requests: list[tuple[str, ...]] = []
    with pytest.raises(GitHubError):
        way.sync(double, request=lambda found: requests.append(found.answers))
    assert requests == [("take head exposure.seeing",)]


def test_p6_an_answer_holds_until_its_comment_is_removed(make_way: MakeWay) -> None:
    way, double = make_way()
    said = way.say("author", "/consdb take head exposure.seeing")
    way.say("author", "/consdb take current exposure.dec")
    assert way.sync(double).requests.answers == ("take head exposure.seeing", "take current exposure.dec")
    way.push(way.new_table())
    assert len(way.sync(double).requests.answers) == 2
    way.repo.comments.remove(said)
    assert way.sync(double).requests.answers == ("take current exposure.dec",)
    assert read_answers(way.comment) == ("take current exposure.dec",)


def test_the_identity_is_that_of_the_token(make_way: MakeWay) -> None:
    way, double = make_way()
    assert way.sync(double).facts.identity.same_as(Account(OURS))
    assert way.repo.comments[0].user == way.world.user(OURS).id


def test_a_comment_that_goes_while_it_is_read_does_no_harm(make_way: MakeWay) -> None:
    way, double = make_way()
    said = way.say("mallory", "/consdb help")

    def remove(method: str, target: str) -> None:
        if method == "POST" and target.endswith("/reactions") and said in way.repo.comments:
            way.repo.comments.remove(said)

    double.before = remove
    way.sync(double)
    assert len(way.repo.comments) == 1


def test_a_hundred_comments_are_all_read(make_way: MakeWay) -> None:
    way, double = make_way()
    way.finish("approve")
    for number in range(150):
        way.say("mallory", f"Comment {number}.")
    way.say("carl", "/consdb done bts")
    assert way.sync(double).progress.state("bts").by == "carl"
    assert way.repo.full_name == REPOSITORY
    assert LATISS in [item.path for item in way.sync(double).facts.schemas]


def test_p1_a_command_that_is_edited_away_stays_said(make_way: MakeWay) -> None:
    way, double = make_way()
    way.finish("bts")
    taken_back = way.say("cleo", "/consdb undo bts")
    assert not way.sync(double).progress.state("bts").done
    taken_back.body, taken_back.edited = "Never mind.", way.world.tick()
    result = way.sync(double)
    assert not result.progress.state("bts").done
    assert "edited after it was read" in way.comment


def test_p7_reviewers_see_what_fills_the_tables_and_what_is_nearly_there(make_way: MakeWay) -> None:
    way, double = make_way()
    new = {"datatype": "double", "description": "How sharp the image is.", "ivoa:unit": "arcsec"}
    way.push(way.new_table({**ProcessScene.ADDED, "seeings": new}).replace("exposure_flexdata", "weather"))
    facts = way.sync(double).facts
    assert [(item.table, str(item)) for item in facts.schemas[0].sources] == [
        ("weather", "not declared"),
        ("exposure", "hinfo (the ConsDB team)"),
    ]
    assert "`cdb_latiss.exposure.seeings`: `exposure.seeing`" in way.comment
    assert "the data source of the new table is unknown" in way.comment
    assert "useful to science users" in way.comment
    sites = {
        "sources": [{"tables": "cdb_*.weather", "name": "the DIMM"}],
        "checklists": {"po": ["Does it help?"]},
    }
    config = json.dumps({"approvals": POLICY, "process": PROCESS, "sites": sites})
    way.world.commit(way.repo, "main", {CONFIG: config}, author="maintainer")
    way.sync(double)
    assert "`cdb_latiss.weather`: the DIMM" in way.comment
    assert "Does it help?" in way.comment
    assert "useful to science users" not in way.comment
