"""Rules A5 to A10: labels, teams, scope, policy, text, runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from consdb_actions.approval.evaluate import RoleOutcome, StatusState, evaluate
from consdb_actions.approval.facts import (
    Account,
    ApprovalFacts,
    CommitChange,
    MarkedComment,
    PublishedStatus,
    Team,
)
from consdb_actions.approval.plan import MARKER, Part, join, make_plan
from tests.approval.rules import LABELED, LABELS, everybody, outcome, role
from tests.support.facts import (
    BOT,
    HEAD,
    event,
    facts,
    person,
    policy,
    review,
)

# A5


def test_a5_labels_follow_the_verdict() -> None:
    plan = make_plan(everybody(), evaluate(everybody()), "body")
    assert [item.label for item in plan.labels_add] == list(LABELS.values())
    empty = facts(pull={"labels": (*LABELS.values(), "bug")})
    assert make_plan(empty, evaluate(empty), "body").labels_remove == tuple(LABELS.values())


def test_a5_a_label_set_by_an_outsider_is_taken_off_with_a_word() -> None:
    known = facts(timeline=(event(LABELED, LABELS["po"], "mallory"),), pull={"labels": (LABELS["po"],)})
    decision = evaluate(known)
    assert make_plan(known, decision, "body").labels_remove == (LABELS["po"],)
    word = role(decision, "po").label_word
    assert "set by mallory, was removed: mallory does not hold the role ConsDB Product Owner" in word
    # The word stays after the label is gone, so that a second run writes the same comment.
    gone = replace(
        known,
        pull=replace(known.pull, labels=()),
        timeline=(*known.timeline, event("unlabeled", LABELS["po"], BOT.login)),
    )
    assert role(evaluate(gone), "po").label_word == word


def test_a5_a_label_is_no_approval_even_when_a_holder_sets_it() -> None:
    known = facts(timeline=(event(LABELED, LABELS["po"], "olga"),), pull={"labels": (LABELS["po"],)})
    decision = evaluate(known)
    assert role(decision, "po").outcome is RoleOutcome.MISSING
    assert "a label is not an approval" in role(decision, "po").label_word
    assert make_plan(known, decision, "body").labels_remove == (LABELS["po"],)


def test_a5_a_label_taken_off_by_hand_comes_back_while_the_approval_stands() -> None:
    known = everybody(
        timeline=(event(LABELED, LABELS["po"], BOT.login), event("unlabeled", LABELS["po"], "mallory")),
        pull={"labels": (LABELS["de"], LABELS["consdb"])},
    )
    assert [item.label for item in make_plan(known, evaluate(known), "body").labels_add] == [LABELS["po"]]


def test_a5_our_own_label_leaves_no_word_when_it_goes() -> None:
    known = facts(timeline=(event(LABELED, LABELS["po"], BOT.login),), pull={"labels": (LABELS["po"],)})
    assert role(evaluate(known), "po").label_word == ""


# A6


def test_a6_a_team_that_cannot_be_read_is_an_error_and_takes_no_label_off() -> None:
    broken = Team("lsst/data-engineering", problem="GitHub refused with HTTP 403")
    known = everybody(teams=(broken,), pull={"labels": tuple(LABELS.values())})
    known = replace(known, reviews=known.reviews[:1])
    decision = evaluate(known)
    assert decision.state is StatusState.ERROR
    assert role(decision, "de").outcome is RoleOutcome.ERROR
    plan = make_plan(known, decision, "body")
    assert plan.labels_remove == ()
    assert plan.status is not None
    assert plan.status.state == "error"
    unseen = replace(known, teams=())
    assert evaluate(unseen).state is StatusState.ERROR


# A7


def test_a7_no_schema_of_ours_is_not_applicable() -> None:
    known = facts(changes=(CommitChange(HEAD),))
    decision = evaluate(known)
    assert (decision.state, decision.applicable) == (StatusState.SUCCESS, False)
    plan = make_plan(known, decision, "body")
    assert plan.comment is None
    assert plan.status is not None
    assert plan.status.description.startswith("Not applicable")


def test_a7_a_draft_is_evaluated_and_never_a_success() -> None:
    decision = evaluate(everybody(pull={"draft": True}))
    assert decision.approved
    assert decision.state is StatusState.PENDING
    assert decision.description.startswith("Draft; ")


def test_a7_an_unreadable_head_is_an_error() -> None:
    known = everybody(changes=(CommitChange(HEAD, problem="gone"),))
    assert evaluate(known).state is StatusState.ERROR
    assert evaluate(replace(known, changes=())).state is StatusState.ERROR


# A8


def test_a8_a_designate_counts_until_the_last_day() -> None:
    def on(day: int) -> ApprovalFacts:
        moment = datetime(2026, 3, day, 23, 59, tzinfo=UTC)
        return facts(replace(review("dora"), submitted_at=moment))

    assert outcome(on(10), "po") is RoleOutcome.APPROVED
    assert outcome(on(11), "po") is RoleOutcome.MISSING
    assert role(evaluate(on(11)), "po").eligible == ("olga",)


# A9


def test_a9_the_comment_needs_who_can_approve_and_a_warning_for_the_last_one() -> None:
    decision = evaluate(facts())
    assert role(decision, "de").eligible == ("dan", "dina")
    assert role(decision, "de").warning == ""
    assert role(decision, "po").warning == "olga is the only person who can approve for ConsDB Product Owner"


def test_a9_nobody_holds_a_role() -> None:
    verdict = role(evaluate(facts(policy=policy(roles=[{"id": "po"}]))), "po")
    assert (
        verdict.warning == "nobody holds ConsDB Product Owner: add people or a team to the role in the policy"
    )


# A10


def test_a10_the_oldest_comment_of_ours_is_kept_whichever_token_wrote_it_and_later_ones_go() -> None:
    def comment(number: int, author: Account | None, minute: int) -> MarkedComment:
        return MarkedComment(number, author, datetime(2026, 3, 3, 0, minute, tzinfo=UTC), MARKER)

    comments = (
        comment(5, BOT, 5),
        comment(1, person("mallory"), 1),
        comment(2, None, 2),
        comment(4, BOT, 4),
        comment(3, replace(BOT, login="someone-else[bot]", id=3), 3),
    )
    known = facts(marked=comments)
    plan = make_plan(known, evaluate(known), "body")
    assert plan.comment is not None
    assert (plan.comment.id, plan.comment.extra) == (3, (4, 5))


def test_a10_what_is_shown_already_is_not_written_again() -> None:
    known = facts(reviews=(review(None), review("dan", "PENDING")), timeline=(event(LABELED, "bug", None),))
    decision = evaluate(known)
    first = make_plan(known, decision, "body")
    assert not first.empty
    assert first.status is not None
    shown = PublishedStatus(first.status.state, first.status.description, first.status.target_url, BOT)
    later = replace(
        known,
        status=shown,
        marked=(
            MarkedComment(1, BOT, known.now, join({Part.APPROVALS: "body"}).replace("\n", "\r\n") + "\r\n"),
        ),
        pull=replace(known.pull, asked_people=("dan", "dina", "olga", "carl", "cleo")),
        timeline=(event("review_requested", "data-engineering", BOT.login),),
    )
    assert make_plan(later, evaluate(later), "body").empty
    gone = replace(later, status=replace(shown, creator=None))
    assert make_plan(gone, evaluate(gone), "body").empty
    forged = replace(later, status=replace(shown, creator=person("mallory")))
    assert make_plan(forged, evaluate(forged), "body").status is not None


def test_a10_reviews_by_accounts_that_are_gone_do_not_count_and_are_mentioned() -> None:
    decision = evaluate(facts(review(None), review(None)))
    assert "2 reviews by accounts that no longer exist do not count." in decision.notes
