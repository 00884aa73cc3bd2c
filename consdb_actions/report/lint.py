"""What lint found: as text, as Markdown for a pull request, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from consdb_actions.migration.lint.finding import Finding, Rule
from consdb_actions.migration.lint.result import LintResult
from consdb_actions.migration.lint.rules import RULES
from consdb_actions.report.markdown import bullets, code, details, escape, fit, printable, prose, table

__all__ = ["FORMAT", "advice", "render_json", "render_markdown", "render_rules", "render_text"]

FORMAT = "consdb-actions/lint/1"
"""Raised when the form changes."""

Paint = Callable[[str, str], str]
"""Colours a text: the text, and ``error``, ``warning``, ``ok`` or ``dim``."""

_BY_ID: dict[str, Rule] = {rule.id: rule for rule in RULES}
_ICONS = {"error": "❌", "warning": "⚠️", "info": "\N{INFORMATION SOURCE}\ufe0f"}
_ROWS = 40  # rows of a table in Markdown; the rest is counted
_SINGLE = 3  # findings of one rule in one file that get a row each
_LINES = 30
_SQL = 400  # characters of a statement in JSON


def advice(finding: Finding) -> str:
    """Return what to do about a finding."""
    return finding.hit.safe or _BY_ID[finding.rule].safe


def _count(result: LintResult) -> str:
    words = []
    for severity, one, many in (
        ("error", "error", "errors"),
        ("warning", "warning", "warnings"),
        ("info", "note", "notes"),
    ):
        if number := result.count(severity):
            words.append(f"{number} {one if number == 1 else many}")
    if result.acknowledged:
        words.append(f"{len(result.acknowledged)} acknowledged")
    return ", ".join(words)


def _scope(result: LintResult) -> str:
    number, sections = len(result.looked), len({looked.section for looked in result.looked})
    if not number:
        return f"no revision to look at ({result.selection})"
    revisions = "1 revision" if number == 1 else f"{number} revisions"
    of = result.looked[0].section if sections == 1 else f"{sections} sections"
    return f"{revisions} of {of} ({result.selection})"


def render_text(result: LintResult, prefix: str = "", paint: Paint = lambda text, _: text) -> str:
    """Write the result for a terminal or a log.

    Parameters
    ----------
    result
        What was found.
    prefix
        What stands before each path.
    paint
        Colours texts.

    Returns
    -------
    str
        A line for each finding, ``file:line: severity rule: words``, and what to do for each rule.
    """
    lines = [printable(f"Lint of {_scope(result)}")]
    lines += [printable(f"Note: {note}") for note in result.notes]
    if result.findings:
        lines.append("")
    for finding in result.open:
        kind = "dim" if finding.severity == "info" else finding.severity
        lines.append(paint(printable(_line(finding, prefix)), kind))
    for finding in result.acknowledged:
        reason = f" (acknowledged: {finding.acknowledged})"
        lines.append(paint(printable(_line(finding, prefix) + reason), "dim"))
    rules = [(rule, safe) for rule, safe in _advices(result.open)]
    if rules:
        width = max(len(rule) for rule, _ in rules)
        lines += ["", "What to do"]
        lines += [printable(f"  {rule.ljust(width)}  {safe}") for rule, safe in rules]
    lines.append("")
    verdict = "error" if result.count("error") else "warning" if result.count("warning") else "ok"
    lines.append(paint(_count(result) or "Nothing to object to", verdict))
    return "\n".join(lines)


def _line(finding: Finding, prefix: str) -> str:
    words = finding.hit.words + (f" [{finding.hit.lock}]" if finding.hit.lock else "")
    return f"{prefix}{finding.file}:{finding.hit.line}: {finding.severity} {finding.rule}: {words}"


def _advices(findings: Iterable[Finding]) -> Iterator[tuple[str, str]]:
    """Yield each rule with what to do, once, in the order of the findings."""
    yield from dict.fromkeys((finding.rule, advice(finding)) for finding in findings)


def render_markdown(result: LintResult) -> str:
    """Write the result for a pull request, the verdict first."""
    heading = "✅ Nothing to object to"
    if result.count("error"):
        heading = f"❌ {_count(result)}"
    elif result.open or result.acknowledged:
        heading = f"{'⚠️' if result.count('warning') else '✅'} {_count(result)}"
    parts = [f"### Lint of the migrations: {heading}", f"Looked at {escape(_scope(result))}."]
    parts += [escape(note) for note in result.notes]
    objections = [f for f in result.open if f.severity != "info"]
    if objections:
        parts.append(_table(objections))
        parts.append(details("What to do", bullets(f"{code(r)} {prose(s)}" for r, s in _advices(objections))))
    notes = [f for f in result.open if f.severity == "info"]
    if notes:
        parts.append(details(f"{len(notes)} notes" if len(notes) > 1 else "1 note", _table(notes)))
    if result.acknowledged:
        count = len(result.acknowledged)
        title = f"{count} acknowledged findings" if count > 1 else "1 acknowledged finding"
        parts.append(details(title, _table(result.acknowledged)))
    return fit(parts, "_{count} more parts do not fit here; the log of the run has them._")


def _table(findings: Iterable[Finding]) -> str:
    """Write a row for each finding; what a rule says of many lines of a file is one row."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        key = (finding.severity, finding.rule, finding.file, finding.acknowledged or "")
        groups.setdefault(key, []).append(finding)
    rows = [row for group in groups.values() for row in _rows(group)]
    if len(rows) > _ROWS:
        rows = [*rows[:_ROWS], ("", "", f"_and {len(rows) - _ROWS} more_")]
    return table(("Rule", "Where", "What"), rows)


