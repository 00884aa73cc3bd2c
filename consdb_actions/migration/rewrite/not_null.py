"""Add NOT NULL on tables with rows in three steps: nullable, fill, tighten (rule M7)."""

from __future__ import annotations

from dataclasses import replace

from alembic.operations import ops
from sqlalchemy.types import TypeEngine

from consdb_actions.catalog import Column, Constraint
from consdb_actions.migration.backfill import Fill, fill_statement, find_fill, order_fills
from consdb_actions.migration.rewrite.constraints import drop_constraint
from consdb_actions.migration.rewrite.plan import Facts, Filling, Loss, Plan, Question, Risk
from consdb_actions.migration.rewrite.stand_ins import numbered, placeholder
from consdb_actions.migration.rewrite.statements import (
    LateDropTable,
    Phase,
    Retype,
    Statement,
    literal,
    qualified,
    quote,
)

__all__ = ["not_null"]


def not_null(plan: Plan, facts: Facts) -> Plan:
    """Fill columns before NOT NULL; without a value ask, or in a downgrade use a placeholder."""
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
    wanted = sorted({*added, *tightened})
    # Columns without a value in any row: new ones, and those that a change of type empties.
    blank = {
        *added,
        *((o.table_name, o.column_name) for o in plan.ops if isinstance(o, Retype) and o.empties),
    }
    found: dict[tuple[str, str], Fill] = {}
    # A value may pass through several new columns, so that finding one can make another reachable.
    while True:
        new = {
            where: fill
            for where in wanted
            if where not in found
            and where not in facts.fills
            and where not in copied
            and (fill := find_fill(facts.before, facts.after, *where, coming=found.keys() & added.keys()))
        }
        if not new:
            break
        found |= new
    out: list[ops.MigrateOperation] = []
    extra: list[ops.MigrateOperation] = []
    result = plan
    # A table on the path to a parent's value must still exist.
    needed = {link.parent for fill in found.values() for link in fill.path}
    for op in plan.ops:
        if isinstance(op, ops.DropTableOp) and op.table_name in needed:
            out += _dropped_late(op, facts)
            continue
        if not isinstance(op, ops.AddColumnOp) or (where := (op.table_name, op.column.name)) not in added:
            out.append(op)
            continue
        state = facts.after.tables[where[0]].columns[where[1]]
        needs_value = not state.nullable and state.default is None and not state.identity
        if state.nullable or (not needs_value and where not in found and where not in copied):
            out.append(op)
            continue
        out.append(_nullable(op))
        extra.append(_tighten(facts, where, state))
    for where in wanted:
        state = facts.after.tables[where[0]].columns[where[1]]
        if where in found or (state.nullable and where not in tightened):
            continue
        if where in added and state.sequence and where not in copied:
            # The sequence comes last, and continues from there.
            extra.append(_number(facts, where, state))
            continue
        if where in added and (state.identity or (state.default is not None and where not in copied)):
            continue
        statement, result = _without_parent(result, facts, where, state, where in blank)
        if statement:
            extra.append(statement)
    fills = [fill_statement(facts.schema, f) for f in order_fills(list(found.values()))]
    parents = [Filling(*where, path=f.path, source=f.sources[0]) for where, f in found.items()]
    return replace(result, ops=(*out, *fills, *extra), filled=(*result.filled, *parents))


def _dropped_late(op: ops.DropTableOp, facts: Facts) -> list[ops.MigrateOperation]:
    """Drop a table late, but its foreign keys at once: their targets may be dropped before it."""
    if op.table_name in {c.source for c in facts.copies}:
        return [LateDropTable.of(op)]  # the foreign keys are handled by their own rule
    keys = [k for k in facts.before.tables[op.table_name].foreign_keys if k.table != op.table_name]
    return [
        *(drop_constraint(facts.schema, op.table_name, k.name, "foreignkey") for k in keys),
        LateDropTable.of(op),
    ]


def _without_parent(
    plan: Plan, facts: Facts, where: tuple[str, str], state: Column, blank: bool
) -> tuple[Statement | None, Plan]:
    """Fill from an answer, a default, or in a downgrade a placeholder; else ask."""
    table, column = where
    name = ".".join(where)
    if where in facts.fills:
        value = facts.fills[where]
        if value is None:
            return None, replace(plan, unfilled=(*plan.unfilled, *((where,) if blank else ())))
        plan = replace(plan, filled=(*plan.filled, Filling(*where, answer=value)))
        return _fill(facts, where, literal(value), f"with {value!r}"), plan
    if state.default is not None:
        plan = replace(plan, filled=(*plan.filled, Filling(*where, expression=state.default)))
        return _fill(facts, where, state.default, "with its default"), plan
    if facts.direction == "downgrade":
        loss = Loss(
            table, column, "downgrade", f"{name} is NOT NULL: rows without a value get a stand-in value"
        )
        unique = any(column in key for key in facts.after.tables[table].keys)
        return _stand_in(facts, where, state, unique), replace(plan, losses=(*plan.losses, loss))
    if facts.on_question == "proceed":
        risk = Risk(name, "becomes NOT NULL without a fill: fails where a row has no value")
        unfilled = (*plan.unfilled, *((where,) if blank else ()))
        return None, replace(plan, risks=(*plan.risks, risk), unfilled=unfilled)
    question = Question(
        name,
        f"{name} becomes NOT NULL, and nothing says what rows that exist already should hold: "
        + (
            "its values come from another table, where a row may have no partner, and it has no default."
            if any((c.target, c.target_column) == where for c in facts.copies)
            else "no foreign key leads from it to a parent's row over existing keys, and it has no default."
        ),
        (f"--fill {name}=VALUE", f"--no-fill {name}"),
    )
    return None, replace(plan, questions=(*plan.questions, question))


