"""Compare rows before and after a migration."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from consdb_actions.migration.types import Normalise, normalisers


@dataclass(frozen=True)
class TableRows:
    """Rows of one table; a value is Postgres's text, None is NULL."""

    table: str
    columns: tuple[str, ...]  # Names, in the order of the values
    types: tuple[str, ...]  # The columns' types, as ``format_type`` prints them
    rows: tuple[tuple[str | None, ...], ...] = ()


Rows = Mapping[str, TableRows]  # Rows by table

_EXAMPLE = 60


@dataclass(frozen=True)
class DataDifference:
    """Changed values of one column, by the names of the second state."""

    table: str
    column: str | None  # None for whole rows
    rows: int
    before: str  # The value in the first of these rows, shortened and escaped; ``NULL`` for none
    after: str
    text: str

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        return f"{where}: {self.text}"


def shown(value: str | None) -> str:
    """Return a value for display, escaped and shortened."""
    if value is None:
        return "NULL"
    return repr(value) if len(value) <= _EXAMPLE else f"{value[:_EXAMPLE]!r} and {len(value) - _EXAMPLE} more"


Place = tuple[str, str | None]


class ColumnMove(Protocol):
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
class MovedColumn:
    """A :class:`ColumnMove` as plain data."""

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
    moves: Iterable[ColumnMove],
    renamed_tables: Mapping[str, str],
    renamed_columns: Mapping[tuple[str, str], str],
    arrived: Rows,
) -> list[MovedColumn]:
    """Return the comparisons after the downgrade, of values that had a row in ``arrived``."""

    def old(table: str, *columns: str) -> tuple[str, ...]:
        found = [named_before([(table, c)], renamed_tables, renamed_columns).pop() for c in columns]
        return tuple(column or "" for _, column in found)

    out = []
    for m in moves:
        table = next((o for o, n in renamed_tables.items() if n == m.source), m.source)
        column, key = old(m.source, m.source_column)[0], old(m.source, *m.source_key)
        out.append(
            MovedColumn(
                table, column, table, column, key, key, only=_partners(m, arrived), required=m.required
            )
        )
    return out


def _partners(move: ColumnMove, rows: Rows) -> frozenset[tuple[str | None, ...]]:
    """Return the keys of source rows that have a target row."""
    target = rows.get(move.target)
    if target is None:
        return frozenset()
    present = set(_picked(target, move.target_key))
    if not move.through:
        return frozenset(present)
    bridge = _bridge(move, rows, rows)
    return frozenset(key for key, ends in bridge.items() if present.intersection(ends))


def compare_move(move: ColumnMove, before: Rows, after: Rows) -> Iterator[DataDifference]:
    """Compare a moved column through the key, in the names of the second state."""
    where = (move.target, move.target_column)
    origin = f"{move.source}.{move.source_column}"
    source, target = before.get(move.source), after.get(move.target)
    if source is None or target is None or move.target_column not in target.columns:
        missing = origin if source is None else ".".join(where)
        text = f"it should have come from {move.source}, but {missing} is not there"
        yield DataDifference(*where, 0, "", "", text)
        return
    was, now = normalisers(
        source.types[source.columns.index(move.source_column)],
        target.types[target.columns.index(move.target_column)],
    )
    bridge = _bridge(move, before, after)
    only = move.only if isinstance(move, MovedColumn) else None
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
        text = f"{len(wrong)} rows differ from {origin}, for example {old} became {new}"
        yield DataDifference(*where, len(wrong), old, new, text)
    if astray and not wrong:
        old = shown(astray[0])
        text = (
            f"{len(astray)} values of {move.source}.{move.source_column} are missing in the new column, "
            f"for example {old}"
        )
        yield DataDifference(*where, len(astray), old, "", text)


