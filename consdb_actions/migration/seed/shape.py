"""What rows must satisfy, read from snapshots: keys, references, CHECKs, and what a migration will ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from consdb_actions.migration.catalog import Constraint, Relation, Snapshot
from consdb_actions.migration.seed.checks import Limits, Order, read_checks

__all__ = ["Demands", "Reference", "demands_of", "keys_of", "limits_of", "references_of"]

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_REFERENCES = re.compile(rf"REFERENCES (?:({_NAME})\.)?({_NAME})\(((?:[^()\"]|\"(?:[^\"]|\"\")+\")*)\)(.*)$")
_INDEX = re.compile(r"^CREATE UNIQUE INDEX .*? USING \w+ (\(.*)$", re.DOTALL)


@dataclass(frozen=True)
class Reference:
    """A foreign key.

    Attributes
    ----------
    name
        Its name.
    table, columns
        Who refers.
    target, target_columns
        To what; ``target`` is None outside of the schema.
    full
        Whether it is MATCH FULL: all NULL or none.
    deferrable
        Whether it can be checked at the end of the transaction.
    wanted
        Whether it does not exist yet, but will after the migration.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    target: str | None
    target_columns: tuple[str, ...]
    full: bool = False
    deferrable: bool = False
    wanted: bool = False


@dataclass(frozen=True)
class Demands:
    """What a migration will ask of rows that were there before it; names are those before.

    Attributes
    ----------
    becomes
        Types that a column's values must survive, by table and column.
    no_nulls
        Columns that hold no NULL.
    keys
        Columns that are unique together, by table.
    references
        Foreign keys to come.
    limits
        CHECKs to come.
    orders
        Comparisons between columns to come, by table.
    """

    becomes: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    no_nulls: frozenset[tuple[str, str]] = frozenset()
    keys: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    limits: Mapping[tuple[str, str], Limits] = field(default_factory=dict)
    orders: Mapping[str, tuple[Order, ...]] = field(default_factory=dict)


def references_of(snapshot: Snapshot) -> list[Reference]:
    """Return the foreign keys of all tables."""
    return [
        _reference(snapshot.schema, table, constraint)
        for table in snapshot.tables.values()
        for constraint in table.constraints.values()
        if constraint.kind == "foreign key"
    ]


def _reference(schema: str, table: Relation, constraint: Constraint) -> Reference:
    match = _REFERENCES.search(constraint.definition)
    if match is None:
        return Reference(constraint.name, table.name, constraint.columns, None, ())
    inside = match[1] is None or _plain(match[1]) == schema
    options = match[4]
    return Reference(
        name=constraint.name,
        table=table.name,
        columns=constraint.columns,
        target=_plain(match[2]) if inside else None,
        target_columns=tuple(_plain(n) for n in re.findall(_NAME, match[3])),
        full="MATCH FULL" in options,
        deferrable="DEFERRABLE" in options and "NOT DEFERRABLE" not in options,
    )


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def keys_of(table: Relation) -> list[tuple[str, ...]]:
    """Return the sets of columns that are unique, from constraints and unique indexes.

    An index on an expression counts with the columns that stand in it, which asks for more than the index
    does where it is partial, and for less where the expression maps different values to one.
    """
    found = [c.columns for c in table.constraints.values() if c.kind in {"primary key", "unique"}]
    for definition in table.indexes.values():
        if match := _INDEX.match(definition):
            names = {_plain(n) for n in re.findall(_NAME, match[1].split(" WHERE ")[0])}
            found.append(tuple(c for c in table.columns if c in names))
    return [key for key in dict.fromkeys(found) if key]


def limits_of(table: Relation) -> tuple[dict[str, Limits], list[Order]]:
    """Return what CHECK constraints ask of single columns and of pairs."""
    return read_checks(c.definition for c in table.constraints.values() if c.kind == "check")


def demands_of(
    before: Snapshot,
    after: Snapshot,
    renamed_tables: Mapping[str, str] | None = None,
    renamed_columns: Mapping[tuple[str, str], str] | None = None,
) -> Demands:
    """Return what a migration will ask of the rows that stand before it.

    Parameters
    ----------
    before, after
        The two states.
    renamed_tables
        New names by old.
    renamed_columns
        New names of columns, by the table's new name and the column's old.

    Returns
    -------
    Demands
        Types that change, columns that become NOT NULL, new keys, references and CHECKs, as far as their
        columns exist before. Where a table gets a NOT NULL column without a default, which is filled from
        a parent (rule M7), its references hold no NULL either.
    """
    tables = renamed_tables or {}
    columns = renamed_columns or {}
    pairs = {
        name: after.tables[tables.get(name, name)]
        for name in before.tables
        if tables.get(name, name) in after.tables
    }
    old_table = {new.name: name for name, new in pairs.items()}
    old_columns: dict[str, dict[str, str]] = {}
    for name, new in pairs.items():
        renames = {c: columns.get((new.name, c), c) for c in before.tables[name].columns}
        old_columns[name] = {n: c for c, n in renames.items() if n in new.columns}

    becomes: dict[tuple[str, str], tuple[str, ...]] = {}
    no_nulls: set[tuple[str, str]] = set()
    keys: dict[str, tuple[tuple[str, ...], ...]] = {}
    limits: dict[tuple[str, str], Limits] = {}
    orders: dict[str, tuple[Order, ...]] = {}
    for name, new in pairs.items():
        old, back = before.tables[name], old_columns[name]
        for now, was in back.items():
            if new.columns[now].type != old.columns[was].type:
                becomes[name, was] = (new.columns[now].type,)
            if not new.columns[now].nullable and old.columns[was].nullable:
                no_nulls.add((name, was))
        if any(not c.nullable and c.default is None and n not in back for n, c in new.columns.items()):
            no_nulls.update((name, c) for r in references_of(before) if r.table == name for c in r.columns)
        keys[name] = tuple(tuple(back[c] for c in k) for k in keys_of(new) if all(c in back for c in k))
        single, pairs_of = limits_of(new)
        limits.update({(name, back[c]): found for c, found in single.items() if c in back})
        orders[name] = tuple(
            Order(back[o.small], back[o.large], o.strict)
            for o in pairs_of
            if o.small in back and o.large in back
        )
    present = {(r.table, r.columns, r.target, r.target_columns) for r in references_of(before)}
    references = []
    for r in references_of(after):
        child, parent = old_table.get(r.table), old_table.get(r.target or "")
        if child is None or parent is None:
            continue
        mine, theirs = old_columns[child], old_columns[parent]
        if not all(c in mine for c in r.columns) or not all(c in theirs for c in r.target_columns):
            continue
        wanted = Reference(
            r.name,
            child,
            tuple(mine[c] for c in r.columns),
            parent,
            tuple(theirs[c] for c in r.target_columns),
            full=r.full,
            wanted=True,
        )
        if (wanted.table, wanted.columns, wanted.target, wanted.target_columns) not in present:
            references.append(wanted)
    return Demands(becomes, frozenset(no_nulls), keys, tuple(references), limits, orders)
