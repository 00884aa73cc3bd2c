"""Whom a run asks for a review: each person once for each need, and nobody who was taken off by hand."""

from __future__ import annotations

from typing import Any

import pytest

from consdb_actions.approval.evaluate import MOST, evaluate, reviewers_to_ask
from consdb_actions.approval.facts import ApprovalFacts
from tests.support.facts import BOT, HEAD, OLD, change, event, facts, policy, review

STALE = {"changes": (change(OLD, structure="s0"), change(HEAD))}


def asked(known: ApprovalFacts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return reviewers_to_ask(known, evaluate(known))


def test_people_are_asked_before_designates_and_teams_where_no_people_are_named() -> None:
    assert asked(facts()) == (("olga", "carl", "cleo"), ("lsst/data-engineering",))


@pytest.mark.parametrize(
    "values",
    [
        {"pull": {"draft": True}},
        {"policy": policy(ask_reviewers=False)},
        {"pull": {"asked_people": ("olga", "CARL"), "asked_teams": ("data-engineering",)}},
        {
            "timeline": tuple(
                event("review_requested", who, BOT.login) for who in ("olga", "cleo", "data-engineering")
            )
        },
        {
            "timeline": tuple(
                event("review_request_removed", who, "ann") for who in ("olga", "carl", "data-engineering")
            )
        },
        {"reviews": tuple(review(who, "COMMENTED") for who in ("olga", "carl", "dina"))},
    ],
    ids=["draft", "switched off", "are asked now", "were asked", "were taken off", "have commented"],
)
def test_nobody_is_asked(values: dict[str, Any]) -> None:
    reviews = values.pop("reviews", ())
    assert asked(facts(*reviews, **values)) == ((), ())


def test_the_author_is_not_asked_and_a_designate_steps_in() -> None:
    roles = [{"id": "po", "people": ["ann"], "designates": [{"login": "dora"}]}]
    assert asked(facts(policy=policy(roles=roles))) == (("dora",), ())


def test_who_approved_something_else_since_is_asked_again_once() -> None:
    stale = review("carl", commit=OLD, minute=5)
    others = {"pull": {"asked_people": ("olga",), "asked_teams": ("data-engineering",)}}
    assert asked(facts(stale, **STALE, **others)) == (("carl",), ())
    before = event("review_requested", "carl", BOT.login, minute=1)
    assert asked(facts(stale, **STALE, **others, timeline=(before,))) == (("carl",), ())
    for kind in ("review_requested", "review_request_removed"):
        after = event(kind, "carl", BOT.login, minute=9)
        assert asked(facts(stale, **STALE, **others, timeline=(after,))) == ((), ())


def test_no_more_are_asked_than_github_takes() -> None:
    people = [f"person-{number}" for number in range(40)]
    known = facts(policy=policy(roles=[{"id": "po", "people": people}]), pull={"asked_people": ("x", "y")})
    assert asked(known) == (tuple(people[: MOST - 2]), ())
