"""Render the board as HTML."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import cache
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from consdb_actions.deploy.drift import Severity
from consdb_actions.deploy.model import short_names
from consdb_actions.process.board import Board, BoardEntry
from consdb_actions.process.facts import ProcessFacts
from consdb_actions.process.states import StepStatus, routes_of
from consdb_actions.process.steps import Route
from consdb_actions.report.board_text import counted, todo, wrong
from consdb_actions.report.markdown import printable
from consdb_actions.report.release import extent

LIGHT = {
    "page": "#f6f6f3",
    "sheet": "#ffffff",
    "text": "#1d2125",
    "muted": "#565d64",
    "line": "#dcdeda",
    "link": "#0a54ad",
    "good": "#1c673f",
    "now": "#0b4a9c",
    "now-wash": "#e3edfb",
    "warn": "#7a4300",
    "warn-wash": "#fcf0da",
    "bad": "#9c1520",
    "bad-wash": "#fce7e7",
    "quiet-wash": "#eeefec",
}

DARK = {
    "page": "#15181b",
    "sheet": "#1d2125",
    "text": "#e4e6e8",
    "muted": "#a6adb4",
    "line": "#3a4047",
    "link": "#8fbcf7",
    "good": "#8ccfa6",
    "now": "#a5caff",
    "now-wash": "#1b3352",
    "warn": "#f0c17c",
    "warn-wash": "#3c2d14",
    "bad": "#f5a9a9",
    "bad-wash": "#471f22",
    "quiet-wash": "#2a2f34",
}

READ = {
    "page": ("text", "muted", "link"),
    "sheet": ("text", "muted", "link", "good", "now", "warn", "bad"),
    "now-wash": ("text", "muted", "link", "now"),
    "warn-wash": ("text", "muted", "link", "warn"),
    "bad-wash": ("text", "muted", "link", "bad"),
    "quiet-wash": ("text", "muted", "link"),
}

"""Which colours text has on which ground."""

_RULES = """
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; scroll-padding-top: 1rem; }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, -apple-system,
  "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: break-word; }
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
footer { padding-top: 1.5rem; padding-bottom: 2.5rem; color: var(--muted); font-size: .875rem; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; font-weight: 650; letter-spacing: -.01em; }
h2 { margin: 2.75rem 0 .75rem; font-size: 1.25rem; line-height: 1.3; font-weight: 650; }
h3 { margin: 0; font-size: 1.0625rem; line-height: 1.35; font-weight: 600; }
.apart { margin: 1.5rem 0 .5rem; }
.minor { font-size: 1rem; margin-top: 1rem; }
h4 { margin: .9rem 0 .2rem; font-size: .9375rem; line-height: 1.4; font-weight: 600; }
p { margin: .35rem 0; }
ul, ol, dl, dd { margin: 0; padding: 0; }
ul { padding-left: 1.2rem; }
a { color: var(--link); text-underline-offset: .15em; text-decoration-thickness: 1px; }
a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 2px; }
code { font: .9em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
time, .count, .nowrap { font-variant-numeric: tabular-nums; white-space: nowrap; }
progress { display: block; width: 6rem; height: .5rem; margin-top: .2rem; accent-color: var(--good); }
.muted { color: var(--muted); }
.small { font-size: .875rem; }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--sheet); padding: .4rem .8rem; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem;
  margin-top: .5rem; }

.glance { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem 2rem;
  margin-top: 1.25rem; padding-top: 1rem; border-top: 1px solid var(--line); }
.glance dt { color: var(--muted); font-size: .875rem; }
.glance dd { font-weight: 600; }
.glance dd + dd { font-weight: 400; font-size: .875rem; }

