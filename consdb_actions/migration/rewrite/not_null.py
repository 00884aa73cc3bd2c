"""Fill columns that become NOT NULL."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from alembic.operations import ops
from sqlalchemy.types import TypeEngine

from consdb_actions.catalog import CatalogColumn, CatalogConstraint, CatalogRelation, Snapshot
from consdb_actions.migration.rewrite.constraints import drop_constraint
from consdb_actions.migration.rewrite.plan import (
    ColumnFilling,
    DataLoss,
    DirectionFacts,
    Fill,
    MigrationPlan,
    RewriteQuestion,
    Risk,
    fill_statement,
    find_fill,
    order_fills,
)
from consdb_actions.migration.rewrite.retype import base_type
from consdb_actions.migration.rewrite.statements import (
    LateDropTable,
    Phase,
    Retype,
    SqlStatement,
    literal,
    qualified,
    quote,
)

GIVEN = "given."
"""Before the name of a column in a placeholder: the value that it has in the same row."""


def constant(type_text: str) -> str:
    """Return a constant placeholder of a type."""
    base = base_type(type_text)
    if base in {"text", "character varying", "character", "bytea"}:
        return "''"
    if base == "boolean":
        return "false"
    return "'epoch'" if base.startswith(("timestamp", "date")) else "'0'"


def placeholder(facts: DirectionFacts, table: str, column: str) -> str:
    """Return a constant placeholder that the CHECKs of a column allow, as far as one was found."""
    place = placeholder_origin(facts.before, facts.after, table, column)
    return facts.placeholders.get(place) or constant(_type_text(facts, place))


def numbered_placeholder(facts: DirectionFacts, table: str, column: str) -> str:
    """Return a placeholder that differs per row, by ``numbered.n``, as the CHECKs allow it."""
    place = placeholder_origin(facts.before, facts.after, table, column)
    return facts.numbers.get(place) or numbered(_type_text(facts, place))


def placeholder_origin(before: Snapshot, after: Snapshot, table: str, column: str) -> tuple[str, str]:
    """Follow foreign keys into recreated tables, whose placeholder rows have the value."""
    new = after.tables.keys() - before.tables.keys()
    passed = [(table, column)]
    while True:
        table, column = passed[-1]
        parents = [
            (key.table, key.referenced[key.columns.index(column)])
            for key in after.tables[table].foreign_keys
            if column in key.columns and key.table in new
        ]
        if not parents or parents[0] in passed:
            return passed[-1]
        passed.append(parents[0])


def _type_text(facts: DirectionFacts, place: tuple[str, str]) -> str:
    return facts.after.tables[place[0]].columns[place[1]].type_text


def numbered(type_text: str) -> str:
    """Return a placeholder that differs per row, by ``numbered.n``."""
    base = base_type(type_text)
    if base.startswith("timestamp"):
        return "'epoch'::timestamp + numbered.n * interval '1 second'"
    if base == "date":
        return "'epoch'::date + numbered.n::integer"
    return "(numbered.n % 2 = 0)" if base == "boolean" else f"numbered.n::text::{type_text}"


def columns_to_number(
    table: CatalogRelation,
    given: Collection[str] = (),
    able: Collection[str] = (),
    distinct: Iterable[Collection[str]] = (),
) -> set[str]:
    """Choose a column of each key whose placeholder differs per row.

    Parameters
    ----------
    given
        Columns that have values.
    able
        Columns whose CHECKs allow numbers; others with CHECKs are chosen last.
    distinct
        Sets of given columns that no two rows have in common.
    """
    chosen: set[str] = set()
    for key in sorted(table.keys, key=len):
        filled = [c for c in key if c in given or needs_value(table, c) or c in able]
        states = [table.columns[c] for c in key if c not in filled]
        differs = any(s.sequence or s.identity or s.default is None for s in states)
        differs |= any(some and set(key).issuperset(some) for some in distinct)
        free = [c for c in filled if c not in given]
        if free and not differs and not chosen.intersection(key):
            chosen.add(min(free, key=lambda c: _cost_of_numbers(table, c, able)))
    return chosen


def columns_to_number_again(
    old: CatalogRelation, new: CatalogRelation, able: Collection[str] = ()
) -> set[str]:
    """Choose a column of each key of a table with rows, among those that lost their values."""
    given = {
        c for c in old.columns.keys() & new.columns if new.columns[c].nullable or not old.columns[c].nullable
    }
    return columns_to_number(new, given, able, old.keys)


def _cost_of_numbers(table: CatalogRelation, column: str, able: Collection[str]) -> tuple[bool, ...]:
    return (
        base_type(table.columns[column].type) == "boolean",
        column not in able and any(column in check.columns for check in table.checks),
        any(column in key.columns for key in table.foreign_keys),
    )


def stand_in_values(facts: DirectionFacts, table: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return placeholders for columns that a new row requires besides the given ones."""
    state = facts.after.tables[table]
    unique = columns_to_number(state, given, _able(facts, table), [given])
    values = {
        column: _own_value(facts, state, column, "row_number() OVER ()" if column in unique else "")
        for column in state.columns
        if column not in given and _gets_value(facts, state, column)
    }
    return _with_given(values, {**values, **given})


