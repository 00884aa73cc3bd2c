"""SET NOT NULL that reads the whole table under a lock."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import AddConstraint, ChangeColumn
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.locks import EXCLUSIVE
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="not-null-scan",
    severity="warning",
    summary="SET NOT NULL reads the whole table while nobody can use it.",
    doc="""\
Postgres looks at every row before it believes that a column holds no NULL, and keeps the table closed
while it reads. Where a CHECK that was validated says so already, it does not look again:

```sql
ALTER TABLE s.t ADD CONSTRAINT c_given CHECK (c IS NOT NULL) NOT VALID;  -- no scan
ALTER TABLE s.t VALIDATE CONSTRAINT c_given;                             -- a scan while others read and write
ALTER TABLE s.t ALTER COLUMN c SET NOT NULL;                             -- no scan
ALTER TABLE s.t DROP CONSTRAINT c_given;
```

The second statement belongs to a later transaction than the first. On a table that the same revision
makes the rule says nothing.""",
    safe="Add `CHECK (column IS NOT NULL) NOT VALID`, validate it in a later transaction, then SET "
    "NOT NULL and drop the CHECK.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the columns that the upgrade makes NOT NULL with a scan."""
    for step in script.upgrade.steps:
        for action in step.actions:
            columns: tuple[str, ...] = ()
            if isinstance(action, ChangeColumn) and action.change == "set not null":
                columns = (action.column,)
            elif isinstance(action, AddConstraint) and action.constraint.kind == "notnull":
                columns = action.constraint.columns if action.constraint.valid else ()
            else:
                continue
            table = step.before.tables.get(action.table)
            for name in columns if step.is_filled(action.table) else ():
                column = table.columns.get(name) if table else None
                if (column and not column.nullable) or (table and table.proves_not_null(name)):
                    continue
                words = f"SET NOT NULL on {name} reads all of {action.table} while nobody can use it"
                yield at(step, "upgrade", words, action.table, lock=EXCLUSIVE)
