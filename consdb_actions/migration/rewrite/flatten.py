"""One flat list of operations, each of which does one thing that has one place in the script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from alembic.operations import ops

from consdb_actions.migration.rewrite.plan import Facts, Plan

__all__ = ["flatten"]


def flatten(plan: Plan, facts: Facts) -> Plan:
    """Take the operations out of their tables, and split ``alter_column`` by what it does."""
    return replace(plan, ops=tuple(part for op in _leaves(plan.ops) for part in _split(op)))


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
