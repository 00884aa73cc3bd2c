"""Rules A1 to A10, each with the test that bears its name; the cases that led to it follow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from consdb_actions.approval import evaluate, make_plan
from consdb_actions.approval.facts import (
    UNCHANGED,
    Account,
    Change,
    CommitChange,
    Contributor,
    Facts,
    MarkedComment,
    PublishedStatus,
    Team,
)
from consdb_actions.approval.memory import MARKER, recall, remember
from consdb_actions.approval.verdict import Decision, Outcome, RoleVerdict, Standing, State
from tests.support.facts import (
    BOT,
    HEAD,
    OLD,
    change,
    event,
    facts,
    person,
    policy,
    review,
    written_by,
)

CARL = person("carl").id
LABELS = {
    "de": "approved: data-engineering",
    "po": "approved: product-owner",
    "consdb": "approved: consdb",
}


def role(decision: Decision, identifier: str) -> RoleVerdict:
    return next(item for item in decision.roles if item.role.id == identifier)


def outcome(known: Facts, identifier: str) -> Outcome:
    return role(evaluate(known), identifier).outcome


def everybody(**values: Any) -> Facts:
    return facts(review("dan"), review("olga"), review("carl"), **values)


def several(**values: Any) -> Any:
    """A policy in which olga holds two roles."""
    roles = [
        {"id": "de", "teams": ["lsst/data-engineering"]},
        {"id": "po", "people": ["olga"]},
        {"id": "consdb", "people": ["olga", "carl"]},
    ]
    return policy(roles=roles, **values)


# A1


def test_a1_a_review_counts_for_an_active_member_who_did_not_write_the_change() -> None:
    decision = evaluate(everybody())
    assert [item.outcome for item in decision.roles] == [Outcome.APPROVED] * 3
    assert decision.state is State.SUCCESS
    assert role(decision, "de").approver.author.login == "dan"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("who", "contributors", "word"),
    [
        ("ann", (), "opened the pull request"),
        ("carl", (Contributor("C", "c@x.org", person("carl"), "committer"),), "is committer of commit"),
        ("carl", (Contributor("C", f"{CARL}+old@users.noreply.github.com", None, "co-author"),), "co-author"),
        ("carl", (Contributor("C", "CARL@users.noreply.github.com", None, "co-author"),), "co-author"),
        ("carl", (Contributor("Carl", "unknown@x.org", None, "co-author"),), "co-author"),
        ("carl", (Contributor("Carl Carlson", "unknown@x.org", None, "author"),), "is author of commit"),
    ],
)  # fmt: skip
def test_a1_who_wrote_the_change_does_not_approve_it(
    who: str, contributors: tuple[Contributor, ...], word: str
) -> None:
    roles = [{"id": "consdb", "people": ["carl", "ann"]}]
    known = facts(review(who), policy=policy(roles=roles), commits=(written_by(*contributors),))
    known = replace(known, accounts=(person("carl", name="Carl Carlson"), person("ann")))
    verdict = role(evaluate(known), "consdb")
    assert verdict.outcome is Outcome.MISSING
    assert verdict.reviews[0].standing is Standing.REJECTED
    assert word in verdict.reviews[0].reason


def test_a1_the_address_of_another_account_with_the_same_old_login_does_not_bar() -> None:
    """A noreply address has the id of the account; the login in it may by now be somebody else's."""
    other = Contributor("X", "999999+carl@users.noreply.github.com", None, "co-author")
    assert outcome(facts(review("carl"), commits=(written_by(other),)), "consdb") is Outcome.APPROVED


def test_a1_a_renamed_login_is_still_the_same_person() -> None:
    renamed = replace(person("carl"), login="carl-the-great")
    team = Team("lsst/data-engineering", (renamed,))
    mine = Contributor("C", f"{renamed.id}+carl@users.noreply.github.com", None, "co-author")
    known = facts(replace(review("carl"), author=renamed), teams=(team,), unknown_people=("carl",))
    assert "The policy names carl, which is no account" in evaluate(known).notes[0]
    assert outcome(known, "de") is Outcome.APPROVED
    assert outcome(replace(known, commits=(written_by(mine),)), "de") is Outcome.MISSING


