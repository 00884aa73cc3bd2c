"""The comment as its readers see it, and what nobody can slip into it (A9, S5)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from consdb_actions.approval.evaluate import LIMIT, evaluate
from consdb_actions.approval.facts import (
    ApprovalFacts,
    Commit,
    CommitChange,
    Contributor,
    MarkedComment,
    Team,
)
from consdb_actions.approval.plan import SECTION_ROOM, Part, join, make_plan, recall
from consdb_actions.report.approvals import render_comment
from tests.support.facts import BOT, HEAD, OLD, change, event, facts, policy, review

NASTY = "@everyone | <!-- x --> <b>\n| a | b |\n\n# big `code` [x](javascript:alert) ![i](//e) #1 -->"


def html(text: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


def comment(known: ApprovalFacts) -> str:
    return render_comment(known, evaluate(known))


def rows(text: str) -> list[list[str]]:
    """Return the cells of the table, as a reader sees them."""
    table = html(text).split("<tbody>")[1].split("</tbody>")[0]
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in table.split("</tr>")[:-1]
    ]


def test_a9_a_line_for_each_role_with_who_when_for_which_commit_and_what_is_open() -> None:
    known = facts(
        review("dan", commit=OLD, minute=1),
        review("carl", "CHANGES_REQUESTED", minute=2),
        review("ann", minute=3),
        changes=(change(OLD, structure="s0"), change(HEAD)),
    )
    assert rows(comment(known)) == [
        [
            "Data Engineering",
            "🔁\u00a0stale",
            "dan, 2026-03-02, for aaaaaaaa (compare)",
            "The approval by dan no longer holds: since commit aaaaaaaa the change differs in "
            "cdb_latiss.yaml (structure). Can approve: dan, dina.",
        ],
        ["ConsDB Product Owner", "⏳\u00a0missing", "nobody", "Nobody has approved yet. Can approve: olga."],
        [
            "ConsDB team",
            "❌\u00a0changes requested",
            "carl, 2026-03-02, for cccccccc",
            "Blocked until carl approves or the review is dismissed.",
        ],
    ]
    shown = html(comment(known))
    assert f'href="https://github.com/lsst/sdm_schemas/compare/{OLD}..{HEAD}"' in shown
    assert "olga is the only person who can approve for ConsDB Product Owner." in shown
    assert shown.count("<details>") == shown.count("</details>") == 2


def test_a9_an_approval_kept_over_a_push_says_so_and_links_what_changed() -> None:
    known = facts(review("carl", commit=OLD), changes=(change(OLD), change(HEAD)))
    text = comment(known)
    assert "still valid after later pushes, which did not alter the change (compare)" in rows(text)[2][2]
    assert f"compare/{OLD}..{HEAD}" in text


def test_a9_no_mention_is_made_so_that_nobody_is_notified() -> None:
    known = facts(*(review(login) for login in ("dan", "olga", "carl", "mallory")))
    assert "@" not in comment(known)


@pytest.mark.parametrize("login", ["x", "a" * 39])
@pytest.mark.parametrize("draft", [False, True])
@pytest.mark.parametrize("state", ["APPROVED", "CHANGES_REQUESTED", "COMMENTED"])
@pytest.mark.parametrize("count", [1, 12])
def test_a9_the_status_fits(login: str, draft: bool, state: str, count: int) -> None:
    roles = [{"id": f"r{n}", "title": f"Role {n} " + "t" * 40, "people": [login]} for n in range(count)]
    body = "consdb: " + ", ".join(f"r{n}" for n in range(count))
    known = facts(review(login, state, body=body), policy=policy(roles=roles), pull={"draft": draft})
    decision = evaluate(known)
    assert 10 < len(decision.description) <= LIMIT
    plan = make_plan(known, decision, "")
    assert plan.status is not None
    assert plan.status.description == decision.description


def nasty(known: ApprovalFacts, text: str) -> ApprovalFacts:
    """Put a text wherever people can put one."""
    return replace(
        known,
        pull=replace(known.pull, title=text),
        policy_source=text,
        commits=(Commit(HEAD, (Contributor(text, "x@y.z", None, "co-author"),)),),
        notes=(f"No account is known for {text}.",),
        teams=(Team("lsst/data-engineering", problem=text),),
        changes=(change(OLD, path=f"{text}.yaml"), CommitChange(HEAD, change(path=f"b{text}").changes)),
        timeline=(event("labeled", "approved: product-owner", None),),
        reviews=(review("dan", commit=OLD, body=text), review("carl", commit=OLD, body=text)),
    )


def test_s5_a_body_with_everyone_and_a_broken_table() -> None:
    text = comment(nasty(facts(), NASTY))
    assert "@everyone" not in text
    assert len(rows(text)) == 3
    assert all(len(row) == 4 for row in rows(text))
    shown = html(text)
    assert "<b>" not in shown
    assert "<h1>" not in shown
    assert "<img" not in shown
    assert 'href="javascript' not in shown
    assert shown.count("<!--") == 1


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text("@|<!->`*_[]()#\\\n~ ", max_size=40))
def test_s5_no_text_breaks_the_comment(text: str) -> None:
    body = comment(nasty(facts(), text))
    assert len(rows(body)) == 3
    assert all(len(row) == 4 for row in rows(body))
    assert len(recall(body)) == 2
    shown = html(body)
    assert shown.count("<details>") == shown.count("</details>") == 2
    assert shown.count("<!--") == 1
    assert not re.search(r"@[A-Za-z0-9]", re.sub(r"<[^>]*>", "", shown))


def test_a_long_history_fits_into_a_comment_and_keeps_the_memory() -> None:
    logins = [f"person-{number}" for number in range(400)]
    chosen = policy(roles=[{"id": "consdb", "people": logins}])
    shas = [f"{number:040x}" for number in range(200)]
    known = facts(
        *(review(login, commit=shas[number % 200]) for number, login in enumerate(logins)),
        policy=chosen,
        changes=(*(change(sha, structure=sha) for sha in shas), change()),
    )
    text = comment(known)
    assert len(text) <= SECTION_ROOM[Part.APPROVALS]
    assert recall(text)[-1].sha == HEAD
    assert rows(text)
    assert html(text).count("<details>") == html(text).count("</details>")


def test_the_same_facts_give_the_same_comment_whenever_it_is_written() -> None:
    known = facts(review("dan"), review("carl", commit=OLD), changes=(change(OLD), change()))
    first = comment(known)
    later = replace(known, marked=(MarkedComment(1, BOT, known.now, join({Part.APPROVALS: first})),))
    assert comment(later) == first
    assert make_plan(later, evaluate(later), first).comment is None


def test_not_applicable_says_so_in_a_comment_that_exists() -> None:
    there = MarkedComment(4, BOT, facts().now, join({Part.APPROVALS: "old"}))
    known: Any = facts(changes=(CommitChange(HEAD),), marked=(there,))
    plan = make_plan(known, evaluate(known), comment(known))
    assert plan.comment is not None
    assert "Not applicable: no schema file that needs approval is changed." in html(plan.comment.body)
