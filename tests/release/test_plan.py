"""Whether a commit may be tagged, and what is to be done (rule R2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.release.versions import (
    CheckRules,
    CommitCheck,
    GitTag,
    ReleaseFacts,
    ReleasePolicy,
    decide,
    last_release,
)

HEAD, OLD, OTHER = "a" * 40, "b" * 40, "c" * 40
GREEN = (CommitCheck("test", "success", "success"), CommitCheck("lint", "success", "skipped"))
FACTS = ReleaseFacts(
    branch="main",
    commit=HEAD,
    now=datetime(2026, 6, 20, tzinfo=UTC),
    contained=True,
    tags=(GitTag("3.0.0", OTHER, annotated=False), GitTag("26.6.1", OLD), GitTag("26.6.2", OTHER)),
    checks=GREEN,
)
POLICY = ReleasePolicy()


def refused(facts: ReleaseFacts, policy: ReleasePolicy = POLICY, wanted: str | None = None) -> str:
    plan = decide(facts, policy, wanted)
    assert plan.refusals
    assert all(refusal.remedy for refusal in plan.refusals)
    with pytest.raises(CheckFailed) as caught:
        plan.check()
    return caught.value.cause


def test_r2_a_green_commit_of_the_default_branch_is_tagged() -> None:
    plan = decide(FACTS, POLICY)
    plan.check()
    assert (plan.action, plan.tag, plan.commit) == ("create", "26.6.3", HEAD)
    assert plan.previous == GitTag("26.6.2", OTHER)
    assert plan.remarks == ()


def test_r2_the_same_commit_is_tagged_already() -> None:
    facts = replace(FACTS, tags=(*FACTS.tags, GitTag("26.6.3", HEAD)), checks=(), contained=False)
    plan = decide(facts, POLICY)
    plan.check()
    assert (plan.action, plan.tag) == ("nothing", "26.6.3")
    assert plan.previous == GitTag("26.6.2", OTHER)
    assert plan.remarks == ()


def test_r2_a_tag_that_we_made_is_completed() -> None:
    facts = replace(FACTS, tags=(*FACTS.tags, GitTag("26.6.3", HEAD, ours=True)))
    assert decide(facts, POLICY).action == "complete"


def test_r2_a_lightweight_tag_on_the_same_commit_is_named_and_left() -> None:
    plan = decide(replace(FACTS, tags=(*FACTS.tags, GitTag("26.6.3", HEAD, annotated=False))), POLICY)
    plan.check()
    assert plan.action == "nothing"
    assert "lightweight" in plan.remarks[0]


def test_r2_of_several_tags_on_the_commit_the_newest_is_meant() -> None:
    facts = replace(
        FACTS,
        tags=(GitTag("26.5.9", HEAD), GitTag("26.06.10", HEAD), GitTag("26.6.9", HEAD), GitTag("x", HEAD)),
    )
    assert decide(facts, POLICY).tag == "26.06.10"


def test_r2_the_expected_tag_is_on_another_commit() -> None:
    words = refused(FACTS, wanted="26.6.2")
    assert f"the tag 26.6.2 exists, on {OTHER[:12]}" in words
    assert "the tag 26.6.2 exists" in refused(FACTS, wanted="26.06.2")


def test_r2_the_expected_tag_is_on_the_same_commit() -> None:
    facts = replace(FACTS, tags=(GitTag("26.6.1", HEAD), GitTag("26.6.2", HEAD)))
    assert decide(facts, POLICY, "26.6.1").tag == "26.6.1"


def test_r2_the_expected_tag_is_not_the_next() -> None:
    assert "26.6.9 is not the next version, 26.6.3 is" in refused(FACTS, wanted="26.6.9")
    assert decide(FACTS, POLICY, "26.06.3").tag == "26.6.3"


def test_r2_another_tag_than_expected_is_on_the_commit() -> None:
    facts = replace(FACTS, tags=(*FACTS.tags, GitTag("26.6.3", HEAD)))
    assert "the commit is tagged already, as 26.6.3" in refused(facts, wanted="26.6.4")


@pytest.mark.parametrize("wanted", ["3.0.0", "", "26.6", "26.6.2; rm"])
def test_s1_an_expected_tag_that_is_none(wanted: str) -> None:
    with pytest.raises(InputError, match="not a calendar version"):
        decide(FACTS, POLICY, wanted)


def test_r2_a_commit_that_is_not_on_the_default_branch() -> None:
    assert "not in the history of main" in refused(replace(FACTS, contained=False))


def test_r2_a_commit_that_the_newest_release_holds() -> None:
    assert "the newest release, 26.6.2, already contains it" in refused(replace(FACTS, released=True))


def test_r2_a_release_beside_the_branch_does_not_block_but_is_told() -> None:
    plan = decide(replace(FACTS, parted=True), POLICY)
    plan.check()
    assert "26.6.2 is not in the history" in plan.remarks[0]


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (CommitCheck("test", "failure", "failure"), "checks have failed: test (failure)"),
        (CommitCheck("test", "failure", "timed out"), "checks have failed: test (timed out)"),
        (CommitCheck("ci/docs", "failure", "error"), "checks have failed: ci/docs (error)"),
        (CommitCheck("test", "pending", "in progress"), "checks have not finished: test (in progress)"),
    ],
)
def test_r2_checks_that_are_not_green(check: CommitCheck, words: str) -> None:
    assert words in refused(replace(FACTS, checks=(*GREEN, check)))


def test_r2_all_that_stands_against_it_is_said_at_once() -> None:
    checks = (
        CommitCheck("a", "failure", "failure"),
        CommitCheck("b", "pending", "queued"),
        CommitCheck("b", "pending", "queued"),
    )
    words = refused(replace(FACTS, contained=False, checks=checks))
    assert words == (
        "aaaaaaaaaaaa is not tagged as 26.6.3 (rule R2): the commit is not in the history of main; "
        "checks have failed: a (failure); checks have not finished: b (queued)"
    )


def test_r2_checks_that_do_not_matter() -> None:
    checks = (*GREEN, CommitCheck("nightly / big", "failure", "failure"))
    policy = ReleasePolicy(checks=CheckRules(ignored=("nightly*",)))
    assert not decide(replace(FACTS, checks=checks), policy).refusals
    both = ReleasePolicy(checks=CheckRules(("nightly / big",), ("nightly*",)))
    assert "nightly / big (failure)" in refused(replace(FACTS, checks=checks), both)


def test_r2_a_required_check_that_has_not_reported() -> None:
    policy = ReleasePolicy(checks=CheckRules(("test", "build")))
    assert "required checks have not reported: build" in refused(FACTS, policy)


def test_r2_a_commit_without_checks() -> None:
    assert "no check has reported" in refused(replace(FACTS, checks=()))
    policy = ReleasePolicy(checks=CheckRules(unchecked=True))
    assert not decide(replace(FACTS, checks=()), policy).refusals
    ignored = ReleasePolicy(checks=CheckRules(ignored=("*",)))
    assert "no check has reported" in refused(FACTS, ignored)


def test_r1_the_first_release_has_none_before() -> None:
    plan = decide(replace(FACTS, tags=FACTS.tags[:1]), POLICY)
    assert (plan.tag, plan.previous) == ("26.6.1", None)


def test_last_release() -> None:
    assert last_release(FACTS.tags) == FACTS.tags[2]
    assert last_release(FACTS.tags[:1]) is None


def test_the_defaults_are_those_of_consdb() -> None:
    policy = ReleasePolicy()
    assert not policy.padded
    assert policy.images == tuple(
        f"ghcr.io/lsst-dm/consdb-{name}" for name in ("hinfo", "pq", "transformed-efd")
    )
    assert policy.is_migration("alembic/lsstcam/versions/abc_add.py")
    assert not policy.is_migration("alembic/lsstcam/env.py")
    assert not policy.is_migration("alembic/lsstcam/versions/old/abc_add.py")