def test_a1_pressing_update_branch_is_not_writing_the_change() -> None:
    merge = written_by(Contributor("C", "c@x.org", person("carl")), update_only=True)
    assert outcome(facts(review("carl"), commits=(merge,)), "consdb") is Outcome.APPROVED
    assert (
        outcome(facts(review("carl"), commits=(replace(merge, update_only=False),)), "consdb")
        is Outcome.MISSING
    )


def test_a1_outsiders_and_bots_do_not_count() -> None:
    decision = evaluate(facts(review("mallory"), review("carl", bot=True)))
    assert role(decision, "consdb").outcome is Outcome.MISSING
    assert "is a bot" in role(decision, "consdb").reviews[0].reason
    assert [item.reason for item in decision.others] == ["does not count: mallory holds none of the roles"]


def test_a1_the_author_is_the_only_member_of_a_role() -> None:
    verdict = role(evaluate(facts(policy=policy(roles=[{"id": "po", "people": ["ann"]}]))), "po")
    assert verdict.outcome is Outcome.MISSING
    assert verdict.eligible == ()
    assert verdict.warning == (
        "nobody is left who can approve for ConsDB Product Owner: ann opened the pull request"
    )


def test_a1_a_comment_is_no_verdict_and_an_approver_who_later_requests_changes_blocks() -> None:
    known = facts(review("carl"), review("carl", "COMMENTED"))
    assert outcome(known, "consdb") is Outcome.APPROVED
    known = facts(review("carl"), review("carl", "CHANGES_REQUESTED"))
    verdict = role(evaluate(known), "consdb")
    assert verdict.outcome is Outcome.BLOCKED
    assert [item.standing for item in verdict.reviews] == [Standing.SUPERSEDED, Standing.BLOCKS]


def test_a1_order_is_by_time_and_not_by_place_in_the_list() -> None:
    known = facts(review("carl", minute=9), review("carl", "CHANGES_REQUESTED", minute=5))
    assert outcome(known, "consdb") is Outcome.APPROVED


# A2


def test_a2_an_approval_holds_while_the_change_is_the_same() -> None:
    known = facts(review("carl", commit=OLD), changes=(change(OLD), change(HEAD)))
    verdict = role(evaluate(known), "consdb")
    assert verdict.outcome is Outcome.APPROVED
    assert verdict.approver is not None
    assert verdict.approver.kept
    stale = replace(known, changes=(change(OLD, structure="s0"), change(HEAD)))
    verdict = role(evaluate(stale), "consdb")
    assert verdict.outcome is Outcome.STALE
    assert verdict.reason == (
        "the approval by carl no longer holds: since commit aaaaaaaa the change differs in "
        "cdb_latiss.yaml (structure)"
    )


@pytest.mark.parametrize(
    ("before", "engineering", "others"),
    [
        (change(OLD), Outcome.APPROVED, Outcome.APPROVED),
        (change(OLD, verbatim="v0"), Outcome.APPROVED, Outcome.APPROVED),
        (change(OLD, text="t0"), Outcome.STALE, Outcome.APPROVED),
        (change(OLD, structure="s0"), Outcome.STALE, Outcome.STALE),
        (change(OLD, structure="", text=""), Outcome.APPROVED, Outcome.APPROVED),
        (change(OLD, structure="", text="", verbatim="v0"), Outcome.STALE, Outcome.STALE),
        (CommitChange(OLD, problem="GitHub no longer has it"), Outcome.STALE, Outcome.STALE),
        (CommitChange(OLD), Outcome.STALE, Outcome.STALE),
        (replace(change(OLD), remembered=True), Outcome.APPROVED, Outcome.APPROVED),
    ],
    ids=[
        "rebase or squash",
        "formatting only",
        "description only",
        "type change",
        "unreadable then, same lines",
        "unreadable then, other lines",
        "unreachable",
        "nothing then",
        "unreachable but remembered",
    ],
)
def test_a2_what_makes_whose_approval_stale(
    before: CommitChange, engineering: Outcome, others: Outcome
) -> None:
    known = facts(
        *(review(login, commit=OLD) for login in ("dan", "olga", "carl")), changes=(before, change(HEAD))
    )
    decision = evaluate(replace(known, now=datetime(2026, 3, 5, tzinfo=UTC)))
    assert [item.outcome for item in decision.roles] == [engineering, others, others]


