"""A preview as text for a terminal or a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from consdb_actions.migration.preview import SchemaPreview
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
"""Colours a text: the text, and ``error``, ``warning``, ``ok``, ``name`` or ``dim``."""


def render_text(preview: Preview, paint: Paint = lambda text, _: text) -> str:
    """Write a preview for a terminal or a log.

    Parameters
    ----------
    preview
        What was found.
    paint
        Colours texts.
    """
    if not preview.schemas:
        return f"No schema differs between {preview.before} and {preview.after}."
    lines = [f"{preview.before} → {preview.after}"]
    for schema in preview.schemas:
        lines += ["", *_text_schema(schema, paint)]
    if preview.unchanged:
        lines += ["", paint(f"Unchanged: {', '.join(preview.unchanged)}", "dim")]
    objections = tally(preview.errors, preview.warnings, preview.questions)
    kind = "error" if preview.errors else "warning" if objections else "ok"
    lines += ["", paint(objections or "Nothing to object to", kind)]
    return "\n".join(lines)


def _text_schema(schema: SchemaPreview, paint: Paint) -> Iterator[str]:
    yield f"{paint(schema.name, 'name')}  {size(schema)}"
    yield f"  version  {schema.version.describe()}"
    yield from (f"  note     {note}" for note in schema.notes)
    for name, statements in by_table(schema.statements):
        if name:
            yield f"  {paint(name, 'name')}"
        yield from _some([f"    {_shortened(statement)}" for statement in statements])
    if schema.decisions:
        for question in schema.decisions.open_questions:
            yield paint(f"  question {question.describe()}", "warning")
            yield from (f"    {proposal.describe()}" for proposal in question.proposals)
            for answer in question.answers:
                yield f"    {answer.meaning}: {' '.join(answer.options())}"
        yield from _some([f"  {sentence}" for sentence in decided(schema.decisions)])
    for group in grouped(schema.findings):
        severity = group.first.severity
        yield paint(f"  {severity:8} {group.first.message} ({group.first.rule})", severity)
        if group.first.kind != "version":
            yield from _some([f"    {path}" for path in group.paths])
        yield paint(f"    {group.first.remedy}", "dim")


def _some(lines: list[str]) -> Iterator[str]:
    """Yield the first lines, and how many more there are."""
    yield from lines[:MAX_STATEMENTS]
    if len(lines) > MAX_STATEMENTS:
        yield f"    … and {len(lines) - MAX_STATEMENTS} more (--format json lists all)"


def _shortened(statement: Statement) -> str:
    """Return a statement in which long descriptions are cut."""
    words = []
    for word in statement.words:
        if isinstance(word, Quote):
            words.append(f'"{word[: MAX_QUOTE - 1]}…"' if len(word) > MAX_QUOTE else f'"{word}"')
        else:
            words.append(word)
    return " ".join("".join(words).split())
