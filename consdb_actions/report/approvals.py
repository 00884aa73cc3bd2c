"""Render approvals as a report and as a comment."""

from __future__ import annotations

import re

from consdb_actions.approval.evaluate import (
    Decision,
    ReviewEffect,
    ReviewVerdict,
    RoleOutcome,
    RoleVerdict,
    StatusState,
)
from consdb_actions.approval.facts import ApprovalFacts
from consdb_actions.approval.plan import SECTION_ROOM, Part, remember
from consdb_actions.report.markdown import bullets, code, commit, details, escape, fit, person, table


def render_text(facts: ApprovalFacts, decision: Decision) -> str:
    """Render a decision for a terminal."""
    lines = [
        f"{facts.repository}#{facts.pull.number}: {facts.pull.title}",
        f"{decision.state}: {decision.description}",
    ]
    width = max((len(item.role.title) for item in decision.roles), default=0)
    for item in decision.roles:
        lines.append(f"  {item.outcome:<9} {item.role.title:<{width}}  {_plain(item)}")
        if item.outcome is RoleOutcome.MISSING:
            lines.extend(
                f"            the review by {review.author.login} {review.reason}"
                for review in item.reviews
                if review.effect is ReviewEffect.REJECTED
            )
        lines += [f"            {item.warning}"] if item.warning else []
        lines += [f"            {item.label_word}"] if item.label_word else []
    lines.extend(f"  note: {note}" for note in decision.notes)
    return "\n".join(lines)


def _plain(item: RoleVerdict) -> str:
    if item.approver is not None:
        review = item.approver
        day = review.submitted_at.strftime("%Y-%m-%d") if review.submitted_at else "unknown day"
        return f"{review.author.login}, {day}, {review.reason.removeprefix('counts, ')}"
    able = f"; can approve: {', '.join(item.eligible)}" if item.eligible else ""
    return item.reason + able


def render_tree(decision: Decision) -> str:
    """Render the tree of verdicts: roles, and their reviews, one line each."""
    lines = [f"[{decision.state}] {decision.description}"]
    for item in decision.roles:
        notes = [word for word in (item.label_word, item.warning) if word]
        notes += [f"can approve: {', '.join(item.eligible)}"] if item.eligible else []
        lines.append(f"  [{item.outcome}] {item.role.title}: {item.reason}")
        lines += [*map(_tree_line, item.reviews), *(f"    [note] {note}" for note in notes)]
    if decision.others:
        lines += ["  [note] reviews that count for no role", *map(_tree_line, decision.others)]
    return "\n".join([*lines, *(f"  [note] {note}" for note in decision.notes)])


def _tree_line(review: ReviewVerdict) -> str:
    when = review.submitted_at.strftime("%Y-%m-%d") if review.submitted_at else "an unknown day"
    return f"    [{review.effect}] review by {review.author.login} of {when}: {review.reason}"


SHOWN = 3  # Reviews per role in the table; the folded part lists all

NAMED = 10  # People per role in the table

_SIGNS = {
    RoleOutcome.APPROVED: "✅\u00a0approved",
    RoleOutcome.BLOCKED: "❌\u00a0changes requested",
    RoleOutcome.STALE: "🔁\u00a0stale",
    RoleOutcome.MISSING: "⏳\u00a0missing",
    RoleOutcome.ERROR: "⚠️\u00a0unknown",
}


def render_comment(facts: ApprovalFacts, decision: Decision) -> str:
    """Render the section of the comment; equal facts give equal text."""
    memory = remember(facts)
    blocks = [_heading(decision)]
    if decision.applicable:
        blocks.append(_table(facts, decision))
        blocks.extend(_alerts(facts, decision))
    blocks.append(
        f"<sub>For commit {commit(facts.html_url, facts.pull.head)}, by the policy in "
        f"{escape(facts.policy_source)}. This comment is updated automatically.</sub>"
    )
    if decision.applicable:
        blocks += [_help(facts), _details(facts, decision)]
    note = "_{count} parts were omitted; `consdb-actions approvals status` prints them._"
    text = fit(blocks, note, limit=SECTION_ROOM[Part.APPROVALS] - len(memory) - 100)
    return f"{text}\n\n{memory}"


def _heading(decision: Decision) -> str:
    if not decision.applicable:
        return f"### Approvals of the schema change\n\n{escape(decision.description)}."
    done = sum(1 for item in decision.roles if item.outcome is RoleOutcome.APPROVED)
    count = f"{done} of {len(decision.roles)} roles have approved the schema change"
    if decision.state is StatusState.SUCCESS:
        return "### ✅ The schema change is approved"
    if decision.approved:
        return "### ⏳ The schema change is approved, and the pull request is still a draft"
    sign = {StatusState.ERROR: "⚠️", StatusState.FAILURE: "❌"}.get(decision.state, "⏳")
    return f"### {sign} {count}"