def test_a2_a_text_only_change_of_another_file_leaves_the_other_roles_alone() -> None:
    more = CommitChange(HEAD, (*change().changes, Change("x/cdb_b.yaml", UNCHANGED, "t9", "v9")))
    known = facts(review("carl", commit=OLD), review("dan", commit=OLD), changes=(change(OLD), more))
    assert outcome(known, "consdb") is Outcome.APPROVED
    assert outcome(known, "de") is Outcome.STALE


def test_a2_an_approval_without_commit_fails_closed() -> None:
    assert outcome(facts(review("carl", commit=None)), "consdb") is Outcome.STALE


def test_a2_the_comment_remembers_digests_and_only_in_its_own_form() -> None:
    known = facts(changes=(change(OLD, path="a--b>.yaml"), change(HEAD)))
    text = remember(known)
    assert "--" not in text.removeprefix("<!--").removesuffix("-->")
    assert recall(text) == tuple(replace(item, remembered=True) for item in known.changes)
    carried = replace(
        known,
        changes=(change(HEAD),),
        comments=(MarkedComment(1, BOT, known.now, f"{MARKER}\n{text}"),),
    )
    assert {item.sha for item in recall(remember(carried))} == {OLD, HEAD}
    for bad in (
        "",
        "<!-- consdb-actions:digests {bad} -->",
        text.replace('"s1"', "7"),
        text.replace("s1", "s 1"),
    ):
        assert recall(bad) == ()


def test_a2_the_memory_has_a_bound_and_keeps_the_newest() -> None:
    shas = [f"{number:040x}" for number in range(30)]
    known = facts(changes=tuple(change(sha) for sha in shas))
    assert [item.sha for item in recall(remember(known))] == shas[-20:]


# A3


def test_a3_who_holds_several_roles_says_for_which_the_review_is() -> None:
    silent = evaluate(facts(review("olga"), policy=several()))
    assert role(silent, "po").outcome is Outcome.MISSING
    assert (
        'a new approval with a line "consdb: po" or "consdb: consdb" does'
        in role(silent, "po").reviews[0].reason
    )
    named = facts(review("olga", body="Good.\nconsdb: po\n"), policy=several())
    assert outcome(named, "po") is Outcome.APPROVED
    assert outcome(named, "consdb") is Outcome.MISSING


@pytest.mark.parametrize(
    ("body", "roles"),
    [
        ("consdb: po", {"po"}),
        ("ConsDB:  Product-Owner ", {"po"}),
        ("lgtm\r\nconsdb: po, consdb\r\nthanks", {"po", "consdb"}),
        ("consdb: po\nconsdb: consdb", {"po", "consdb"}),
        ("> consdb: po", set()),
        ("```\nconsdb: po\n```", set()),
        ("```\nconsdb: po", set()),
        ("    consdb: po", set()),
        ("I mean consdb: po", set()),
        ("consdb: de", set()),
        ("consdb: boss", set()),
    ],
)
def test_a3_the_line_that_names_a_role(body: str, roles: set[str]) -> None:
    decision = evaluate(facts(review("olga", body=body), policy=several()))
    assert {item.role.id for item in decision.roles if item.outcome is Outcome.APPROVED} == roles


