"""A foreign key that checks all rows while both tables are closed to writers."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import AddColumn, AddConstraint, Constraint
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.locks import SHARE_ROW_EXCLUSIVE
from consdb_actions.migration.lint.script import Script
from consdb_actions.migration.lint.validation import early_validations

__all__ = ["RULE", "check"]

RULE = Rule(
    id="foreign-key-scan",
    severity="warning",
    summary="A foreign key is added without NOT VALID.",
    doc="""\
`ADD FOREIGN KEY` looks up the parent of every row, and until the migration commits nobody can write to
either table. With `NOT VALID` the key holds for new rows at once and nothing is read; `VALIDATE
CONSTRAINT` reads the old rows later, while others write. In the same transaction the two gain nothing,
since the first lock stays until the commit; the rule says that too. A table that the same revision makes
is empty, so that nothing is said.""",
    safe="`op.create_foreign_key(..., postgresql_not_valid=True)`, and `ALTER TABLE ... VALIDATE "
    "CONSTRAINT` in a later revision.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the foreign keys of the upgrade that are checked against rows under a lock."""
    for step in script.upgrade.steps:
        for action in step.actions:
            constraints: tuple[Constraint, ...]
            if isinstance(action, AddConstraint):
                constraints = (action.constraint,)
            elif isinstance(action, AddColumn) and action.column.default:
                constraints = action.constraints
            else:
                continue
            for constraint in constraints if step.is_filled(action.table) else ():
                if constraint.kind == "foreign" and constraint.valid:
                    name = constraint.name or "a foreign key"
                    words = (
                        f"{name} checks every row of {action.table} against {constraint.refers} while nobody "
                        "can write to either"
                    )
                    yield at(step, "upgrade", words, action.table, lock=SHARE_ROW_EXCLUSIVE)
    for step, table, name in early_validations(script.upgrade, "foreign"):
        words = f"{name} of {table} is validated in the transaction that added it, which holds its lock"
        yield at(step, "upgrade", words, table, lock=SHARE_ROW_EXCLUSIVE)