def _table(facts: ApprovalFacts, decision: Decision) -> str:
    return table(
        ("Role", "State", "Who, when, for which commit", "Missing"),
        [
            (f"**{escape(item.role.title)}**", _SIGNS[item.outcome], _who(facts, item), _open(facts, item))
            for item in decision.roles
        ],
    )


def _who(facts: ApprovalFacts, item: RoleVerdict) -> str:
    effects = (ReviewEffect.BLOCKS,) if item.outcome is RoleOutcome.BLOCKED else (ReviewEffect.STALE,)
    shown = [item.approver] if item.approver is not None else _of(item, *effects)
    if not shown:
        return "nobody"
    more = [f"and {len(shown) - SHOWN} more"] if len(shown) > SHOWN else []
    return "<br>".join([*(_review(facts, review) for review in shown[-SHOWN:]), *more])


def _review(facts: ApprovalFacts, review: ReviewVerdict) -> str:
    day = review.submitted_at.strftime("%Y-%m-%d") if review.submitted_at else "on an unknown day"
    when = f"[{day}]({review.url})" if review.url else day
    text = f"{person(facts.html_url, review.author.login)}, {when}"
    if review.commit is None:
        return text
    text += f", for {commit(facts.html_url, review.commit)}"
    if review.kept:
        text += (
            f"; still valid after later pushes, which did not alter the change "
            f"({_compare(facts, review.commit)})"
        )
    elif review.effect is ReviewEffect.STALE:
        text += f" ({_compare(facts, review.commit)})"
    return text


def _open(facts: ApprovalFacts, item: RoleVerdict) -> str:
    if item.outcome is RoleOutcome.APPROVED:
        return ""
    able = ", ".join(person(facts.html_url, login) for login in item.eligible[:NAMED])
    able += f" and {len(item.eligible) - NAMED} more" if len(item.eligible) > NAMED else ""
    if item.outcome is RoleOutcome.BLOCKED:
        who = " and ".join(review.author.login for review in _of(item, ReviewEffect.BLOCKS)[:NAMED])
        return f"Blocked until {escape(who)} approves or the review is dismissed."
    if item.outcome is RoleOutcome.ERROR:
        return f"{_sentence(facts, item.reason)} Until then the role is undecided, and no label is removed."
    rejected = [
        f"the review by {review.author.login} {review.reason}"
        for review in _of(item, ReviewEffect.REJECTED)[-SHOWN:]
    ]
    words = [_sentence(facts, item.reason), *(_sentence(facts, text) for text in rejected)]
    words.append(f"Can approve: {able}." if able else "Nobody can approve now.")
    return " ".join(words)


def _alerts(facts: ApprovalFacts, decision: Decision) -> list[str]:
    words = [item.warning for item in decision.roles if item.warning]
    words += [item.label_word for item in decision.roles if item.label_word]
    words += decision.notes
    if not words:
        return []
    return ["\n".join(["> [!WARNING]", *(f"> - {_sentence(facts, word)}" for word in words)])]


def _details(facts: ApprovalFacts, decision: Decision) -> str:
    lines = []
    for item in decision.roles:
        lines.append(f"- **{escape(item.role.title)}**: {escape(item.reason)}")
        lines.extend(_line(facts, review) for review in item.reviews)
        also = "also " if item.outcome is RoleOutcome.APPROVED else ""
        lines += [f"  - can {also}approve: {escape(', '.join(item.eligible))}"] if item.eligible else []
    if decision.others:
        lines.append("- **No role**")
        lines.extend(_line(facts, review) for review in decision.others)
    return details("Every review, and why it counts or does not", "\n".join(lines))


def _line(facts: ApprovalFacts, review: ReviewVerdict) -> str:
    return f"  - {_review(facts, review)}: {escape(review.reason)}"


def _help(facts: ApprovalFacts) -> str:
    ids = " or ".join(code(f"consdb: {role.id}") for role in facts.policy.roles)
    lines = [
        "Approve in a review. Labels are output only: setting one by hand does not approve.",
        f"If you hold several roles, name the role of the review in a separate line: {ids}.",
        "An approval stays valid after later pushes that do not alter the schema change.",
        "Changes requested by a holder of a role block it until they approve or the review is dismissed.",
    ]
    if facts.policy.distinct:
        lines.append("The roles must be filled by different people.")
    return details("How approving works", bullets(lines))


def _of(item: RoleVerdict, *effects: ReviewEffect) -> list[ReviewVerdict]:
    return [review for review in item.reviews if review.effect in effects]


def _compare(facts: ApprovalFacts, sha: str) -> str:
    return f"[compare]({facts.html_url}/compare/{sha}..{facts.pull.head})"


def _sentence(facts: ApprovalFacts, text: str) -> str:
    """Render a reason as a sentence; logins keep their case."""
    logins = {review.author.login for review in facts.reviews if review.author is not None}
    logins |= {account.login for account in facts.accounts}
    logins |= {member.login for team in facts.teams for member in team.members}
    if re.split(r"[\s:,]", text, maxsplit=1)[0] not in logins:
        text = text[:1].upper() + text[1:]
    return escape(text if text.endswith(".") else f"{text}.")
