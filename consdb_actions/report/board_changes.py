"""The changes of the board: what is next in a table, and each change with all of its steps."""

from __future__ import annotations

from datetime import UTC, date, datetime
from urllib.parse import quote

from consdb_actions.process.board import Board, Change, Unread
from consdb_actions.process.facts import Facts
from consdb_actions.process.finding import Evidence
from consdb_actions.process.states import Standing, StepState, routes_of
from consdb_actions.process.steps import Route
from consdb_actions.report.board_parts import STANDINGS, alert, alerts, badge, cards, standing_mark
from consdb_actions.report.board_text import todo, wrong
from consdb_actions.report.elements import (
    Html,
    Part,
    day,
    element,
    isolated,
    joined,
    link,
    prose,
    separated,
    spoken,
)

__all__ = ["changes", "overview"]

NAMED = 6
"""How many people are named for a step."""

_ROUTES = {Route.SUMMIT: "from the Summit", Route.USDF: "from USDF"}


def overview(board: Board) -> Html:
    """Return the table of what is next, a row for each change, and what could not be looked at."""
    parts: list[Part] = []
    if board.changes:
        parts.append(
            element(
                "div",
                cards(
                    ("Change", "Next step", "Waits for", "Since", "Steps done"),
                    [_row(change, board.today) for change in board.changes],
                    "What is next for each open change",
                    wide=True,
                ),
                class_="sheet",
            )
        )
    else:
        parts.append(element("p", "No schema change is open."))
    parts.append(alerts(_unread(item) for item in board.unread))
    hidden = [
        words
        for count, words in (
            (board.unaffected, f"{_pulls(board.unaffected)} without a change of a ConsDB schema"),
            (board.finished, f"{_pulls(board.finished)} with nothing left to do"),
        )
        if count
    ]
    if hidden:
        parts.append(element("p", f"Not shown: {' and '.join(hidden)}.", class_="muted small"))
    return joined(parts)


def changes(board: Board) -> Html:
    """Return each change with all of its steps."""
    return joined(_change(change, board.today) for change in board.changes)


def _pulls(count: int) -> str:
    return f"{count} pull request{'' if count == 1 else 's'}"


def _unread(item: Unread) -> Html:
    title: Part = [" ", isolated(item.title)] if item.title else None
    name = element("strong", link(isolated(item.name), item.url), title)
    return alert("bad", name, " could not be looked at: ", prose(item.words), ".")


def _row(change: Change, today: date) -> list[Part]:
    """Return the cells of a change in the overview."""
    pull = change.facts.pull
    marks = [standing_mark(standing) for standing in wrong(change)]
    marks += _flags(change)
    title: list[Part] = [
        element("a", f"#{pull.number}", " ", isolated(pull.title), href=f"#change-{pull.number}"),
    ]
    if marks:
        title.append(element("div", separated(marks, " ")))
    if not change.next:
        return [title, "could not be looked up", "", "", _count(change)]
    first, *others = change.next
    step: list[Part] = [todo(first)]
    if others:
        step.append(element("div", "also: ", "; ".join(todo(item) for item in others), class_="muted small"))
    return [title, step, ", ".join(change.owners), _waiting(change.since, today), _count(change)]


def _count(change: Change) -> Html:
    total = len(change.steps)
    bar = element("progress", value=change.done, max=total, aria_hidden="true")
    return element("span", f"{change.done} of {total}", bar, class_="count")


def _waiting(since: datetime | None, today: date) -> list[Part]:
    """Say since when, and how long that is."""
    if since is None:
        return ["an unknown day"]
    days = max((today - since.astimezone(UTC).date()).days, 0)
    words = "today" if days == 0 else f"{days} day{'' if days == 1 else 's'}"
    return [day(since), " ", element("span", f"({words})", class_="muted nowrap")]


def _change(change: Change, today: date) -> Html:
    """Return one change."""
    facts, pull = change.facts, change.facts.pull
    heading = element(
        "h3",
        link(f"#{pull.number}", pull.url),
        " ",
        isolated(pull.title),
        id=f"title-{pull.number}",
    )
    return element(
        "article",
        element("div", heading, _flags(change), class_="title"),
        element("p", _about(change), class_="muted small"),
        _next(change, today),
        _alerts(change),
        element("ol", [_chip(item) for item in change.steps], class_="chips", aria_label="Steps"),
        element(
            "details",
            element("summary", "All steps with their evidence"),
            cards(
                ("Step", "State", "Owner", "Evidence"),
                [
                    [item.step.title, standing_mark(item.standing), item.owner, _shown(facts, item)]
                    for item in change.steps
                ],
                f"Steps of #{pull.number}",
            ),
            _needless(change),
            class_="steps",
        ),
        class_="sheet change",
        id=f"change-{pull.number}",
        aria_labelledby=f"title-{pull.number}",
    )


