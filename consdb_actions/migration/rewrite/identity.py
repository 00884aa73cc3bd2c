"""Operations for identity columns and sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeGuard

from alembic.operations import ops

from consdb_actions.catalog import CatalogColumn, CatalogConstraint, CatalogRelation
from consdb_actions.migration.rewrite.plan import DirectionFacts, MigrationPlan, Risk, spare_name
from consdb_actions.migration.rewrite.retype import base_type, narrowing
from consdb_actions.migration.rewrite.statements import (
    DropOldKey,
    Phase,
    ReadyKey,
    RelaxOldKey,
    Rename,
    Retype,
    SqlStatement,
    phase_of,
    qualified,
    quote,
)

_INTEGERS = {"smallint", "integer", "bigint"}

_OLD_KEY = (
    "its rows are changed under the old primary key; where the table is published, a replica that is "
    "migrated already refuses them"
)

_NO_KEY = (
    "its rows are changed while it has no primary key; where the table is published, Postgres refuses that"
)


def identity(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
    """Place primary key changes around the statements that update rows.

    The new key is preferred, since a replica that has it finds rows by it alone. Without either, the table is
    a risk.
    """
    out, risks = list(plan.ops), list(plan.risks)
    for table in sorted({op.table for op in plan.ops if isinstance(op, SqlStatement) and op.changes_rows}):
        # A new table has its key from the start.
        first = facts.before.tables.get(table, facts.after.tables.get(table))
        old = first.primary_key if first else None
        dropped = next((op for op in out if _drops(op, table, old)), None)
        if old is not None and dropped is None:
            continue
        created = next((op for op in out if _creates(op, table)), None)
        if created is not None and _ready(out, facts, created):
            out = [ReadyKey.of(created) if op is created else op for op in out]
        elif old is not None and dropped is not None and _can_drop_late(out, facts, table, old):
            out = _drop_late(out, facts, table, old, dropped)
            risks.append(_risk(facts, table, _OLD_KEY))
        else:
            risks.append(_risk(facts, table, _NO_KEY))
    return replace(plan, ops=tuple(out), risks=tuple(risks))


def _risk(facts: DirectionFacts, table: str, text: str) -> Risk:
    return Risk(
        table,
        f"{facts.direction}: {text} unless REPLICA IDENTITY FULL is set meanwhile, as the runbook says",
    )


def _drops(op: ops.MigrateOperation, table: str, key: CatalogConstraint | None) -> bool:
    return (
        isinstance(op, ops.DropConstraintOp)
        and key is not None
        and (op.table_name, op.constraint_name) == (table, key.name)
    )


def _creates(op: ops.MigrateOperation, table: str) -> TypeGuard[ops.CreatePrimaryKeyOp]:
    return isinstance(op, ops.CreatePrimaryKeyOp) and op.table_name == table


def _ready(
    operations: list[ops.MigrateOperation], facts: DirectionFacts, key: ops.CreatePrimaryKeyOp
) -> bool:
    """Return whether a key can be created before rows change."""
    columns = facts.before.tables[key.table_name].columns
    emptied = {c for c, op in _retyped(operations, key.table_name) if isinstance(op, Retype) and op.empties}
    taken = {
        name
        for other in facts.before.tables.values()
        if other.name != key.table_name
        for name in _relations(other)
    }
    return key.constraint_name not in taken and all(
        c in columns and not columns[c].nullable and c not in emptied for c in key.columns
    )


def _can_drop_late(
    operations: list[ops.MigrateOperation], facts: DirectionFacts, table: str, key: CatalogConstraint
) -> bool:
    """Return whether a key survives the type changes with distinct values."""
    before, after = facts.before.tables[table].columns, facts.after.tables[table].columns
    return not any(
        column in key.columns
        and (
            (isinstance(op, Retype) and op.empties)
            or _merges(before[column].type_text, after[column].type_text)
        )
        for column, op in _retyped(operations, table)
    )


def _merges(old: str, new: str) -> bool:
    """Return whether a conversion can make values equal; integers stay distinct or fail."""
    return bool(narrowing(old, new)) and not {base_type(old), base_type(new)} <= _INTEGERS


def _retyped(operations: list[ops.MigrateOperation], table: str) -> Iterator[tuple[str, ops.AlterColumnOp]]:
    for op in operations:
        if isinstance(op, ops.AlterColumnOp) and op.table_name == table and op.modify_type is not None:
            yield op.column_name, op


def _drop_late(
    operations: list[ops.MigrateOperation],
    facts: DirectionFacts,
    table: str,
    key: CatalogConstraint,
    dropped: ops.MigrateOperation,
) -> list[ops.MigrateOperation]:
    """Drop a key late with its NOT NULLs; rename it if its name is needed."""
    out = [RelaxOldKey.of(op) if _relaxes(op, table, key) else op for op in operations if op is not dropped]
    name = key.name
    if name in _early_names(out, facts):
        names = {
            n for side in (facts.before, facts.after) for t in side.tables.values() for n in _relations(t)
        }
        name = spare_name(name, names)
        out.append(Rename("key", facts.schema, table, key.name, name, phase=Phase.RENAME_CONSTRAINT))
    return [*out, DropOldKey(name, table, type_="primary", schema=facts.schema)]


def _relaxes(op: ops.MigrateOperation, table: str, key: CatalogConstraint) -> TypeGuard[ops.AlterColumnOp]:
    return (
        isinstance(op, ops.AlterColumnOp)
        and (op.table_name, op.modify_nullable) == (table, True)
        and op.column_name in key.columns
    )


def _early_names(operations: list[ops.MigrateOperation], facts: DirectionFacts) -> set[str]:
    made = {op.table_name for op in operations if isinstance(op, ops.CreateTableOp)}
    names = {name for table in made for name in _relations(facts.after.tables[table])}
    return names | {
        op.new
        for op in operations
        if isinstance(op, Rename) and op.space == "relation" and phase_of(op) is Phase.RENAME_CONSTRAINT
    }


def _relations(table: CatalogRelation) -> Iterator[str]:
    """Yield the relation names of a table, its keys and indexes."""
    yield table.name
    if table.primary_key is not None:
        yield table.primary_key.name
    yield from (unique.name for unique in table.uniques)
    yield from table.indexes


def sequences(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
    """Create and change sequences and identities, except new SERIAL primary keys."""
    out: list[ops.MigrateOperation] = []
    for name, table in sorted(facts.after.tables.items()):
        old_table = facts.before.tables.get(name)
        for column in table.columns.values():
            old = old_table.columns.get(column.name) if old_table else None
            if old_table is None and _is_serial(plan, name, column):
                continue
            out.extend(_sequence(facts, name, old, column))
            out.extend(_identity(facts, name, old, column))
    return replace(plan, ops=(*plan.ops, *out))


def _is_serial(plan: MigrationPlan, table: str, column: CatalogColumn) -> bool:
    for op in plan.ops:
        if isinstance(op, ops.CreateTableOp) and op.table_name == table:
            made = op.to_table()._autoincrement_column
            return made is not None and made.name == column.name
    return False


def _sequence(
    facts: DirectionFacts, table: str, old: CatalogColumn | None, new: CatalogColumn
) -> Iterator[SqlStatement]:
    before, after = (old.sequence if old else None), new.sequence
    owner = f"ALTER TABLE {qualified(facts.schema, table)} ALTER COLUMN {quote(new.name)}"
    where = f"{table}.{new.name}"
    if before and not after:
        yield SqlStatement(
            f"{owner} DROP DEFAULT",
            phase=Phase.DROP_DEFAULT,
            text=f"take the sequence from {where}",
            table=table,
        )
        if _bare(before) not in facts.after.sequences:
            yield SqlStatement(
                f"DROP SEQUENCE {before}",
                phase=Phase.DROP_DEFAULT,
                text=f"drop the sequence of {where}",
                table=table,
            )
    elif after and not before:
        yield from _create(facts, table, new, after, owner)
    elif before and after:
        a, b = _bare(before), _bare(after)
        if a != b:
            yield Rename("sequence", facts.schema, table, a, b, phase=Phase.RENAME_CONSTRAINT)
        was, now = facts.before.sequences.get(a), facts.after.sequences.get(b)
        if was is not None and now is not None and was.type != now.type:
            yield SqlStatement(
                f"ALTER SEQUENCE {after} AS {now.type}",
                phase=Phase.ADD_DEFAULT,
                text=f"change the type of the sequence of {where}",
                table=table,
            )


def _create(
    facts: DirectionFacts, table: str, new: CatalogColumn, sequence: str, owner: str
) -> Iterator[SqlStatement]:
    where = f"{table}.{new.name}"
    column, name = quote(new.name), qualified(facts.schema, table)
    quoted = "'" + sequence.replace("'", "''") + "'"
    made = facts.after.sequences.get(_bare(sequence))
    kind = made.type if made is not None else base_type(new.type_text)
    # A sequence of that name may be left from a dropped default; it is used again.
    verb = "ALTER" if _bare(sequence) in facts.before.sequences else "CREATE"
    for sql, text in (
        (f"{verb} SEQUENCE {sequence} AS {kind}", f"{verb.lower()} the sequence of {where}"),
        (f"{owner} SET DEFAULT nextval({quoted}::regclass)", f"number {where} from the sequence"),
        (f"ALTER SEQUENCE {sequence} OWNED BY {name}.{column}", f"tie the sequence to {where}"),
        (
            f"SELECT setval({quoted}::regclass, coalesce(max({column}), 0) + 1, false) FROM {name}",
            f"start the sequence of {where} after its highest value",
        ),
    ):
        yield SqlStatement(sql, phase=Phase.ADD_DEFAULT, text=text, table=table)


def _identity(
    facts: DirectionFacts, table: str, old: CatalogColumn | None, new: CatalogColumn
) -> Iterator[SqlStatement]:
    before, after = (dict(old.identity) if old else {}), dict(new.identity)
    if before == after or (old is None and after):
        # ADD COLUMN and CREATE TABLE include a new column's identity.
        return
    owner = f"ALTER TABLE {qualified(facts.schema, table)} ALTER COLUMN {quote(new.name)}"
    where = f"{table}.{new.name}"
    if before:
        yield SqlStatement(
            f"{owner} DROP IDENTITY",
            phase=Phase.DROP_DEFAULT,
            text=f"drop the identity of {where}",
            table=table,
        )
    if after:
        kind = "ALWAYS" if after.get("always") else "BY DEFAULT"
        options = [
            f"{word} {after[key]}"
            for key, word in (("start", "START"), ("increment", "INCREMENT"), ("minvalue", "MINVALUE"))
            if key in after
        ]
        yield SqlStatement(
            f"{owner} ADD GENERATED {kind} AS IDENTITY ({' '.join(options)})",
            phase=Phase.ADD_DEFAULT,
            text=f"number {where} by an identity",
            table=table,
        )


def _bare(name: str) -> str:
    return name.rsplit(".", 1)[-1].strip('"')
