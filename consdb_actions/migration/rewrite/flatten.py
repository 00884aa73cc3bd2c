"""One flat list of operations, each of which does one thing that has one place in the script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from alembic.operations import ops

from consdb_actions.migration.rewrite.plan import Facts, Plan
from consdb_actions.migration.rewrite.statements import Statement

__all__ = ["flatten"]


def flatten(plan: Plan, facts: Facts) -> Plan:
    """Take the operations out of their tables, and split ``alter_column`` by what it does."""
    parts = [part for op in _leaves(plan.ops) for part in _split(op)]
    return replace(plan, ops=tuple(sorted(parts, key=lambda op: _place(op, facts))))


def _place(op: ops.MigrateOperation, facts: Facts) -> tuple[bool, str, int]:
    """Sort by table and place in it: Alembic's own order comes from sets (rule M11). Renames stay first."""
    if isinstance(op, Statement):
        return False, "", 0
    table = str(getattr(op, "table_name", ""))
    column = op.column.name if isinstance(op, ops.AddColumnOp) else getattr(op, "column_name", None)
    for side in (facts.after, facts.before):
        names = list(side.tables[table].columns) if table in side.tables else []
        if column in names:
            return True, table, names.index(column)
    return True, table, -1


def _leaves(operations: Iterable[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    for op in operations:
        if isinstance(op, ops.OpContainer):
            yield from _leaves(op.ops)
        else:
            yield op


def _split(op: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
    """Split a change of type from one of the comment."""
    if isinstance(op, ops.AlterColumnOp) and op.modify_type is not None and op.modify_comment is not False:
        yield _alter(op, op.existing_type, modify_type=op.modify_type)
        yield _alter(
            op, op.modify_type, modify_comment=op.modify_comment, existing_comment=op.existing_comment
        )
    else:
        yield op


def _alter(op: ops.AlterColumnOp, existing_type: Any, **changes: Any) -> ops.AlterColumnOp:
    return ops.AlterColumnOp(
        op.table_name,
        op.column_name,
        schema=op.schema,
        existing_type=existing_type,
        existing_nullable=op.existing_nullable,
        **changes,
    )
