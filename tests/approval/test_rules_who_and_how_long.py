"""Rules A1 and A2: whose review counts, and how long. Each rule has the test that bears its name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from consdb_actions.approval.evaluate import ReviewEffect, RoleOutcome, StatusState, evaluate
from consdb_actions.approval.facts import (
    UNCHANGED,
    CommitChange,
    Contributor,
    FileChange,
    MarkedComment,
    Team,
)
from consdb_actions.approval.plan import Part, join, recall, remember
from tests.approval.rules import everybody, outcome, role
from tests.support.facts import (
    BOT,
    HEAD,
    OLD,
    change,
    facts,
    person,
    policy,
    review,
    written_by,
)

CARL = person("carl").id

# A1


def test_a1_a_review_counts_for_an_active_member_who_did_not_write_the_change() -> None:
    decision = evaluate(everybody())
    assert [item.outcome for item in decision.roles] == [RoleOutcome.APPROVED] * 3
    assert decision.state is StatusState.SUCCESS
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
    assert verdict.outcome is RoleOutcome.MISSING
    assert verdict.reviews[0].effect is ReviewEffect.REJECTED
    assert word in verdict.reviews[0].reason


def test_a1_the_address_of_another_account_with_the_same_old_login_does_not_bar() -> None:
    """A noreply address has the id of the account; the login in it may by now be somebody else's."""
    other = Contributor("X", "999999+carl@users.noreply.github.com", None, "co-author")
    assert outcome(facts(review("carl"), commits=(written_by(other),)), "consdb") is RoleOutcome.APPROVED


def test_a1_a_renamed_login_is_still_the_same_person() -> None:
    renamed = replace(person("carl"), login="carl-the-great")
    team = Team("lsst/data-engineering", (renamed,))
    mine = Contributor("C", f"{renamed.id}+carl@users.noreply.github.com", None, "co-author")
    known = facts(replace(review("carl"), author=renamed), teams=(team,), unknown_people=("carl",))
    assert "The policy names carl, which is not an account" in evaluate(known).notes[0]
    assert outcome(known, "de") is RoleOutcome.APPROVED
    assert outcome(replace(known, commits=(written_by(mine),)), "de") is RoleOutcome.MISSING


def test_a1_pressing_update_branch_is_not_writing_the_change() -> None:
    merge = written_by(Contributor("C", "c@x.org", person("carl")), update_only=True)
    assert outcome(facts(review("carl"), commits=(merge,)), "consdb") is RoleOutcome.APPROVED
    assert (
        outcome(facts(review("carl"), commits=(replace(merge, update_only=False),)), "consdb")
        is RoleOutcome.MISSING
    )


def test_a1_outsiders_and_bots_do_not_count() -> None:
    decision = evaluate(facts(review("mallory"), review("carl", bot=True)))
    assert role(decision, "consdb").outcome is RoleOutcome.MISSING
    assert "is a bot" in role(decision, "consdb").reviews[0].reason
    assert [item.reason for item in decision.others] == ["does not count: mallory holds none of the roles"]


def test_a1_the_author_is_the_only_member_of_a_role() -> None:
    verdict = role(evaluate(facts(policy=policy(roles=[{"id": "po", "people": ["ann"]}]))), "po")
    assert verdict.outcome is RoleOutcome.MISSING
    assert verdict.eligible == ()
    assert verdict.warning == (
        "no eligible person is left for ConsDB Product Owner: ann opened the pull request"
    )


def test_a1_a_comment_is_no_verdict_and_an_approver_who_later_requests_changes_blocks() -> None:
    known = facts(review("carl"), review("carl", "COMMENTED"))
    assert outcome(known, "consdb") is RoleOutcome.APPROVED
    known = facts(review("carl"), review("carl", "CHANGES_REQUESTED"))
    verdict = role(evaluate(known), "consdb")
    assert verdict.outcome is RoleOutcome.BLOCKED
    assert [item.effect for item in verdict.reviews] == [ReviewEffect.SUPERSEDED, ReviewEffect.BLOCKS]


def test_a1_order_is_by_time_and_not_by_place_in_the_list() -> None:
    known = facts(review("carl", minute=9), review("carl", "CHANGES_REQUESTED", minute=5))
    assert outcome(known, "consdb") is RoleOutcome.APPROVED


# A2


def test_a2_an_approval_holds_while_the_change_is_the_same() -> None:
    known = facts(review("carl", commit=OLD), changes=(change(OLD), change(HEAD)))
    verdict = role(evaluate(known), "consdb")
    assert verdict.outcome is RoleOutcome.APPROVED
    assert verdict.approver is not None
    assert verdict.approver.kept
    stale = replace(known, changes=(change(OLD, structure="s0"), change(HEAD)))
    verdict = role(evaluate(stale), "consdb")
    assert verdict.outcome is RoleOutcome.STALE
    assert verdict.reason == (
        "the approval by carl no longer holds: since commit aaaaaaaa the change differs in "
        "cdb_latiss.yaml (structure)"
    )


@pytest.mark.parametrize(
    ("before", "engineering", "others"),
    [
        (change(OLD), RoleOutcome.APPROVED, RoleOutcome.APPROVED),
        (change(OLD, verbatim="v0"), RoleOutcome.APPROVED, RoleOutcome.APPROVED),
        (change(OLD, text="t0"), RoleOutcome.STALE, RoleOutcome.APPROVED),
        (change(OLD, structure="s0"), RoleOutcome.STALE, RoleOutcome.STALE),
        (change(OLD, structure="", text=""), RoleOutcome.APPROVED, RoleOutcome.APPROVED),
        (change(OLD, structure="", text="", verbatim="v0"), RoleOutcome.STALE, RoleOutcome.STALE),
        (CommitChange(OLD, problem="GitHub no longer has it"), RoleOutcome.STALE, RoleOutcome.STALE),
        (CommitChange(OLD), RoleOutcome.STALE, RoleOutcome.STALE),
        (replace(change(OLD), remembered=True), RoleOutcome.APPROVED, RoleOutcome.APPROVED),
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
    before: CommitChange, engineering: RoleOutcome, others: RoleOutcome
) -> None:
    known = facts(
        *(review(login, commit=OLD) for login in ("dan", "olga", "carl")), changes=(before, change(HEAD))
    )
    decision = evaluate(replace(known, now=datetime(2026, 3, 5, tzinfo=UTC)))
    assert [item.outcome for item in decision.roles] == [engineering, others, others]


def test_a2_a_text_only_change_of_another_file_leaves_the_other_roles_alone() -> None:
    more = CommitChange(HEAD, (*change().changes, FileChange("x/cdb_b.yaml", UNCHANGED, "t9", "v9")))
    known = facts(review("carl", commit=OLD), review("dan", commit=OLD), changes=(change(OLD), more))
    assert outcome(known, "consdb") is RoleOutcome.APPROVED
    assert outcome(known, "de") is RoleOutcome.STALE


def test_a2_an_approval_without_commit_fails_closed() -> None:
    assert outcome(facts(review("carl", commit=None)), "consdb") is RoleOutcome.STALE


def test_a2_the_comment_remembers_digests_and_only_in_its_own_form() -> None:
    known = facts(changes=(change(OLD, path="a--b>.yaml"), change(HEAD)))
    text = remember(known)
    assert "--" not in text.removeprefix("<!--").removesuffix("-->")
    assert recall(text) == tuple(replace(item, remembered=True) for item in known.changes)
    carried = replace(
        known,
        changes=(change(HEAD),),
        marked=(MarkedComment(1, BOT, known.now, join({Part.APPROVALS: text})),),
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
