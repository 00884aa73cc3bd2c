"""Rows for the verification: made before the upgrade, given by a site, judged afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from consdb_actions.adapters.autogenerate.drafting import RevisionCandidate
from consdb_actions.adapters.rows import count_rows, hash_columns, printed, read_rows, seed
from consdb_actions.catalog import CatalogRelation, Snapshot
from consdb_actions.migration.data import (
    ColumnFill,
    DataDifference,
    MovedColumn,
    Rows,
    compare_filled,
    compare_rows,
    fill_in,
    named_before,
    renamed,
    returned,
    shown,
    unknown_fills,
)
from consdb_actions.migration.outcome import VerificationCheck
from consdb_actions.migration.rewrite.plan import ColumnFilling, Copy
from consdb_actions.migration.rewrite.retype import base_type, convertible
from consdb_actions.migration.row_rules import RowMigration
from consdb_actions.migration.types import alteration


@dataclass(frozen=True)
class RowsBefore:
    """Rows before an upgrade."""

    rows: Rows
    expected: Rows  # The rows with what the upgrade must fill in place of NULL
    filled: tuple[ColumnFill, ...] = ()
    loose: frozenset[tuple[str, str]] = frozenset()
    """Columns whose NULLs may become any value, by the names after renames."""
    text: str = ""  # How many rows there are, and where they come from
    remarks: tuple[str, ...] = ()
    partial: frozenset[str] = frozenset()  # Tables of which not all rows are read


def made_up(connection: sa.Connection, candidate: RevisionCandidate, *, nulls: bool = True) -> RowsBefore:
    """Fill every table with generated rows."""
    before = candidate.before
    filled, loose = _fills(connection, candidate) if nulls else ((), frozenset())
    change = RowMigration(
        candidate.expected,
        candidate.renamed_tables,
        candidate.renamed_columns,
        candidate.answers.copies,
        (*filled, *(ColumnFill(*where) for where in loose)),
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
    text = f"{sum(seeded.seeded.values())} rows in {tables}"
    return _start(candidate, rows, filled, loose, text, remarks)


def _start(
    candidate: RevisionCandidate,
    rows: Rows,
    filled: tuple[ColumnFill, ...],
    loose: frozenset[tuple[str, str]],
    text: str,
    remarks: Iterable[str],
) -> RowsBefore:
    later = renamed(rows, candidate.renamed_tables, candidate.renamed_columns)
    done = fill_in(later, filled)
    expected = {n: replace(t, rows=done[candidate.renamed_tables.get(n, n)].rows) for n, t in rows.items()}
    unknown = unknown_fills(later, filled)
    return RowsBefore(rows, expected, filled, loose | unknown, text, tuple(remarks))


def _fills(
    connection: sa.Connection, candidate: RevisionCandidate
) -> tuple[tuple[ColumnFill, ...], frozenset[tuple[str, str]]]:
    """Return the fills with a known result, and the other filled columns."""
    if candidate.filled is None:
        return (), frozenset(w for w in candidate.tightened if w[0] not in candidate.empty)
    copied = {(c.target, c.target_column) for c in candidate.answers.copies}
    known: list[ColumnFill] = []
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


def _known_fill(
    connection: sa.Connection, candidate: RevisionCandidate, item: ColumnFilling
) -> ColumnFill | None:
    if item.path:
        return ColumnFill(item.table, item.column, path=item.path, source=item.source)
    if item.constant is None:
        return None
    type_ = candidate.expected.tables[item.table].columns[item.column].type
    return ColumnFill(item.table, item.column, printed(connection, item.constant, type_))


def _retyped(candidate: RevisionCandidate, where: tuple[str, str]) -> bool:
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


MOST_VALUES = 1_000_000  # Maximum number of values read from a table; others are only hashed


@dataclass(frozen=True)
class _Large:
    before: str
    after: str
    columns: Mapping[str, str]  # Columns whose values must not change: old name to new name
    key: tuple[str, ...]  # Those that identify a row; empty where none do
    most: int
    hashes: Mapping[str, str]  # Number and hash of the values, by column


class SiteRows:
    """Rows of a copy before its upgrade (``start``), at most `MOST_VALUES` of a table."""

    def __init__(self, connection: sa.Connection, candidate: RevisionCandidate) -> None:
        self._candidate = candidate
        before = candidate.before
        counts = count_rows(connection, before)
        self._large = {
            name: self._large_table(connection, before.tables[name])
            for name, count in counts.items()
            if count * len(before.tables[name].columns) > MOST_VALUES
        }
        self._read_before = {
            name
            for name, count in counts.items()
            if count and (name not in self._large or self._large[name].key)
        }
        rows = self.back(connection, before)
        self.start = RowsBefore(
            rows, rows, (), candidate.tightened, _total(counts), self._remarks(counts), frozenset(self._large)
        )

    def after(self, connection: sa.Connection, now: Snapshot) -> Rows:
        """Read the rows after the upgrade."""
        names = self._candidate.renamed_tables
        first = {t.after: ([t.columns[c] for c in t.key], t.most) for t in self._large.values() if t.key}
        tables = {names.get(name, name) for name in self._read_before}
        tables |= {m.target for m in self._candidate.answers.copies} - {t.after for t in self._large.values()}
        return read_rows(connection, now, tables, first)

    def back(self, connection: sa.Connection, restored: Snapshot) -> Rows:
        """Read the rows before the upgrade or after the downgrade."""
        first = {t.before: (t.key, t.most) for t in self._large.values() if t.key}
        return read_rows(connection, restored, self._read_before, first)

    def changed(self, connection: sa.Connection, *, after: bool) -> tuple[str, ...]:
        """Hash large tables again; return a text for each difference."""
        out = []
        for table in self._large.values():
            name = table.after if after else table.before
            names = {old: new if after else old for old, new in table.columns.items()}
            key = [names[c] for c in table.key]
            schema = self._candidate.section.schema
            now = hash_columns(connection, schema, name, key, names.values())
            for old, new in names.items():
                if now[new] != table.hashes[old]:
                    count = table.hashes[old].partition(":")[0]
                    out.append(f"{name}.{new}: its {count} values have another hash")
        return tuple(out)

    def _large_table(self, connection: sa.Connection, table: CatalogRelation) -> _Large:
        """Hash a large table; one that is dropped is not compared."""
        candidate = self._candidate
        new = candidate.renamed_tables.get(table.name, table.name)
        after = candidate.expected.tables.get(new)
        changing = {c for t, c in (*candidate.lost, *candidate.tightened) if t == new}
        changing |= {m.source_column for m in candidate.answers.copies if m.source == new}
        columns = {}
        for column in table.columns.values():
            later = candidate.renamed_columns.get((new, column.name), column.name)
            same = after.columns.get(later) if after is not None else None
            if same is not None and same.type == column.type and later not in changing:
                columns[column.name] = later
        primary = next((c.columns for c in table.constraints.values() if c.kind == "primary key"), ())
        key = primary if set(primary) <= columns.keys() else ()
        hashes = hash_columns(connection, candidate.section.schema, table.name, key, columns)
        return _Large(table.name, new, columns, key, max(1, MOST_VALUES // len(table.columns)), hashes)

    def _remarks(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        empty = sorted(name for name, count in counts.items() if not count)
        out = [f"no rows in {', '.join(empty)}"] if empty else []
        for name, table in self._large.items():
            looked = f"the first {table.most} of its {counts[name]} rows" if table.key else "no row by itself"
            out.append(f"{name} is large: compared are {looked}, and hashes of {len(table.columns)} columns")
        return tuple(out)


def _total(counts: Mapping[str, int]) -> str:
    tables = sum(1 for count in counts.values() if count)
    return f"{sum(counts.values())} rows of the database's own in {tables} table{'' if tables == 1 else 's'}"


_MOST = 10


def check_rows(candidate: RevisionCandidate, start: RowsBefore, arrived: Rows) -> VerificationCheck:
    """Compare the rows after the upgrade with those before."""
    tables, columns = candidate.renamed_tables, candidate.renamed_columns
    moves, lost = _moves(candidate, start)
    differences = compare_rows(
        start.expected,
        arrived,
        renamed_tables=tables,
        renamed_columns=columns,
        moved=moves,
        lost=lost,
        loose=start.loose,
    )
    differences += compare_filled(renamed(start.rows, tables, columns), arrived, start.filled)
    return _rows_check("rows", "keep their values in the upgrade", differences, start)


def check_rows_back(
    candidate: RevisionCandidate, start: RowsBefore, arrived: Rows, back: Rows
) -> VerificationCheck:
    """Compare the rows after the downgrade with those before; ``arrived`` are those in between."""
    tables, columns = candidate.renamed_tables, candidate.renamed_columns
    moves, lost = _moves(candidate, start)
    # A table whose rows are lost has no values to move back.
    dropped = {table for table, column in lost if column is None}
    kept: list[MovedColumn] = returned(
        [m for m in moves if m.source not in dropped], tables, columns, arrived
    )
    via = {place: new for place, (_, new) in _types_of_kept_columns(candidate).items()}
    differences = compare_rows(
        start.expected,
        back,
        moved=kept,
        lost=named_before(lost, tables, columns),
        loose={(t, c) for t, c in named_before(start.loose, tables, columns) if c is not None},
        via=via,
    )
    altered = () if differences else tuple(_altered_columns(candidate, start.expected, back))
    return _rows_check("rows back", "hold the same values after the downgrade", differences, start, altered)


def gone(candidate: RevisionCandidate) -> frozenset[tuple[str, str | None]]:
    """Return tables and columns that the upgrade drops for good."""
    stays = _types_of_kept_columns(candidate)
    tables, columns = candidate.renamed_tables, candidate.renamed_columns
    return frozenset(p for p in candidate.lost if not named_before([p], tables, columns) <= stays.keys())


def _types_of_kept_columns(candidate: RevisionCandidate) -> dict[tuple[str, str], tuple[str, str]]:
    """Return types before and after of retyped columns, by their old names."""
    out = {}
    for name, table in candidate.before.tables.items():
        new = candidate.renamed_tables.get(name, name)
        later = candidate.expected.tables.get(new)
        if later is None:
            continue
        for column in table.columns.values():
            found = later.columns.get(candidate.renamed_columns.get((new, column.name), column.name))
            if found is not None and convertible(base_type(column.type), base_type(found.type)):
                out[name, column.name] = (column.type, found.type)
    return out


def _altered_columns(candidate: RevisionCandidate, before: Rows, back: Rows) -> Iterator[str]:
    for (table, name), (old, new) in _types_of_kept_columns(candidate).items():
        if table not in before or table not in back or not (text := alteration(old, new)):
            continue
        values = []
        for rows in (before[table], back[table]):
            place = rows.columns.index(name)
            values.append(Counter(row[place] for row in rows.rows if row[place] is not None))
        if lost := values[0] - values[1]:
            example = shown(min(lost, key=str))
            yield (
                f"{table}.{name}: {lost.total()} values are restored incorrectly, such as {example}: {text}"
            )


def _moves(candidate: RevisionCandidate, start: RowsBefore) -> tuple[list[Copy], set[tuple[str, str | None]]]:
    """Return comparable moves, and lost columns (those moved into tables without rows)."""
    old = {new: name for name, new in candidate.renamed_tables.items()}
    whole = start.rows.keys() - start.partial
    tellable = {*whole, *(candidate.expected.relations.keys() - candidate.before.relations.keys())}
    told: list[Copy] = []
    lost = set(gone(candidate))
    for move in candidate.answers.copies:
        source, target = old.get(move.source, move.source), old.get(move.target, move.target)
        if source not in start.rows or (move.source, move.source_column) in lost:
            continue
        if source in whole and target in tellable:
            told.append(move)
        else:
            lost.add((move.source, move.source_column))
    return told, lost


def _rows_check(
    name: str,
    text: str,
    differences: Sequence[DataDifference],
    start: RowsBefore,
    altered: Sequence[str] = (),
) -> VerificationCheck:
    details = tuple(str(d) for d in differences[:_MOST])
    more = len(differences) - len(details)
    rest = (f"and {more} more",) if more else ()
    details = (*details, *rest, *altered, *start.remarks)
    return VerificationCheck(name, not differences, f"{start.text} {text}", details)