def test_a3_a_line_for_a_role_one_does_not_hold_gives_nothing_and_says_so() -> None:
    decision = evaluate(facts(review("carl", body="consdb: po")))
    assert role(decision, "consdb").reviews[0].reason == (
        "does not count: it is for ConsDB Product Owner, a role that its author does not hold"
    )
    assert not any(item.outcome is Outcome.APPROVED for item in decision.roles)


def test_a3_two_reviews_by_one_person_for_two_roles_both_stand() -> None:
    known = facts(review("olga", body="consdb: po"), review("olga", body="consdb: consdb"), policy=several())
    assert outcome(known, "po") is outcome(known, "consdb") is Outcome.APPROVED


LABELED = "labeled"


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ([(1, "APPROVED"), (2, LABELED, "olga")], True),
        ([(1, LABELED, "olga"), (2, "APPROVED")], True),
        ([(1, LABELED, "olga"), (2, "unlabeled", BOT.login), (3, "APPROVED")], True),
        ([(1, LABELED, "olga"), (2, "unlabeled", "mallory"), (3, "APPROVED")], False),
        ([(1, "APPROVED"), (2, LABELED, "mallory")], False),
        ([(1, "APPROVED"), (2, LABELED, None)], False),
        ([(1, "APPROVED"), (2, LABELED, "olga"), (3, "unlabeled", "olga")], False),
        ([(1, "APPROVED"), (2, LABELED, "olga"), (3, "unlabeled", "mallory")], True),
        ([(1, "APPROVED"), (2, LABELED, "olga"), (3, "CHANGES_REQUESTED"), (4, "APPROVED")], False),
    ],
)
def test_a3_the_label_set_along_with_the_review_names_the_role(
    story: list[tuple[Any, ...]], expected: bool
) -> None:
    reviews = [review("olga", step[1], minute=step[0]) for step in story if len(step) == 2]
    events = [event(step[1], LABELS["po"], step[2], minute=step[0]) for step in story if len(step) == 3]
    known = facts(*reviews, policy=several(), timeline=tuple(events))
    assert (outcome(known, "po") is Outcome.APPROVED) is expected
    assert outcome(known, "consdb") is not Outcome.APPROVED


def test_a3_two_roles_in_one_person_unless_people_must_be_distinct() -> None:
    both = review("olga", body="consdb: po, consdb")
    shared = facts(both, policy=several())
    assert outcome(shared, "po") is outcome(shared, "consdb") is Outcome.APPROVED
    apart = facts(both, policy=several(distinct=True))
    assert [outcome(apart, "po"), outcome(apart, "consdb")] == [Outcome.APPROVED, Outcome.MISSING]
    assert "different people" in role(evaluate(apart), "consdb").reason
    # The one who can do only one of them sets the other free for it.
    helped = facts(both, review("carl"), policy=several(distinct=True))
    assert outcome(helped, "po") is outcome(helped, "consdb") is Outcome.APPROVED


# A4


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["CHANGES_REQUESTED"], Outcome.BLOCKED),
        (["CHANGES_REQUESTED", "COMMENTED"], Outcome.BLOCKED),
        (["CHANGES_REQUESTED", "APPROVED"], Outcome.APPROVED),
        (["DISMISSED"], Outcome.MISSING),
        (["APPROVED", "DISMISSED"], Outcome.MISSING),
        (["CHANGES_REQUESTED", "DISMISSED"], Outcome.MISSING),
        (["DISMISSED", "APPROVED"], Outcome.APPROVED),
    ],
)
def test_a4_a_block_holds_until_that_person_approves_or_it_is_dismissed(
    states: list[str], expected: Outcome
) -> None:
    assert outcome(facts(*(review("carl", state) for state in states)), "consdb") is expected


def test_a4_another_approval_does_not_lift_a_block() -> None:
    known = facts(review("carl", "CHANGES_REQUESTED"), review("cleo"))
    decision = evaluate(known)
    assert role(decision, "consdb").outcome is Outcome.BLOCKED
    assert decision.state is State.FAILURE
    assert role(decision, "consdb").reason == "carl requests changes"


