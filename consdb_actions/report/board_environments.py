"""What runs where, on the board: a matrix of environments and components, and what has drifted."""

from __future__ import annotations

from datetime import date

from consdb_actions.deploy.drift import Finding, Severity
from consdb_actions.deploy.drift import Standing as Running
from consdb_actions.process.board import Environments
from consdb_actions.report.board_parts import alert, alerts, badge, cards, severity_mark
from consdb_actions.report.elements import Html, Part, day, element, joined, link, prose, spoken

__all__ = ["environments"]


def environments(seen: Environments, today: date) -> Html:
    """Return the matrix and the findings."""
    if seen.drift is None:
        words = prose(seen.trouble or "nothing was looked at")
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
    """Return a row for each environment, a column for each component."""
    assert seen.drift is not None
    components: dict[str, dict[str, None]] = {}
    cells: dict[str, dict[tuple[str, str], Running]] = {}
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


def _cell(item: Running, severity: Severity | None, web: str, today: date) -> list[Part]:
    """Return what a component runs, since when, and a sign where something is wrong."""
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


def _table(findings: list[Finding]) -> Html:
    """Return findings as a table."""
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
