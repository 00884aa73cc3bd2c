"""Rule M6: the differences that Alembic's autogenerate does not see, as further operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sqlalchemy as sa
from alembic.operations import ops

from consdb_actions.migration.rewrite.constraints import compare_constraints, create_indexes
from consdb_actions.migration.rewrite.plan import Facts, Plan
from consdb_actions.migration.rewrite.statements import escape_binds
from consdb_actions.migration.state import TableState

__all__ = ["compare"]


def compare(plan: Plan, facts: Facts) -> Plan:
    """Add changed constraints, indexes, defaults and NOT NULL of tables that both sides have.

    Constraints of a new table come with its CREATE TABLE, its indexes do not.
    """
    out: list[ops.MigrateOperation] = []
    for name, after in sorted(facts.after.tables.items()):
        before = facts.before.tables.get(name)
        if before is None:
            out.extend(create_indexes(facts.schema, name, after.indexes))
            continue
        described = facts.direction == "upgrade"
        out.extend(compare_constraints(facts.schema, before, after, described=described))
        out.extend(_defaults(facts.schema, before, after))
        out.extend(_nullability(facts.schema, before, after))
    return replace(plan, ops=(*plan.ops, *out))


def _defaults(schema: str, before: TableState, after: TableState) -> Iterator[ops.AlterColumnOp]:
    for column in after.columns.values():
        old = before.columns.get(column.name)
        if old is None or old.default == column.default:
            continue
        default = None if column.default is None else sa.DefaultClause(sa.text(escape_binds(column.default)))
        yield ops.AlterColumnOp(
            after.name,
            column.name,
            schema=schema,
            existing_type=column.type,
            existing_nullable=column.nullable,
            modify_server_default=default,
        )


def _nullability(schema: str, before: TableState, after: TableState) -> Iterator[ops.AlterColumnOp]:
    for column in after.columns.values():
        old = before.columns.get(column.name)
        if old is None or old.nullable == column.nullable:
            continue
        yield ops.AlterColumnOp(
            after.name,
            column.name,
            schema=schema,
            existing_type=old.type if column.nullable else column.type,
            modify_nullable=column.nullable,
        )
