"""Drift report for a terminal and as Markdown (rule R7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from consdb_actions.deploy.drift import ComponentTag, DriftFinding, Severity, TagDrift
from consdb_actions.report.markdown import code, details, escape, printable, prose, table

Paint = Callable[[str, str], str]  # Colours a text: the text, and ``error``, ``warning`` or ``dim``

_MARKS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.INFO: "ℹ️"}  # noqa: RUF001 - an emoji
_PLAIN = {Severity.ERROR: "!!", Severity.WARNING: "!"}


def render_text(drift: TagDrift, paint: Paint = lambda text, _: text) -> str:
    """Write the report for a terminal: a line for each environment, then one for each finding."""
    lines = [printable(f"{drift.day}: {drift.source}")]
    for app, components in drift.components.items():
        lines += ["", ": ".join(filter(None, (app, drift.newest_words(app))))]
        rows = [[("", ""), *((name, "") for name in components)]]
        for environment, items in _rows(drift, app):
            row = [(environment, "")]
            for item in items:
                severity = drift.worst(item) if item else Severity.INFO
                mark = f" {_PLAIN[severity]}" if severity > Severity.INFO else ""
                kind = severity.word if mark else "" if item and item.enabled else "dim"
                row.append((f"{_cell(item)}{mark}" if item else "", kind))
            rows.append(row)
        widths = [max(len(row[n][0]) for row in rows) for n in range(len(components) + 1)]
        lines += [
            "  "
            + "  ".join(
                paint(f"{printable(text):<{width}}", kind) if kind else f"{printable(text):<{width}}"
                for (text, kind), width in zip(row, widths, strict=True)
            ).rstrip()
            for row in rows
        ]
    lines.append("")
    for found in drift.findings:
        kind = found.severity.word if found.severity > Severity.INFO else "dim"
        words = printable(f"{_element(found)}: {found.text}")
        lines.append(f"{paint(f'{found.severity.word:<7}', kind)}  {words}")
    lines.append(_summary(drift))
    return "\n".join(lines)


def render_markdown(drift: TagDrift) -> str:
    """Render the report as Markdown."""
    blocks = [f"## What runs where, {drift.day}", f"From {escape(drift.source)}. {_summary(drift)}"]
    for app, components in drift.components.items():
        blocks.append(f"### {escape(', '.join(filter(None, (app, drift.newest_words(app)))))}")
        rows = [
            [escape(name), *(_markdown_cell(drift, item) if item else "" for item in items)]
            for name, items in _rows(drift, app)
        ]
        blocks.append(table(["", *map(escape, components)], rows))
    groups = (
        ("Errors and warnings", [item for item in drift.findings if item.severity > Severity.INFO]),
        ("For information", [item for item in drift.findings if item.severity is Severity.INFO]),
    )
    for title, items in groups:
        if not items:
            continue
        body = table(
            ["", "Element", "Drift"],
            (
                [
                    _MARKS[item.severity],
                    escape(_element(item)),
                    prose(item.text, in_table=True),
                ]
                for item in items
            ),
        )
        folded = items[0].severity is Severity.INFO
        blocks.append(details(f"{title} ({len(items)})", body) if folded else f"### {title}\n\n{body}")
    return "\n\n".join(blocks)


def _rows(drift: TagDrift, app: str) -> Iterator[tuple[str, list[ComponentTag | None]]]:
    """Yield the environments of an application, with the tag of each component."""
    for name, there in drift.environments.items():
        items = [there.get((app, component)) for component in drift.components[app]]
        if any(items):
            yield name, items


def _element(found: DriftFinding) -> str:
    return f"{found.environment} {found.app} {', '.join(found.components)}"


def _cell(item: ComponentTag) -> str:
    return (item.tag.text or "no tag") + ("" if item.enabled else " (off)")


def _markdown_cell(drift: TagDrift, item: ComponentTag) -> str:
    tag = code(item.tag.text, in_table=True) if item.tag.text else "no tag"
    mark = f" {_MARKS[drift.worst(item)]}" if drift.worst(item) > Severity.INFO else ""
    return f"{tag}{'' if item.enabled else ' (off)'}{mark}"


def _summary(drift: TagDrift) -> str:
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
