"""Render the board as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from urllib.parse import quote

from consdb_actions.deploy.drift import ComponentTag, DriftFinding, Severity
from consdb_actions.deploy.model import short_names
from consdb_actions.process.board import Board, BoardEntry, Environments, Released, Unread
from consdb_actions.process.facts import Evidence, ProcessFacts
from consdb_actions.process.states import StepState, StepStatus, routes_of
from consdb_actions.process.steps import Route
from consdb_actions.release.notes import MergedPull, ReleasedMigration, ReleaseNotes
from consdb_actions.report.board_text import counted, todo, wrong
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
    text,
)
from consdb_actions.report.release import extent

__all__ = [
    "DARK",
    "LIGHT",
    "READ",
    "SEVERITIES",
    "STANDINGS",
    "alert",
    "alerts",
    "badge",
    "cards",
    "changes",
    "environments",
    "overview",
    "releases",
    "render_html",
    "severity_mark",
    "standing_mark",
    "style_sheet",
]

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


def cards(
    headings: Sequence[str], rows: Iterable[Sequence[Part]], caption: str, *, wide: bool = False
) -> Html:
    """Return a table whose rows are stacked on a narrow screen, with a heading in each cell."""
    # Roles are said explicitly, since browsers drop those of tables that are laid out as blocks.
    head = element(
        "tr",
        [element("th", name, scope="col", role="columnheader") for name in headings],
        role="row",
    )
    body = []
    for first, *others in rows:
        cells = [element("th", first, scope="row", role="rowheader")]
        for name, cell in zip(headings[1:], others, strict=True):
            empty = cell is None or cell == "" or cell == []
            label = element("span", name, class_="label", aria_hidden="true")
            value = None if empty else [label, element("div", cell)]
            cells.append(element("td", value, role="cell"))
        body.append(element("tr", cells, role="row"))
    return element(
        "table",
        element("caption", spoken(caption)),
        element("thead", head, role="rowgroup"),
        element("tbody", body, role="rowgroup"),
        role="table",
        class_="cards wide" if wide else "cards",
    )


def standing_mark(standing: StepStatus) -> Html:
    """Return a standing as a sign with its word."""
    tone, sign = STANDINGS[standing]
    return element(
        "span", element("span", sign, aria_hidden="true"), f" {standing}", class_=f"mark mark-{tone}"
    )


def severity_mark(severity: Severity, *, brief: bool = False) -> Html:
    """Return a severity as a sign with its word, which is for screen readers only if brief."""
    tone, sign, word = SEVERITIES[severity]
    shown: Part = spoken(word) if brief else f" {word}"
    return element("span", element("span", sign, aria_hidden="true"), shown, class_=f"mark mark-{tone}")


def badge(word: str) -> Html:
    """Return a label."""
    return element("span", word, class_="mark mark-quiet")


def alert(tone: str, *words: Part) -> Html:
    """Return an alert: ``warn`` or ``bad``."""
    return element("li", element("span", words), class_=tone)


def alerts(items: Iterable[Html]) -> Html | None:
    """Return a list of alerts; nothing without any."""
    listed = list(items)
    return element("ul", listed, class_="alerts") if listed else None


NAMED = 6  # How many people are named for a step

_ROUTES = {Route.SUMMIT: "from the Summit", Route.USDF: "from USDF"}


def overview(board: Board) -> Html:
    """Return the table of next steps, a row per change, and unreadable pull requests."""
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
            (board.finished, f"{_pulls(board.finished)} without remaining steps"),
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


def _row(change: BoardEntry, today: date) -> list[Part]:
    pull = change.facts.pull
    marks = [standing_mark(standing) for standing in wrong(change)]
    marks += _flags(change)
    title: list[Part] = [
        element("a", f"#{pull.number}", " ", isolated(pull.title), href=f"#change-{pull.number}"),
    ]
    if marks:
        title.append(element("div", separated(marks, " ")))
    if not change.next:
        return [title, "unknown", "", "", _count(change)]
    first, *others = change.next
    step: list[Part] = [todo(first)]
    if others:
        step.append(element("div", "also: ", "; ".join(todo(item) for item in others), class_="muted small"))
    return [title, step, ", ".join(change.owners), _waiting(change.since, today), _count(change)]


def _count(change: BoardEntry) -> Html:
    total = len(change.steps)
    bar = element("progress", value=change.done, max=total, aria_hidden="true")
    return element("span", f"{change.done} of {total}", bar, class_="count")


def _waiting(since: datetime | None, today: date) -> list[Part]:
    if since is None:
        return ["an unknown day"]
    days = max((today - since.astimezone(UTC).date()).days, 0)
    words = "today" if days == 0 else f"{days} day{'' if days == 1 else 's'}"
    return [day(since), " ", element("span", f"({words})", class_="muted nowrap")]


def _change(change: BoardEntry, today: date) -> Html:
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


def _flags(change: BoardEntry) -> list[Html]:
    pull = change.facts.pull
    return [badge(word) for word, holds in (("draft", pull.draft), ("merged", pull.merged_at)) if holds]


def _about(change: BoardEntry) -> list[Part]:
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


def _next(change: BoardEntry, today: date) -> Html:
    if not change.next:
        return element("p", element("strong", "The next step is unknown."))
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


def _alerts(change: BoardEntry) -> Html | None:
    lines = [alert("bad", isolated(trouble.words), ".") for trouble in change.facts.troubles]
    for item in change.steps:
        title = element("strong", item.step.title)
        if item.standing is StepStatus.STALE:
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


def _shown(facts: ProcessFacts, item: StepState) -> list[Part]:
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


def _needless(change: BoardEntry) -> list[Part]:
    reasons: dict[str, list[str]] = {}
    for item in change.progress.steps:
        if item.standing is StepStatus.NOT_APPLICABLE:
            reasons.setdefault(item.words, []).append(f"“{item.step.title}”")
    return [
        element("p", f"Not needed, since {reason}: {', '.join(titles)}.", class_="muted small")
        for reason, titles in reasons.items()
    ]


def _person(facts: ProcessFacts, login: str) -> Html:
    server = facts.html_url.rsplit("/", 2)[0]
    return link(isolated(login), f"{server}/{quote(login.removesuffix('[bot]'), safe='')}")


def environments(seen: Environments, today: date) -> Html:
    """Return the matrix and the findings."""
    if seen.drift is None:
        words = prose(seen.trouble or "nothing was read")
        return joined([alerts([alert("bad", "What runs where is not known: ", words, ".")])])
    findings = seen.drift.findings
    grave = [item for item in findings if item.severity > Severity.INFO]
    notes = [item for item in findings if item.severity is Severity.INFO]
    parts: list[Part] = [
        element("p", f"From {seen.source}.", class_="muted small") if seen.source else None,
        element(
            "div",
            _matrix(seen, today),
            class_="sheet scroll",
            role="region",
            tabindex="0",
            aria_label="What runs where; scrolls sideways",
        ),
    ]
    if grave:
        parts += [
            element("h3", "What has drifted", class_="apart"),
            element("div", _table(grave), class_="sheet"),
        ]
    if notes:
        parts.append(
            element(
                "details",
                element("summary", f"For information ({len(notes)})"),
                element("div", _table(notes), class_="sheet"),
            )
        )
    if not findings:
        parts.append(element("p", "Nothing has drifted."))
    return joined(parts)


def _matrix(seen: Environments, today: date) -> Html:
    assert seen.drift is not None
    components: dict[str, dict[str, None]] = {}
    cells: dict[str, dict[tuple[str, str], ComponentTag]] = {}
    for item in seen.drift.standings:
        components.setdefault(item.app, {})[item.component] = None
        cells.setdefault(item.environment, {})[item.app, item.component] = item
    worst = seen.worst()
    groups: list[Part] = [element("th", "Environment", rowspan=2, scope="col")]
    heads: list[Part] = []
    columns = []
    for app, names in components.items():
        words = ", ".join(filter(None, (app, seen.drift.newest_words(app))))
        groups.append(element("th", words, colspan=len(names), scope="colgroup", class_="group"))
        for number, name in enumerate(names):
            heads.append(
                element("th", name.replace(".", " "), scope="col", class_=None if number else "group")
            )
            columns.append((app, name, None if number else "group"))
    rows = []
    for environment, there in cells.items():
        row: list[Part] = [element("th", environment, scope="row")]
        for app, name, group in columns:
            found = there.get((app, name))
            if found is None:
                row.append(element("td", spoken("not there"), class_=group))
            else:
                severity = worst.get((app, environment, name))
                row.append(element("td", _cell(found, severity, seen.web, today), class_=group))
        rows.append(element("tr", row))
    return element(
        "table",
        element("caption", spoken("What runs where")),
        element("thead", element("tr", groups), element("tr", heads)),
        element("tbody", rows),
        class_="matrix",
    )


def _cell(item: ComponentTag, severity: Severity | None, web: str, today: date) -> list[Part]:
    parts: list[Part] = [element("code", item.tag.text) if item.tag.text else "no tag"]
    if severity is not None and severity > Severity.INFO:
        parts += [" ", severity_mark(severity, brief=True)]
    if not item.enabled:
        parts += [" ", badge("off")]
    days = item.days(today)
    if item.since is not None and days is not None:
        moment: Part = day(item.since.day)
        if web and item.since.commit:
            moment = link(day(item.since.day), f"{web}/commit/{item.since.commit}")
        parts.append(element("span", moment, f" ({days} d)", class_="since"))
    return parts


def _table(findings: list[DriftFinding]) -> Html:
    rows: list[list[Part]] = [
        [
            severity_mark(item.severity),
            item.environment,
            f"{item.app}: {', '.join(item.components)}",
            prose(item.text),
        ]
        for item in findings
    ]
    return cards(("Severity", "Environment", "Component", "What"), rows, "What has drifted")


OPEN = 6  # Operations of a migration that are not folded


def releases(board: Board) -> Html:
    """Return the releases, the newest first."""
    shelf = board.releases
    parts: list[Part] = []
    if shelf.trouble:
        trouble = prose(shelf.trouble)
        parts.append(alerts([alert("bad", "What is in the releases is not known: ", trouble, ".")]))
    elif not shelf.items:
        parts.append(element("p", "There is no release yet."))
    parts += [_release(board, item) for item in shelf.items]
    if shelf.older:
        words = f"{shelf.older} older release{'' if shelf.older == 1 else 's'}"
        parts.append(element("p", link(words, f"{shelf.web}/tags"), class_="small"))
    return joined(parts)


def _release(board: Board, item: Released) -> Html:
    flags = [] if item.annotated else [badge("lightweight tag")]
    date: Part = ["commit of ", day(item.at)] if item.of_commit else day(item.at)
    if item.at is None:
        date = "of an unknown day"
    facts: list[Part] = []
    if item.notes is not None:
        words = extent(item.notes)
        facts.append(f"{words[:1].upper()}{words[1:]}. ")
    places = _places(board, item.tag)
    if places:
        facts.append(f"Runs at {places}. ")
    elif board.environments.drift is not None and item is board.releases.items[0]:
        facts.append("Not deployed yet. ")
    brought = board.brought_by(item.tag)
    if brought:
        links = [
            element("a", f"#{c.facts.pull.number}", href=f"#change-{c.facts.pull.number}") for c in brought
        ]
        facts.append(["Brings the migration of ", separated(links, ", "), "."])
    body: list[Part] = []
    if item.trouble:
        body.append(alerts([alert("bad", "Its content is unknown: ", prose(item.trouble), ".")]))
    if item.notes is not None:
        body += [_migrations(item.notes), _pull_requests_by_topic(item.notes, board.releases.web)]
    return element(
        "article",
        element(
            "div",
            element("h3", link(item.tag, item.url)),
            element("span", date, class_="muted"),
            flags,
            class_="title",
        ),
        element("p", facts, class_="muted small"),
        body,
        class_="sheet release",
        id=f"release-{item.tag}",
    )


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


def _migrations(notes: ReleaseNotes) -> list[Part]:
    if notes.contents.previous is None:
        return []
    if not notes.sections and not notes.contents.changed:
        return [element("p", "The databases do not change.", class_="small")]
    entries: list[Part] = []
    for section, migrations in notes.sections:
        entries.append(element("dt", section))
        entries += [element("dd", _migration(item)) for item in migrations]
    parts: list[Part] = [element("h4", "Migrations")]
    if entries:
        parts.append(element("dl", entries, class_="migrations"))
    parts.append(
        alerts(
            alert("warn", element("code", path), f", of an earlier release, was {how}.")
            for path, how in notes.contents.changed
        )
    )
    return parts


def _migration(item: ReleasedMigration) -> list[Part]:
    parts: list[Part] = [isolated(item.title or item.path)]
    if item.revision:
        parts += [" ", element("code", item.revision, class_="muted")]
    if item.operations:
        listed = element("ul", [element("li", prose(words)) for words in item.operations], class_="small")
        count = len(item.operations)
        if count > OPEN:
            parts.append(element("details", element("summary", f"{count} operations"), listed))
        else:
            parts.append(listed)
    return parts


def _pull_requests_by_topic(notes: ReleaseNotes, web: str) -> list[Part]:
    lines = [
        element("li", element("strong", topic.name), " ", [_pull(pull, web) for pull in topic.pulls])
        for topic in notes.topics
    ]
    lines += [element("li", _pull(pull, web)) for pull in notes.others]
    if not lines:
        return []
    return [element("h4", "Pull requests"), element("ul", lines, class_="plain")]


def _pull(pull: MergedPull, web: str) -> list[Part]:
    number = link(f"#{pull.number}", f"{web}/pull/{pull.number}")
    return [isolated(pull.title), " (", number, f", {pull.author}" if pull.author else "", ") "]


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


def render_html(board: Board) -> str:
    """Render the page; the same board gives the same bytes."""
    moment = board.now.astimezone(UTC)
    sections = (
        ("next", "What is next", overview(board)),
        ("changes", "Open changes", changes(board)),
        ("environments", "What runs where", environments(board.environments, board.today)),
        ("releases", "Releases of consdb", releases(board)),
    )
    shown = [item for item in sections if item[0] != "changes" or board.changes]
    navigation = element(
        "nav",
        element("ul", [element("li", element("a", title, href=f"#{name}")) for name, title, _ in shown]),
        aria_label="On this page",
    )
    header = element(
        "header",
        element("a", "Skip to the changes", href="#next", class_="skip"),
        element("h1", "ConsDB schema changes"),
        element(
            "p",
            board.repository,
            ", as of ",
            element("time", f"{moment:%Y-%m-%d %H:%M} UTC", datetime=f"{moment:%Y-%m-%dT%H:%M:%SZ}"),
            class_="muted",
        ),
        navigation,
        _glance(board),
    )
    main = element(
        "main",
        [
            element("section", element("h2", title, id=name), body, aria_labelledby=name)
            for name, title, body in shown
        ],
    )
    legend = [element("li", standing_mark(standing), " ", words) for standing, words in _LEGEND]
    footer = element(
        "footer",
        element("h2", "How to read this", class_="minor"),
        element("ul", legend, class_="plain"),
        element(
            "p",
            "Everything here is read from the repositories each time the page is made. "
            "The names of steps are those that ",
            element("code", "/consdb done STEP"),
            " takes in a comment on the pull request. The same as data: ",
            element("a", "board.json", href="board.json"),
            ".",
        ),
    )
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>ConsDB schema changes, {text(board.repository)}</title>\n"
        f"<style>\n{style_sheet()}</style>\n"
        "</head>\n"
        f"<body>\n{header}\n{main}\n{footer}\n</body>\n"
        "</html>\n"
    )


def _glance(board: Board) -> Html:
    """Return the whole in four facts."""
    attention = sum(change.needs_attention for change in board.changes)
    words = [f"{attention} need{'s' if attention == 1 else ''} attention"] if attention else []
    words += [f"{len(board.unread)} could not be looked at"] if board.unread else []
    facts: list[tuple[str, Part, Part]] = [
        ("Open changes", str(len(board.changes)), ", ".join(words) or "none needs attention"),
    ]
    if board.waiting:
        (owner, count), *others = board.waiting
        more = ", ".join(f"{name} {number}" for name, number in others)
        facts.append(("Waiting for", f"{owner} {count}", more))
    facts.append(("What runs where", counted(board.environments), ""))
    if board.releases.items:
        newest = board.releases.items[0]
        when = day(newest.at) if newest.at is not None else ""
        facts.append(("Newest release", newest.tag, when))
    return element(
        "dl",
        [
            element("div", element("dt", name), element("dd", first), element("dd", rest) if rest else None)
            for name, first, rest in facts
        ],
        class_="glance",
    )
