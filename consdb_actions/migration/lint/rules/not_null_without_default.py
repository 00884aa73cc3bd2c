"""A NOT NULL column without a default on a table with rows."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import AddColumn
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="not-null-without-default",
    severity="error",
    summary="A NOT NULL column is added to a table that may hold rows, without a default.",
    doc="""\
The rows that are there would hold NULL, so that Postgres refuses the column as soon as there is one row.
It works on the empty table of a test and fails on the real one. The rule looks at both directions: a
downgrade that brings a dropped column back as NOT NULL fails in the same way.""",
    safe="Three steps: add the column nullable, fill it, then `alter_column(..., nullable=False)`.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the columns of both directions that a table with rows refuses."""
    for run in script.runs:
        for step in run.steps:
            for action in step.actions:
                if not isinstance(action, AddColumn) or not step.is_filled(action.table):
                    continue
                if not action.column.nullable and not action.column.default:
                    name = action.column.name
                    words = f"{action.table} cannot get the NOT NULL column {name} once it holds rows"
                    yield at(step, run.direction, words, action.table)
