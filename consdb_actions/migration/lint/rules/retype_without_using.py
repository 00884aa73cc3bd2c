"""A type change that needs USING."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import AlterType
from consdb_actions.migration.lint.column_types import casts_by_itself
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="retype-without-using",
    severity="error",
    summary="A type change needs USING and has none.",
    doc="""\
Postgres converts a column by itself only where the conversion is one for assignments: numbers to numbers,
anything to text. `varchar` to `integer` is not, so that the statement fails even on an empty table. Such
a change often works in the upgrade (`integer` to `varchar`) and fails in the downgrade.""",
    safe='`op.alter_column(..., postgresql_using="column::type")`',
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the type changes of both directions that Postgres refuses."""
    for run in script.runs:
        for step in run.steps:
            for action in step.actions:
                if not isinstance(action, AlterType) or action.using:
                    continue
                table = step.before.tables.get(action.table)
                column = table.columns.get(action.column) if table else None
                if column is not None and casts_by_itself(column.type, action.type) is False:
                    change = f"from {column.type} to {action.type}"
                    words = f"{action.table}.{action.column} cannot be changed {change} without USING"
                    yield at(step, run.direction, words, action.table)
