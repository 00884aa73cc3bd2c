"""The one comment: sections come back as they were written, no order of flows leaves two (rule P2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consdb_actions.approval.facts import Account, MarkedComment
from consdb_actions.approval.plan import (
    MARKER,
    SECTION_ROOM,
    Part,
    join,
    own_comments,
    own_sections,
    plan_comment,
    split,
)
from consdb_actions.report.markdown import COMMENT_LIMIT, fence

START = datetime(2026, 3, 2, tzinfo=UTC)
APP, ACTIONS = Account("consdb[bot]", 7, bot=True), Account("github-actions[bot]", 8, bot=True)
MAINTAINER, STRANGER = Account("carl", 9), Account("mallory", 10)
OURS = (APP, ACTIONS, MAINTAINER)
HEADS = [f"<!-- consdb-actions:section {section} -->" for section in Part]

texts = st.text(st.sampled_from("ab \n<!->"), max_size=12) | st.sampled_from(
    [MARKER, *HEADS, f"x\n\n{HEADS[0]}\n\ny"]
)
contents = st.dictionaries(st.sampled_from(Part), texts)


def comment(number: int, author: Account | None, body: str = MARKER) -> MarkedComment:
    at = START + timedelta(minutes=number)
    return MarkedComment(number, author, at, body, trusted=author == MAINTAINER)


def there(body: str) -> dict[Part, str]:
    return own_sections([comment(1, APP, body)], APP)


@given(contents)
@example({Part.PROCESS: "a\n\n" + HEADS[2], Part.MIGRATION: "b"})
def test_p2_sections_come_back_as_they_were_written(sections: dict[Part, str]) -> None:
    body = join(sections)
    assert body.startswith(MARKER)
    assert list(split(body)) == [section for section in Part if section in sections]
    assert join(split(body)) == body
    assert split(body.replace("\n", "\r\n")) == split(body)
    for section, text in sections.items():
        if not any(head[:26] in text for head in HEADS):
            assert split(body)[section] == text.strip("\n")


@given(contents, st.sampled_from(Part), texts)
def test_p2_a_flow_replaces_its_own_section_only(sections: dict[Part, str], section: Part, text: str) -> None:
    before = comment(1, APP, join(sections))
    plan = plan_comment([before], APP, section, text, create=True)
    after = split(plan.body if plan is not None else before.body)
    assert {**after, section: ""} == {**split(before.body), section: ""}
    later = comment(1, APP, plan.body if plan is not None else before.body)
    assert plan_comment([later], APP, section, text, create=True) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(OURS), st.sampled_from(list(Part)), texts, st.integers(0, 3)), max_size=9
    )
)
def test_p2_no_order_of_flows_leaves_two_comments(
    steps: list[tuple[Account, Part, str, int]],
) -> None:
    """A run may act on what it saw some steps ago; then it looks again, as every flow does."""
    history: list[tuple[MarkedComment, ...]] = [()]

    def act(identity: Account, section: Part, text: str, seen: tuple[MarkedComment, ...]) -> None:
        plan = plan_comment(seen, identity, section, text, create=True)
        now = list(history[-1])
        if plan is not None and plan.id is None:
            now.append(comment(len(history), identity, plan.body))
        elif plan is not None:
            now = [
                replace(item, body=plan.body) if item.id == plan.id else item
                for item in now
                if item.id not in plan.extra
            ]
        history.append(tuple(now))

    last: dict[Part, str] = {}
    for identity, section, text, age in steps:
        last[section] = text
        act(identity, section, text, history[max(0, len(history) - 1 - age)])
        act(identity, section, text, history[-1])
        act(identity, section, text, history[-1])
        assert len(history[-1]) == 1
        assert split(history[-1][0].body)[section] == split(join({section: text}))[section]
    for section, text in last.items():
        act(APP, section, text, history[-1])
    assert not steps or own_sections(history[-1], APP) == split(join(last))


@pytest.mark.parametrize(
    ("identity", "wanted"),
    [(APP, [2, 3, 4]), (ACTIONS, [2, 3, 4]), (MAINTAINER, [2, 3, 4]), (STRANGER, [1, 2, 3, 4])],
    ids=lambda value: value.login if isinstance(value, Account) else "",
)
def test_p2_ours_are_those_by_us_by_apps_and_by_people_who_may_write(
    identity: Account, wanted: list[int]
) -> None:
    comments = [comment(4, MAINTAINER), comment(3, APP), comment(2, ACTIONS), comment(1, STRANGER)]
    found = own_comments([*comments, comment(5, None)], identity)
    assert [item.id for item in found] == wanted


def test_p2_two_comments_become_the_oldest_with_what_both_have() -> None:
    comments = [
        comment(2, APP, join({Part.MIGRATION: "new", Part.APPROVALS: "theirs"})),
        comment(1, ACTIONS, join({Part.APPROVALS: "ours"})),
    ]
    plan = plan_comment(comments, APP, Part.PROCESS, "next", create=True)
    assert plan is not None
    assert (plan.id, plan.extra) == (1, (2,))
    wanted = {Part.PROCESS: "next", Part.APPROVALS: "ours", Part.MIGRATION: "new"}
    assert split(plan.body) == wanted
    assert plan.lines == ("change the comment 1", "remove the comment 2")


@pytest.mark.parametrize("create", [True, False])
def test_p2_a_section_is_started_only_where_something_is_to_be_said(create: bool) -> None:
    assert (plan_comment([], APP, Part.PROCESS, "x", create=create) is not None) == create
    other = comment(1, APP, join({Part.APPROVALS: "a"}))
    assert (plan_comment([other], APP, Part.PROCESS, "x", create=create) is not None) == create
    mine = comment(1, APP, join({Part.PROCESS: "a"}))
    assert plan_comment([mine], APP, Part.PROCESS, "x", create=create) is not None


def test_p2_what_people_write_into_the_comment_stays_out_of_the_others_sections() -> None:
    body = f"{join({Part.PROCESS: 'a', Part.APPROVALS: 'b'})}\r\n\r\nand a word\r\n"
    assert split(body)[Part.PROCESS] == "a"
    assert split(f"{MARKER}\nby hand") == {}
    assert split(f"quoted:\n{join({Part.PROCESS: 'a'})}") == {}


def test_p2_nothing_that_is_shown_is_a_marker() -> None:
    shown = fence('<!-- consdb-actions:migration {"source": "a", "sha": "b"} -->', "text")
    assert "<!-- consdb-actions" not in shown


def test_p2_full_sections_fit_into_one_comment() -> None:
    body = join({section: "x" * room for section, room in SECTION_ROOM.items()})
    assert len(body) <= COMMENT_LIMIT
    assert {section: len(text) for section, text in split(body).items()} == SECTION_ROOM
