"""Which tables an action locks against everybody (``ACCESS EXCLUSIVE``)."""

from __future__ import annotations

from consdb_actions.migration.lint.actions import (
    Action,
    AddColumn,
    AddConstraint,
    AlterOther,
    AlterType,
    ChangeColumn,
    DropColumn,
    DropConstraint,
    DropRelation,
    RemoveRows,
    Rename,
    SetSchema,
)
from consdb_actions.migration.lint.names import Name

__all__ = ["EXCLUSIVE", "SHARE", "SHARE_ROW_EXCLUSIVE", "locked_exclusively"]

EXCLUSIVE = "ACCESS EXCLUSIVE"
"""Nobody reads or writes."""

SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
"""Nobody writes."""

SHARE = "SHARE"
"""Nobody writes; other indexes can be made."""


def locked_exclusively(action: Action) -> Name | None:
    """Return the table or view that nobody can read while the action waits and works."""
    if isinstance(action, AddColumn | DropColumn | AlterType | ChangeColumn | DropConstraint):
        return action.table
    if isinstance(action, AddConstraint):
        return None if action.constraint.kind == "foreign" else action.table
    if isinstance(action, AlterOther):
        return None if action.light else action.table
    if isinstance(action, Rename | SetSchema):
        return action.relation
    if isinstance(action, RemoveRows):
        return action.table if action.how == "TRUNCATE" else None
    if isinstance(action, DropRelation):
        return action.name if action.kind in ("table", "view", "matview") else None
    return None
