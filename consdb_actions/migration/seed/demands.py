"""What a migration will ask of the rows that stand before it, found from the two states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from consdb_actions.catalog import Relation, Snapshot
from consdb_actions.migration.data_fills import Filled
from consdb_actions.migration.data_moves import Move
from consdb_actions.migration.seed.checks import Limits, Order
from consdb_actions.migration.seed.shape import Reference, keys_of, limits_of, references_of

__all__ = ["Demands", "demands_of"]


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
    same
        Columns that hold one value in all rows that agree in some other columns, by table.
    """

    becomes: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    no_nulls: frozenset[tuple[str, str]] = frozenset()
    keys: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    limits: Mapping[tuple[str, str], Limits] = field(default_factory=dict)
    orders: Mapping[str, tuple[Order, ...]] = field(default_factory=dict)
    same: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Pair:
    """A table on both sides; ``old`` gives the earlier names of the columns that both have."""

    before: Relation
    after: Relation
    old: Mapping[str, str]

    def names(self, columns: Iterable[str]) -> tuple[str, ...] | None:
        """Return earlier names; None where a column is new."""
        found = tuple(self.old.get(c, "") for c in columns)
        return found if all(found) else None


_Ends = tuple[str, tuple[str, ...]]
"""A table and some of its columns."""