def _bridge(
    move: ColumnMove, before: Rows, after: Rows
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


# Remaining rows are paired by similarity up to this many comparisons.
_COMPARISONS = 40_000


def compare_rows(
    before: Rows,
    after: Rows,
    *,
    renamed_tables: Mapping[str, str] | None = None,
    renamed_columns: Mapping[tuple[str, str], str] | None = None,
    moved: Sequence[ColumnMove] = (),
    lost: Collection[Place] = (),
    loose: Collection[Place] = (),
    via: Mapping[tuple[str, str], str] | None = None,
) -> list[DataDifference]:
    """Compare rows of two states as wholes; return differences by table and column.

    Columns and tables that only the second state has are ignored. ``renamed_tables`` and ``renamed_columns``
    give new names, columns by the table's new and the column's old name; ``moved`` columns are compared
    through the key. ``lost`` are columns whose loss is expected, by the second state's names (None: the whole
    table). NULLs of ``loose`` columns may become any value; other values must exist in some row. ``via`` are
    intermediate types, whose :func:`~consdb_actions.migration.types.alteration` of values is allowed.
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
            text = f"the table is missing with {len(old.rows)} rows"
            out.append(DataDifference(name, None, len(old.rows), "", "", text))
            continue
        ignored = {c for t, c in gone if t == name}
        free = {c for t, c in loose if t == name and c in old.columns and c in new.columns} - ignored
        types = {c: type_ for (t, c), type_ in (via or {}).items() if t == name}
        out.extend(_table(old, new, ignored | free, types))
        out.extend(d for c in sorted(free) if (d := _kept(old, new, c, types.get(c))))
    for move in moved:
        out.extend(compare_move(move, before, after))
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
            text = f"the column is missing with {len(filled)} values"
            yield DataDifference(name, column, len(filled), shown(filled[0] if filled else None), "", text)
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
    text = f"{len(gone)} values are missing, for example {shown(gone[0])}"
    return DataDifference(old.table, column, len(gone), shown(gone[0]), "", text)


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
        yield DataDifference(table, None, missing, "", "", f"{missing} rows are missing")
    elif missing < 0:
        yield DataDifference(table, None, -missing, "", "", f"{-missing} rows are new")
    for place in sorted(counts):
        before, after = map(shown, examples[place])
        text = f"{counts[place]} rows differ, for example {before} became {after}"
        yield DataDifference(table, columns[place], counts[place], before, after, text)


FilledColumn = tuple[str, str]

Row = tuple[str | None, ...]


@dataclass(frozen=True)
class KeyLink:
    """From a row to its parent: equal columns, pair by pair."""

    columns: tuple[str, ...]
    parent: str
    referenced: tuple[str, ...]


@dataclass(frozen=True)
class ColumnFill:
    """A column that a migration fills, in the names after renames."""

    table: str
    column: str
    value: str | None = None  # The constant as Postgres prints it; None for a parent's value
    path: tuple[KeyLink, ...] = ()  # The steps to the parent's row
    source: str = ""  # The parent's column


def fill_in(rows: Rows, filled: Iterable[ColumnFill]) -> Rows:
    """Fill NULLs in rows from before a migration; skip fills with unknown values."""
    out = dict(rows)
    for item in filled:
        table = rows.get(item.table)
        if table is None or item.column not in table.columns:
            continue
        place = table.columns.index(item.column)
        wanted = _ExpectedValues(item, rows)
        if not wanted.known:
            continue
        now = tuple(
            (*row[:place], wanted.of(origin), *row[place + 1 :]) if row[place] is None else row
            for row, origin in zip(out[item.table].rows, table.rows, strict=True)
        )
        out[item.table] = replace(out[item.table], rows=now)
    return out


def unknown_fills(rows: Rows, filled: Iterable[ColumnFill]) -> set[FilledColumn]:
    """Return the columns whose fill is unknown: the parent's value is new, too."""
    return {
        (item.table, item.column)
        for item in filled
        if item.table in rows
        and item.column in rows[item.table].columns
        and not _ExpectedValues(item, rows).known
    }


def compare_filled(before: Rows, after: Rows, filled: Iterable[ColumnFill]) -> list[DataDifference]:
    """Compare new filled columns with their expected values; ``before`` uses the names after renames."""
    return [d for item in filled for d in _compare(before, after, item)]


def _compare(before: Rows, after: Rows, item: ColumnFill) -> Iterator[DataDifference]:
    old, table = before.get(item.table), after.get(item.table)
    if old is None or table is None or item.column in old.columns or item.column not in table.columns:
        return
    place = table.columns.index(item.column)
    wanted = _ExpectedValues(item, after)
    if not wanted.known:
        return
    was, now = normalisers(wanted.type or table.types[place], table.types[place])
    pairs = [(row[place], wanted.of(row)) for row in table.rows]
    wrong = [(found, expected) for found, expected in pairs if now(found) != was(expected)]
    if wrong:
        found, expected = wrong[0]
        text = f"{len(wrong)} rows were filled with another value, for example {shown(found)}"
        text += f" in place of {shown(expected)}"
        if item.path:
            text += f" from {item.path[-1].parent}.{item.source}"
        yield DataDifference(item.table, item.column, len(wrong), shown(expected), shown(found), text)


class _ExpectedValues:
    """The expected value of each row; ``known`` where the rows determine it."""

    def __init__(self, item: ColumnFill, rows: Rows) -> None:
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
