"""Determine the roles that a review counts for (rule A3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from consdb_actions.approval.facts import Account, EventKind, Facts, Review, ReviewState, TimelineEvent
from consdb_actions.approval.people import roles_of
from consdb_actions.approval.policy import Role

__all__ = ["VERDICTS", "Naming", "named_in", "naming_of", "verdict_reviews", "visible_lines"]

VERDICTS = (ReviewState.APPROVED, ReviewState.CHANGES_REQUESTED, ReviewState.DISMISSED)
"""The states with a verdict; a comment has none."""

_MARKER = re.compile(r"[ \t]{0,3}consdb:[ \t]*(?P<words>[\w\- ,]+?)[ \t]*", re.IGNORECASE)
_FENCE = re.compile(r" {0,3}(?P<ticks>`{3,}(?=[^`]*$)|~{3,})")
_CLOSE = re.compile(r" {0,3}(?P<ticks>`{3,}|~{3,})[ \t]*")
_QUOTE = re.compile(r" {0,3}>")
# What HTML hides or shows as code; what stands behind it on its line is at no start of a line any more.
_HTML = re.compile(r"<!--.*?-->|<(pre|code)\b.*?</\1\s*>", re.IGNORECASE)
_HTML_OPEN = re.compile(
    r"<!--|<[?!]|<(?:pre|code|script|style|textarea|template)\b|</?[a-z][^<>]*$", re.IGNORECASE
)
_HTML_END = {
    "<!--": re.compile(r"-->"),
    **{
        f"<{tag}": re.compile(rf"</{tag}\s*>", re.IGNORECASE)
        for tag in ("pre", "code", "script", "style", "textarea", "template")
    },
}
_TAG_END = re.compile(r">")
# What is defined for links is not shown, and its title can have several lines.
_DEFINITION = re.compile(r" {0,3}\[[^\]]*\]:")


@dataclass(frozen=True, slots=True)
class Naming:
    """The roles that a review counts for, and why others it names do not count."""

    roles: tuple[Role, ...]
    problem: str = ""


def named_in(body: str) -> list[str]:
    """List the words after ``consdb:`` in lines of their own, outside quotations and code."""
    return [
        word.strip()
        for line in visible_lines(body)
        if (match := _MARKER.fullmatch(line))
        for word in match["words"].split(",")
        if word.strip()
    ]


def visible_lines(body: str) -> list[str]:
    """List the lines of Markdown that are neither code nor quoted nor hidden (rule A3).

    In doubt a line is hidden: what was not read can be written again.
    """
    lines: list[str] = []
    fence = ""
    hidden: re.Pattern[str] | None = None
    quoted = defined = False
    for line in body.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if fence:
            close = _CLOSE.fullmatch(line)
            if close and close["ticks"][0] == fence[0] and len(close["ticks"]) >= len(fence):
                fence = ""
        elif hidden is not None:
            hidden = None if hidden.search(line) else hidden
        elif opened := _FENCE.match(line):
            fence, quoted = opened["ticks"], False
        else:
            # A line right below a quotation belongs to it, as long as no blank line ends the paragraph.
            quoted = bool(_QUOTE.match(line)) or (quoted and bool(line.strip()))
            shown = _HTML.sub("\ufffd", line)
            if left_open := _HTML_OPEN.search(shown):
                shown = shown[: left_open.start()] + "\ufffd"
                hidden = _HTML_END.get(left_open[0].casefold(), _TAG_END)
            defined = bool(_DEFINITION.match(line)) or (defined and bool(line.strip()))
            if not quoted and not defined:
                lines.append(shown)
    return lines


def verdict_reviews(facts: Facts) -> list[tuple[Account, Review]]:
    """Return the reviews with a verdict, oldest first, except those without an author."""
    taken = [
        (review.author, review)
        for review in facts.reviews
        if review.author is not None and review.state in VERDICTS and review.submitted_at is not None
    ]
    return sorted(taken, key=lambda pair: (pair[1].submitted_at, pair[1].id))


def naming_of(facts: Facts, author: Account, review: Review) -> Naming:
    """Determine the roles that a review counts for.

    A line ``consdb: ROLE`` decides. Otherwise the author's only role counts, or of several roles those whose
    label they set by hand; changes requested without a role apply to all.
    """
    day = (review.submitted_at or facts.now).date()
    held = roles_of(facts, author, day)
    words = named_in(review.body)
    if words:
        naming = _named_roles(facts, held, words)
        if review.state is ReviewState.APPROVED or naming.roles:
            return naming
        # A request for changes counts for all roles where it names none that the author holds.
        return Naming(tuple(held), naming.problem)
    if len(held) <= 1 or review.state is not ReviewState.APPROVED:
        return Naming(tuple(held))
    labelled = _labeled_roles(facts, author, review, held)
    if labelled:
        return Naming(tuple(labelled))
    options = " or ".join(f'"consdb: {role.id}"' for role in held)
    return Naming(
        (),
        f"{author.login} holds {_titles(held)} and did not say for which it is; "
        f"a new approval with a line {options} does",
    )


def _named_roles(facts: Facts, held: list[Role], words: list[str]) -> Naming:
    roles: list[Role] = []
    problems: list[str] = []
    for word in words:
        role = facts.policy.role_named(word)
        if role is None:
            known = ", ".join(item.id for item in facts.policy.roles)
            problems.append(f'"consdb: {word}" names no role; there are {known}')
        elif role not in held:
            problems.append(f"it is for {role.title}, a role that its author does not hold")
        elif role not in roles:
            roles.append(role)
    return Naming(tuple(roles), "; ".join(problems))


def _labeled_roles(facts: Facts, author: Account, review: Review, held: list[Role]) -> list[Role]:
    """Return the roles labeled by hand with an approval."""
    named = []
    for role in held:
        events = [
            event
            for event in facts.timeline
            if event.subject.casefold() == role.label.casefold()
            and event.kind in (EventKind.LABELED, EventKind.UNLABELED)
        ]
        events.sort(key=lambda event: event.at)
        own = [event for event in events if author.same_as(event.actor)]
        if not own or own[-1].kind is EventKind.UNLABELED:
            continue
        if _belongs(facts, author, own[-1], review, events):
            named.append(role)
    return named


def _belongs(
    facts: Facts, author: Account, label: TimelineEvent, review: Review, events: list[TimelineEvent]
) -> bool:
    """Return whether a label set by hand belongs to this review.

    Set while an approval was valid, it belongs to that; else to the next review, unless somebody (other than
    this program) removed it before.
    """
    stands = [pair[1] for pair in verdict_reviews(facts) if author.same_as(pair[0])]
    before = [item for item in stands if item.submitted_at is not None and item.submitted_at <= label.at]
    if before and before[-1].state is ReviewState.APPROVED:
        return before[-1].id == review.id
    after = [item for item in stands if item not in before]
    if not after or after[0].id != review.id:
        return False
    at = review.submitted_at
    return not any(
        event.kind is EventKind.UNLABELED
        and label.at <= event.at
        and at is not None
        and event.at <= at
        and not facts.identity.same_as(event.actor)
        for event in events
    )


def _titles(roles: list[Role]) -> str:
    titles = [role.title for role in roles]
    return f"{', '.join(titles[:-1])} and {titles[-1]}" if len(titles) > 1 else titles[0]
