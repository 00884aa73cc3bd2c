"""Create and change SERIAL sequences and identities (rule M6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from alembic.operations import ops

from consdb_actions.catalog import Column
from consdb_actions.migration.rewrite.plan import Facts, Plan
from consdb_actions.migration.rewrite.retype import base_type
from consdb_actions.migration.rewrite.statements import Phase, Rename, Statement, qualified, quote

__all__ = ["sequences"]


def sequences(plan: Plan, facts: Facts) -> Plan:
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


def _is_serial(plan: Plan, table: str, column: Column) -> bool:
    for op in plan.ops:
        if isinstance(op, ops.CreateTableOp) and op.table_name == table:
            made = op.to_table()._autoincrement_column
            return made is not None and made.name == column.name
    return False


def _sequence(facts: Facts, table: str, old: Column | None, new: Column) -> Iterator[Statement]:
    before, after = (old.sequence if old else None), new.sequence
    owner = f"ALTER TABLE {qualified(facts.schema, table)} ALTER COLUMN {quote(new.name)}"
    where = f"{table}.{new.name}"
    if before and not after:
        yield Statement(
            f"{owner} DROP DEFAULT",
            phase=Phase.DROP_DEFAULT,
            words=f"take the sequence from {where}",
            table=table,
        )
        if _bare(before) not in facts.after.sequences:
            yield Statement(
                f"DROP SEQUENCE {before}",
                phase=Phase.DROP_DEFAULT,
                words=f"drop the sequence of {where}",
                table=table,
            )
    elif after and not before:
        yield from _create(facts, table, new, after, owner)
    elif before and after:
        a, b = _bare(before), _bare(after)
        if a != b:
            yield Rename("sequence", facts.schema, table, a, b, phase=Phase.RENAME_CONSTRAINT)
        if old is not None and base_type(old.type_text) != base_type(new.type_text):
            yield Statement(
                f"ALTER SEQUENCE {after} AS {base_type(new.type_text)}",
                phase=Phase.ADD_DEFAULT,
                words=f"widen the sequence of {where}",
                table=table,
            )


def _create(facts: Facts, table: str, new: Column, sequence: str, owner: str) -> Iterator[Statement]:
    where = f"{table}.{new.name}"
    column, name = quote(new.name), qualified(facts.schema, table)
    quoted = "'" + sequence.replace("'", "''") + "'"
    kind = base_type(new.type_text)
    # A sequence of that name may be left from a dropped default; it is used again.
    verb = "ALTER" if _bare(sequence) in facts.before.sequences else "CREATE"
    for sql, words in (
        (f"{verb} SEQUENCE {sequence} AS {kind}", f"{verb.lower()} the sequence of {where}"),
        (f"{owner} SET DEFAULT nextval({quoted}::regclass)", f"let the sequence number {where}"),
        (f"ALTER SEQUENCE {sequence} OWNED BY {name}.{column}", f"tie the sequence to {where}"),
        (
            f"SELECT setval({quoted}::regclass, coalesce(max({column}), 0) + 1, false) FROM {name}",
            f"start the sequence of {where} after its highest value",
        ),
    ):
        yield Statement(sql, phase=Phase.ADD_DEFAULT, words=words, table=table)


def _identity(facts: Facts, table: str, old: Column | None, new: Column) -> Iterator[Statement]:
    before, after = (dict(old.identity) if old else {}), dict(new.identity)
    if before == after or (old is None and after):
        # ADD COLUMN and CREATE TABLE include a new column's identity.
        return
    owner = f"ALTER TABLE {qualified(facts.schema, table)} ALTER COLUMN {quote(new.name)}"
    where = f"{table}.{new.name}"
    if before:
        yield Statement(
            f"{owner} DROP IDENTITY",
            phase=Phase.DROP_DEFAULT,
            words=f"drop the identity of {where}",
            table=table,
        )
    if after:
        kind = "ALWAYS" if after.get("always") else "BY DEFAULT"
        options = [
            f"{word} {after[key]}"
            for key, word in (("start", "START"), ("increment", "INCREMENT"), ("minvalue", "MINVALUE"))
            if key in after
        ]
        yield Statement(
            f"{owner} ADD GENERATED {kind} AS IDENTITY ({' '.join(options)})",
            phase=Phase.ADD_DEFAULT,
            words=f"number {where} by an identity",
            table=table,
        )


def _bare(name: str) -> str:
    return name.rsplit(".", 1)[-1].strip('"')
