"""Preview as text for a terminal or a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from consdb_actions.migration.preview import SchemaPreview
from consdb_actions.report.markdown import printable
from consdb_actions.report.preview import (
    MAX_QUOTE,
    MAX_STATEMENTS,
    Preview,
    by_table,
    decided,
    grouped,
    size,
    tally,
)
from consdb_actions.schema.words import Quote, Statement

__all__ = ["Paint", "render_text"]

Paint = Callable[[str, str], str]
"""Colours a text: ``error``, ``warning``, ``ok``, ``name`` or ``dim``."""


_Line = tuple[str, str]
"""Text and its colour; empty for none."""


def render_text(preview: Preview, paint: Paint = lambda text, _: text) -> str:
    """Render a preview, without control characters of the schemas."""
    return "\n".join(
        paint(printable(text), kind) if kind else printable(text) for text, kind in _lines(preview)
    )


def _lines(preview: Preview) -> Iterator[_Line]:
    if not preview.schemas:
        yield f"No schema differs between {preview.before} and {preview.after}.", ""
        return
    yield f"{preview.before} → {preview.after}", ""
    for schema in preview.schemas:
        yield "", ""
        yield from _schema(schema)
    if preview.unchanged:
        yield "", ""
        yield f"Unchanged: {', '.join(preview.unchanged)}", "dim"
    objections = tally(preview.errors, preview.warnings, preview.questions)
    yield "", ""
    kind = "error" if preview.errors else "warning" if objections else "ok"
    yield objections or "Nothing to object to", kind


def _schema(schema: SchemaPreview) -> Iterator[_Line]:
    yield f"{schema.name}: {size(schema)}", "name"
    yield f"  version  {schema.version.describe()}", ""
    for note in schema.notes:
        yield f"  note     {note}", ""
    for item in schema.sources:
        yield f"  source   {item.table}: {item}", ""
    for name, statements in by_table(schema.statements):
        if name:
            yield f"  {name}", "name"
        yield from _some([f"    {_shortened(statement)}" for statement in statements])
    if schema.decisions:
        for question in schema.decisions.open_questions:
            yield f"  question {question.describe()}", "warning"
            yield from _some([f"    {proposal.describe()}" for proposal in question.proposals])
            yield "    Answer with one of these:", ""
            for answer in question.answers:
                yield f"    {answer.meaning}:", ""
                yield from _some([f"      {option}" for option in answer.options()])
        yield from _some([f"  {sentence}" for sentence in decided(schema.decisions)])
    yield from _some(
        [
            f"  also in  {item.table}.{item.column}: {', '.join(item.also_in)}"
            for item in schema.relations
            if item.also_in
        ]
    )
    for group in grouped(schema.findings):
        severity = group.first.severity
        yield f"  {severity:8} {group.first.message} ({group.first.rule})", severity
        if group.first.kind != "version":
            yield from _some([f"    {path}" for path in group.paths])
        yield f"    {group.first.remedy}", "dim"


def _some(lines: list[str]) -> Iterator[_Line]:
    """Yield the first lines, and the number of the others."""
    for line in lines[:MAX_STATEMENTS]:
        yield line, ""
    if len(lines) > MAX_STATEMENTS:
        yield f"    … and {len(lines) - MAX_STATEMENTS} more (--format json lists all)", "dim"


def _shortened(statement: Statement) -> str:
    """Return a statement on one line, with long descriptions cut."""
    words = []
    for word in statement.words:
        if isinstance(word, Quote):
            words.append(f'"{word[: MAX_QUOTE - 1]}…"' if len(word) > MAX_QUOTE else f'"{word}"')
        else:
            words.append(word)
    return " ".join("".join(words).split())
