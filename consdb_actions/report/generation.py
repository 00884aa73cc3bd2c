"""Reports of ``migrations generate`` and ``check``: JSON, Markdown and text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from consdb_actions.migration.outcome import (
    OpenQuestion,
    Operation,
    RunOutcome,
    SectionOutcome,
)
from consdb_actions.report.markdown import (
    COMMENT_LIMIT,
    bullets,
    code,
    cut,
    details,
    escape,
    fence,
    fit,
    plural,
    prose,
    table,
)

if TYPE_CHECKING:
    from rich.table import Table

_DRIFT_LINES = 12

_COMMANDS = re.compile(r"^--(rename|take)\b")  # Options that are comment commands as well

_STATUS = {
    "changed": "new revision",
    "unchanged": "nothing to do",
    "skipped": "schema unchanged",
    "question": "unanswered question",
    "failed": "verification fails",
    "no schema file": "no schema file",
}
_MARK = {True: "✅", False: "❌", None: "⚠️"}
_LEGEND = "<sub>✅ passed, ❌ failed, ⚠️ could not be tried.</sub>"


def headline(outcome: RunOutcome) -> str:
    """Summarize the result in one sentence."""
    changed = ", ".join(s.name for s in outcome.changed)
    against = f" against {outcome.base}" if outcome.base else ""
    match outcome.verdict:
        case "unchanged":
            return f"No change{against} needs a migration. Nothing was written."
        case "question":
            asked = ", ".join(s.name for s in outcome.sections if s.status == "question")
            return f"A question must be answered first, for {asked}. Nothing was written."
        case "failed":
            failed = ", ".join(s.name for s in outcome.sections if s.status == "failed")
            return f"Verification fails for {failed}. Nothing was written."
        case _:
            written = f"{plural(len(outcome.changed), 'verified revision')}: {changed}."
            return written if outcome.written else f"{written} Dry run: nothing was written."


def render_markdown(
    outcome: RunOutcome,
    *,
    limit: int = COMMENT_LIMIT,
    checked: bool = False,
    in_comment: bool = False,
) -> str:
    """Render the report for a pull request: verdict, questions, table, folded details.

    `limit` is in characters; what does not fit is left out as whole parts. `checked` is for existing
    revisions, `in_comment` writes answers as comment commands.
    """
    blocks = [f"### {escape(_checked(outcome) if checked else headline(outcome))}"]
    blocks += [f"⚠️ {prose(note)}" for note in outcome.notes]
    for section in outcome.sections:
        blocks += [_question(section, q, in_comment) for q in section.questions if not q.answered]
    looked = [s for s in outcome.sections if s.status not in {"skipped", "no schema file"}]
    if looked:
        blocks.append(table(["section", "result"], [_row(section) for section in looked]))
    left = [s for s in outcome.sections if s.status in {"skipped", "no schema file"}]
    if any(s.checks for s in looked):
        blocks.append(_LEGEND)
    for section in looked:
        if section.upgrade and not checked:
            blocks.append(f"#### {code(section.name)}: upgrade\n\n{render_operations(section.upgrade)}")
    if left:
        words = [f"{code(s.name)} ({_STATUS[s.status]})" for s in left]
        blocks.append(f"Sections without a change: {', '.join(words)}.")
    for section in looked:
        blocks += _section_blocks(section)
    if outcome.server:
        spoly = "" if outcome.spoly == "pg_sphere" else ", with a stand-in for pgSphere's `spoly` type"
        blocks.append(f"<sub>Verified on {escape(outcome.server)}{spoly}.</sub>")
    note = "*{count} more parts did not fit; the full report is in the job's artifact.*"
    return fit(blocks, note, limit=limit) + "\n"


def _row(section: SectionOutcome) -> list[str]:
    version = section.version
    if section.base_version and section.base_version != section.version:
        version = f"{section.base_version} → {section.version}"
    words = [_STATUS[section.status]]
    if section.upgrade:
        words.append(plural(len(section.upgrade), "operation"))
    if section.drift:
        words.append(f"{plural(len(section.drift), 'element')} drifted")
    checks = " ".join(_MARK[c.holds] for c in section.checks)
    # Two columns: they fit a phone.
    name = (
        f"{code(section.name, in_table=True)}<br><sub>{escape(f'{section.schema} {version}'.strip())}</sub>"
    )
    return [name, "<br>".join(filter(None, [", ".join(words), checks]))]


def _question(section: SectionOutcome, asked: OpenQuestion, in_comment: bool) -> str:
    lines = [f"#### ❓ {code(section.name)}: {prose(asked.text)}"]
    if asked.proposals:
        lines.append(bullets(prose(p) for p in asked.proposals))
    lines.append("Answer with one of these in a comment:" if in_comment else "Answer with one of these:")
    for answer in asked.answers:
        answers = [_COMMANDS.sub(r"/consdb \1", o) if in_comment else o for o in answer.options]
        lines.append(f"{prose(answer.meaning)}:\n\n{fence(chr(10).join(answers), 'text')}")
    if asked.rejected:
        lines.append(details("Rejected candidates", bullets(prose(r) for r in asked.rejected)))
    return "\n\n".join(lines)


def _section_blocks(section: SectionOutcome) -> Iterator[str]:
    body = []
    failed = [c for c in section.checks if c.holds is False]
    if failed:
        texts = (f"❌ {prose(c.text)}\n\n{fence(chr(10).join(c.details), 'text')}" for c in failed)
        body.append("**Failed checks**\n\n" + "\n\n".join(texts))
    if section.decisions:
        body.append("**Renames, moves and drops**\n\n" + bullets(prose(d) for d in section.decisions))
    if section.remembered:
        body.append("**Answers used**\n\n" + bullets(prose(r) for r in section.remembered))
    if section.downgrade:
        body.append("**Downgrade**\n\n" + render_operations(section.downgrade))
    if section.present:
        body.append("**Already in the database**\n\n" + bullets(code(p) for p in section.present))
    if section.losses:
        words = [*_lost(section, "upgrade"), *_lost(section, "downgrade")]
        body.append("**Data loss**\n\n" + bullets(prose(w) for w in words))
    if section.risks:
        body.append("**Risks**\n\n" + bullets(f"{code(r.about)}: {prose(r.text)}" for r in section.risks))
    if section.notes:
        body.append("**Notes**\n\n" + bullets(prose(n) for n in section.notes))
    if section.checks and not failed:
        body.append(
            "**Checks**\n\n"
            + bullets(
                "\n".join([f"{_MARK[c.holds]} {prose(c.text)}", *(f"  - {prose(d)}" for d in c.details)])
                for c in section.checks
            )
        )
    if section.drift:
        title = f"{escape(section.name)}: {plural(len(section.drift), 'element')} drifted, unchanged"
        rows = [
            [
                code(d.element, in_table=True),
                *map(escape, (d.described, d.current, f"{d.revision} {d.message}")),
            ]
            for d in section.drift
        ]
        yield details(title, table(["element", "schema file", "database", "since revision"], rows))
    if not body:
        return
    title = f"{escape(section.name)}: {_STATUS[section.status]}"
    if section.path:
        title += f", {escape(section.path)}"
    yield details(title, "\n\n".join(body), is_open=bool(failed))
    if section.source:
        yield details(f"{escape(section.name)}: the script", fence(section.source, "python"))


def render_operations(operations: Iterable[Operation], most: int = 60) -> str:
    """List operations, one line each."""
    return bullets(cut((prose(op.text) for op in operations), most))


def render_text(outcome: RunOutcome, root: Path | None = None) -> str:
    """Write the report for a person, in colour; without the root of the tree, that of a check."""
    from rich.console import Console
    from rich.markup import escape as plain

    console = Console(soft_wrap=True, highlight=False)
    with console.capture() as captured:
        if root is not None:
            for note in outcome.notes:
                console.print(f"[yellow]{plain(note)}[/]")
            console.print(_grid(outcome))
        for section in outcome.sections:
            for line in _text_lines(section):
                console.print(line)
        style = {"changed": "bold green", "failed": "bold red", "question": "bold red"}
        console.print()
        shown = _checked(outcome) if root is None else headline(outcome)
        console.print(f"[{style.get(outcome.verdict, 'bold')}]{plain(shown)}[/]")
        if root is not None and outcome.written:
            for section in outcome.changed:
                console.print(f"  {plain(str(root / section.path))}")
        if root is not None and outcome.server and outcome.spoly != "pg_sphere":
            console.print(
                f"[dim]{plain(outcome.server)} has no pg_sphere; a stand-in for its type was used.[/]"
            )
    return captured.get().rstrip("\n")


def _grid(outcome: RunOutcome) -> Table:
    from rich.markup import escape as plain
    from rich.table import Table

    colours = {"changed": "green", "question": "yellow", "failed": "red"}
    grid = Table(box=None, pad_edge=False, show_header=False)
    for section in outcome.sections:
        colour = colours.get(section.status, "dim")
        count = plural(len(section.upgrade), "operation") if section.upgrade else ""
        checks = " ".join({True: "✓", False: "✗", None: "!"}[c.holds] for c in section.checks)
        grid.add_row(plain(section.name), f"[{colour}]{_STATUS[section.status]}[/]", count, checks)
    return grid


def _checked(outcome: RunOutcome) -> str:
    failed = ", ".join(s.name for s in outcome.sections if s.status == "failed")
    if failed:
        return f"Verification fails for {failed}."
    if not outcome.changed:
        return "Nothing to check: the database has the newest revision of every section."
    return f"All checks pass for {plural(len(outcome.changed), 'revision')}."


def _text_lines(section: SectionOutcome) -> Iterator[str]:
    from rich.markup import escape as plain

    interesting = section.status in {"changed", "failed", "question"} or section.drift
    if not interesting:
        return
    yield f"\n[bold]{plain(section.name)}[/] ({plain(section.schema)} {plain(section.version)})"
    for asked in section.questions:
        if asked.answered:
            continue
        yield f"  [yellow]?[/] {plain(asked.text)}"
        yield from (f"    {plain(p)}" for p in asked.proposals)
        for answer in asked.answers:
            yield f"    {plain(answer.meaning)}:"
            yield from (f"      {plain(o)}" for o in answer.options)
        yield from (f"    [dim]rejected: {plain(r)}[/]" for r in asked.rejected)
    yield from (f"  {plain(d)}" for d in (*section.decisions, *section.remembered))
    yield from cut((f"  {plain(op.text)}" for op in section.upgrade), 40, "  [dim]and {} more[/]")
    yield from (f"  [red]data loss[/] {plain(text)}" for text in _lost(section, "upgrade"))
    yield from (f"  [dim]data loss[/] {plain(text)}" for text in _lost(section, "downgrade"))
    yield from (f"  [yellow]risk[/] {plain(r.about)}: {plain(r.text)}" for r in section.risks)
    yield from (f"  [dim]already in the database: {plain(p)}[/]" for p in section.present)
    yield from (f"  [dim]{plain(n)}[/]" for n in section.notes)
    if section.drift:
        yield f"  [dim]{plural(len(section.drift), 'element')} drifted, unchanged:[/]"
        lines = []
        for item in section.drift:
            since = f" (since {item.revision}, {item.message})" if item.revision else ""
            states = f"schema file {item.described}, database {item.current}"
            lines.append(f"    [dim]{plain(item.element)}: {plain(states + since)}[/]")
        yield from cut(lines, _DRIFT_LINES, "    [dim]and {} more; --report lists all[/]")
    for check in section.checks:
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]![/]"}[check.holds]
        yield f"  {mark} {plain(check.text)}"
        yield from (f"      {plain(d)}" for d in check.details)


def _lost(section: SectionOutcome, direction: str) -> Iterator[str]:
    """List the data loss of a direction; dropped additions share one sentence."""
    added = []
    for loss in section.losses:
        if loss.direction != direction:
            continue
        if direction == "downgrade" and loss.dropped:
            added.append(f"{loss.table}.{loss.column}" if loss.column else f"table {loss.table}")
        else:
            yield loss.text
    if added:
        yield f"on downgrade: {', '.join(added)}"
