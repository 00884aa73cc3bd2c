"""Columns that left one table and came up in another (rule M5)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.decisions import CopiedMove, Join, find_join
from consdb_actions.migration.matching.declarations import Settled
from consdb_actions.migration.matching.facts import ColumnFacts, NameMap, TableFacts, type_fit
from consdb_actions.migration.matching.score import ColumnLink
from consdb_actions.migration.matching.words import fold, normalised

__all__ = ["Moves", "declared_moves", "find_moves"]

Tables = Mapping[str, TableFacts]
_Columns = tuple[ColumnFacts, ColumnFacts]

_SCORE = 60
_TEXT_SCORE = 25
_JOIN_SCORE = 15


@dataclass(frozen=True)
class Moves:
    """What moves for certain, and what may have moved."""

    certain: tuple[CopiedMove, ...]
    doubtful: tuple[ColumnLink, ...]


class _Finder:
    def __init__(self, before: Tables, after: Tables, names: NameMap) -> None:
        self.before, self.after, self.names = before, after, names
        self.back = {names.table(table): table for table in before if names.table(table) in after}
        self.tables_with: dict[str, set[str]] = defaultdict(set)
        for side in (before, after):
            for table in side.values():
                for column in table.columns:
                    self.tables_with[fold(column.name)].add(table.name)
        # How often the same name has the same description: what is frequent identifies nothing.
        self.repeats = [
            Counter((fold(c.name), normalised(c.description or "")) for t in side.values() for c in t.columns)
            for side in (before, after)
        ]

    def join(self, source: str, target: str, given: Iterable[str]) -> tuple[Join | None, str]:
        origin = self.before.get(self.back.get(target, ""))
        return find_join(self.before[source], origin, self.after[target], self.names, frozenset(given))

    def is_filled(self, new: ColumnFacts) -> bool:
        """Tell whether rows get the column from their parents, as part of a key, not from another table."""
        table = self.after[new.table]
        if new.name in table.primary_key:
            return True
        origin = self.before.get(self.back.get(new.table, ""))
        parents = {key.referenced_table for key in table.foreign_keys if new.name in key.columns}
        had = {self.names.table(key.referenced_table) for key in origin.foreign_keys} if origin else set()
        return bool(parents & had)

    def is_deliberate(self, old: ColumnFacts, new: ColumnFacts) -> bool:
        """Tell whether the column went or came by itself, or has a name that no third table has.

        That a table is dropped and another one made does not mean much for the columns that all tables have.
        """
        if self.names.table(old.table) in self.after or new.table in self.back:
            return True
        return self.tables_with[fold(old.name)] == {old.table, new.table}


def declared_moves(settled: Settled, before: Tables, after: Tables, names: NameMap) -> tuple[CopiedMove, ...]:
    """Give each declared move its join."""
    finder = _Finder(before, after, names)
    given: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (table, _), targets in settled.moves.items():
        for (new_table, new_column), _ in targets:
            given[table, new_table].append(new_column)
    moves: list[CopiedMove] = []
    for (table, column), targets in settled.moves.items():
        for (new_table, new_column), declared in targets:
            join, why_not = finder.join(table, new_table, given[table, new_table])
            if join is None:
                raise InputError(
                    f"`{declared.text}`: {why_not}",
                    place=declared.source,
                    remedy=f"Let them share a key, or say {table}.{column}= and copy the values by hand.",
                )
            evidence = f"declared ({declared.source})"
            required = not after[new_table].column(new_column).nullable
            moves.append(
                CopiedMove(table, column, new_table, new_column, "declared", evidence, join, required)
            )
    return tuple(moves)


def find_moves(
    before: Tables,
    after: Tables,
    names: NameMap,
    gone: Sequence[ColumnFacts],
    come: Sequence[ColumnFacts],
    asked: Collection[ColumnFacts],
    declared: Iterable[CopiedMove] = (),
) -> Moves:
    """Find the columns that are gone from one table and new in another, under the same name."""
    finder = _Finder(before, after, names)
    olds, news = _by_fold(gone), _by_fold(come)
    pairs = [
        (old, new)
        for name in sorted(olds.keys() & news.keys())
        for old in olds[name]
        for new in news[name]
        if names.table(old.table) != new.table
        and type_fit(old.type, new.type) != "incompatible"
        and not finder.is_filled(new)
        and finder.is_deliberate(old, new)
    ]
    degree = Counter(node for old, new in pairs for node in (f"-{old.path}", f"+{new.path}"))
    settled = [(move.table, move.new_table, move.new_column) for move in declared]
    given = _given(settled, pairs)
    certain: list[_Columns] = []
    doubtful: list[ColumnLink] = []
    for old, new in pairs:
        join, why_not = finder.join(old.table, new.table, given[old.table, new.table])
        rivals = []
        if degree[f"-{old.path}"] > 1:
            rivals.append(f"it is new in {degree[f'-{old.path}']} tables")
        if degree[f"+{new.path}"] > 1:
            rivals.append(f"it is gone from {degree[f'+{new.path}']} tables")
        if old in asked or new in asked:
            rivals.append("it may have been renamed within its table")
        doubts = rivals + _doubts(old, new, join, why_not, () if rivals else finder.repeats)
        if join is not None and not doubts:
            certain.append((old, new))
            continue
        doubtful.append(_doubtful(old, new, join, doubts, why_not))
    moves, beside = _made(certain, doubtful, settled, finder)
    return Moves(moves, (*doubtful, *beside))


def _given(
    settled: Iterable[tuple[str, str, str]], pairs: Iterable[_Columns]
) -> dict[tuple[str, str], list[str]]:
    """Return which columns of the one table come from the other."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for table, new_table, column in settled:
        found[table, new_table].append(column)
    for old, new in pairs:
        found[old.table, new.table].append(new.name)
    return found


