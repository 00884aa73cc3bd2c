"""Rules A3 and A4: for which role a review speaks, and what blocks one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consdb_actions.approval.evaluate import RoleOutcome, StatusState, evaluate, named_in
from tests.approval.rules import LABELED, LABELS, everybody, outcome, role, several
from tests.support.facts import (
    BOT,
    OLD,
    event,
    facts,
    review,
)

# A3


def test_a3_who_holds_several_roles_says_for_which_the_review_is() -> None:
    silent = evaluate(facts(review("olga"), policy=several()))
    assert role(silent, "po").outcome is RoleOutcome.MISSING
    assert (
        'approve again with a line "consdb: po" or "consdb: consdb"' in role(silent, "po").reviews[0].reason
    )
    named = facts(review("olga", body="Good.\nconsdb: po\n"), policy=several())
    assert outcome(named, "po") is RoleOutcome.APPROVED
    assert outcome(named, "consdb") is RoleOutcome.MISSING


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
    assert {item.role.id for item in decision.roles if item.outcome is RoleOutcome.APPROVED} == roles


def test_a3_a_line_for_a_role_one_does_not_hold_gives_nothing_and_says_so() -> None:
    decision = evaluate(facts(review("carl", body="consdb: po")))
    assert role(decision, "consdb").reviews[0].reason == (
        "does not count: it is for ConsDB Product Owner, a role that its author does not hold"
    )
    assert not any(item.outcome is RoleOutcome.APPROVED for item in decision.roles)


def test_a3_two_reviews_by_one_person_for_two_roles_both_stand() -> None:
    known = facts(review("olga", body="consdb: po"), review("olga", body="consdb: consdb"), policy=several())
    assert outcome(known, "po") is outcome(known, "consdb") is RoleOutcome.APPROVED


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
    assert (outcome(known, "po") is RoleOutcome.APPROVED) is expected
    assert outcome(known, "consdb") is not RoleOutcome.APPROVED


def test_a3_two_roles_in_one_person_unless_people_must_be_distinct() -> None:
    both = review("olga", body="consdb: po, consdb")
    shared = facts(both, policy=several())
    assert outcome(shared, "po") is outcome(shared, "consdb") is RoleOutcome.APPROVED
    apart = facts(both, policy=several(distinct=True))
    assert [outcome(apart, "po"), outcome(apart, "consdb")] == [RoleOutcome.APPROVED, RoleOutcome.MISSING]
    assert "different people" in role(evaluate(apart), "consdb").reason
    # The one who can do only one of them sets the other free for it.
    helped = facts(both, review("carl"), policy=several(distinct=True))
    assert outcome(helped, "po") is outcome(helped, "consdb") is RoleOutcome.APPROVED


# A4


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["CHANGES_REQUESTED"], RoleOutcome.BLOCKED),
        (["CHANGES_REQUESTED", "COMMENTED"], RoleOutcome.BLOCKED),
        (["CHANGES_REQUESTED", "APPROVED"], RoleOutcome.APPROVED),
        (["DISMISSED"], RoleOutcome.MISSING),
        (["APPROVED", "DISMISSED"], RoleOutcome.MISSING),
        (["CHANGES_REQUESTED", "DISMISSED"], RoleOutcome.MISSING),
        (["DISMISSED", "APPROVED"], RoleOutcome.APPROVED),
    ],
)
def test_a4_a_block_holds_until_that_person_approves_or_it_is_dismissed(
    states: list[str], expected: RoleOutcome
) -> None:
    assert outcome(facts(*(review("carl", state) for state in states)), "consdb") is expected


def test_a4_another_approval_does_not_lift_a_block() -> None:
    known = facts(review("carl", "CHANGES_REQUESTED"), review("cleo"))
    decision = evaluate(known)
    assert role(decision, "consdb").outcome is RoleOutcome.BLOCKED
    assert decision.state is StatusState.FAILURE
    assert role(decision, "consdb").reason == "carl requests changes"


def test_a4_a_block_on_an_older_commit_does_not_expire() -> None:
    known = facts(review("carl", "CHANGES_REQUESTED", commit=OLD))
    assert outcome(known, "consdb") is RoleOutcome.BLOCKED


def test_a4_a_request_without_a_role_is_meant_for_all_roles_of_its_author() -> None:
    known = facts(review("olga", "CHANGES_REQUESTED"), policy=several())
    assert outcome(known, "po") is outcome(known, "consdb") is RoleOutcome.BLOCKED
    named = facts(review("olga", "CHANGES_REQUESTED", body="consdb: po"), policy=several())
    assert [outcome(named, "po"), outcome(named, "consdb")] == [RoleOutcome.BLOCKED, RoleOutcome.MISSING]
    lifted = facts(review("olga", "CHANGES_REQUESTED"), review("olga"), policy=several())
    assert outcome(lifted, "po") is outcome(lifted, "consdb") is RoleOutcome.MISSING


@pytest.mark.parametrize("body", ["consdb: boss", "consdb: de"])
def test_a4_a_request_whose_words_name_no_role_of_its_author_is_not_lost(body: str) -> None:
    known = facts(review("olga", "CHANGES_REQUESTED", body=body), policy=several())
    assert outcome(known, "po") is outcome(known, "consdb") is RoleOutcome.BLOCKED
    # Words of that kind in an approval lift nothing either: what they mean is not certain.
    still = facts(*known.reviews, review("olga", body=body), policy=several())
    assert outcome(still, "po") is RoleOutcome.BLOCKED


def test_a4_who_no_longer_holds_the_role_can_still_lift_the_own_block() -> None:
    day = datetime(2026, 3, 9, tzinfo=UTC)
    block = replace(review("dora", "CHANGES_REQUESTED"), submitted_at=day)
    known = facts(block)
    assert outcome(known, "po") is RoleOutcome.BLOCKED
    lifted = facts(block, replace(review("dora"), submitted_at=day + timedelta(days=5)))
    assert outcome(lifted, "po") is RoleOutcome.MISSING
    assert "it lifts the block" in role(evaluate(lifted), "po").reviews[1].reason


def test_a4_an_outsider_cannot_block() -> None:
    assert evaluate(
        everybody(reviews=(*everybody().reviews, review("mallory", "CHANGES_REQUESTED")))
    ).approved


HIDDEN = [
    "<!-- consdb: po -->",
    "<!--\nconsdb: po\n-->",
    "<!--\r\nconsdb: po\r\n-->",
    "<!--\rconsdb: po\r-->",
    "Fine.\n<!-- a\n\nb\n\nconsdb: po\n\n-->",
    "<!--\nconsdb: po",
    "x <!--\nconsdb: po\n--> y",
    "<!-- a --><!--\nconsdb: po\n-->",
    "```\nconsdb: po\n```",
    "~~~\nconsdb: po",
    "````\n```\nconsdb: po\n````",
    "    consdb: po",
    "> consdb: po",
    "> a\nconsdb: po",
    "<pre>\nconsdb: po\n</pre>",
    '<a title="\nconsdb: po\n">x</a>',
    "<img alt='\nconsdb: po\n'>",
    "<?x\nconsdb: po\n?>",
    "<!X\nconsdb: po\n>",
    "<![CDATA[\nconsdb: po\n]]>",
    "<script>\nconsdb: po\n</script>",
    "<style>\nconsdb: po\n</style>",
    "<textarea>\nconsdb: po\n</textarea>",
    "[x]: https://a.example '\nconsdb: po\n'",
    "[x]:\nhttps://a.example\n'\nconsdb: po\n'",
    "![\nconsdb: po\n](https://a.example/x.png)",
    "![a [b] \\]\nconsdb: po\n][x]",
    '[x](https://a.example "\nconsdb: po\n")',
    '<a title=">\nconsdb: po\n">x</a>',
    '<div title="\nx>\n\nconsdb: po\n\n">',
    "<img alt='a' title='>\nconsdb: po\n'>",
    "<ruby>x<rp>\n\nconsdb: po\n\n</rp></ruby>",
    "<svg>\nconsdb: po\n</svg>",
    "\tconsdb: po",
]


@pytest.mark.parametrize("body", HIDDEN)
def test_a3_what_a_reader_cannot_see_is_no_marker(body: str) -> None:
    assert named_in(body) == []


@pytest.mark.parametrize(
    "body",
    [
        "consdb: po",
        "Fine.\r\n\r\nconsdb: po\r\n",
        "<!-- a -->\n\nconsdb: po",
        "```\na\n```\nconsdb: po",
        "a < b\n\nconsdb: po",
        "<b>x</b>\n\nconsdb: po",
        "> a\n\nconsdb: po",
        "see [x]\n\nconsdb: po",
        'see [x](https://a.example "t") and ![y](z.png)\nconsdb: po',
        "<a href=\"x\" title='>'>x</a>\nconsdb: po",
        "a <b and c> d\n\nconsdb: po",
    ],
)
def test_a3_what_a_reader_sees_is_a_marker(body: str) -> None:
    assert named_in(body) == ["po"]
