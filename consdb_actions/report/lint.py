"""Reports of lint: text, Markdown for a pull request, JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from consdb_actions.lint.finding import LintFinding, LintResult
from consdb_actions.lint.rules import RULES
from consdb_actions.report.markdown import (
    Paint,
    bullets,
    code,
    details,
    escape,
    fit,
    plural,
    printable,
    prose,
    table,
    unpainted,
)

_ICONS = {"error": "❌", "warning": "⚠️", "info": "\N{INFORMATION SOURCE}\ufe0f"}
_ROWS = 40  # rows of a table in Markdown; the rest is counted
_LINES = 30


def _count(result: LintResult) -> str:
    words = []
    for severity, noun in (("error", "error"), ("warning", "warning"), ("info", "note")):
        if number := result.count(severity):
            words.append(plural(number, noun))
    if unjudged := sum(f.rule == "not-judged" for f in result.open):
        words.append(f"{unjudged} of them not judged")
    if result.acknowledged:
        words.append(f"{len(result.acknowledged)} acknowledged")
    return ", ".join(words)


def _scope(result: LintResult) -> str:
    number, sections = len(result.revisions), len({r.section for r in result.revisions})
    if not number:
        return f"no revision to check ({result.selection})"
    of = result.revisions[0].section if sections == 1 else f"{sections} sections"
    return f"{plural(number, 'revision')} of {of} ({result.selection})"


def render_text(result: LintResult, prefix: str = "", paint: Paint = unpainted) -> str:
    """Render findings as ``file:line: severity rule: words``, then a remedy per rule."""
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
    if rules := list(_remedies(result.open)):
        width = max(len(rule) for rule, _ in rules)
        lines += ["", "What to do"]
        lines += [printable(f"  {rule.ljust(width)}  {text}") for rule, text in rules]
    lines.append("")
    verdict = "error" if result.count("error") else "warning" if result.count("warning") else "ok"
    lines.append(paint(_count(result) or "No findings", verdict))
    return "\n".join(lines)


def _line(finding: LintFinding, prefix: str) -> str:
    message = finding.message + (f" [{finding.lock}]" if finding.lock else "") + _others(finding)
    return f"{prefix}{finding.file}:{finding.line}: {finding.severity} {finding.rule}: {message}"


def _others(finding: LintFinding) -> str:
    others = finding.lines[1:]
    rest = ", …" if len(others) > _LINES else ""
    return f" (also line {', '.join(map(str, others[:_LINES]))}{rest})" if others else ""


def _remedies(findings: Iterable[LintFinding]) -> Iterator[tuple[str, str]]:
    yield from dict.fromkeys((finding.rule, finding.remedy) for finding in findings)


def render_markdown(result: LintResult) -> str:
    """Render the result for a pull request, verdict first."""
    heading = "✅ No findings"
    if result.count("error"):
        heading = f"❌ {_count(result)}"
    elif result.open or result.acknowledged:
        heading = f"{'⚠️' if result.count('warning') else '✅'} {_count(result)}"
    parts = [f"### Lint of the migrations: {heading}", f"Checked {escape(_scope(result))}."]
    parts += [escape(note) for note in result.notes]
    serious = [f for f in result.open if f.severity != "info"]
    if serious:
        parts.append(_table(serious))
        parts.append(details("What to do", bullets(f"{code(r)} {prose(s)}" for r, s in _remedies(serious))))
    notes = [f for f in result.open if f.severity == "info"]
    if notes:
        parts.append(details(plural(len(notes), "note"), _table(notes)))
    if result.acknowledged:
        title = plural(len(result.acknowledged), "acknowledged finding")
        parts.append(details(title, _table(result.acknowledged)))
    return fit(parts, "_{count} more parts are in the log of the run._")


def _table(findings: Iterable[LintFinding]) -> str:
    rows = [
        (
            f"{_ICONS[finding.severity]} {code(finding.rule, in_table=True)}",
            code(f"{finding.file.rpartition('/')[2]}:{finding.line}", in_table=True),
            _cell(finding),
        )
        for finding in findings
    ]
    if len(rows) > _ROWS:
        rows = [*rows[:_ROWS], ("", "", f"_and {len(rows) - _ROWS} more_")]
    return table(("Rule", "Where", "What"), rows)


def _cell(finding: LintFinding) -> str:
    message = escape(finding.message)
    if finding.lock:
        message += f" ({escape(finding.lock)})"
    message += _others(finding)
    if finding.acknowledged is not None:
        message += f"<br>**Acknowledged:** {escape(finding.acknowledged)}"
    return message


def render_rules() -> str:
    """Render the documentation of all rules, one heading each."""
    parts = [
        f"## {rule.id}\n\n{rule.summary} Severity: **{rule.severity}**.\n\n{rule.doc}\n\n"
        f"**Do this:** {rule.remedy}"
        for rule in RULES
    ]
    return "\n\n".join(parts) + "\n"
