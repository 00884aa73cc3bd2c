"""Placeholder values, and rows for foreign keys, that let a downgrade run (rule M10)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from consdb_actions.catalog import Constraint, Relation
from consdb_actions.migration.rewrite.plan import Facts, Loss, Plan
from consdb_actions.migration.rewrite.retype import base_type
from consdb_actions.migration.rewrite.statements import Phase, Statement, qualified, quote

__all__ = ["constant", "needs_value", "numbered", "placeholder", "stand_in_rows", "stand_in_values"]


def constant(type_text: str) -> str:
    """Return a constant placeholder of a type."""
    base = base_type(type_text)
    if base in {"text", "character varying", "character", "bytea"}:
        return "''"
    if base == "boolean":
        return "false"
    return "'epoch'" if base.startswith(("timestamp", "date")) else "'0'"


def placeholder(facts: Facts, table: str, column: str) -> str:
    """Return a constant placeholder that the CHECKs of a column allow, as far as one was found."""
    found = facts.placeholders.get((table, column))
    return found or constant(facts.after.tables[table].columns[column].type_text)


def numbered(type_text: str) -> str:
    """Return a placeholder that differs per row, by ``numbered.n``."""
    base = base_type(type_text)
    if base.startswith("timestamp"):
        return "'epoch'::timestamp + numbered.n * interval '1 second'"
    if base == "date":
        return "'epoch'::date + numbered.n::integer"
    return "(numbered.n % 2 = 0)" if base == "boolean" else f"numbered.n::text::{type_text}"


def stand_in_values(facts: Facts, table: str, given: Collection[str]) -> dict[str, str]:
    """Return placeholders for other columns that a new row requires."""
    state = facts.after.tables[table]
    return {
        column: _own_value(facts, state, column, "row_number() OVER ()")
        for column in state.columns
        if column not in given and needs_value(state, column)
    }


def stand_in_rows(plan: Plan, facts: Facts) -> Plan:
    """Insert into recreated tables the rows that others refer to."""
    if facts.direction == "upgrade":
        return plan
    statements: list[Statement] = []
    losses = list(plan.losses)
    for child, key in _dangling(facts):
        statements.append(_insert(facts, child, key))
        words = f"{key.table} gets a stand-in row for each row that {child} refers to: only its key is meant"
        losses.append(Loss(key.table, None, "downgrade", words))
    return replace(plan, ops=(*plan.ops, *statements), losses=tuple(losses))


def _dangling(facts: Facts) -> Iterator[tuple[str, Constraint]]:
    """Yield foreign keys of filled tables to recreated ones, except those that stay NULL."""
    waiting = sorted(facts.before.tables.keys() & facts.after.tables.keys())
    seen = set(waiting)
    while waiting:
        name = waiting.pop(0)
        table, old = facts.after.tables[name], facts.before.tables.get(name)
        there = old.columns if old else [c for c in table.columns if needs_value(table, c)]
        for key in table.foreign_keys:
            comes_back = key.table in facts.after.tables and key.table not in facts.before.tables
            stays_null = any(c not in there and table.columns[c].nullable for c in key.columns)
            if comes_back and not stays_null and key.table != (name if old is None else ""):
                yield name, key
                # Its placeholder rows may refer to others.
                waiting += {key.table} - seen
                seen.add(key.table)


def _insert(facts: Facts, child: str, key: Constraint) -> Statement:
    parent, old = facts.after.tables[key.table], facts.before.tables.get(child)
    kept = [c for c in key.columns if old is None or c in old.columns]
    owner = qualified(facts.schema, child)
    # Lost values of a column in any key are numbered by the rule of NOT NULL columns.
    unique = any(c in k for k in facts.after.tables[child].keys for c in key.columns)
    if kept:
        names = ", ".join(map(quote, kept))
        present = " AND ".join(f"{quote(c)} IS NOT NULL" for c in kept)
        inner = f"SELECT DISTINCT {names} FROM {owner} WHERE {present}"
        rows = f"SELECT {names}, row_number() OVER (ORDER BY {names}) AS n FROM ({inner}) AS referring"
    elif unique:
        rows = f"SELECT row_number() OVER (ORDER BY ctid) AS n FROM {owner}"
    else:
        rows = f"SELECT 1 AS n WHERE EXISTS (SELECT FROM {owner})"
    values = {
        column: _value(facts, parent, column, key, kept, numbers=bool(kept) or unique)
        for column in parent.columns
        if column in key.referenced or needs_value(parent, column)
    }
    return Statement(
        [
            f"INSERT INTO {qualified(facts.schema, key.table)} ({', '.join(map(quote, values))})",
            f"SELECT {', '.join(values.values())}",
            f"FROM ({rows}) AS numbered",
            f"ON CONFLICT ({', '.join(map(quote, key.referenced))}) DO NOTHING",
        ],
        phase=Phase.FILL,
        words=f"stand in for the rows of {key.table} that {child} refers to",
        table=key.table,
    )


def needs_value(table: Relation, column: str) -> bool:
    """Tell whether a new row must give a value of its own."""
    state = table.columns[column]
    return not state.nullable and state.default is None and not state.sequence and not state.identity


def _value(
    facts: Facts, parent: Relation, column: str, key: Constraint, kept: list[str], *, numbers: bool
) -> str:
    type_text = parent.columns[column].type_text
    if column in key.referenced:
        origin = key.columns[key.referenced.index(column)]
        if origin in kept:
            return f"numbered.{quote(origin)}"
        return numbered(type_text) if numbers and not kept else placeholder(facts, parent.name, column)
    return _own_value(facts, parent, column, "numbered.n" if numbers else "")


def _own_value(facts: Facts, table: Relation, column: str, number: str) -> str:
    """Return a parent's value for a key, a number if unique, or a constant."""
    type_text = table.columns[column].type_text
    for own in table.foreign_keys:
        if column in own.columns and own.table in facts.before.tables:
            source = quote(own.referenced[own.columns.index(column)])
            order = ", ".join(map(quote, own.referenced))
            return f"(SELECT {source} FROM {qualified(facts.schema, own.table)} ORDER BY {order} LIMIT 1)"
    in_key = any(column in k for k in table.keys)
    if number and in_key:
        return numbered(type_text).replace("numbered.n", number)
    return placeholder(facts, table.name, column)
