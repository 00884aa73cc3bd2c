"""Drift report for a terminal, as JSON and as Markdown (rule R7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from consdb_actions.deploy.drift import Drift, Severity, Standing
from consdb_actions.report.markdown import code, details, escape, printable, prose, table

__all__ = ["FORMAT", "render_json", "render_markdown", "render_text"]

FORMAT = "consdb-actions/drift/1"

_MARKS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.INFO: "ℹ️"}  # noqa: RUF001 - an emoji
_PLAIN = {Severity.ERROR: "!!", Severity.WARNING: "!"}


def render_text(drift: Drift, source: str, today: date) -> str:
    """Render the report for a terminal."""
    lines = [f"{source}, {today}"]
    marks = _worst(drift)
    for app, grid in _grids(drift).items():
        names = _environments(drift, app)
        newest = drift.newest.get(app)
        lines += ["", f"{app}" + (f" (newest {newest.text})" if newest else "")]
        rows = [["", *names]]
        for component, cells in grid.items():
            row = [component]
            for name in names:
                item = cells.get(name)
                mark = _PLAIN.get(marks.get((app, name, component), Severity.INFO), "") if item else ""
                row.append("" if item is None else f"{_cell(item)}{' ' if mark else ''}{mark}")
            rows.append(row)
        widths = [max(len(row[n]) for row in rows) for n in range(len(names) + 1)]
        lines += [
            "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
    lines.append("")
    for found in drift.findings:
        where = f"{found.app} at {found.environment}"
        lines.append(f"{found.severity.word:<7}  {where}: {', '.join(found.components)} {found.text}")
    lines.append(_summary(drift))
    return "\n".join(map(printable, lines))


def render_markdown(drift: Drift, source: str, today: date) -> str:
    """Render the report as Markdown."""
    blocks = [f"## What runs where, {today}", f"From {escape(source)}. {_summary(drift)}"]
    marks = _worst(drift)
    for app, grid in _grids(drift).items():
        names = _environments(drift, app)
        newest = drift.newest.get(app)
        blocks.append(f"### {escape(app)}" + (f", newest {escape(newest.text)}" if newest else ""))
        rows = []
        for component, cells in grid.items():
            row = [escape(component)]
            for name in names:
                item = cells.get(name)
                severity = marks.get((app, name, component), Severity.INFO)
                mark = f" {_MARKS[severity]}" if severity > Severity.INFO else ""
                row.append("" if item is None else _markdown_cell(item) + mark)
            rows.append(row)
        blocks.append(table(["", *map(escape, names)], rows))
    groups = (
        ("Errors and warnings", [item for item in drift.findings if item.severity > Severity.INFO]),
        ("For information", [item for item in drift.findings if item.severity is Severity.INFO]),
    )
    for title, items in groups:
        if not items:
            continue
        body = table(
            ["", "Where", "What", ""],
            (
                [
                    _MARKS[item.severity],
                    escape(f"{item.app} at {item.environment}"),
                    escape(", ".join(item.components)),
                    prose(item.text, in_table=True),
                ]
                for item in items
            ),
        )
        folded = items[0].severity is Severity.INFO
        blocks.append(details(f"{title} ({len(items)})", body) if folded else f"### {title}\n\n{body}")
    return "\n\n".join(blocks)


def render_json(drift: Drift, source: str, today: date) -> dict[str, Any]:
    """Return the report as JSON data, described by ``schemas/drift.schema.json``."""
    return {
        "format": FORMAT,
        "source": source,
        "day": str(today),
        "newest": {app: tag.text for app, tag in drift.newest.items()},
        "standings": [
            {
                "app": item.app,
                "environment": item.environment,
                "component": item.component,
                "tag": item.tag.text,
                "kind": item.tag.kind.value,
                "enabled": item.enabled,
                "since": None if item.since is None else str(item.since.day),
                "commit": None if item.since is None else item.since.commit,
            }
            for item in drift.standings
        ],
        "findings": [
            {
                "severity": item.severity.word,
                "kind": item.kind,
                "app": item.app,
                "environment": item.environment,
                "components": list(item.components),
                "text": item.text,
            }
            for item in drift.findings
        ],
    }


def _grids(drift: Drift) -> dict[str, dict[str, dict[str, Standing]]]:
    """Group deployed tags by application, component and environment."""
    grids: dict[str, dict[str, dict[str, Standing]]] = {}
    for item in drift.standings:
        grids.setdefault(item.app, {}).setdefault(item.component, {})[item.environment] = item
    return grids


def _environments(drift: Drift, app: str) -> Sequence[str]:
    return list(dict.fromkeys(item.environment for item in drift.standings if item.app == app))


def _worst(drift: Drift) -> dict[tuple[str, str, str], Severity]:
    """Return the worst finding by application, environment and component."""
    worst: dict[tuple[str, str, str], Severity] = {}
    for finding in drift.findings:
        for item in drift.standings:
            same = (item.app, item.environment) == (finding.app, finding.environment)
            named = item.component in finding.components or (
                item.component.partition(".")[0] in finding.components
            )
            if same and named:
                key = (item.app, item.environment, item.component)
                worst[key] = max(worst.get(key, Severity.INFO), finding.severity)
    return worst


def _cell(item: Standing) -> str:
    """Render a deployed tag for a terminal."""
    return (item.tag.text or "no tag") + ("" if item.enabled else " (off)")


def _markdown_cell(item: Standing) -> str:
    """Render a deployed tag for a table."""
    tag = code(item.tag.text, in_table=True) if item.tag.text else "no tag"
    return tag if item.enabled else f"{tag} (off)"


def _summary(drift: Drift) -> str:
    """Count the findings."""
    counts = [
        (sum(1 for item in drift.findings if item.severity is severity), severity)
        for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO)
    ]
    words = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, severity in counts
        for word in ["note" if severity is Severity.INFO else severity.word]
        if count
    ]
    return f"{', '.join(words)}." if words else "Nothing has drifted."
