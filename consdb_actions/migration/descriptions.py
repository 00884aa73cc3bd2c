"""Describe operations for reports, notes and runbooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from consdb_actions.migration.rewrite.statements import SqlStatement

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


def describe(op: ops.MigrateOperation) -> str:
    """Describe an operation, such as ``drop column exposure.airmass``."""
    if isinstance(op, SqlStatement):
        return op.text
    for kind, words in _WORDS:
        if isinstance(op, kind):
            return words(op)
    return type(op).__name__


def subject(op: ops.MigrateOperation) -> tuple[str, str]:
    """Return the table, and the column, constraint or index, of an operation; or empty texts."""
    if isinstance(op, SqlStatement):
        return op.table, ""
    table = str(getattr(op, "table_name", None) or getattr(op, "source_table", None) or "")
    name = (
        getattr(op, "column_name", None)
        or getattr(op, "constraint_name", None)
        or getattr(op, "index_name", None)
    )
    if isinstance(op, ops.AddColumnOp):
        name = op.column.name
    return table, str(name or "")


def _type(type_: Any) -> str:
    return str(type_.compile(dialect=_DIALECT)).lower() if type_ is not None else ""


def _add_column(op: Any) -> str:
    null = "" if op.column.nullable else " not null"
    return f"add column {op.table_name}.{op.column.name} ({_type(op.column.type)}{null})"


def _alter_column(op: Any) -> str:
    name = f"{op.table_name}.{op.column_name}"
    if op.modify_type is not None:
        return f"change type of {name} from {_type(op.existing_type)} to {_type(op.modify_type)}"
    if op.modify_nullable is not None:
        return f"make {name} {'nullable' if op.modify_nullable else 'not null'}"
    if op.modify_server_default is not False:
        return f"{'drop' if op.modify_server_default is None else 'set'} default of {name}"
    return f"{'change comment on' if op.modify_comment else 'remove comment of'} {name}"


def _create_table(op: Any) -> str:
    count = sum(isinstance(item, sa.Column) for item in op.columns)
    return f"create table {op.table_name} with {count} column{'s' if count != 1 else ''}"


_KINDS = {"foreignkey": "foreign key", "primary": "primary key", "unique": "unique", "check": "check"}

_WORDS: tuple[tuple[type[ops.MigrateOperation], Callable[[Any], str]], ...] = (
    (ops.AddColumnOp, _add_column),
    (ops.DropColumnOp, lambda op: f"drop column {op.table_name}.{op.column_name}"),
    (ops.AlterColumnOp, _alter_column),
    (ops.CreateTableOp, _create_table),
    (ops.DropTableOp, lambda op: f"drop table {op.table_name}"),
    (ops.CreateTableCommentOp, lambda op: f"change comment on table {op.table_name}"),
    (ops.DropTableCommentOp, lambda op: f"remove comment of table {op.table_name}"),
    (
        ops.DropConstraintOp,
        lambda op: f"drop {_KINDS[op.constraint_type]} {op.constraint_name} of {op.table_name}",
    ),
    (
        ops.CreatePrimaryKeyOp,
        lambda op: f"add primary key {op.constraint_name} to {op.table_name} ({_names(op.columns)})",
    ),
    (
        ops.CreateUniqueConstraintOp,
        lambda op: f"add unique {op.constraint_name} to {op.table_name} ({_names(op.columns)})",
    ),
    (
        ops.CreateForeignKeyOp,
        lambda op: (
            f"add foreign key {op.constraint_name} from {op.source_table} ({_names(op.local_cols)}) "
            f"to {op.referent_table}"
        ),
    ),
    (ops.CreateCheckConstraintOp, lambda op: f"add check {op.constraint_name} to {op.table_name}"),
    (ops.CreateIndexOp, lambda op: f"create index {op.index_name} on {op.table_name}"),
    (ops.DropIndexOp, lambda op: f"drop index {op.index_name}"),
)


def _names(columns: Any) -> str:
    return ", ".join(str(c) for c in columns)
