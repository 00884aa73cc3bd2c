"""A revision whose own Python fails."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="script-fails",
    severity="error",
    summary="upgrade() or downgrade() fails before it is done.",
    doc="""\
The function raised an exception when it was run without a database, in Alembic's offline mode. What it
sent before that was looked at, nothing after it.""",
    safe="Mend the revision; `alembic upgrade REVISION --sql` shows the same.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the function that fails."""
    for run in script.runs:
        if run.failure is not None and run.failure.kind == "error":
            words = f"{run.direction}() fails here: {run.failure.words}"
            yield Hit(run.failure.line, words, run.direction)
