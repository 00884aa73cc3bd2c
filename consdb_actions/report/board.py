"""Render the board as HTML, text and Markdown."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from consdb_actions.deploy.drift import Severity
from consdb_actions.deploy.model import short_names
from consdb_actions.process.board import Board, BoardEntry, Environments
from consdb_actions.process.facts import ProcessFacts
from consdb_actions.process.plan import StepState, StepStatus, routes_of
from consdb_actions.process.policy import Route
from consdb_actions.report.markdown import bullets, escape, plural, printable, profile, prose, table
from consdb_actions.report.release import extent

STATUSES = {
    StepStatus.DONE: ("good", "✓"),
    StepStatus.NEXT: ("now", "▸"),
    StepStatus.WAITING: ("plain", "○"),
    StepStatus.STALE: ("warn", "↻"),
    StepStatus.OUT_OF_ORDER: ("warn", "!"),
    StepStatus.UNKNOWN: ("warn", "?"),
}

"""Tone and sign of each status; its name is beside it or is spoken."""

SEVERITIES = {
    Severity.ERROR: ("bad", "✕", "error"),
    Severity.WARNING: ("warn", "!", "warning"),
    Severity.INFO: ("quiet", "i", "note"),
}

"""Tone, sign and word of each severity."""

STYLE = (resources.files("consdb_actions") / "templates" / "board.css").read_text(encoding="utf-8")

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

"""What the page may load: its own style, and nothing else."""

_LEGEND = (
    (StepStatus.DONE, "there is evidence of it, or somebody on the roster has attested to it"),
    (StepStatus.NEXT, "all previous steps are done"),
    (StepStatus.WAITING, "a previous step is not done"),
    (StepStatus.STALE, "it was done for another version of the change"),
    (StepStatus.OUT_OF_ORDER, "it was done before a step that must come first"),
    (StepStatus.UNKNOWN, "it could not be read, and does not count as done"),
)

_ROUTES = {Route.SUMMIT: "from the Summit", Route.USDF: "from USDF"}

_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[^\s<>\"'\\]*)?")
_BACKQUOTED = re.compile(r"(`+)(.+?)(?<!`)\1(?!`)")


def render_html(board: Board) -> str:
    """Render the page; the same board gives the same bytes."""
    needing = sum(change.needs_attention for change in board.changes)
    words = [f"{needing} need{'s' if needing == 1 else ''} attention"] if needing else []
    words += [f"{len(board.unread)} could not be looked at"] if board.unread else []
    text = (
        page_environment()
        .get_template("board.html.jinja")
        .render(
            board=board,
            attention=", ".join(words) or "none needs attention",
            policy=POLICY,
            style=Markup(STYLE),  # noqa: S704 - our own
            statuses=STATUSES,
            severities=SEVERITIES,
            legend=_LEGEND,
            named=6,  # people of a step
            open=6,  # operations of a migration that are not folded
        )
    )
    return re.sub(r"\n\s*", "", text) + "\n"


@cache
def page_environment() -> jinja2.Environment:
    """Return the environment of the page: every text is printable and escaped (rule S5)."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("consdb_actions"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else printable(str(value)),
    )
    environment.tests["address"] = lambda text: _ADDRESS.fullmatch(text) is not None
    environment.filters.update(
        age=_age,
        counted=counted,
        day=_day,
        extent=lambda notes: f"{extent(notes)[:1].upper()}{extent(notes)[1:]}",
        places=_places,
        plural=plural,
        profile=lambda facts, login: profile(facts.html_url, login),
        prose=_prose,
        schemas=_schemas,
        ticket=_ticket,
        todo=todo,
        utc=lambda moment: moment.astimezone(UTC),
        wrong=wrong,
    )
    return environment


def _prose(text: str) -> Markup:
    """Convert a sentence of ours, with code in backquotes."""
    return Markup(_BACKQUOTED.sub(r"<code>\2</code>", str(Markup.escape(printable(text)))))  # noqa: S704


def _day(moment: datetime | date) -> str:
    return (moment.astimezone(UTC).date() if isinstance(moment, datetime) else moment).isoformat()


def _age(since: datetime, today: date) -> str:
    days = max((today - since.astimezone(UTC).date()).days, 0)
    return "today" if days == 0 else plural(days, "day")


def _schemas(facts: ProcessFacts) -> str:
    names = ", ".join(dict.fromkeys(item.schema for item in facts.schemas))
    return f"{names}, {' and '.join(_ROUTES[route] for route in routes_of(facts))}"


