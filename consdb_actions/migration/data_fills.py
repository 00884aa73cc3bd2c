"""Compute the result of fills from rows, without the SQL under test (rules M7, M15)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from consdb_actions.migration.data_difference import DataDifference, shown
from consdb_actions.migration.rows import Rows
from consdb_actions.migration.sameness import normalisers

__all__ = ["Filled", "Step", "compare_filled", "fill_in", "unknown_fills"]

Place = tuple[str, str]
Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Step:
    """From a row to its parent: equal columns, pair by pair."""

    columns: tuple[str, ...]
    parent: str
    referenced: tuple[str, ...]


@dataclass(frozen=True)
class Filled:
    """A column that a migration fills, in the names after renames."""

    table: str
    column: str
    value: str | None = None
    """The constant as Postgres prints it; None for a parent's value."""
    path: tuple[Step, ...] = ()
    """The steps to the parent's row."""
    source: str = ""
    """The parent's column."""


def fill_in(rows: Rows, filled: Iterable[Filled]) -> Rows:
    """Fill NULLs in rows from before a migration; skip fills with unknown values."""
    out = dict(rows)
    for item in filled:
        table = rows.get(item.table)
        if table is None or item.column not in table.columns:
            continue
        place = table.columns.index(item.column)
        wanted = _Wanted(item, rows)
        if not wanted.known:
            continue
        now = tuple(
            (*row[:place], wanted.of(origin), *row[place + 1 :]) if row[place] is None else row
            for row, origin in zip(out[item.table].rows, table.rows, strict=True)
        )
        out[item.table] = replace(out[item.table], rows=now)
    return out


def unknown_fills(rows: Rows, filled: Iterable[Filled]) -> set[Place]:
    """Return the columns whose fill is unknown: the parent's value is new, too."""
    return {
        (item.table, item.column)
        for item in filled
        if item.table in rows and item.column in rows[item.table].columns and not _Wanted(item, rows).known
    }


def compare_filled(before: Rows, after: Rows, filled: Iterable[Filled]) -> list[DataDifference]:
    """Compare new filled columns with their expected values; ``before`` uses the names after renames."""
    return [d for item in filled for d in _compare(before, after, item)]


def _compare(before: Rows, after: Rows, item: Filled) -> Iterator[DataDifference]:
    old, table = before.get(item.table), after.get(item.table)
    if old is None or table is None or item.column in old.columns or item.column not in table.columns:
        return
    place = table.columns.index(item.column)
    wanted = _Wanted(item, after)
    if not wanted.known:
        return
    was, now = normalisers(wanted.type or table.types[place], table.types[place])
    pairs = [(row[place], wanted.of(row)) for row in table.rows]
    wrong = [(found, expected) for found, expected in pairs if now(found) != was(expected)]
    if wrong:
        found, expected = wrong[0]
        words = f"{len(wrong)} rows were filled with another value, for example {shown(found)}"
        words += f" in place of {shown(expected)}"
        if item.path:
            words += f" from {item.path[-1].parent}.{item.source}"
        yield DataDifference(item.table, item.column, len(wrong), shown(expected), shown(found), words)


class _Wanted:
    """The expected value of each row; ``known`` where the rows determine it."""

    def __init__(self, item: Filled, rows: Rows) -> None:
        self._value = item.value
        self._steps: list[tuple[Sequence[int], Mapping[Row, Row]]] = []
        self.type, self.known = "", False
        table = rows.get(item.table)
        for step in item.path:
            parent = rows.get(step.parent)
            if table is None or parent is None:
                return
            if not (set(step.columns) <= set(table.columns) and set(step.referenced) <= set(parent.columns)):
                return
            key = [parent.columns.index(c) for c in step.referenced]
            found = {tuple(row[p] for p in key): row for row in parent.rows}
            self._steps.append(([table.columns.index(c) for c in step.columns], found))
            table = parent
        if item.path and table is not None:
            if item.source not in table.columns:
                return
            self._place = table.columns.index(item.source)
            self.type = table.types[self._place]
        self.known = True

    def of(self, row: Row) -> str | None:
        """Return a row's value; None where it has no parent."""
        for places, parents in self._steps:
            key = tuple(row[p] for p in places)
            if None in key or key not in parents:
                return None
            row = parents[key]
        return row[self._place] if self._steps else self._value
