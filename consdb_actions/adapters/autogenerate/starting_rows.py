"""The rows before a revision, and what its fills must make of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import sqlalchemy as sa

from consdb_actions.adapters.autogenerate.candidate import Candidate
from consdb_actions.adapters.rows import printed, read_rows
from consdb_actions.adapters.seeding import seed
from consdb_actions.catalog import Snapshot
from consdb_actions.migration.data import renamed
from consdb_actions.migration.data_fills import Filled, Step, fill_in, unknown_fills
from consdb_actions.migration.rewrite.plan import Filling
from consdb_actions.migration.row_rules import Change
from consdb_actions.migration.rows import Rows

__all__ = ["Start", "made_up"]


@dataclass(frozen=True)
class Start:
    """Rows before an upgrade."""

    rows: Rows
    expected: Rows
    """The rows with what the upgrade must fill in place of NULL."""
    filled: tuple[Filled, ...] = ()
    loose: frozenset[tuple[str, str]] = frozenset()
    """Columns whose NULLs may become any value, by the names after renames."""
    words: str = ""
    """How many rows there are, and where they come from."""
    remarks: tuple[str, ...] = ()
    partial: frozenset[str] = frozenset()
    """Tables of which not all rows are read."""


def made_up(connection: sa.Connection, candidate: Candidate, *, nulls: bool = True) -> Start:
    """Fill every table with generated rows."""
    before = candidate.before
    filled, loose = _fills(connection, candidate) if nulls else ((), frozenset())
    change = Change(
        candidate.expected,
        candidate.renamed_tables,
        candidate.renamed_columns,
        candidate.answers.copies,
        (*filled, *(Filled(*where) for where in loose)),
    )
    seeded = seed(connection, _without(before, candidate.empty), change=change)
    rows = read_rows(connection, before, seeded.seeded)
    emptied = sorted(before.tables.keys() - seeded.seeded.keys() - seeded.unseeded.keys())
    remarks = [f"table {table} stays empty: {why}" for table, why in sorted(seeded.unseeded.items())]
    remarks += [
        f"no rows in {table}: the upgrade runs only where it is empty"
        if table in candidate.empty
        else f"no rows in {table}: it refers to a table that must be empty"
        for table in emptied
    ]
    tables = f"{len(rows)} table{'s' if len(rows) != 1 else ''}"
    words = f"{sum(seeded.seeded.values())} rows in {tables}"
    return _start(candidate, rows, filled, loose, words, remarks)


def _start(
    candidate: Candidate,
    rows: Rows,
    filled: tuple[Filled, ...],
    loose: frozenset[tuple[str, str]],
    words: str,
    remarks: Iterable[str],
) -> Start:
    later = renamed(rows, candidate.renamed_tables, candidate.renamed_columns)
    done = fill_in(later, filled)
    expected = {n: replace(t, rows=done[candidate.renamed_tables.get(n, n)].rows) for n, t in rows.items()}
    unknown = unknown_fills(later, filled)
    return Start(rows, expected, filled, loose | unknown, words, tuple(remarks))


def _fills(
    connection: sa.Connection, candidate: Candidate
) -> tuple[tuple[Filled, ...], frozenset[tuple[str, str]]]:
    """Return the fills with a known result, and the other filled columns."""
    if candidate.filled is None:
        return (), frozenset(w for w in candidate.tightened if w[0] not in candidate.empty)
    copied = {(c.target, c.target_column) for c in candidate.answers.copies}
    known: list[Filled] = []
    loose: set[tuple[str, str]] = set()
    for item in candidate.filled:
        where = (item.table, item.column)
        if where in copied:
            continue
        found = None if _retyped(candidate, where) else _known_fill(connection, candidate, item)
        if found is None:
            loose.add(where)
        else:
            known.append(found)
    return tuple(known), frozenset(loose)


def _known_fill(connection: sa.Connection, candidate: Candidate, item: Filling) -> Filled | None:
    if item.path:
        steps = tuple(Step(link.columns, link.parent, link.referenced) for link in item.path)
        return Filled(item.table, item.column, path=steps, source=item.source)
    if item.constant is None:
        return None
    type_ = candidate.expected.tables[item.table].columns[item.column].type
    return Filled(item.table, item.column, printed(connection, item.constant, type_))


def _retyped(candidate: Candidate, where: tuple[str, str]) -> bool:
    """Return whether a column had another type before, so that a fill reads back differently."""
    new_table, new = where
    table, column = candidate.answers.named_before(new_table, new)
    old = candidate.before.tables[table].columns.get(column) if table in candidate.before.tables else None
    return old is not None and old.type != candidate.expected.tables[new_table].columns[new].type


def _without(snapshot: Snapshot, empty: frozenset[str]) -> Snapshot:
    gone = set(empty)
    while more := {
        name
        for name, table in snapshot.tables.items()
        if name not in gone and any(c.references in gone for c in table.constraints.values())
    }:
        gone |= more
    return replace(snapshot, relations={n: r for n, r in snapshot.relations.items() if n not in gone})