def test_a4_a_block_on_an_older_commit_does_not_expire() -> None:
    known = facts(review("carl", "CHANGES_REQUESTED", commit=OLD))
    assert outcome(known, "consdb") is Outcome.BLOCKED


def test_a4_a_request_without_a_role_is_meant_for_all_roles_of_its_author() -> None:
    known = facts(review("olga", "CHANGES_REQUESTED"), policy=several())
    assert outcome(known, "po") is outcome(known, "consdb") is Outcome.BLOCKED
    named = facts(review("olga", "CHANGES_REQUESTED", body="consdb: po"), policy=several())
    assert [outcome(named, "po"), outcome(named, "consdb")] == [Outcome.BLOCKED, Outcome.MISSING]
    lifted = facts(review("olga", "CHANGES_REQUESTED"), review("olga"), policy=several())
    assert outcome(lifted, "po") is outcome(lifted, "consdb") is Outcome.MISSING


def test_a4_an_outsider_cannot_block() -> None:
    assert evaluate(
        everybody(reviews=(*everybody().reviews, review("mallory", "CHANGES_REQUESTED")))
    ).approved


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
    assert "set by mallory, was taken off: mallory does not hold the role ConsDB Product Owner" in word
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
    assert role(decision, "po").outcome is Outcome.MISSING
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
    assert decision.state is State.ERROR
    assert role(decision, "de").outcome is Outcome.ERROR
    plan = make_plan(known, decision, "body")
    assert plan.labels_remove == ()
    assert plan.status is not None
    assert plan.status.state == "error"
    unseen = replace(known, teams=())
    assert evaluate(unseen).state is State.ERROR


# A7


def test_a7_no_schema_of_ours_is_not_applicable() -> None:
    known = facts(changes=(CommitChange(HEAD),))
    decision = evaluate(known)
    assert (decision.state, decision.applicable) == (State.SUCCESS, False)
    plan = make_plan(known, decision, "body")
    assert plan.comment is None
    assert plan.status is not None
    assert plan.status.description.startswith("Not applicable")


def test_a7_a_draft_is_evaluated_and_never_a_success() -> None:
    decision = evaluate(everybody(pull={"draft": True}))
    assert decision.approved
    assert decision.state is State.PENDING
    assert decision.description.startswith("Draft; ")


def test_a7_an_unreadable_head_is_an_error() -> None:
    known = everybody(changes=(CommitChange(HEAD, problem="gone"),))
    assert evaluate(known).state is State.ERROR
    assert evaluate(replace(known, changes=())).state is State.ERROR


# A8


def test_a8_a_designate_counts_until_the_last_day() -> None:
    def on(day: int) -> Facts:
        moment = datetime(2026, 3, day, 23, 59, tzinfo=UTC)
        return facts(replace(review("dora"), submitted_at=moment))

    assert outcome(on(10), "po") is Outcome.APPROVED
    assert outcome(on(11), "po") is Outcome.MISSING
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


def test_a10_the_oldest_comment_of_our_own_is_kept_and_later_ones_go() -> None:
    def comment(number: int, author: Account | None, minute: int) -> MarkedComment:
        return MarkedComment(number, author, datetime(2026, 3, 3, 0, minute, tzinfo=UTC), MARKER)

    comments = (
        comment(5, BOT, 5),
        comment(1, person("mallory"), 1),
        comment(2, None, 2),
        comment(4, BOT, 4),
        comment(3, replace(BOT, login="someone-else[bot]", id=3), 3),
    )
    known = facts(comments=comments)
    plan = make_plan(known, evaluate(known), "body")
    assert plan.comment is not None
    assert (plan.comment.id, plan.comments_delete) == (4, (5,))


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
        comments=(MarkedComment(1, BOT, known.now, "body\r\n"),),
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
