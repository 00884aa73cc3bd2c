"""What the rules about NOT VALID share."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import AddConstraint, Transaction, ValidateConstraint
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.script import Run, Step

__all__ = ["early_validations"]


def early_validations(run: Run, kind: str) -> Iterator[tuple[Step, Name, str]]:
    """Yield constraints that are validated in the very transaction that added them as NOT VALID."""
    added: set[tuple[Name, str]] = set()
    for step in run.steps:
        for action in step.actions:
            if isinstance(action, Transaction):
                added.clear()
            elif isinstance(action, AddConstraint):
                constraint = action.constraint
                if constraint.kind == kind and not constraint.valid and step.is_filled(action.table):
                    added.add((action.table, constraint.name))
            elif isinstance(action, ValidateConstraint) and (action.table, action.name) in added:
                yield step, action.table, action.name