def _flags(change: Change) -> list[Html]:
    pull = change.facts.pull
    return [badge(word) for word, holds in (("draft", pull.draft), ("merged", pull.merged_at)) if holds]


def _about(change: Change) -> list[Part]:
    """Say what a change is about: schemas, ticket, author, release."""
    facts, pull = change.facts, change.facts.pull
    schemas = ", ".join(dict.fromkeys(item.schema for item in facts.schemas))
    parts: list[Part] = [f"{schemas}, {' and '.join(_ROUTES[route] for route in routes_of(facts))}"]
    ticket = facts.policy.ticket_in(pull.branch, pull.title)
    if ticket:
        parts.append(link(ticket, facts.policy.ticket_url.replace("{ticket}", quote(ticket))))
    author = _person(facts, pull.author.login) if pull.author is not None else "somebody"
    parts.append(["opened by ", author, " on ", day(pull.created_at)])
    for item in facts.migrations:
        if item.live:
            name = f"{facts.policy.consdb.rpartition('/')[2]}#{item.number}"
            parts.append(["migration ", link(name, item.url)])
    if change.release:
        parts.append(["in release ", link(change.release, facts.releases[0].url)])
    return separated(parts, " · ")


def _next(change: Change, today: date) -> Html:
    """Say what is next, whose it is, and since when."""
    if not change.next:
        return element("p", element("strong", "What is next could not be looked up."))
    lines = []
    for number, item in enumerate(change.next):
        people = [_person(change.facts, login) for login in item.people[:NAMED]]
        more = f" and {len(item.people) - NAMED} more" if len(item.people) > NAMED else ""
        who: Part = [" (", separated(people, ", "), more, ")"] if people else None
        lines.append(
            element(
                "p",
                element("strong", f"{'Also' if number else 'Next'}: {todo(item)}."),
                f" {item.owner}",
                who,
                ", since ",
                _waiting(item.since, today),
                ".",
            )
        )
    return joined(lines)


def _alerts(change: Change) -> Html | None:
    """Say what is stale, was done out of order, or could not be read."""
    lines = [alert("bad", isolated(trouble.words), ".") for trouble in change.facts.troubles]
    for item in change.steps:
        title = element("strong", item.step.title)
        if item.standing is Standing.STALE:
            lines.append(alert("warn", title, " is stale: ", prose(item.words), "."))
        lines += [alert("warn", title, " was ", prose(disorder.words), ".") for disorder in item.order]
    return alerts(lines)


def _chip(item: StepState) -> Html:
    """Return a step as a sign with its id, and its standing spoken."""
    tone, sign = STANDINGS[item.standing]
    return element(
        "li",
        element("span", sign, aria_hidden="true"),
        f" {item.step.id}",
        spoken(f": {item.standing}"),
        class_=f"mark mark-{tone}",
        title=item.step.title,
    )


def _shown(facts: Facts, item: StepState) -> list[Part]:
    """Say what shows where a step stands."""
    parts: list[Part] = []
    if item.evidence:
        parts.append(separated([_evidence(evidence) for evidence in item.evidence], ", "))
    if item.at is not None:
        by: Part = [" by ", _person(facts, item.by)] if item.by else None
        about: Part = None
        if item.commit:
            commit = link(element("code", item.commit[:8]), f"{facts.html_url}/commit/{item.commit}")
            about = [" for ", commit]
        parts.append([day(item.at), by, about])
    if item.words:
        parts.append(prose(item.words))
    return separated(parts, "; ")


def _evidence(evidence: Evidence) -> Html:
    return link(isolated(evidence.text), evidence.url)


def _needless(change: Change) -> list[Part]:
    """Say which steps do not apply, and why."""
    reasons: dict[str, list[str]] = {}
    for item in change.progress.steps:
        if item.standing is Standing.NOT_APPLICABLE:
            reasons.setdefault(item.words, []).append(f"“{item.step.title}”")
    return [
        element("p", f"Not needed, since {reason}: {', '.join(titles)}.", class_="muted small")
        for reason, titles in reasons.items()
    ]


def _person(facts: Facts, login: str) -> Html:
    """Return a person, linked."""
    server = facts.html_url.rsplit("/", 2)[0]
    return link(isolated(login), f"{server}/{quote(login.removesuffix('[bot]'), safe='')}")
