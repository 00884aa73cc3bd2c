"""A type change that writes the whole table anew."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import AlterType
from consdb_actions.migration.lint.column_types import rewrite_reason
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.locks import EXCLUSIVE
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="retype-rewrite",
    severity="warning",
    summary="A type change rewrites the whole table.",
    doc="""\
Most type changes make Postgres write every row and every index of the table anew, and nobody can read it
meanwhile. These do not: `varchar(n)` to a longer `varchar` or to `text`, `numeric(p,s)` to more digits
with the same scale, a `timestamp`, `time` or `bit varying` to more precision or length. `timestamp` to
`timestamp with time zone` and back is free only in a session whose `TimeZone` is UTC. The type before is
taken from the history of the section.""",
    safe="Add a new column, fill it in batches, change the readers, and drop the old one in a later "
    "revision; or announce how long the table is closed.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the type changes of the upgrade that rewrite a table with rows."""
    for step in script.upgrade.steps:
        for action in step.actions:
            if not isinstance(action, AlterType) or not step.is_filled(action.table):
                continue
            table = step.before.tables.get(action.table)
            column = table.columns.get(action.column) if table else None
            reason = "USING computes each value" if action.computes else ""
            reason = reason or rewrite_reason(column.type if column else None, action.type)
            if reason:
                words = f"changing the type of {action.column} rewrites {action.table}: {reason}"
                yield at(step, "upgrade", words, action.table, lock=EXCLUSIVE)