def _made(
    certain: list[_Columns],
    asked: Iterable[ColumnLink],
    settled: Sequence[tuple[str, str, str]],
    finder: _Finder,
) -> tuple[tuple[CopiedMove, ...], tuple[ColumnLink, ...]]:
    """Make the moves that are certain, but for those whose rows need a value that is in question."""
    doubtful: list[ColumnLink] = []
    open_ = {(link.old.table, link.new.table, link.new.name) for link in asked}
    while True:
        given = _given(settled, certain)
        joins = []
        for old, new in certain:
            join, why_not = finder.join(old.table, new.table, given[old.table, new.table])
            needed = (
                [f.column for f in join.fills if (old.table, new.table, f.column) in open_] if join else []
            )
            if needed:
                why_not = f"its rows need `{needed[0]}`, which is in question"
            joins.append(((old, new), None if needed else join, why_not))
        if all(join for _, join, _ in joins):
            break
        for (old, new), join, why_not in joins:
            if join is None:
                doubtful.append(_doubtful(old, new, None, [why_not], ""))
                open_.add((old.table, new.table, new.name))
        certain = [pair for pair, join, _ in joins if join]
    evidence = "it is gone from the one table and new in the other, with the same name and description"
    moves = (
        CopiedMove(a.table, a.name, b.table, b.name, "same name", evidence, join, not b.nullable)
        for (a, b), join, _ in joins
        if join
    )
    return tuple(moves), tuple(doubtful)


def _doubtful(
    old: ColumnFacts, new: ColumnFacts, join: Join | None, doubts: Iterable[str], obstacle: str
) -> ColumnLink:
    score = _SCORE + _JOIN_SCORE * (join is not None) + _TEXT_SCORE * _same_text(old, new)
    evidence = ["the same name in both tables" if old.name == new.name else "names that differ in case"]
    if _same_text(old, new):
        evidence.append("the same description")
    if join is not None:
        evidence.append(join.describe())
    words = (*evidence, *(f"but {doubt}" for doubt in doubts))
    return ColumnLink(old, new, score, words, move=True, obstacle=obstacle)


def _doubts(
    old: ColumnFacts,
    new: ColumnFacts,
    join: Join | None,
    why_not: str,
    repeats: Sequence[Mapping[tuple[str, str], int]],
) -> list[str]:
    """List what keeps a move from being certain."""
    found: list[str] = []
    if old.name != new.name:
        found.append("the names differ in case")
    if not _same_text(old, new):
        found.append(
            "the descriptions are not the same"
            if old.description and new.description
            else "no description confirms it"
        )
    elif any(counter[fold(old.name), normalised(old.description or "")] > 1 for counter in repeats):
        found.append("other tables have this name with this description too")
    if old.unit and new.unit and old.unit.strip() != new.unit.strip():
        found.append(f"the unit changes from {old.unit} to {new.unit}")
    fit = type_fit(old.type, new.type)
    if fit not in ("same", "wider"):
        found.append(f"the type changes from {old.type} to {new.type}")
    if join is None:
        found.append(why_not)
    elif not join.certain:
        found.append("no key confirms that these rows belong together")
    elif join.relation == "many to one":
        found.append(
            f"several rows of `{old.table}` belong to one row of `{new.table}`, and their values may differ"
        )
    return found


def _same_text(old: ColumnFacts, new: ColumnFacts) -> bool:
    text = normalised(old.description or "")
    return bool(text) and text == normalised(new.description or "")


def _by_fold(columns: Iterable[ColumnFacts]) -> dict[str, list[ColumnFacts]]:
    found: dict[str, list[ColumnFacts]] = defaultdict(list)
    for column in columns:
        found[fold(column.name)].append(column)
    return found
