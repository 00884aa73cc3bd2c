"""Rows for every table, in an order in which they can be inserted.

A table's row takes the values of its foreign keys from rows of the parents that are there already, so that
several keys that share columns agree. Everything is a fixed function of names, so that a schema
always gets the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from consdb_actions.catalog import Snapshot
from consdb_actions.migration.rows import TableRows
from consdb_actions.migration.seed.adjust import Row, agree, put_in_order
from consdb_actions.migration.seed.demands import Demands
from consdb_actions.migration.seed.order import can_be_empty, fill_order
from consdb_actions.migration.seed.shape import Reference
from consdb_actions.migration.seed.table import TablePlan, read_tables

__all__ = ["Seeding", "plan_rows"]

_ATTEMPTS = 4
_COMBINATIONS = 500


@dataclass(frozen=True)
class Seeding:
    """Rows to insert.

    Attributes
    ----------
    tables
        Rows by table, parents first. All rows of a table go in by one statement, and all tables in one
        transaction with deferred constraints.
    unplanned
        Tables without rows, and why.
    blank
        Columns that hold nothing but NULL or their default: what happens to their values is not seen.
    """

    tables: tuple[TableRows, ...]
    unplanned: Mapping[str, str]
    blank: tuple[tuple[str, str], ...] = ()


def plan_rows(snapshot: Snapshot, rows: int = 8, demands: Demands | None = None) -> Seeding:
    """Make rows for every table of a schema.

    Parameters
    ----------
    snapshot
        The schema.
    rows
        How many for each table; a table whose keys have room for fewer gets fewer.
    demands
        What a migration will ask of them, see :func:`~consdb_actions.migration.seed.demands_of`.

    Returns
    -------
    Seeding
        The rows. CHECK constraints are met as far as their text was understood.
    """
    best: Seeding | None = None
    for defer, share in ((True, True), (True, False), (False, False)):
        seeding = _Planner(snapshot, rows, demands or Demands(), defer=defer, share=share).plan()
        if best is None or len(seeding.unplanned) < len(best.unplanned):
            best = seeding
        if not best.unplanned:
            break
    assert best is not None
    return best


class _Planner:
    """One try: ``share`` lets rows share parts of their keys, ``defer`` fills keys that can be checked late.

    Both make the rows more telling, and can lead into a dead end that rows without them avoid.
    """

    def __init__(self, snapshot: Snapshot, rows: int, demands: Demands, *, defer: bool, share: bool) -> None:
        self._count, self._defer = rows, defer
        self._tables, self._refused = read_tables(snapshot, demands, share=share)
        self._references = [r for table in self._tables.values() for r in table.references]
        self._order, self._cut = fill_order(
            self._tables, self._references, {name: t.nullable for name, t in self._tables.items()}
        )
        self._built: dict[str, list[Row]] = {}

    def plan(self) -> Seeding:
        for name in self._order:
            reason = self._refused.get(name) or self._obstacle(self._tables[name])
            if reason is not None:
                self._refused[name], self._built[name] = reason, []
                continue
            rows = self._rows(self._tables[name], wanted=True)
            if not rows:
                rows = self._rows(self._tables[name], wanted=False)
            self._built[name] = rows
        self._prune()
        out, blank = [], []
        for name in self._order:
            table, rows = self._tables[name], self._built[name]
            if not rows:
                self._refused.setdefault(name, "no row satisfies its keys and foreign keys together")
                continue
            blank += [(name, c) for c in table.columns if all(row[c] is None for row in rows)]
            blank += [(name, c) for c in table.left_out]
            out.append(
                TableRows(
                    name,
                    table.columns,
                    tuple(table.types[c] for c in table.columns),
                    tuple(tuple(row[c] for c in table.columns) for row in rows),
                )
            )
        return Seeding(tuple(out), dict(sorted(self._refused.items())), tuple(blank))

    def _obstacle(self, table: TablePlan) -> str | None:
        """Say why a table can hold no row at all."""
        for reference in table.references:
            if reference.wanted or can_be_empty(reference, table.nullable):
                continue
            what = f"{reference.name} ({', '.join(reference.columns)})"
            if reference.target is None:
                return f"its foreign key {what} refers to a table of another schema and may not be NULL"
            if reference in self._cut and not self._late(reference):
                return (
                    f"its foreign key {what} closes a circle of tables that need each other's rows first: "
                    "none of the keys may be NULL or is deferrable"
                )
            if reference.target != table.name and self._built.get(reference.target) == []:
                return f"its foreign key {what} needs a row of {reference.target}, which has none"
        return None

    def _late(self, reference: Reference) -> bool:
        """Whether a reference that closes a circle gets values, which later tables must then hold."""
        nullable = self._tables[reference.table].nullable
        return reference.deferrable and (self._defer or not can_be_empty(reference, nullable))

    def _rows(self, table: TablePlan, *, wanted: bool) -> list[Row]:
        references, empty = self._usable(table, wanted)
        asked = self._asked(table)
        found: list[Row] = []
        seen: list[set[tuple[str | None, ...]]] = [set() for _ in table.keys]
        for index in range(max(self._count, len(asked))):
            given = asked[index] if index < len(asked) else {}
            nulls = (table.nulls(index, self._count) | empty) - given.keys()
            row = self._row(table, references, given, nulls, index, found, seen)
            if row is not None:
                found.append(row)
                for key, values in zip(table.keys, seen, strict=True):
                    values.add(tuple(row[c] for c in key))
        return found

    def _usable(self, table: TablePlan, wanted: bool) -> tuple[list[Reference], set[str]]:
        """Return the references that rows take values from, widest first, and the columns that stay NULL."""
        usable: list[Reference] = []
        empty: set[str] = set()
        for reference in table.references:
            if reference.wanted:
                if wanted and reference not in self._cut and self._built.get(reference.target or "") != []:
                    usable.append(reference)
            elif reference in self._cut and self._late(reference):
                continue
            elif (
                reference.target is None or reference in self._cut or self._built.get(reference.target) == []
            ):
                empty.update(c for c in reference.columns if c in table.nullable)
            else:
                usable.append(reference)
        usable = [r for r in usable if not empty.intersection(r.columns)]
        usable.sort(key=lambda r: (r.target == table.name, r.wanted, -len(r.columns), r.name))
        return usable, empty

    def _asked(self, table: TablePlan) -> list[dict[str, str]]:
        """Return the values that rows must hold because rows of earlier tables refer to them."""
        asked: list[dict[str, str]] = []
        for reference in self._references:
            if reference.target != table.name or reference not in self._cut or not self._late(reference):
                continue
            for row in self._built.get(reference.table, []):
                values = [row[c] for c in reference.columns]
                need = {t: v for t, v in zip(reference.target_columns, values, strict=True) if v is not None}
                if len(need) < len(values):
                    continue
                place = next((a for a in asked if all(a.get(c, v) == v for c, v in need.items())), None)
                if place is None:
                    asked.append(need)
                else:
                    place.update(need)
        return asked

    def _row(
        self,
        table: TablePlan,
        references: list[Reference],
        given: Mapping[str, str],
        nulls: set[str],
        index: int,
        earlier: list[Row],
        seen: list[set[tuple[str | None, ...]]],
    ) -> Row | None:
        for attempt in range(_ATTEMPTS):
            own = {c: table.value(c, index, attempt, self._count) for c in table.key_columns}
            choices = self._choices(references, dict(given), own, index, earlier)
            for chosen in islice(choices, _COMBINATIONS):
                keyed = {**own, **chosen, **dict.fromkeys(nulls)}
                if any(
                    None not in (values := tuple(keyed[c] for c in key)) and values in taken
                    for key, taken in zip(table.keys, seen, strict=True)
                ):
                    continue
                row: Row = {c: keyed[c] if c in keyed else table.value(c, index) for c in table.columns}
                put_in_order(row, table)
                agree(row, table, earlier)
                return row
        return None

    def _choices(
        self,
        references: list[Reference],
        assigned: dict[str, str],
        own: Mapping[str, str | None],
        index: int,
        earlier: list[Row],
        place: int = 0,
    ) -> Iterator[dict[str, str]]:
        """Give values for the columns of all references that agree with each other."""
        if place == len(references):
            yield assigned
            return
        reference = references[place]
        itself = reference.target == reference.table
        parents = earlier if itself else self._built[reference.target or ""]
        # Two rows to a parent where that can be; further parents in step with the row.
        start = index // 2 if place == 0 or itself else index + place
        candidates: list[Mapping[str, str | None]] = [
            parents[(start + n) % len(parents)] for n in range(len(parents))
        ]
        if itself:
            candidates.append({**own, **assigned})
        for parent in candidates:
            values = [parent.get(c) for c in reference.target_columns]
            added = {c: v for c, v in zip(reference.columns, values, strict=True) if v is not None}
            if len(added) < len(values) or any(assigned.get(c, v) != v for c, v in added.items()):
                continue
            yield from self._choices(references, {**assigned, **added}, own, index, earlier, place + 1)

    def _prune(self) -> None:
        """Take out rows that refer to rows which could not be made."""
        changed = True
        while changed:
            changed = False
            for reference in self._references:
                if reference.wanted or reference.target is None:
                    continue
                there = {
                    tuple(row[c] for c in reference.target_columns) for row in self._built[reference.target]
                }
                rows = self._built[reference.table]
                kept = [
                    row
                    for row in rows
                    if None in (values := tuple(row[c] for c in reference.columns)) or values in there
                ]
                if len(kept) < len(rows):
                    self._built[reference.table], changed = kept, True