def _fill(facts: Facts, where: tuple[str, str], value: str, words: str) -> Statement:
    table, column = where
    return Statement(
        [
            f"UPDATE {qualified(facts.schema, table)}",
            f"SET {quote(column)} = {value}",
            f"WHERE {quote(column)} IS NULL",
        ],
        phase=Phase.FILL_REST,
        words=f"fill {table}.{column} {words}",
        table=table,
    )


def _stand_in(facts: Facts, where: tuple[str, str], state: Column, unique: bool) -> Statement:
    """Return placeholder values for a NOT NULL column: a parent's where a key requires it."""
    table, column = where
    owner = qualified(facts.schema, table)
    parent = _parent_value(facts, where)
    if parent is not None and not unique:
        return Statement(
            [f"UPDATE {owner} AS child", f"SET {quote(column)} = {parent}", f"WHERE {quote(column)} IS NULL"],
            phase=Phase.FILL_REST,
            words=f"point {table}.{column}, whose values are lost, to a row that there is",
            table=table,
        )
    if unique:
        rows = f"SELECT ctid, row_number() OVER (ORDER BY ctid) AS n FROM {owner}"
        value = numbered(state.type_text)
        source = _paired_parent(facts, where)
        tables = [f"FROM ({rows}) AS numbered"]
        match = "numbered.ctid = target.ctid"
        if source is not None:
            value, parents = source
            tables = [
                f"FROM ({rows}) AS numbered",
                f"JOIN ({parents}) AS parent ON parent.n = numbered.n",
            ]
        return Statement(
            [
                f"UPDATE {owner} AS target",
                f"SET {quote(column)} = {value}",
                *tables,
                f"WHERE {match} AND target.{quote(column)} IS NULL",
            ],
            phase=Phase.FILL_REST,
            words=f"number {table}.{column}, whose values are lost",
            table=table,
        )
    return _fill(facts, where, placeholder(facts, *where), "with a stand-in, since its values are lost")


def _number(facts: Facts, where: tuple[str, str], state: Column) -> Statement:
    table, column = where
    owner = qualified(facts.schema, table)
    return Statement(
        [
            f"UPDATE {owner} AS target",
            f"SET {quote(column)} = {numbered(state.type_text)}",
            f"FROM (SELECT ctid, row_number() OVER (ORDER BY ctid) AS n FROM {owner}) AS numbered",
            "WHERE numbered.ctid = target.ctid",
        ],
        phase=Phase.FILL_REST,
        words=f"number the rows of {table} in {column}",
        table=table,
    )


def _key_of(facts: Facts, where: tuple[str, str]) -> Constraint | None:
    table, column = where
    keys = [
        k
        for k in facts.after.tables[table].foreign_keys
        if column in k.columns and k.table in facts.before.tables
    ]
    return min(keys, key=lambda k: (len(k.columns), k.name), default=None)


def _parent_value(facts: Facts, where: tuple[str, str]) -> str | None:
    """Return a query for a parent's value that fits other references."""
    key = _key_of(facts, where)
    if key is None:
        return None
    table, column = where
    source = key.referenced[key.columns.index(column)]
    known = [
        f"parent.{quote(r)} = child.{quote(c)}"
        for c, r in zip(key.columns, key.referenced, strict=True)
        if c != column and c in facts.before.tables[table].columns
    ]
    condition = f" WHERE {' AND '.join(known)}" if known else ""
    order = ", ".join(f"parent.{quote(r)}" for r in key.referenced)
    parent = qualified(facts.schema, key.table)
    return f"(SELECT parent.{quote(source)} FROM {parent} AS parent{condition} ORDER BY {order} LIMIT 1)"


def _paired_parent(facts: Facts, where: tuple[str, str]) -> tuple[str, str] | None:
    """Pair rows with the parent's rows, where values must be unique and refer to it."""
    key = _key_of(facts, where)
    if key is None:
        return None
    source = quote(key.referenced[key.columns.index(where[1])])
    parent = qualified(facts.schema, key.table)
    numbered = f"SELECT {source} AS value, row_number() OVER (ORDER BY {source}) AS n FROM {parent}"
    return "parent.value", numbered


def _nullable(op: ops.AddColumnOp) -> ops.AddColumnOp:
    column = op.column._copy()
    column.nullable = True
    return ops.AddColumnOp(op.table_name, column, schema=op.schema, **op.kw)


def _tighten(facts: Facts, where: tuple[str, str], state: Column) -> ops.AlterColumnOp:
    existing: TypeEngine[object] = state.sqlalchemy_type
    return ops.AlterColumnOp(
        where[0], where[1], schema=facts.schema, existing_type=existing, modify_nullable=False
    )
