"""Convert calls of ``op`` to actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from consdb_actions.migration.summary.deeds import Deed
from consdb_actions.migration.words import describe

__all__ = ["CALLS", "deeds_of_call"]


class _Recorder:
    def __init__(self) -> None:
        self.op: Any = None

    def invoke(self, op: ops.MigrateOperation) -> None:
        self.op = op


CALLS: dict[str, Callable[..., Any]] = {
    "add_column": ops.AddColumnOp.add_column,
    "drop_column": ops.DropColumnOp.drop_column,
    "alter_column": ops.AlterColumnOp.alter_column,
    "create_table": ops.CreateTableOp.create_table,
    "drop_table": ops.DropTableOp.drop_table,
    "rename_table": ops.RenameTableOp.rename_table,
    "create_table_comment": ops.CreateTableCommentOp.create_table_comment,
    "drop_table_comment": ops.DropTableCommentOp.drop_table_comment,
    "create_primary_key": ops.CreatePrimaryKeyOp.create_primary_key,
    "create_unique_constraint": ops.CreateUniqueConstraintOp.create_unique_constraint,
    "create_foreign_key": ops.CreateForeignKeyOp.create_foreign_key,
    "create_check_constraint": ops.CreateCheckConstraintOp.create_check_constraint,
    "drop_constraint": ops.DropConstraintOp.drop_constraint,
    "create_index": ops.CreateIndexOp.create_index,
    "drop_index": ops.DropIndexOp.drop_index,
}
"""The supported functions of ``op``, parsed by Alembic's own."""


def deeds_of_call(name: str, positional: list[Any], named: dict[str, Any]) -> tuple[Deed, ...]:
    """Return the actions of a function in `CALLS`."""
    recorder = _Recorder()
    if name == "create_table":
        positional = [positional[0], *(item for item in positional[1:] if isinstance(item, sa.Column))]
    if name == "create_check_constraint":  # Its condition is not used here, and might not be a text.
        positional, named = positional[:2], {**named, "condition": "true"}
    if name == "create_index":
        named = {key: item for key, item in named.items() if key in ("unique", "schema")}
    CALLS[name](recorder, *positional, **named)
    return tuple(_deeds(recorder.op))


def _deeds(op: Any) -> Iterator[Deed]:
    table = str(getattr(op, "table_name", None) or getattr(op, "source_table", None) or "")
    match op:
        case ops.AddColumnOp():
            yield Deed("add column", table, op.column.name, describe(op))
        case ops.DropColumnOp():
            yield Deed("drop column", table, op.column_name, describe(op))
        case ops.AlterColumnOp():
            yield from _changes(op, table)
        case ops.RenameTableOp():
            item = f"{table} to {op.new_table_name}"
            yield Deed("rename table", "", item, f"rename table {item}")
        case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
            yield Deed("describe table", "", table, describe(op))
        case ops.DropConstraintOp():
            name = str(op.constraint_name)
            words = describe(op) if op.constraint_type else f"drop constraint {name} of {table}"
            yield Deed("drop constraint", table, name, words)
        case ops.AddConstraintOp():
            yield Deed("add constraint", table, str(getattr(op, "constraint_name", "")), describe(op))
        case ops.CreateIndexOp():
            yield Deed("create index", table, str(op.index_name), describe(op))
        case ops.DropIndexOp():
            yield Deed("drop index", "", str(op.index_name), describe(op))
        case ops.CreateTableOp():
            yield Deed("create table", table, table, describe(op))
        case _:
            yield Deed("drop table", table, table, describe(op))


def _changes(op: ops.AlterColumnOp, table: str) -> Iterator[Deed]:
    column = op.column_name
    if op.modify_name:
        item = f"{column} to {op.modify_name}"
        yield Deed("rename column", table, item, f"rename column {table}.{item}")
    if op.modify_type is not None:
        alone = ops.AlterColumnOp(
            table, column, modify_type=op.modify_type, existing_type=op.existing_type or op.modify_type
        )
        words = describe(alone)
        span = words.partition(f"{table}.{column} ")[2]
        if op.existing_type is None:
            span = f"to {span.rpartition(' to ')[2]}"
        yield Deed("change type", table, f"{column} {span}", f"change type of {table}.{column} {span}")
    if op.modify_nullable is not None:
        alone = ops.AlterColumnOp(table, column, modify_nullable=op.modify_nullable)
        yield Deed("nullable" if op.modify_nullable else "not null", table, column, describe(alone))
    if op.modify_server_default is not False:
        alone = ops.AlterColumnOp(table, column, modify_server_default=op.modify_server_default)
        kind = "drop default" if op.modify_server_default is None else "set default"
        yield Deed(kind, table, column, describe(alone))
    if op.modify_comment is not False:
        alone = ops.AlterColumnOp(table, column, modify_comment=op.modify_comment)
        yield Deed("describe column", table, column, describe(alone))
