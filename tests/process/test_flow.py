"""Whole runs against the double: a change goes all its way, and what can happen beside it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest

from consdb_actions.adapters.github import connect
from consdb_actions.adapters.github.pull_requests import CommentWriter
from consdb_actions.approval.plan import MARKER, Part, join, split
from consdb_actions.process.comment_commands import FINISHED
from consdb_actions.process.plan import StepStatus
from tests.approval.flow import run as run_approvals
from tests.process.conftest import MakeWay
from tests.support.approvals import CONFIG, POLICY, TOKEN
from tests.support.github import Fault, GitHubDouble, Kind, TestClock, World
from tests.support.process import CONSDB, PHALANX, PROCESS, ProcessScene

OURS = "github-actions[bot]"


def next_of(way: ProcessScene, double: GitHubDouble) -> tuple[str, ...]:
    return tuple(item.step.id for item in way.sync(double).progress.actionable)


def test_p1_a_change_goes_all_its_way(make_way: MakeWay) -> None:
    way, double = make_way()
    assert next_of(way, double) == ("approve", "generate")
    way.generate()
    assert next_of(way, double) == ("approve",)
    way.approve("dan", "olga", "carl")
    assert next_of(way, double) == ("bts",)
    said = way.say("carl", "It works.\n\n/consdb done bts")
    assert next_of(way, double) == ("merge-consdb",)
    assert way.reactions(said) == ["+1"]
    way.merge_migration()
    assert next_of(way, double) == ("tag",)
    way.tag()
    assert next_of(way, double) == ("deploy", "summit")
    way.deploy("base")
    assert next_of(way, double) == ("deploy", "summit")
    assert "base at 26.3.1; summit and usdfprod have pq 26.2.1" in way.comment
    way.deploy("summit", "usdfprod")
    way.say("cleo", "/consdb done summit")
    assert next_of(way, double) == ("publication",)
    way.say("cleo", "/consdb done publication IT-4711")
    way.say("uma", "/consdb done usdf")
    assert next_of(way, double) == ("pqserver", "tap")
    way.say("carl", "/consdb done pqserver")
    way.deploy_tap("tickets-DM-1")
    assert way.status[0] == "pending"
    assert next_of(way, double) == ("merge-sdm",)
    assert way.status == ("success", "All steps before the merge are done")
    way.merge_schema()
    assert next_of(way, double) == ("repin",)
    assert FINISHED not in way.comment
    way.weekly()
    way.deploy_tap("w.2026.12", "w.2026.12")
    last = way.sync(double)
    assert last.progress.actionable == ()
    assert not last.progress.troubled
    assert FINISHED in way.comment
    assert last.progress.state("deploy").at is not None
    assert [item.text for item in last.progress.state("deploy").evidence] == ["phalanx#1", "phalanx#2"]


@pytest.mark.slow
def test_p1_a_merged_change_is_seen_as_it_was_and_its_approvals_still_count(make_way: MakeWay) -> None:
    way, double = make_way()
    way.finish("merge")
    progress = way.sync(double).progress
    assert progress.state("approve").done
    assert progress.state("publication").step.id == "publication"
    assert not progress.troubled


def test_p2_the_comment_says_what_the_change_means_and_what_is_wrong_with_it(make_way: MakeWay) -> None:
    way, double = make_way()
    way.sync(double)
    meaning = way.comment.partition("What changes in cdb\\_latiss (")[2].partition("</details>")[0]
    assert "new table `exposure_flexdata` with 3 columns" in meaning
    assert "`exposure`: new column `dimm_seeing`" in meaning
    assert "❌ `cdb_latiss`: 1.0.0, not raised" in way.comment.partition("What changes in")[0]


def test_f1_a_second_run_writes_nothing_and_costs_little(make_way: MakeWay) -> None:
    way, double = make_way()
    way.finish("repin")
    way.sync(double)
    first = len(double.log)
    way.sync(double)
    again = double.log[first:]
    assert not [call for call in again if call.writes]
    assert len(again) <= 65
    assert first <= 120


def test_an_early_change_costs_few_calls(make_way: MakeWay) -> None:
    way, double = make_way()
    way.sync(double, dry=True)
    assert len(double.log) <= 45


@pytest.mark.parametrize(
    "at_call",
    ["/statuses/", *(pytest.param(name, marks=pytest.mark.slow) for name in ("/reactions", "/comments"))],
)
def test_f1_two_runs_at_once_end_in_the_same_state(world: World, at_call: str) -> None:
    way = ProcessScene(world)
    way.generate()
    way.approve("dan", "olga", "carl")
    way.say("carl", "/consdb done bts")
    way.say("mallory", "/consdb done summit")
    with GitHubDouble(world) as double:
        waiting = [True]

        def other_run(method: str, target: str) -> None:
            if method == "POST" and at_call in target and waiting:
                waiting.clear()
                with GitHubDouble(world) as second:
                    way.sync(second)

        double.before = other_run
        way.sync(double)
    assert not waiting
    once = way.shown()
    assert len([item for item in way.repo.comments if item.body.startswith(MARKER)]) == 1
    with GitHubDouble(world) as double:
        way.sync(double)
    assert way.shown() == once
    assert [content for _, content in once["reactions"]] == ["+1", "confused"]


@pytest.mark.slow
def test_p2_of_several_comments_of_ours_the_oldest_stays_and_others_are_left_alone(
    make_way: MakeWay,
) -> None:
    way, double = make_way()
    way.world.comment(way.repo, 1, "mallory", f"{MARKER}\nforged")
    for _ in range(3):
        way.world.comment(way.repo, 1, OURS, f"{MARKER}\nold")
    way.sync(double)
    marked = [item for item in way.repo.comments if item.body.startswith(MARKER)]
    assert [item.body.endswith("forged") for item in marked] == [True, False]
    assert "Next: approve the change" in marked[1].body


def test_p1_a_push_after_an_attestation_makes_it_stale(make_way: MakeWay) -> None:
    way, double = make_way()
    way.finish("bts")
    assert way.sync(double).progress.state("bts").done
    way.push(way.new_table({**way.ADDED, "more": {"datatype": "double", "description": "More."}}))
    progress = way.sync(double).progress
    assert progress.state("generate").status is StepStatus.STALE
    assert progress.state("bts").status is StepStatus.STALE
    assert way.status == ("failure", way.status[1])
    way.generate(text="# another upgrade\n")
    assert way.sync(double).progress.state("generate").done
    assert way.sync(double).progress.state("bts").text == "the schema change is different since " + (
        f"({way.head[:8]})"
    )
    way.approve("dan", "olga", "carl")
    way.say("cleo", "/consdb done bts")
    assert way.sync(double).progress.state("bts").by == "cleo"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "status"), [(CONSDB, "generate"), (PHALANX, "tap")])
def test_p1_a_repository_that_may_not_be_read_is_unknown_and_the_rest_is_shown(
    make_way: MakeWay, name: str, status: str
) -> None:
    way, double = make_way()
    way.finish("pqserver")
    del way.world.repos[name]
    progress = way.sync(double).progress
    assert progress.state(status).status is StepStatus.UNKNOWN
    assert way.status[0] == "error"
    assert f"{name} could not be read: GitHub refused with HTTP 404: Not Found" in way.comment


def test_a_change_of_no_schema_gets_a_status_and_no_comment(make_way: MakeWay) -> None:
    way, double = make_way()
    way.push(None, onto=way.base, message="nothing")
    way.sync(double)
    assert way.status == ("success", "Not applicable: no ConsDB schema is changed")
    assert way.repo.comments == []


@pytest.mark.slow
def test_reactions_are_replaced_when_somebody_joins_the_roster(make_way: MakeWay) -> None:
    way, double = make_way()
    way.finish("approve")
    said = way.say("mallory", "/consdb done bts")
    way.sync(double)
    assert way.reactions(said) == ["confused"]
    joined = {"approvals": POLICY, "process": {**PROCESS, "roles": [{"id": "consdb", "people": ["mallory"]}]}}
    way.world.commit(way.repo, "main", {CONFIG: json.dumps(joined)}, author="maintainer")
    assert way.sync(double).progress.state("bts").by == "mallory"
    assert way.reactions(said) == ["+1"]


@pytest.mark.parametrize("order", list(itertools.permutations(("process", "approvals", "migration"))))
def test_p2_process_approvals_and_migration_write_into_one_comment(
    make_way: MakeWay, order: tuple[str, ...]
) -> None:
    way, double = make_way()
    github = connect(TOKEN, double.url, clock=TestClock())
    flows: dict[str, Callable[[], object]] = {
        "process": lambda: way.sync(double),
        "approvals": lambda: run_approvals(way, double),
        "migration": lambda: CommentWriter(github, way.repo.full_name).settle(
            1, Part.MIGRATION, "Migration: a question is open"
        ),
    }
    for name in order:
        flows[name]()
    way.approve("dan")
    first = way.comment
    for name in order:
        flows[name]()
    github.close()
    assert list(split(way.comment)) == [Part.PROCESS, Part.APPROVALS, Part.MIGRATION]
    assert first != way.comment
    assert "1 of 3 roles have approved" in split(way.comment)[Part.APPROVALS]
    assert len(way.repo.comments) == 1


@pytest.mark.parametrize("approvals", [True, False], ids=["approvals", "process"])
def test_p2_a_comment_of_another_account_that_may_not_be_changed_is_a_warning(
    make_way: MakeWay, approvals: bool
) -> None:
    way, double = make_way()
    way.world.user("consdb[bot]", kind="Bot")
    there = way.world.comment(way.repo, 1, "consdb[bot]", join({Part.MIGRATION: "a question"}))
    path = f"/repos/{way.repo.full_name}/issues/comments/{there.id}"
    double.faults.append(Fault(Kind.FORBIDDEN, method="PATCH", target=path, times=9))
    result = run_approvals(way, double) if approvals else way.sync(double)
    (warning,) = (words for words in result.warnings if "comment" in words)
    assert "consdb[bot]" in warning
    assert [item.body for item in way.repo.comments] == [join({Part.MIGRATION: "a question"})]
    assert len(way.repo.statuses) == 1