def _partition(facts: DirectionFacts, where: tuple[str, str]) -> str:
    """Return PARTITION BY: only rows that are equal in the rest of a key need different values."""
    table, column = where
    there = facts.before.tables[table].columns
    keys = [[c for c in key if c != column] for key in facts.after.tables[table].keys if column in key]
    common = [c for c in keys[0] if all(c in key for key in keys) and c in there and not there[c].nullable]
    return f"PARTITION BY {', '.join(map(quote, common))} " if common else ""


def _numbered_again(facts: DirectionFacts, table: str) -> set[str]:
    old = facts.before.tables.get(table)
    new = facts.after.tables[table]
    return columns_to_number_again(old, new, _able(facts, table)) if old is not None else set()


def _with_given(values: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Write the values of the same row into the placeholders that refer to them."""
    found = re.compile(re.escape(GIVEN) + r'("(?:[^"]|"")*"|\w+)')
    names = {quote(column): value for column, value in given.items()}
    return {column: found.sub(lambda match: names[match[1]], value) for column, value in values.items()}


def _able(facts: DirectionFacts, table: str) -> set[str]:
    return {column for name, column in facts.numbers if name == table}


def _gets_value(facts: DirectionFacts, table: CatalogRelation, column: str) -> bool:
    """Tell whether a placeholder row gives a value: to what needs one, or has none that the CHECKs allow."""
    place = table.name, column
    return needs_value(table, column) or place in facts.placeholders or place in facts.numbers


def stand_in_rows(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
    """Insert into recreated tables the rows that others refer to."""
    if facts.direction == "upgrade":
        return plan
    statements: list[SqlStatement] = []
    losses = list(plan.losses)
    # Rows without a value to keep are numbered from 1, others after those that are there.
    dangling = sorted(_dangling(facts), key=lambda found: bool(_kept(facts, *found)))
    for number, (child, key) in enumerate(dangling):
        more = any(earlier.table == key.table for _, earlier in dangling[:number])
        statements.append(_insert(facts, child, key, more=more))
        text = (
            f"{key.table} gets a placeholder row for each row that {child} refers to; only its key is "
            f"meaningful"
        )
        losses.append(DataLoss(key.table, None, "downgrade", text))
    return replace(plan, ops=(*plan.ops, *statements), losses=tuple(losses))


def _dangling(facts: DirectionFacts) -> Iterator[tuple[str, CatalogConstraint]]:
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


def _kept(facts: DirectionFacts, child: str, key: CatalogConstraint) -> list[str]:
    """Return the columns of a foreign key whose values are there."""
    old = facts.before.tables.get(child)
    return [c for c in key.columns if old is None or c in old.columns]


def _insert(facts: DirectionFacts, child: str, key: CatalogConstraint, *, more: bool) -> SqlStatement:
    parent = facts.after.tables[key.table]
    kept = _kept(facts, child, key)
    owner, target = qualified(facts.schema, child), qualified(facts.schema, key.table)
    # Lost values of a column in a key are numbered by the rule of NOT NULL columns.
    unique = not _numbered_again(facts, child).isdisjoint(key.columns)
    pairs = list(zip(key.referenced, key.columns, strict=True))
    if kept:
        names = ", ".join(map(quote, kept))
        conditions = [f"{quote(c)} IS NOT NULL" for c in kept]
        number = f"row_number() OVER (ORDER BY {names})"
        if more:
            same = [
                f"parent.{quote(r)} = "
                + (f"child.{quote(c)}" if c in kept else placeholder(facts, parent.name, r))
                for r, c in pairs
            ]
            conditions.append(f"NOT EXISTS (SELECT FROM {target} AS parent WHERE {' AND '.join(same)})")
            number += f" + (SELECT count(*) FROM {target})"
        inner = f"SELECT DISTINCT {names} FROM {owner} AS child WHERE {' AND '.join(conditions)}"
        rows = f"SELECT {names}, {number} AS n FROM ({inner}) AS referring"
    elif unique:
        rows = f"SELECT row_number() OVER (ORDER BY ctid) AS n FROM {owner}"
    else:
        rows = f"SELECT 1 AS n WHERE EXISTS (SELECT FROM {owner})"
    several = bool(kept) or unique
    origins = {r: c for r, c in pairs if c in kept or not kept}
    able = _able(facts, parent.name)
    differing = columns_to_number(parent, origins, able, [origins]) if several else set()
    values = {}
    for column in parent.columns:
        if (origin := origins.get(column)) in kept:
            values[column] = f"numbered.{quote(origin)}"
        elif origin is not None and unique:
            values[column] = numbered_placeholder(facts, parent.name, column)
        elif column in key.referenced or _gets_value(facts, parent, column):
            number = "numbered.n" if column in differing and origin is None else ""
            values[column] = _own_value(facts, parent, column, number)
    values = _with_given(values, values)
    return SqlStatement(
        [
            f"INSERT INTO {target} ({', '.join(map(quote, values))})",
            f"SELECT {', '.join(values.values())}",
            f"FROM ({rows}) AS numbered",
            f"ON CONFLICT ({', '.join(map(quote, key.referenced))}) DO NOTHING",
        ],
        phase=Phase.FILL,
        text=f"insert placeholders for the rows of {key.table} that {child} refers to",
        table=key.table,
    )


def needs_value(table: CatalogRelation, column: str) -> bool:
    """Tell whether a new row must give a value of its own."""
    state = table.columns[column]
    return not state.nullable and state.default is None and not state.sequence and not state.identity


def _own_value(facts: DirectionFacts, table: CatalogRelation, column: str, number: str) -> str:
    """Return a parent's value for a key, a placeholder by the number where there is one, or a constant."""
    for own in table.foreign_keys:
        if column in own.columns and own.table in facts.before.tables:
            source = quote(own.referenced[own.columns.index(column)])
            order = ", ".join(map(quote, own.referenced))
            # OFFSET takes a column from outside, but no window function.
            row = f"OFFSET {number} - 1 LIMIT 1" if number == "numbered.n" else "LIMIT 1"
            return f"(SELECT {source} FROM {qualified(facts.schema, own.table)} ORDER BY {order} {row})"
    if number:
        return numbered_placeholder(facts, table.name, column).replace("numbered.n", number)
    return placeholder(facts, table.name, column)


def not_null(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
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
    parents = [ColumnFilling(*where, path=f.path, source=f.sources[0]) for where, f in found.items()]
    return replace(result, ops=(*out, *fills, *extra), filled=(*result.filled, *parents))


def _dropped_late(op: ops.DropTableOp, facts: DirectionFacts) -> list[ops.MigrateOperation]:
    """Drop a table late, but its foreign keys at once: their targets may be dropped before it."""
    if op.table_name in {c.source for c in facts.copies}:
        return [LateDropTable.of(op)]  # the foreign keys are handled by their own rule
    keys = [k for k in facts.before.tables[op.table_name].foreign_keys if k.table != op.table_name]
    return [
        *(drop_constraint(facts.schema, op.table_name, k.name, "foreignkey") for k in keys),
        LateDropTable.of(op),
    ]


def _without_parent(
    plan: MigrationPlan, facts: DirectionFacts, where: tuple[str, str], state: CatalogColumn, blank: bool
) -> tuple[SqlStatement | None, MigrationPlan]:
    """Fill from an answer, a default, or in a downgrade a placeholder; else ask."""
    table, column = where
    name = ".".join(where)
    if where in facts.fills:
        value = facts.fills[where]
        if value is None:
            return None, replace(plan, unfilled=(*plan.unfilled, *((where,) if blank else ())))
        plan = replace(plan, filled=(*plan.filled, ColumnFilling(*where, answer=value)))
        return _fill(facts, where, literal(value), f"with {value!r}"), plan
    if state.default is not None:
        plan = replace(plan, filled=(*plan.filled, ColumnFilling(*where, expression=state.default)))
        return _fill(facts, where, state.default, "with its default"), plan
    if facts.direction == "downgrade":
        loss = DataLoss(
            table, column, "downgrade", f"{name} is NOT NULL: rows without a value get a placeholder"
        )
        unique = column in _numbered_again(facts, table)
        return _stand_in(facts, where, state, unique), replace(plan, losses=(*plan.losses, loss))
    if facts.on_question == "proceed":
        risk = Risk(name, "becomes NOT NULL without a fill: fails where a row has no value")
        unfilled = (*plan.unfilled, *((where,) if blank else ()))
        return None, replace(plan, risks=(*plan.risks, risk), unfilled=unfilled)
    question = RewriteQuestion(
        name,
        f"{name} becomes NOT NULL, and the value for existing rows is unknown: "
        + (
            "its values come from another table, where a row may have no partner, and it has no default."
            if any((c.target, c.target_column) == where for c in facts.copies)
            else "no foreign key leads from it to a parent's row over existing keys, and it has no default."
        ),
        (f"--fill {name}=VALUE", f"--no-fill {name}"),
    )
    return None, replace(plan, questions=(*plan.questions, question))


def _fill(facts: DirectionFacts, where: tuple[str, str], value: str, text: str) -> SqlStatement:
    table, column = where
    return SqlStatement(
        [
            f"UPDATE {qualified(facts.schema, table)}",
            f"SET {quote(column)} = {value}",
            f"WHERE {quote(column)} IS NULL",
        ],
        phase=Phase.FILL_REST,
        text=f"fill {table}.{column} {text}",
        table=table,
    )


def _stand_in(
    facts: DirectionFacts, where: tuple[str, str], state: CatalogColumn, unique: bool
) -> SqlStatement:
    """Return placeholder values for a NOT NULL column: a parent's where a key requires it."""
    table, column = where
    owner = qualified(facts.schema, table)
    parent = _parent_value(facts, where)
    if parent is not None and not unique:
        return SqlStatement(
            [f"UPDATE {owner} AS child", f"SET {quote(column)} = {parent}", f"WHERE {quote(column)} IS NULL"],
            phase=Phase.FILL_REST,
            text=f"point {table}.{column}, whose values are lost, to an existing row",
            table=table,
        )
    if unique:
        rows = f"SELECT ctid, row_number() OVER ({_partition(facts, where)}ORDER BY ctid) AS n FROM {owner}"
        value = numbered_placeholder(facts, *where)
        source = _paired_parent(facts, where)
        tables = [f"FROM ({rows}) AS numbered"]
        match = "numbered.ctid = target.ctid"
        if source is not None:
            value, parents = source
            tables = [
                f"FROM ({rows}) AS numbered",
                f"JOIN ({parents}) AS parent ON parent.n = numbered.n",
            ]
        return SqlStatement(
            [
                f"UPDATE {owner} AS target",
                f"SET {quote(column)} = {value}",
                *tables,
                f"WHERE {match} AND target.{quote(column)} IS NULL",
            ],
            phase=Phase.FILL_REST,
            text=f"number {table}.{column}, whose values are lost",
            table=table,
        )
    return _fill(facts, where, placeholder(facts, *where), "with a placeholder, since its values are lost")


def _number(facts: DirectionFacts, where: tuple[str, str], state: CatalogColumn) -> SqlStatement:
    table, column = where
    owner = qualified(facts.schema, table)
    return SqlStatement(
        [
            f"UPDATE {owner} AS target",
            f"SET {quote(column)} = {numbered(state.type_text)}",
            f"FROM (SELECT ctid, row_number() OVER (ORDER BY ctid) AS n FROM {owner}) AS numbered",
            "WHERE numbered.ctid = target.ctid",
        ],
        phase=Phase.FILL_REST,
        text=f"number the rows of {table} in {column}",
        table=table,
    )


def _key_of(facts: DirectionFacts, where: tuple[str, str]) -> CatalogConstraint | None:
    table, column = where
    keys = [
        k
        for k in facts.after.tables[table].foreign_keys
        if column in k.columns and k.table in facts.before.tables
    ]
    return min(keys, key=lambda k: (len(k.columns), k.name), default=None)


def _parent_value(facts: DirectionFacts, where: tuple[str, str]) -> str | None:
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


def _paired_parent(facts: DirectionFacts, where: tuple[str, str]) -> tuple[str, str] | None:
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


def _tighten(facts: DirectionFacts, where: tuple[str, str], state: CatalogColumn) -> ops.AlterColumnOp:
    existing: TypeEngine[object] = state.sqlalchemy_type
    return ops.AlterColumnOp(
        where[0], where[1], schema=facts.schema, existing_type=existing, modify_nullable=False
    )