def _rows(group: list[Finding]) -> list[tuple[str, str, str]]:
    together = len(group) > _SINGLE
    return [
        (
            f"{_ICONS[finding.severity]} {code(finding.rule, in_table=True)}",
            code(f"{finding.file.rpartition('/')[2]}:{finding.hit.line}", in_table=True),
            _cell(finding, group[1:] if together else []),
        )
        for finding in (group[:1] if together else group)
    ]


def _cell(finding: Finding, others: list[Finding]) -> str:
    words = escape(finding.hit.words)
    if finding.hit.lock:
        words += f" ({escape(finding.hit.lock)})"
    if others:
        lines = ", ".join(str(other.hit.line) for other in others[:_LINES])
        rest = ", …" if len(others) > _LINES else ""
        words += f"<br>and {len(others)} more like it in lines {lines}{rest}"
    if finding.acknowledged is not None:
        words += f"<br>**Acknowledged:** {escape(finding.acknowledged)}"
    return words


def render_json(result: LintResult) -> dict[str, Any]:
    """Return the result as data for JSON, as ``schemas/lint.schema.json`` describes it."""
    return {
        "format": FORMAT,
        "selection": result.selection,
        "errors": result.count("error"),
        "warnings": result.count("warning"),
        "infos": result.count("info"),
        "acknowledged": len(result.acknowledged),
        "revisions": [
            {"section": looked.section, "revision": looked.revision, "file": looked.file}
            for looked in result.looked
        ],
        "findings": [_finding(finding) for finding in result.findings],
        "notes": list(result.notes),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    hit = finding.hit
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "section": finding.section,
        "revision": finding.revision,
        "file": finding.file,
        "line": hit.line,
        "direction": hit.direction,
        "tables": list(hit.tables),
        "lock": hit.lock or None,
        "message": hit.words,
        "remedy": advice(finding),
        "statement": hit.sql[:_SQL] or None,
        "acknowledged": finding.acknowledged,
    }


def render_rules() -> str:
    """Write the chapter on the rules for the documentation, a heading for each."""
    parts = [
        f"## {rule.id}\n\n{rule.summary} Severity: **{rule.severity}**.\n\n{rule.doc}\n\n"
        f"**Do this:** {rule.safe}"
        for rule in RULES
    ]
    return "\n\n".join(parts) + "\n"
