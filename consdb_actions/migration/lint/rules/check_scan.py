"""A CHECK that reads all rows while nobody can use the table."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import AddConstraint
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.locks import EXCLUSIVE
from consdb_actions.migration.lint.script import Script
from consdb_actions.migration.lint.validation import early_validations

__all__ = ["RULE", "check"]

RULE = Rule(
    id="check-scan",
    severity="warning",
    summary="A CHECK is added without NOT VALID.",
    doc="""\
`ADD CHECK` reads every row while nobody can use the table. With `NOT VALID` it holds for new rows at
once, and `VALIDATE CONSTRAINT` in a later transaction reads the old rows while others go on.""",
    safe="`ALTER TABLE ... ADD CONSTRAINT ... CHECK (...) NOT VALID`, and `VALIDATE CONSTRAINT` in a"
    " later revision.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the CHECKs of the upgrade that are checked against rows under a lock."""
    for step in script.upgrade.steps:
        for action in step.actions:
            if not isinstance(action, AddConstraint) or not step.is_filled(action.table):
                continue
            if action.constraint.kind == "check" and action.constraint.valid:
                name = action.constraint.name or "a CHECK"
                words = f"{name} reads all of {action.table} while nobody can use it"
                yield at(step, "upgrade", words, action.table, lock=EXCLUSIVE)
    for step, table, name in early_validations(script.upgrade, "check"):
        words = f"{name} of {table} is validated in the transaction that added it, which holds its lock"
        yield at(step, "upgrade", words, table, lock=EXCLUSIVE)
