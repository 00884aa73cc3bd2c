"""A new column whose default is another value in each row."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import AddColumn
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.locks import EXCLUSIVE
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="volatile-default",
    severity="warning",
    summary="A new column's default is computed for each row, which rewrites the table.",
    doc="""\
A default that is the same for all rows (`0`, `now()`) is stored once, and `ADD COLUMN` is done at once.
One that is computed for each row (`gen_random_uuid()`, `clock_timestamp()`, `nextval()`, SERIAL,
IDENTITY, a stored generated column) makes Postgres write the whole table anew while nobody can use it. A
function that the rule does not know counts as one of these.""",
    safe="Add the column without the default, set the default for new rows with `ALTER COLUMN SET "
    "DEFAULT`, and fill the old rows with `UPDATE`.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the columns of the upgrade whose default rewrites a table with rows."""
    for step in script.upgrade.steps:
        for action in step.actions:
            if isinstance(action, AddColumn) and action.column.volatile and step.is_filled(action.table):
                default = f"the default of {action.column.name} ({action.column.volatile})"
                words = f"{default} is computed for each row, which rewrites {action.table}"
                yield at(step, "upgrade", words, action.table, lock=EXCLUSIVE)