def demands_of(
    before: Snapshot,
    after: Snapshot,
    renamed_tables: Mapping[str, str] | None = None,
    renamed_columns: Mapping[tuple[str, str], str] | None = None,
    moves: Iterable[Move] = (),
    filled: Iterable[Filled] = (),
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
    moves
        Columns that go to another table, in the names after renames.
    filled
        Columns that the migration fills where they hold NULL, in the names after renames.

    Returns
    -------
    Demands
        Types that change, columns that become NOT NULL, new keys, references and CHECKs, as far as their
        columns exist before. Where a table gets a NOT NULL column without a default, which is filled from
        a parent (rule M7), its references hold no NULL either. A column that is filled holds some NULLs, and
        what leads to its parent's value does not; but one that is unique keeps its values. Rows that share
        the key by which a column moves agree on its value, and the key holds no NULL. Rows of the two tables
        have it in common.
    """
    pairs = _pairs(before, after, renamed_tables or {}, renamed_columns or {})
    existing = references_of(before)
    becomes: dict[tuple[str, str], tuple[str, ...]] = {}
    no_nulls: set[tuple[str, str]] = set()
    keys: dict[str, tuple[tuple[str, ...], ...]] = {}
    limits: dict[tuple[str, str], Limits] = {}
    orders: dict[str, tuple[Order, ...]] = {}
    for pair in pairs.values():
        name = pair.before.name
        for now, was in pair.old.items():
            a, b = pair.before.columns[was], pair.after.columns[now]
            if a.type != b.type:
                becomes[name, was] = (b.type,)
            if a.nullable and not b.nullable:
                no_nulls.add((name, was))
        if any(
            not c.nullable and c.default is None and n not in pair.old for n, c in pair.after.columns.items()
        ):
            no_nulls.update((name, c) for r in existing if r.table == name for c in r.columns)
        keys[name] = tuple(k for k in map(pair.names, keys_of(pair.after)) if k)
        single, compared = limits_of(pair.after)
        limits.update({(name, pair.old[c]): found for c, found in single.items() if c in pair.old})
        orders[name] = tuple(
            Order(ends[0], ends[1], o.strict) for o in compared if (ends := pair.names((o.small, o.large)))
        )
    same: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    meetings: list[Reference] = []
    for move in moves:
        source = pairs.get(move.source)
        # The column and a table that goes away are not on the other side.
        table = source.before.name if source else move.source
        ends = source.names(move.source_key) if source else None
        key = ends or tuple(move.source_key)
        same[table].append((move.source_column, key))
        no_nulls.update((table, c) for c in key)
        for other, columns in (
            (move.target, move.target_key),
            (move.through, (*move.source_side, *move.target_side)),
        ):
            if other in pairs and (found := pairs[other].names(columns)):
                no_nulls.update((pairs[other].before.name, c) for c in found)
        target = pairs.get(move.target)
        met = target.names(move.target_key) if target and not move.through else None
        if target and met and not _meet(existing, (table, key), (target.before.name, met)):
            meetings.append(_meeting(before, (table, key), (target.before.name, met)))
    needed, empty = set[tuple[str, str]](), set[tuple[str, str]]()
    for item in filled:
        if item.table in pairs:
            asked, blank = _fill(item, pairs, keys)
            needed |= asked
            empty |= blank
    # Of two columns that are filled one after the other only the last lacks values.
    no_nulls = (no_nulls - empty) | needed
    return Demands(
        becomes,
        frozenset(no_nulls),
        keys,
        (*_new_references(existing, references_of(after), pairs), *dict.fromkeys(meetings)),
        limits,
        orders,
        {table: tuple(found) for table, found in same.items()},
    )


def _pairs(
    before: Snapshot,
    after: Snapshot,
    tables: Mapping[str, str],
    columns: Mapping[tuple[str, str], str],
) -> dict[str, _Pair]:
    """Return the tables that both states have, by their later names."""
    out = {}
    for name, old in before.tables.items():
        new = after.tables.get(tables.get(name, name))
        if new is not None:
            back = {columns.get((new.name, c), c): c for c in old.columns}
            out[new.name] = _Pair(old, new, {n: c for n, c in back.items() if n in new.columns})
    return out


def _fill(
    item: Filled, pairs: Mapping[str, _Pair], keys: Mapping[str, tuple[tuple[str, ...], ...]]
) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return what must hold values so that a column can be filled, and the column itself where it may not."""

    def place(table: str, column: str) -> tuple[str, str]:
        # Tables and columns that go away are on this side only, under the names that they have here.
        pair = pairs.get(table)
        return (pair.before.name, pair.old.get(column, column)) if pair else (table, column)

    needed: set[tuple[str, str]] = set()
    table = item.table
    for step in item.path:
        needed |= {place(table, c) for c in step.columns} | {place(step.parent, c) for c in step.referenced}
        table = step.parent
    if item.path:
        needed.add(place(table, item.source))
    own = pairs[item.table]
    was = own.old.get(item.column)
    if was is None or any(was in key for key in keys[own.before.name]):
        return needed, set()
    return needed, {(own.before.name, was)}


def _meet(existing: Iterable[Reference], one: _Ends, other: _Ends) -> bool:
    """Whether foreign keys give two tables the same values in these columns."""
    led = {(r.table, r.columns): (r.target, r.target_columns) for r in existing}
    return led.get(one) == other or led.get(other) == one or (one in led and led.get(one) == led.get(other))


def _meeting(before: Snapshot, one: _Ends, other: _Ends) -> Reference:
    """Let the rows of one table refer to those of another, or the other way where only the one has a key."""
    unique = any(set(key) <= set(other[1]) for key in keys_of(before.tables[other[0]]))
    child, parent = (one, other) if unique else (other, one)
    return Reference("", *child, *parent, wanted=True)


def _new_references(
    existing: Iterable[Reference], later: Iterable[Reference], pairs: Mapping[str, _Pair]
) -> Iterator[Reference]:
    present = {(r.table, r.columns, r.target, r.target_columns) for r in existing}
    for r in later:
        child, parent = pairs.get(r.table), pairs.get(r.target or "")
        if child is None or parent is None:
            continue
        mine, theirs = child.names(r.columns), parent.names(r.target_columns)
        if mine and theirs and (child.before.name, mine, parent.before.name, theirs) not in present:
            yield Reference(
                r.name, child.before.name, mine, parent.before.name, theirs, full=r.full, wanted=True
            )
