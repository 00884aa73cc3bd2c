"""Compare the rows of two states (rule M15)."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

from consdb_actions.migration.data_difference import DataDifference, shown
from consdb_actions.migration.data_moves import Move, compare_move
from consdb_actions.migration.rows import Rows, TableRows
from consdb_actions.migration.sameness import Normalise, normalisers

__all__ = ["DataDifference", "Move", "column_digests", "compare_rows", "renamed"]

# Remaining rows are paired by similarity up to this many comparisons.
_COMPARISONS = 40_000

Place = tuple[str, str | None]


def compare_rows(
    before: Rows,
    after: Rows,
    *,
    renamed_tables: Mapping[str, str] | None = None,
    renamed_columns: Mapping[tuple[str, str], str] | None = None,
    moved: Sequence[Move] = (),
    lost: Collection[Place] = (),
    loose: Collection[Place] = (),
    via: Mapping[tuple[str, str], str] | None = None,
) -> list[DataDifference]:
    """Compare rows of two states as wholes; return differences by table and column.

    Values in a wrong row are found. Additional columns and tables of the second state are ignored.

    Parameters
    ----------
    renamed_tables, renamed_columns
        New names by old; columns by the table's new name and the column's old.
    moved
        Columns that went to another table; they are compared through the key.
    lost
        Columns whose loss is expected, by the names of the second state; None means the whole table.
    loose
        Columns whose NULLs may have become any value; other values must exist, in whatever row.
    via
        Types in between, whose :func:`~consdb_actions.migration.sameness.alteration` of values is allowed.
    """
    before = renamed(before, renamed_tables or {}, renamed_columns or {})
    gone = {(m.source, m.source_column) for m in moved} | {(t, c) for t, c in lost if c is not None}
    lost_tables = {t for t, c in lost if c is None}
    out: list[DataDifference] = []
    for name in sorted(before):
        old, new = before[name], after.get(name)
        if name in lost_tables:
            continue
        if new is None:
            words = f"the table is gone with {len(old.rows)} rows"
            out.append(DataDifference(name, None, len(old.rows), "", "", words))
            continue
        ignored = {c for t, c in gone if t == name}
        free = {c for t, c in loose if t == name and c in old.columns and c in new.columns} - ignored
        types = {c: type_ for (t, c), type_ in (via or {}).items() if t == name}
        out.extend(_table(old, new, ignored | free, types))
        out.extend(d for c in sorted(free) if (d := _kept(old, new, c, types.get(c))))
    for move in moved:
        out.extend(compare_move(move, before, after))
    return out


def column_digests(rows: Rows) -> dict[tuple[str, str], str]:
    """Return a SHA-256 digest of each column's values, whatever their order."""
    out = {}
    for table in rows.values():
        for place, column in enumerate(table.columns):
            digest = hashlib.sha256()
            values = [None if row[place] is None else (row[place] or "").encode() for row in table.rows]
            for value in sorted(values, key=lambda v: (v is None, v or b"")):
                # The length separates values; -1 is NULL.
                digest.update(b"-1;" if value is None else b"%d;%s" % (len(value), value))
            out[table.table, column] = digest.hexdigest()
    return out


def renamed(
    rows: Rows, tables: Mapping[str, str], columns: Mapping[tuple[str, str], str]
) -> dict[str, TableRows]:
    """Return rows under later names: new tables by old, new columns by new table and old column."""
    out = {}
    for table in rows.values():
        name = tables.get(table.table, table.table)
        names = tuple(columns.get((name, c), c) for c in table.columns)
        out[name] = replace(table, table=name, columns=names)
    return out


def _table(
    old: TableRows, new: TableRows, ignored: Collection[str], via: Mapping[str, str]
) -> Iterator[DataDifference]:
    name = old.table
    columns = [c for c in old.columns if c not in ignored]
    for column in columns:
        if column not in new.columns:
            place = old.columns.index(column)
            filled = [row[place] for row in old.rows if row[place] is not None]
            words = f"the column is gone with {len(filled)} values"
            yield DataDifference(name, column, len(filled), shown(filled[0] if filled else None), "", words)
    shared = [c for c in columns if c in new.columns]
    a_places, b_places = [old.columns.index(c) for c in shared], [new.columns.index(c) for c in shared]
    rules = [
        normalisers(old.types[a], new.types[b], via=via.get(c))
        for c, a, b in zip(shared, a_places, b_places, strict=True)
    ]
    left = _unmatched(old, a_places, [r for r, _ in rules]), _unmatched(new, b_places, [r for _, r in rules])
    both = left[0].keys() & left[1].keys()
    a_rows = [r for k, found in left[0].items() for r in found[len(left[1][k]) if k in both else 0 :]]
    b_rows = [r for k, found in left[1].items() for r in found[len(left[0][k]) if k in both else 0 :]]
    yield from _explain(name, shared, rules, a_rows, b_rows)


def _kept(old: TableRows, new: TableRows, column: str, via: str | None) -> DataDifference | None:
    """Compare the values of a column, whatever their rows."""
    a, b = old.columns.index(column), new.columns.index(column)
    was, now = normalisers(old.types[a], new.types[b], via=via)
    there = Counter(now(row[b]) for row in new.rows)
    gone = []
    for row in old.rows:
        if row[a] is None:
            continue
        there[was(row[a])] -= 1
        if there[was(row[a])] < 0:
            gone.append(row[a])
    if not gone:
        return None
    words = f"{len(gone)} values are gone, for example {shown(gone[0])}"
    return DataDifference(old.table, column, len(gone), shown(gone[0]), "", words)


def _unmatched(
    table: TableRows, places: Sequence[int], rules: Sequence[Normalise]
) -> dict[tuple[Hashable, ...], list[tuple[str | None, ...]]]:
    """Group the rows of a table by their normalized values."""
    out: dict[tuple[Hashable, ...], list[tuple[str | None, ...]]] = defaultdict(list)
    for row in table.rows:
        values = tuple(row[p] for p in places)
        out[tuple(rule(v) for rule, v in zip(rules, values, strict=True))].append(values)
    return dict(out)


def _explain(
    table: str,
    columns: Sequence[str],
    rules: Sequence[tuple[Normalise, Normalise]],
    a_rows: list[tuple[str | None, ...]],
    b_rows: list[tuple[str | None, ...]],
) -> Iterator[DataDifference]:
    """Describe differing columns, pairing each row with the most similar one."""

    def differing(a: tuple[str | None, ...], b: tuple[str | None, ...]) -> list[int]:
        return [i for i, (was, now) in enumerate(rules) if was(a[i]) != now(b[i])]

    counts: Counter[int] = Counter()
    examples: dict[int, tuple[str | None, str | None]] = {}
    rest, alike = list(b_rows), len(a_rows) * len(b_rows) <= _COMPARISONS
    missing = len(a_rows) - len(b_rows)
    for a in a_rows[: len(b_rows)] if not alike else a_rows:
        if not rest:
            break
        best = min(range(len(rest)), key=lambda n: len(differing(a, rest[n]))) if alike else 0
        b = rest.pop(best)
        for place in differing(a, b):
            counts[place] += 1
            examples.setdefault(place, (a[place], b[place]))
    if missing > 0:
        yield DataDifference(table, None, missing, "", "", f"{missing} rows are gone")
    elif missing < 0:
        yield DataDifference(table, None, -missing, "", "", f"{-missing} rows are new")
    for place in sorted(counts):
        before, after = map(shown, examples[place])
        words = f"{counts[place]} rows differ, for example {before} became {after}"
        yield DataDifference(table, columns[place], counts[place], before, after, words)
