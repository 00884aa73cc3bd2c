"""One flat list of operations, each of which does one thing that has one place in the script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from alembic.operations import ops

from consdb_actions.migration.rewrite.plan import Facts, Plan

__all__ = ["flatten"]


def flatten(plan: Plan, facts: Facts) -> Plan:
    """Take the operations out of their tables, and split ``alter_column`` by phase."""
    return replace(plan, ops=tuple(part for op in _leaves(plan.ops) for part in _split(op)))


def _leaves(operations: Iterable[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    for op in operations:
        if isinstance(op, ops.OpContainer):
            yield from _leaves(op.ops)
        else:
            yield op


def _split(op: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
    """Split type and relaxed NULL, default, tightened NULL, and comment."""
    if not isinstance(op, ops.AlterColumnOp):
        yield op
        return
    if op.modify_type is not None or op.modify_nullable is True:
        yield _alter(
            op,
            modify_type=op.modify_type,
            modify_nullable=True if op.modify_nullable else None,
        )
    if op.modify_server_default is not False:
        yield _alter(op, retyped=True, modify_server_default=op.modify_server_default)
    if op.modify_nullable is False:
        yield _alter(op, retyped=True, modify_nullable=False)
    if op.modify_comment is not False:
        yield _alter(
            op,
            retyped=True,
            modify_comment=op.modify_comment,
            existing_comment=op.existing_comment,
        )


def _alter(op: ops.AlterColumnOp, *, retyped: bool = False, **changes: object) -> ops.AlterColumnOp:
    existing_type = op.modify_type if retyped and op.modify_type is not None else op.existing_type
    nullable = op.existing_nullable
    if retyped and op.modify_nullable is not None:
        nullable = op.modify_nullable
    if "modify_nullable" in changes and changes["modify_nullable"] is not None:
        nullable = None
    out = ops.AlterColumnOp(
        op.table_name,
        op.column_name,
        schema=op.schema,
        existing_type=existing_type,
        existing_nullable=nullable,
    )
    for name, value in changes.items():
        setattr(out, name, value)
    return out