def _ticket(facts: ProcessFacts) -> tuple[str, str] | None:
    ticket = facts.policy.ticket_in(facts.pull.branch, facts.pull.title)
    return (ticket, facts.policy.ticket_url.replace("{ticket}", quote(ticket))) if ticket else None


def _places(board: Board, tag: str) -> str:
    """Say where a release runs: environments, with the components where they are not all."""
    drift = board.environments.drift
    found = []
    there = [item for item in drift.tags if item.app == "consdb" and item.enabled] if drift else []
    for name in dict.fromkeys(item.environment for item in there):
        every = [item.component for item in there if item.environment == name]
        some = [item.component for item in there if item.environment == name and item.tag.text == tag]
        if some:
            found.append(
                name if len(some) == len(every) else f"{name} ({', '.join(short_names(some, every))})"
            )
    return ", ".join(found)


WIDTH = 90  # Characters of a title on a terminal

_TROUBLES = (StepStatus.UNKNOWN, StepStatus.STALE, StepStatus.OUT_OF_ORDER)


def todo(item: StepState) -> str:
    """Render the next action."""
    return f"{item.step.todo}, again" if item.status is StepStatus.STALE else item.step.todo


def wrong(change: BoardEntry) -> list[StepStatus]:
    """List the problems of a change, each kind once."""
    return [kind for kind in _TROUBLES if any(item.status is kind for item in change.steps)]


def counted(seen: Environments) -> str:
    """Count errors and warnings of the environments."""
    if seen.drift is None:
        return "not known"
    counts = [
        (sum(item.severity is severity for item in seen.drift.findings), severity.word)
        for severity in (Severity.ERROR, Severity.WARNING)
    ]
    words = [plural(*count) for count in counts if count[0]]
    return " and ".join(words) or "nothing has drifted"


def render_text(board: Board) -> str:
    """Write the board for a terminal, a line for each change."""
    lines = [_heading(board), _extent(board)]
    for change in board.changes:
        pull = change.facts.pull
        title = pull.title if len(pull.title) <= WIDTH else f"{pull.title[: WIDTH - 1]}…"
        lines.append(f"  #{pull.number}  {title}")
        marks = f"; {', '.join(wrong(change))}" if wrong(change) else ""
        lines.append(f"        {_step(change)}; {change.done} of {len(change.steps)} steps done{marks}")
    lines += [f"  {item.name}  could not be looked at: {item.text}" for item in board.unread]
    lines += [f"what runs where: {counted(board.environments)}", f"newest release: {_newest(board)}"]
    return "\n".join(map(printable, lines))


def render_markdown(board: Board) -> str:
    """Write the board as Markdown, a row for each change."""
    blocks = [f"### ConsDB schema changes\n\n{escape(_heading(board))}. {escape(_extent(board))}."]
    rows = [
        (
            f"[#{change.facts.pull.number}]({change.facts.pull.url}) {escape(change.facts.pull.title)}",
            escape("; ".join(map(todo, change.next)) or "unknown"),
            escape(", ".join(change.owners)),
            _since_day(change) if change.next else "",
            f"{change.done} of {len(change.steps)}",
            escape(", ".join(wrong(change))),
        )
        for change in board.changes
    ]
    if rows:
        blocks.append(table(("Change", "Next step", "Waits for", "Since", "Steps done", ""), rows))
    if board.unread:
        blocks.append(
            bullets(
                f"{escape(item.name)} could not be looked at: {prose(item.text)}" for item in board.unread
            )
        )
    blocks.append(
        f"What runs where: {counted(board.environments)}. Newest release: {escape(_newest(board))}."
    )
    return "\n\n".join(blocks) + "\n"


def _heading(board: Board) -> str:
    return f"{board.repository}, {board.now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _extent(board: Board) -> str:
    count = len(board.changes)
    attention = sum(change.needs_attention for change in board.changes)
    words = [f"{count or 'no'} open change{'' if count == 1 else 's'}"]
    words += [f"{attention} need{'s' if attention == 1 else ''} attention"] if attention else []
    words += [f"{len(board.unread)} could not be looked at"] if board.unread else []
    return ", ".join(words)


def _step(change: BoardEntry) -> str:
    if not change.next:
        return "the next step is unknown"
    return f"{'; '.join(map(todo, change.next))}: {', '.join(change.owners)}, since {_since_day(change)}"


def _since_day(change: BoardEntry) -> str:
    return f"{change.since.astimezone(UTC):%Y-%m-%d}"


def _newest(board: Board) -> str:
    shelf = board.releases
    if not shelf.items:
        return "not known" if shelf.trouble else "none"
    item = shelf.items[0]
    return item.tag if item.at is None else f"{item.tag}, {item.at.astimezone(UTC):%Y-%m-%d}"
