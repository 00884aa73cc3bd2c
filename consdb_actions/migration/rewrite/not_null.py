"""Rule M7: NOT NULL on a table that may hold rows is three steps: nullable, fill, tighten."""

from __future__ import annotations

from dataclasses import replace

from alembic.operations import ops
from sqlalchemy.types import TypeEngine

from consdb_actions.migration.backfill import Fill, fill_statement, find_fill, order_fills
from consdb_actions.migration.rewrite.plan import Facts, Loss, Plan, Question, Risk
from consdb_actions.migration.rewrite.retype import base_type
from consdb_actions.migration.rewrite.statements import (
    Phase,
    Statement,
    escape_binds,
    literal,
    qualified,
    quote,
)
from consdb_actions.migration.state import ColumnState

__all__ = ["not_null"]


def not_null(plan: Plan, facts: Facts) -> Plan:
    """Fill new key columns from their parents, and every column before it becomes NOT NULL.

    In an upgrade a column without any source of values is a question. A downgrade must run whatever the
    tables hold, so there it gets a stand-in value, which is listed as a loss.
    """
    copied = {(c.target, c.target_column) for c in facts.copies}
    added = {
        (op.table_name, op.column.name): op
        for op in plan.ops
        if isinstance(op, ops.AddColumnOp) and op.table_name in facts.before.tables
    }
    tightened = {
        (op.table_name, op.column_name)
        for op in plan.ops
        if isinstance(op, ops.AlterColumnOp) and op.modify_nullable is False
    }
    wanted = sorted({*added, *tightened} - copied)
    found: dict[tuple[str, str], Fill] = {}
    # A value may pass through several new columns, so that finding one can make another reachable.
    while True:
        new = {
            where: fill
            for where in wanted
            if where not in found
            and where not in facts.fills
            and (fill := find_fill(facts.before, facts.after, *where, coming=found.keys() & added.keys()))
        }
        if not new:
            break
        found |= new
    out: list[ops.MigrateOperation] = []
    extra: list[ops.MigrateOperation] = []
    result = plan
    for op in plan.ops:
        if not isinstance(op, ops.AddColumnOp) or (where := (op.table_name, op.column.name)) not in added:
            out.append(op)
            continue
        state = facts.after.tables[where[0]].columns[where[1]]
        needs_value = not state.nullable and state.default is None and not state.sequence
        if state.nullable or (not needs_value and where not in found and where not in copied):
            out.append(op)
            continue
        out.append(_nullable(op))
        extra.append(_tighten(facts, where, state))
    for where in wanted:
        state = facts.after.tables[where[0]].columns[where[1]]
        if where in found or (state.nullable and where not in tightened):
            continue
        if where in added and (state.default is not None or state.sequence or state.identity):
            continue
        statement, result = _without_parent(result, facts, where, state)
        if statement:
            extra.append(statement)
    fills = [fill_statement(facts.schema, f) for f in order_fills(list(found.values()))]
    return replace(result, ops=(*out, *fills, *extra))


def _without_parent(
    plan: Plan, facts: Facts, where: tuple[str, str], state: ColumnState
) -> tuple[Statement | None, Plan]:
    """Fill from an answer, a default, or, in a downgrade, a stand-in; else ask."""
    table, column = where
    name = ".".join(where)
    if where in facts.fills:
        value = facts.fills[where]
        if value is None and column not in facts.before.tables[table].columns:
            plan = replace(plan, unfilled=(*plan.unfilled, where))
        return (
            None if value is None else _fill(facts, where, state, literal(value), f"with {value!r}")
        ), plan
    if state.default is not None:
        return _fill(facts, where, state, escape_binds(state.default), "with its default"), plan
    if facts.direction == "downgrade":
        loss = Loss(
            table, column, "downgrade", f"{name} is NOT NULL: rows without a value get a stand-in value"
        )
        unique = any(column in key for key in facts.after.tables[table].keys)
        return _stand_in(facts, where, state, unique), replace(plan, losses=(*plan.losses, loss))
    if facts.on_question == "proceed":
        risk = Risk(name, "becomes NOT NULL without a fill: fails where a row has no value")
        unfilled = () if column in facts.before.tables[table].columns else (where,)
        return None, replace(plan, risks=(*plan.risks, risk), unfilled=(*plan.unfilled, *unfilled))
    question = Question(
        name,
        f"{name} becomes NOT NULL, and nothing says what rows that exist already should hold: no foreign key "
        "leads from it to a parent's row over existing keys, and it has no default.",
        (f"--fill {name}=VALUE", f"--no-fill {name}"),
    )
    return None, replace(plan, questions=(*plan.questions, question))


def _fill(facts: Facts, where: tuple[str, str], state: ColumnState, value: str, words: str) -> Statement:
    table, column = where
    return Statement(
        [
            f"UPDATE {qualified(facts.schema, table)}",
            f"SET {quote(column)} = {value}",
            f"WHERE {quote(column)} IS NULL",
        ],
        phase=Phase.FILL,
        words=f"fill {table}.{column} {words}",
        table=table,
    )


def _stand_in(facts: Facts, where: tuple[str, str], state: ColumnState, unique: bool) -> Statement:
    table, column = where
    base = base_type(state.type_text)
    if unique:
        value = {"boolean": "(numbered.n % 2 = 0)", "date": "'epoch'::date + numbered.n::integer"}.get(
            base, f"numbered.n::text::{state.type_text}"
        )
        if base.startswith("timestamp"):
            value = "'epoch'::timestamp + numbered.n * interval '1 second'"
        owner = qualified(facts.schema, table)
        return Statement(
            [
                f"UPDATE {owner} AS target",
                f"SET {quote(column)} = {value}",
                f"FROM (SELECT ctid, row_number() OVER (ORDER BY ctid) AS n FROM {owner}) AS numbered",
                f"WHERE numbered.ctid = target.ctid AND target.{quote(column)} IS NULL",
            ],
            phase=Phase.FILL,
            words=f"number {table}.{column}, whose values are lost",
            table=table,
        )
    value = "'epoch'" if base.startswith(("timestamp", "date")) else "'0'"
    if base in {"text", "character varying", "character", "bytea"}:
        value = "''"
    elif base == "boolean":
        value = "false"
    return _fill(facts, where, state, value, "with a stand-in, since its values are lost")


def _nullable(op: ops.AddColumnOp) -> ops.AddColumnOp:
    column = op.column._copy()
    column.nullable = True
    return ops.AddColumnOp(op.table_name, column, schema=op.schema, **op.kw)


def _tighten(facts: Facts, where: tuple[str, str], state: ColumnState) -> ops.AlterColumnOp:
    existing: TypeEngine[object] = state.type
    return ops.AlterColumnOp(
        where[0], where[1], schema=facts.schema, existing_type=existing, modify_nullable=False
    )
