"""What is known of each table before its rows are made: whose values go where, and what they may be."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from consdb_actions.catalog import Column, Relation, Snapshot
from consdb_actions.migration.seed.checks import Limits, Order
from consdb_actions.migration.seed.demands import Demands
from consdb_actions.migration.seed.domains import domain_of
from consdb_actions.migration.seed.shape import Reference, keys_of, limits_of, references_of
from consdb_actions.migration.seed.values import Domain

__all__ = ["TablePlan", "read_tables"]

Place = tuple[str, str]


@dataclass(frozen=True)
class TablePlan:
    """One table.

    Attributes
    ----------
    name
        Its name.
    columns
        Columns that get values, in order.
    left_out
        Columns that get their default, because no value is known for their type.
    types
        Types of the columns.
    nullable
        Columns that may hold NULL, now and after the migration.
    empty
        Columns that must hold NULL.
    keys
        Columns that are unique together.
    references
        Foreign keys.
    orders
        Comparisons of two columns.
    same
        Columns that hold one value in all rows that agree in some other columns.
    domains, labels
        What values a column may hold, and the name from which they are made: columns that refer to each
        other share it.
    grouped
        Key columns that hold a value twice, because another column makes the key unique.
    """

    name: str
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    types: Mapping[str, str]
    nullable: frozenset[str]
    empty: frozenset[str]
    keys: tuple[tuple[str, ...], ...]
    references: tuple[Reference, ...]
    orders: tuple[Order, ...]
    same: tuple[tuple[str, tuple[str, ...]], ...]
    domains: Mapping[str, Domain]
    labels: Mapping[str, str]
    grouped: frozenset[str]

    @property
    def key_columns(self) -> frozenset[str]:
        """Columns that decide whether a row is a new one, or that others are taken from."""
        own = {c for r in self.references if r.target == self.name for c in r.target_columns}
        return frozenset(c for key in self.keys for c in key) | own

    @property
    def bound(self) -> frozenset[str]:
        """Columns whose values cannot be exchanged freely."""
        return self.key_columns | {c for r in self.references for c in r.columns}

    def value(self, column: str, index: int, attempt: int = 0, rows: int = 0) -> str | None:
        """Return the value of a column that is taken from no other table."""
        domain = self.domains.get(column)
        if domain is None:
            return None
        if attempt == 0 and column in self.grouped:
            index //= 2
        return domain.value(self.labels[column], index + attempt * rows)

    def nulls(self, index: int, rows: int) -> set[str]:
        """Return the columns that hold NULL in a row: each in some rows, and all of them in the last."""
        if rows < 3:
            return set(self.empty)
        some = set(self.nullable)
        if index < rows - 1:
            free = self.nullable - self.key_columns
            some = {c for c in free if (index + zlib.crc32(c.encode())) % 5 == 0}
        for reference in self.references:
            if reference.full and not some.issuperset(reference.columns):
                # MATCH FULL knows only all or none.
                some -= set(reference.columns)
        return some | self.empty


def read_tables(
    snapshot: Snapshot, demands: Demands, *, share: bool = True
) -> tuple[dict[str, TablePlan], dict[str, str]]:
    """Read all tables of a schema.

    Parameters
    ----------
    snapshot
        The schema.
    demands
        What a migration will ask.
    share
        Whether rows may share parts of their keys.

    Returns
    -------
    tuple
        The tables, and those that cannot have rows with the reason.
    """
    tables = snapshot.tables
    references: dict[str, list[Reference]] = defaultdict(list)
    for reference in [*references_of(snapshot), *demands.references]:
        if reference.target is not None and reference.target not in tables:
            continue
        references[reference.table].append(reference)
    groups = _groups(r for found in references.values() for r in found)
    limits, orders = _limits(tables.values(), demands)
    members: dict[Place, list[Place]] = defaultdict(list)
    for place, root in groups.items():
        members[root].append(place)
    plans, refused = {}, {}
    for name, table in tables.items():
        plan, reason = _plan(table, demands, tables, references[name], groups, members, limits, orders[name])
        plans[name] = plan if share else replace(plan, grouped=frozenset())
        if reason:
            refused[name] = reason
    return plans, refused


def _groups(references: Iterable[Reference]) -> dict[Place, Place]:
    """Return for each column of a foreign key the one that stands for all that it is tied to."""
    root: dict[Place, Place] = {}

    def find(place: Place) -> Place:
        root.setdefault(place, place)
        while root[place] != place:
            place = root[place]
        return place

    for reference in references:
        if reference.target is None:
            continue
        for mine, theirs in zip(reference.columns, reference.target_columns, strict=True):
            a, b = find((reference.table, mine)), find((reference.target, theirs))
            root[max(a, b)] = min(a, b)
    return {place: find(place) for place in root}


def _limits(
    tables: Iterable[Relation], demands: Demands
) -> tuple[dict[Place, Limits], dict[str, list[Order]]]:
    limits: dict[Place, Limits] = dict(demands.limits)
    orders: dict[str, list[Order]] = defaultdict(list)
    for table in tables:
        found, pairs = limits_of(table)
        orders[table.name] += [*pairs, *demands.orders.get(table.name, ())]
        for column, limit in found.items():
            if column in table.columns:
                known = limits.get((table.name, column))
                limits[table.name, column] = limit if known is None else known.joined(limit)
    return limits, orders


def _plan(
    table: Relation,
    demands: Demands,
    tables: Mapping[str, Relation],
    references: list[Reference],
    groups: Mapping[Place, Place],
    members: Mapping[Place, list[Place]],
    limits: Mapping[Place, Limits],
    orders: list[Order],
) -> tuple[TablePlan, str]:
    reason = "" if table.kind == "table" else f"it is a {table.kind}"
    keys = [*keys_of(table), *demands.keys.get(table.name, ())]
    used = {c for key in keys for c in key} | {c for o in orders for c in (o.small, o.large)}
    generated = [c.default or "" for c in table.columns.values() if c.generated]
    read = " ".join([*(i.definition for i in table.indexes.values()), *generated])
    domains, labels, left_out, generates, nullable, empty = {}, {}, [], [], set(), set()
    for name, column in table.columns.items():
        place = (table.name, name)
        # A table that must be empty is left out, and ties nothing.
        tied = [p for p in members.get(groups.get(place, place), [place]) if p != place and p[0] in tables]
        limit = limits.get(place)
        for other in tied:
            if (more := limits.get(other)) is not None:
                limit = more if limit is None else limit.joined(more)
        types = [column.type, *demands.becomes.get(place, ())]
        for other in tied:
            types += [tables[other[0]].columns[other[1]].type, *demands.becomes.get(other, ())]
        plain = bool(tied) or name in used or name in read or _numbers_itself(column)
        domain = domain_of(types, limits=limit, plain=plain)
        if column.generated:
            generates.append(name)
        elif domain is None and column.default is not None:
            left_out.append(name)
        elif domain is not None:
            domains[name] = domain
        elif not column.nullable and not reason:
            reason = f"no value is known for its column {name} of type {column.type}"
        labels[name] = ".".join(groups.get(place, place))
        own = limits.get(place)
        if column.nullable and place not in demands.no_nulls and not (own is not None and own.not_null):
            nullable.add(name)
        if own is not None and own.always_null:
            empty.add(name)
    columns = tuple(c for c in table.columns if c not in {*left_out, *generates})
    keys = [key for key in dict.fromkeys(keys) if all(c in columns for c in key)]
    return TablePlan(
        name=table.name,
        columns=columns,
        left_out=tuple(left_out),
        types={n: c.type for n, c in table.columns.items()},
        nullable=frozenset(nullable),
        empty=frozenset(empty),
        keys=tuple(keys),
        references=tuple(references),
        orders=tuple(o for o in orders if o.small in columns and o.large in columns),
        same=demands.same.get(table.name, ()),
        domains=domains,
        labels=labels,
        grouped=_grouped(keys, references),
    ), reason


def _numbers_itself(column: Column) -> bool:
    return bool(column.identity) or (column.default or "").startswith("nextval(")


def _grouped(keys: list[tuple[str, ...]], references: list[Reference]) -> frozenset[str]:
    taken = {c for r in references for c in r.columns}
    own = [tuple(c for c in key if c not in taken) for key in keys]
    last = {key[-1] for key in own if key} | {key[0] for key in keys if len(key) == 1}
    return frozenset(c for key in own for c in key) - last
