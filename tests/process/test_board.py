"""What is on the board, and in which order: pure, on made-up facts."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from consdb_actions.deploy.drift import Severity
from consdb_actions.deploy.model import DeployPolicy
from consdb_actions.process.board import (
    Board,
    Environments,
    Releases,
    drift_of_facts,
    make_board,
    releases_of_facts,
)
from consdb_actions.process.facts import FactSource, ProcessFacts, SourceFailure
from consdb_actions.process.plan import StepStatus, progress_of
from consdb_actions.process.policy import DEFAULT_POLICY
from consdb_actions.report.process import render_comment
from tests.support.board_scene import NOW, REPOSITORY, board, environments, facts, renamed
from tests.support.process_facts import at, facts_at, push, remembered, say

NOTHING = Environments(None)


def make(*known: ProcessFacts, now: datetime = NOW) -> Board:
    return make_board(REPOSITORY, now, known, [], NOTHING, Releases())


def numbers(made: Board) -> list[int]:
    return [change.facts.pull.number for change in made.changes]


def test_the_scene_has_every_standing_and_every_severity() -> None:
    """What the tests of the page look at is not poor."""
    made = board()
    statuses = {item.status for change in made.changes for item in change.progress.steps}
    assert statuses == set(StepStatus)
    assert made.environments.drift is not None
    assert {item.severity for item in made.environments.drift.findings} == set(Severity)
    assert len(made.changes) >= 12


def test_what_needs_attention_comes_first_then_what_waits_for_longest() -> None:
    made = board()
    attention = [change.needs_attention for change in made.changes]
    assert attention == sorted(attention, reverse=True)
    assert sum(attention) == 4
    for flag in (True, False):
        moments = [change.since for change in made.changes if change.needs_attention is flag]
        assert moments == sorted(moments)


def test_only_open_changes_are_there_and_the_others_are_counted() -> None:
    made = board()
    assert {160, 219}.isdisjoint(numbers(made))
    assert (made.finished, made.unaffected) == (1, 1)
    assert 171 in numbers(made), "merged, and not pinned to a weekly tag yet"


def test_a_pull_request_closed_without_a_merge_is_not_open() -> None:
    known = facts_at("generated")
    made = make(replace(known, pull=replace(known.pull, state="closed")))
    assert (numbers(made), made.finished) == ([], 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_facts_give_the_same_board_in_whatever_order(seed: int) -> None:
    known = facts()
    random.Random(seed).shuffle(known)
    assert make(*known) == make(*facts())


def test_the_newest_facts_of_a_pull_request_count() -> None:
    old, new = facts_at("opened"), facts_at("tagged")
    for pair in ((old, new), (new, old)):
        (change,) = make(*pair).changes
        assert change.release == "26.3.1"


def test_a_schema_that_cannot_be_read_is_told_and_not_taken_for_no_change() -> None:
    trouble = SourceFailure(FactSource.SCHEMAS, "cdb_latiss.yaml is too deep")
    made = make(
        facts_at("opened", schemas=(), troubles=(trouble,)), renamed(facts_at("opened"), 13, "DM-2: X")
    )
    assert [(item.name, item.text) for item in made.unread] == [("#12", "cdb_latiss.yaml is too deep")]
    assert numbers(made) == [13]
    assert made.unaffected == 0


def test_facts_of_another_repository_are_told_apart() -> None:
    other = replace(facts_at("opened"), repository="somebody/sdm_schemas")
    made = make(other, facts_at("opened"))
    assert numbers(made) == [12]
    (item,) = made.unread
    assert item.name == "somebody/sdm_schemas#12"
    assert "board of lsst/sdm_schemas" in item.text


def test_designates_are_those_of_the_day_of_the_board() -> None:
    """dora stands in for uma until 2026-03-10."""
    known = facts_at("published")
    for day, people in ((date(2026, 3, 10), ("uma", "dora")), (date(2026, 3, 11), ("uma",))):
        (change,) = make(known, now=datetime.combine(day, datetime.min.time(), UTC)).changes
        assert change.progress.state("usdf").people == people


def test_a_change_waits_for_each_role_that_has_not_approved() -> None:
    (change,) = make(facts_at("generated")).changes
    assert change.owners == ("Data Engineering", "ConsDB Product Owner")
    assert make(facts_at("generated")).waiting == (("ConsDB Product Owner", 1), ("Data Engineering", 1))


def test_waiting_counts_a_change_once_for_each_owner() -> None:
    two = renamed(facts_at("tagged"), 13, "DM-2: X")
    made = make(facts_at("tagged"), two, renamed(facts_at("published"), 14, "DM-3: Y"))
    assert made.waiting == (("ConsDB team", 2), ("USDF", 1))


@pytest.mark.parametrize(
    ("known", "needed"),
    [
        (facts_at("tested"), False),
        (facts_at("tagged"), False),
        (push(facts_at("generated"), 5), True),
        (facts_at("generated", say("carl", "/consdb done bts", 1.5)), True),
        (facts_at("approved", troubles=(SourceFailure(FactSource.PHALANX, "gone"),)), True),
        # Done before the approvals, which have come since: told, but nothing is left to put right.
        (facts_at("approved", say("carl", "/consdb done bts", 1.5)), False),
    ],
)
def test_attention_is_for_what_can_still_be_put_right(known: ProcessFacts, needed: bool) -> None:
    (change,) = make(known).changes
    assert change.needs_attention is needed


def test_since_is_the_first_of_several_steps_and_else_the_opening() -> None:
    (both,) = make(facts_at("opened")).changes
    assert both.since == at(0)
    unread = facts_at("approved", troubles=(SourceFailure(FactSource.CONSDB, "gone"),))
    (unknown,) = make(unread).changes
    assert (unknown.next, unknown.since) == ((), at(0))


def test_a_release_brings_a_change_only_if_it_is_the_first_that_holds_it() -> None:
    known = facts_at("deployed")
    later = replace(known.releases[0], tag="26.4.1", at=None)
    made = make(replace(known, releases=(*known.releases, later)))
    assert [change.facts.pull.number for change in made.brought_by("26.3.1")] == [12]
    assert made.brought_by("26.4.1") == ()


def test_the_worst_finding_counts_for_a_cell_and_hinfo_stands_for_every_instrument() -> None:
    drift = environments().drift
    assert drift is not None
    worst = {(item.app, item.environment, item.component): drift.worst(item) for item in drift.tags}
    assert worst["consdb", "summit", "hinfo.lsstcam"] is Severity.ERROR
    assert worst["consdb", "usdfdev", "hinfo.latiss"] is Severity.INFO
    assert worst["consdbtap", "usdfprod", "tap-schema"] is Severity.ERROR
    assert worst["consdb", "summit", "pq"] is Severity.INFO


def test_facts_alone_tell_what_runs_where() -> None:
    known = [facts_at("opened"), facts_at("deployed")]
    drift = drift_of_facts(known, DeployPolicy(), date(2026, 3, 12))
    assert drift is not None
    assert drift.newest["consdb"].text == "26.3.1"
    days = {
        item.days(date(2026, 3, 12))
        for item in drift.tags
        if (item.environment, item.component) == ("base", "pq")
    }
    assert days == {4}
    assert [item.environment for item in drift.findings] == ["tucson-teststand"]
    assert drift_of_facts([facts_at("opened", deployments=())], DeployPolicy(), date(2026, 3, 12)) is None


def test_facts_alone_tell_which_releases_there_are() -> None:
    first = facts_at("deployed")
    later = replace(first.releases[0], tag="26.10.1", at=None)
    undated = replace(first, releases=(replace(first.releases[0], tag="26.3.1", at=None), later))
    for known in ([first, undated], [undated, first]):
        found = releases_of_facts(known)
        assert [(item.tag, item.at) for item in found] == [("26.10.1", None), ("26.3.1", at(5))]


def test_stale_attestations_of_a_remembered_comment_are_told() -> None:
    known = facts_at("tested")
    pushed = push(remembered(known, render_comment(known, progress_of(known))), 5)
    (change,) = make(pushed).changes
    assert {item.step.id for item in change.steps if item.status is StepStatus.STALE} == {"generate", "bts"}


def test_the_day_of_the_board_is_that_of_utc() -> None:
    chile = timezone(timedelta(hours=-3))
    assert make(now=datetime(2026, 3, 20, 22, 30, tzinfo=chile)).today == date(2026, 3, 21)


def test_a_policy_without_people_leaves_nobody_to_name() -> None:
    (change,) = make(facts_at("approved", policy=DEFAULT_POLICY)).changes
    assert change.progress.state("bts").people == ()
