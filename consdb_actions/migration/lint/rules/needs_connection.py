"""A revision that asks the database something."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="needs-connection",
    severity="warning",
    summary="The revision reads from the database, so that the rest of it was not looked at.",
    doc="""\
Lint never connects to a database. Where a revision asks for rows or inspects tables, it ends there, and
what would come after the answer is not looked at. `migrations check` runs such a revision on a scratch
database.""",
    safe="Write it as plain statements if that is possible (`UPDATE ... FROM`, `INSERT ... SELECT`);"
    " else acknowledge it and rely on `migrations check`.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the line at which a function asks the database something."""
    for run in script.runs:
        if run.failure is not None and run.failure.kind == "connection":
            words = (
                f"{run.direction}() needs a database here ({run.failure.words}); the rest was not looked at"
            )
            yield Hit(run.failure.line, words, run.direction)
