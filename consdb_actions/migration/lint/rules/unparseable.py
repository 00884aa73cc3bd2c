"""Text that is no SQL."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="unparseable",
    severity="error",
    summary="A statement cannot be parsed.",
    doc="""\
Postgres' own parser refuses the statement, so that the database will, too. What the statement was to do
is not known, and the rules that need the whole history stay silent from there on.""",
    safe="Mend the statement; the words after the colon are the parser's own.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the statements of both directions that are no SQL."""
    for run in script.runs:
        for step in run.steps:
            if step.refusal:
                yield at(step, run.direction, f"this is no SQL: {step.refusal}")
