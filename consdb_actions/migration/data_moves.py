"""Compare columns that moved to another table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from consdb_actions.migration.data_difference import DataDifference, shown
from consdb_actions.migration.rows import Rows, TableRows
from consdb_actions.migration.sameness import normalisers

__all__ = ["Move", "Moved", "compare_move", "named_before", "returned"]

Place = tuple[str, str | None]


class Move(Protocol):
    """A column that moved to another table; all names are those of the second state."""

    @property
    def source(self) -> str:
        """Table that it left."""

    @property
    def source_column(self) -> str:
        """Its name there."""

    @property
    def target(self) -> str:
        """Table that it moved to."""

    @property
    def target_column(self) -> str:
        """Its name there."""

    @property
    def source_key(self) -> tuple[str, ...]:
        """Columns that identify the source's row."""

    @property
    def target_key(self) -> tuple[str, ...]:
        """Columns that identify the target's row."""

    @property
    def through(self) -> str:
        """Parent that connects the two keys where they are not equal; else empty."""

    @property
    def source_side(self) -> tuple[str, ...]:
        """Columns of the parent that equal the source's key."""

    @property
    def target_side(self) -> tuple[str, ...]:
        """Columns of the parent that equal the target's key."""

    @property
    def required(self) -> bool:
        """Whether it is NOT NULL there: rows without a value get one constant."""


@dataclass(frozen=True)
class Moved:
    """A :class:`Move` as plain data."""

    source: str
    source_column: str
    target: str
    target_column: str
    source_key: tuple[str, ...]
    target_key: tuple[str, ...]
    through: str = ""
    source_side: tuple[str, ...] = ()
    target_side: tuple[str, ...] = ()
    only: frozenset[tuple[str | None, ...]] | None = None
    required: bool = False


def named_before(
    places: Iterable[Place], renamed_tables: Mapping[str, str], renamed_columns: Mapping[tuple[str, str], str]
) -> set[Place]:
    """Map columns from names after renames to names before."""
    tables = {new: old for old, new in renamed_tables.items()}
    columns = {(table, new): old for (table, old), new in renamed_columns.items()}
    return {(tables.get(t, t), None if c is None else columns.get((t, c), c)) for t, c in places}


def returned(
    moves: Iterable[Move],
    renamed_tables: Mapping[str, str],
    renamed_columns: Mapping[tuple[str, str], str],
    arrived: Rows,
) -> list[Moved]:
    """Return the comparisons after the downgrade, of values that had a row in ``arrived``."""

    def old(table: str, *columns: str) -> tuple[str, ...]:
        found = [named_before([(table, c)], renamed_tables, renamed_columns).pop() for c in columns]
        return tuple(column or "" for _, column in found)

    out = []
    for m in moves:
        table = next((o for o, n in renamed_tables.items() if n == m.source), m.source)
        column, key = old(m.source, m.source_column)[0], old(m.source, *m.source_key)
        out.append(
            Moved(table, column, table, column, key, key, only=_partners(m, arrived), required=m.required)
        )
    return out


def _partners(move: Move, rows: Rows) -> frozenset[tuple[str | None, ...]]:
    """Return the keys of source rows that have a target row."""
    target = rows.get(move.target)
    if target is None:
        return frozenset()
    present = set(_picked(target, move.target_key))
    if not move.through:
        return frozenset(present)
    bridge = _bridge(move, rows, rows)
    return frozenset(key for key, ends in bridge.items() if present.intersection(ends))


def compare_move(move: Move, before: Rows, after: Rows) -> Iterator[DataDifference]:
    """Compare a moved column through the key, in the names of the second state."""
    where = (move.target, move.target_column)
    origin = f"{move.source}.{move.source_column}"
    source, target = before.get(move.source), after.get(move.target)
    if source is None or target is None or move.target_column not in target.columns:
        missing = origin if source is None else ".".join(where)
        words = f"it should have come from {move.source}, but {missing} is not there"
        yield DataDifference(*where, 0, "", "", words)
        return
    was, now = normalisers(
        source.types[source.columns.index(move.source_column)],
        target.types[target.columns.index(move.target_column)],
    )
    bridge = _bridge(move, before, after)
    only = move.only if isinstance(move, Moved) else None
    # An existing row keeps its value only where the other table has a row for it.
    updated = move.target in before
    present = set(_picked(target, move.target_key))
    sent: dict[tuple[str | None, ...], list[str | None]] = defaultdict(list)
    astray: list[str | None] = []
    for *key, found in _picked(source, (*move.source_key, move.source_column)):
        ends = bridge.get(tuple(key), []) if move.through else [tuple(key)]
        for end in ends:
            if (only is None or end in only) and (end in present or not updated):
                sent[end].append(found)
        if not ends and found is not None and not updated:
            astray.append(found)
    arrived: dict[tuple[str | None, ...], list[str | None]] = defaultdict(list)
    for *key, found in _picked(target, (*move.target_key, move.target_column)):
        if only is None or tuple(key) in only:
            arrived[tuple(key)].append(found)
    wrong, told = [], set()
    fill: list[str | None] = []
    for end, values in arrived.items():
        expected = sent.get(end, [None])
        strange = [v for v in values if now(v) not in {was(e) for e in expected}]
        if move.required and None in expected:
            # All must hold what the first one does.
            fill = fill or strange[:1]
            strange = [v for v in strange if v not in fill]
        if strange:
            told.add(end)
            wrong += [(expected[0], v) for v in strange]
    for end, values in sent.items():
        there = {now(v) for v in arrived.get(end, [])}
        if end not in told:
            astray += [v for v in values if v is not None and was(v) not in there]
    if wrong:
        old, new = map(shown, wrong[0])
        words = f"{len(wrong)} rows differ from {origin}, for example {old} became {new}"
        yield DataDifference(*where, len(wrong), old, new, words)
    if astray and not wrong:
        old = shown(astray[0])
        words = (
            f"{len(astray)} values of {move.source}.{move.source_column} did not arrive, for example {old}"
        )
        yield DataDifference(*where, len(astray), old, "", words)


def _bridge(
    move: Move, before: Rows, after: Rows
) -> dict[tuple[str | None, ...], list[tuple[str | None, ...]]]:
    """Map the source's keys to the target's, over the common parent."""
    out: dict[tuple[str | None, ...], list[tuple[str | None, ...]]] = defaultdict(list)
    if move.through:
        parent = before.get(move.through) or after[move.through]
        width = len(move.source_side)
        for row in _picked(parent, (*move.source_side, *move.target_side)):
            out[row[:width]].append(row[width:])
    return out


def _picked(table: TableRows, columns: Sequence[str]) -> Iterator[tuple[str | None, ...]]:
    places = [table.columns.index(c) for c in columns]
    for row in table.rows:
        yield tuple(row[p] for p in places)
