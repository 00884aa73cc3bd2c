"""Compare the rows before and after a revision (rule M15)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from consdb_actions.adapters.autogenerate.candidate import Candidate
from consdb_actions.adapters.autogenerate.starting_rows import Start
from consdb_actions.migration.data import DataDifference, compare_rows, renamed
from consdb_actions.migration.data_difference import shown
from consdb_actions.migration.data_fills import compare_filled
from consdb_actions.migration.data_moves import Moved, named_before, returned
from consdb_actions.migration.outcome import Check
from consdb_actions.migration.rewrite.plan import Copy
from consdb_actions.migration.rewrite.retype import base_type, convertible
from consdb_actions.migration.rows import Rows
from consdb_actions.migration.sameness import alteration

__all__ = ["check_rows", "check_rows_back", "gone"]

_MOST = 10


def check_rows(candidate: Candidate, start: Start, arrived: Rows) -> Check:
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


def check_rows_back(candidate: Candidate, start: Start, arrived: Rows, back: Rows) -> Check:
    """Compare the rows after the downgrade with those before; ``arrived`` are those in between."""
    tables, columns = candidate.renamed_tables, candidate.renamed_columns
    moves, lost = _moves(candidate, start)
    # A table whose rows are lost has no values to move back.
    dropped = {table for table, column in lost if column is None}
    kept: list[Moved] = returned([m for m in moves if m.source not in dropped], tables, columns, arrived)
    via = {place: new for place, (_, new) in _retyped(candidate).items()}
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


def gone(candidate: Candidate) -> frozenset[tuple[str, str | None]]:
    """Return tables and columns that the upgrade drops for good."""
    stays = _retyped(candidate)
    tables, columns = candidate.renamed_tables, candidate.renamed_columns
    return frozenset(p for p in candidate.lost if not named_before([p], tables, columns) <= stays.keys())


def _retyped(candidate: Candidate) -> dict[tuple[str, str], tuple[str, str]]:
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


def _altered_columns(candidate: Candidate, before: Rows, back: Rows) -> Iterator[str]:
    """Describe columns whose values the type change alters."""
    for (table, name), (old, new) in _retyped(candidate).items():
        if table not in before or table not in back or not (words := alteration(old, new)):
            continue
        values = []
        for rows in (before[table], back[table]):
            place = rows.columns.index(name)
            values.append(Counter(row[place] for row in rows.rows if row[place] is not None))
        if lost := values[0] - values[1]:
            example = shown(min(lost, key=str))
            yield f"{table}.{name}: {lost.total()} values come back altered, such as {example}: {words}"


def _moves(candidate: Candidate, start: Start) -> tuple[list[Copy], set[tuple[str, str | None]]]:
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
    name: str, words: str, differences: Sequence[DataDifference], start: Start, altered: Sequence[str] = ()
) -> Check:
    """Report the comparison of rows; a table without rows is named."""
    details = tuple(str(d) for d in differences[:_MOST])
    more = len(differences) - len(details)
    rest = (f"and {more} more",) if more else ()
    details = (*details, *rest, *altered, *start.remarks)
    return Check(name, not differences, f"{start.words} {words}", details)