.sheet { background: var(--sheet); border: 1px solid var(--line); border-radius: .5rem; }
.sheet + .sheet { margin-top: .75rem; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
caption { text-align: left; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem; border-top: 1px solid var(--line); }
th { font-weight: 600; }
thead th { color: var(--muted); font-size: .8125rem; border-top: 0; vertical-align: bottom; }
tbody th { font-weight: 500; }
.cards th a { text-decoration: none; }
.cards th a:hover, .cards th a:focus-visible { text-decoration: underline; }
.wide th:first-child { width: 37%; }
.cards th:first-child, .cards td:last-child { overflow-wrap: anywhere; }
.label { display: none; }
.scroll { overflow-x: auto; position: relative; }

.mark { display: inline-block; white-space: nowrap; font-size: .8125rem; line-height: 1.4; font-weight: 600;
  padding: 0 .45rem; border-radius: .25rem; border: 1px solid transparent; }
.mark-good { color: var(--good); padding-left: 0; }
.mark-now { color: var(--now); background: var(--now-wash); }
.mark-warn { color: var(--warn); background: var(--warn-wash); }
.mark-bad { color: var(--bad); background: var(--bad-wash); }
.mark-quiet { color: var(--muted); background: var(--quiet-wash); }
.mark-plain { color: var(--muted); padding-left: 0; font-weight: 400; }

.change, .release { padding: 1rem 1.25rem; }
.title { display: flex; gap: .5rem; align-items: baseline; flex-wrap: wrap; }
.title > * { min-width: 0; }
.alerts { list-style: none; padding: 0; margin: .6rem 0; }
.alerts li { border-left: 3px solid currentcolor; padding: .25rem .75rem; margin: .3rem 0;
  font-size: .9375rem; }
.alerts span { color: var(--text); }
.alerts .warn { color: var(--warn); background: var(--warn-wash); }
.alerts .bad { color: var(--bad); background: var(--bad-wash); }
.chips { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem .35rem; margin: .6rem -.3rem .5rem; }
.chips .mark-good, .chips .mark-plain { padding: 0 .3rem; font-weight: 400; }
details { margin-top: .4rem; }
summary { cursor: pointer; color: var(--link); width: fit-content; max-width: 100%; font-size: .875rem; }
details > table, details > .scroll { margin-top: .5rem; }
details td, details th { padding: .4rem .75rem .4rem 0; }

.matrix th, .matrix td { white-space: nowrap; }
.matrix tbody th { position: sticky; left: 0; background: var(--sheet); }
.matrix .group { border-left: 1px solid var(--line); }
.since { display: block; color: var(--muted); font-size: .8125rem; }
.since a { color: inherit; text-decoration-style: dotted; }
.matrix thead tr + tr th { border-top: 1px solid var(--line); }
.migrations { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1rem; }
.migrations dt { font-weight: 600; font-size: .9375rem; }
.migrations dd + dd { grid-column: 2; }
.plain { list-style: none; padding: 0; }
footer li { margin: .25rem 0; }

@media screen and (max-width: 48rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  h1 { font-size: 1.5rem; }
  .change, .release { padding: .85rem 1rem; }
  .cards, .cards tbody, .cards tr, .cards th, .cards td { display: block; }
  .cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .cards tr { padding: .75rem 1rem; border-top: 1px solid var(--line); }
  .cards tr:first-child { border-top: 0; }
  .cards th, .cards td { border: 0; padding: .1rem 0; }
  .cards td:empty { display: none; }
  .cards td { display: grid; grid-template-columns: 5.25rem minmax(0, 1fr); gap: .5rem; }
  .cards .label { display: block; color: var(--muted); font-size: .8125rem; line-height: 1.85; }
  .wide th:first-child { width: auto; }
  details .cards tr { padding: .6rem 0; }
  .matrix th, .matrix td { padding: .4rem .5rem; }
  .matrix tbody th { white-space: normal; }
  .migrations { display: block; }
  .migrations dt { margin-top: .5rem; }
}
@media print {
  html { font-size: 10pt; }
  body, .sheet { background: none; }
  header, main, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding-top: 0; }
  nav, .skip { display: none; }
  .sheet { border: 0; border-top: 1px solid var(--line); border-radius: 0; margin: 0; }
  .change, .release { padding: .6rem 0; }
  h2, h3, h4, .title, thead { break-after: avoid; }
  tr, .alerts li, .chips, .change, .matrix { break-inside: avoid; }
  .mark, .alerts li { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  a { color: inherit; }
  details::details-content { content-visibility: visible; height: auto; }
  summary { color: inherit; font-weight: 600; list-style: none; break-after: avoid; }
  .steps:not([open]) { display: none; }
  .scroll { overflow: visible; }
  .matrix { font-size: .8rem; }
  .matrix th, .matrix td { white-space: normal; overflow-wrap: anywhere; padding: .2rem .3rem; }
  .matrix tbody th { position: static; }
  th, td { padding: .25rem .5rem; }
}
""".strip()


def style_sheet() -> str:
    """Return the style sheet, for light and dark screens and for print."""
    light, dark = (
        " ".join(f"--{name}: {value};" for name, value in palette.items()) for palette in (LIGHT, DARK)
    )
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {dark} }} }}\n"
        f"{_RULES}\n"
    )


STANDINGS = {
    StepStatus.DONE: ("good", "✓"),
    StepStatus.NEXT: ("now", "▸"),
    StepStatus.WAITING: ("plain", "○"),
    StepStatus.STALE: ("warn", "↻"),
    StepStatus.OUT_OF_ORDER: ("warn", "!"),
    StepStatus.UNKNOWN: ("warn", "?"),
}

"""Tone and sign of each standing; the word stands beside it or is spoken."""

SEVERITIES = {
    Severity.ERROR: ("bad", "✕", "error"),
    Severity.WARNING: ("warn", "!", "warning"),
    Severity.INFO: ("quiet", "i", "note"),
}

"""Tone, sign and word of each severity."""

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
            style=Markup(style_sheet()),  # noqa: S704 - our own
            standings=STANDINGS,
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
        needless=_needless,
        places=_places,
        plural=lambda number, noun: f"{number} {noun}{'' if number == 1 else 's'}",
        profile=_profile,
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
    return Markup(_BACKQUOTED.sub(r"<code>\2</code>", str(escape(printable(text)))))  # noqa: S704


def _day(moment: datetime | date) -> str:
    """Format a day, of a time in UTC."""
    return (moment.astimezone(UTC).date() if isinstance(moment, datetime) else moment).isoformat()


def _age(since: datetime, today: date) -> str:
    days = max((today - since.astimezone(UTC).date()).days, 0)
    return "today" if days == 0 else f"{days} day{'' if days == 1 else 's'}"


def _schemas(facts: ProcessFacts) -> str:
    names = ", ".join(dict.fromkeys(item.schema for item in facts.schemas))
    return f"{names}, {' and '.join(_ROUTES[route] for route in routes_of(facts))}"


def _ticket(facts: ProcessFacts) -> tuple[str, str] | None:
    """Return the ticket with its URL."""
    ticket = facts.policy.ticket_in(facts.pull.branch, facts.pull.title)
    return (ticket, facts.policy.ticket_url.replace("{ticket}", quote(ticket))) if ticket else None


def _profile(facts: ProcessFacts, login: str) -> str:
    return f"{facts.html_url.rsplit('/', 2)[0]}/{quote(login.removesuffix('[bot]'), safe='')}"


def _needless(change: BoardEntry) -> list[tuple[str, str]]:
    """Return the steps that do not apply, by reason."""
    reasons: dict[str, list[str]] = {}
    for item in change.progress.steps:
        if item.standing is StepStatus.NOT_APPLICABLE:
            reasons.setdefault(item.text, []).append(f"“{item.step.title}”")
    return [(reason, ", ".join(titles)) for reason, titles in reasons.items()]


def _places(board: Board, tag: str) -> str:
    """Say where a release runs: environments, with the components where they are not all."""
    drift = board.environments.drift
    found = []
    there = [item for item in drift.standings if item.app == "consdb" and item.enabled] if drift else []
    for name in dict.fromkeys(item.environment for item in there):
        every = [item.component for item in there if item.environment == name]
        some = [item.component for item in there if item.environment == name and item.tag.text == tag]
        if some:
            found.append(
                name if len(some) == len(every) else f"{name} ({', '.join(short_names(some, every))})"
            )
    return ", ".join(found)
