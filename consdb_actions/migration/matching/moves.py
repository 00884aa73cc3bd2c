"""Columns that left one table and came up in another (rule M5), and how their rows are matched."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.decisions import ColumnSource, CopiedMove, Join, Relation, Through
from consdb_actions.migration.matching.declarations import SettledNames
from consdb_actions.migration.matching.facts import (
    ColumnFacts,
    ForeignKeyFacts,
    NameMap,
    TableFacts,
    type_fit,
)
from consdb_actions.migration.matching.score import ColumnLink
from consdb_actions.migration.matching.similarity import fold, normalised

Tables = Mapping[str, TableFacts]
_Columns = tuple[ColumnFacts, ColumnFacts]
_Given = Mapping[tuple[str, str], Sequence[str]]
"""The columns that one table gives another, in names of the other."""

_RELATIONS: tuple[Relation, ...] = ("one to one", "one to many", "many to one")
# A lone number of rows means something else in every table that has one.
_SURROGATES = frozenset(
    ("id", "key", "pk", "index", "idx", "no", "nr", "num", "number", "row", "rowid", "serial", "uid")
) | {"uuid", "name"}


class MoveFinder:
    """Finds what moved between the tables of a change."""

    def __init__(self, before: Tables, after: Tables, names: NameMap) -> None:
        self.before, self.after, self.names = before, after, names
        self.back = {names.table(table): table for table in before if names.table(table) in after}
        self.tables_with: dict[str, set[str]] = defaultdict(set)
        # What is frequent identifies nothing.
        self.repeats: list[Counter[tuple[str, str]]] = []
        for side in (before, after):
            columns = [column for table in side.values() for column in table.columns]
            self.repeats.append(Counter((fold(c.name), _text(c)) for c in columns))
            for column in columns:
                self.tables_with[fold(column.name)].add(column.table)

    def declared(self, settled: SettledNames) -> tuple[CopiedMove, ...]:
        """Give each declared move its join."""
        pairs = [
            (self.before[table].column(column), self.after[new_table].column(new_column), found)
            for (table, column), targets in settled.moves.items()
            for (new_table, new_column), found in targets
        ]
        given = _given((old, new) for old, new, _ in pairs)
        moves: list[CopiedMove] = []
        for old, new, found in pairs:
            join, why_not = self._join(old, new, given)
            if join is None:
                remedy = f"Let them share a key, or say {old.path}= and copy the values by hand."
                raise InputError(f"`{found.text}`: {why_not}", place=found.source, remedy=remedy)
            evidence, required = f"declared ({found.source})", not new.nullable
            moves.append(
                CopiedMove(old.table, old.name, new.table, new.name, "declared", evidence, join, required)
            )
        return tuple(moves)

    def find(
        self,
        gone: Iterable[ColumnFacts],
        come: Iterable[ColumnFacts],
        asked: Collection[ColumnFacts],
        declared: Iterable[CopiedMove] = (),
    ) -> tuple[tuple[CopiedMove, ...], tuple[ColumnLink, ...]]:
        """Find what is gone from one table and new in another: what moves for certain, and what may have."""
        olds, news = _by_fold(gone), _by_fold(come)
        pairs = [
            (old, new)
            for name in sorted(olds.keys() & news.keys())
            for old in olds[name]
            for new in news[name]
            if self.names.table(old.table) != new.table
            and type_fit(old.type, new.type) != "incompatible"
            and not self._is_filled(new)
            and self._is_deliberate(old, new)
        ]
        degree = Counter(node for old, new in pairs for node in (f"-{old.path}", f"+{new.path}"))
        settled = [
            (self.before[m.table].column(m.column), self.after[m.new_table].column(m.new_column))
            for m in declared
        ]
        given = _given([*settled, *pairs])
        certain: list[_Columns] = []
        doubtful: list[ColumnLink] = []
        for old, new in pairs:
            join, why_not = self._join(old, new, given)
            rivals = []
            if degree[f"-{old.path}"] > 1:
                rivals.append(f"it is new in {degree[f'-{old.path}']} tables")
            if degree[f"+{new.path}"] > 1:
                rivals.append(f"it is gone from {degree[f'+{new.path}']} tables")
            if old in asked or new in asked:
                rivals.append("it may have been renamed within its table")
            doubts = rivals + self._doubts(old, new, join, why_not, repeats=not rivals)
            if join is not None and not doubts:
                certain.append((old, new))
            else:
                doubtful.append(_doubtful(old, new, join, doubts, why_not))
        # Rows of a new table need all values that they must hold: what is in question takes others along.
        while True:
            given = _given([*settled, *certain])
            open_ = {(k.old.table, k.new.table, k.new.name) for k in doubtful}
            joins = {pair: self._join(*pair, given) for pair in certain}
            for (old, new), (join, why_not) in joins.items():
                fills = join.fills if join is not None else ()
                needed = [f.column for f in fills if (old.table, new.table, f.column) in open_]
                if needed or join is None:
                    why_not = f"its rows need `{needed[0]}`, which is in question" if needed else why_not
                    doubtful.append(_doubtful(old, new, None, [why_not], ""))
                    certain.remove((old, new))
            if len(certain) == len(joins):
                break
        evidence = "it is gone from the one table and new in the other, with the same name and description"
        moves = [
            CopiedMove(a.table, a.name, b.table, b.name, "same name", evidence, join, not b.nullable)
            for (a, b), (join, _) in joins.items()
            if join is not None
        ]
        return tuple(moves), tuple(doubtful)

    def _join(self, old: ColumnFacts, new: ColumnFacts, given: _Given) -> tuple[Join | None, str]:
        """Find the best way to match the rows of two tables, or say why there is none."""
        source, target = self.before[old.table], self.after[new.table]
        origin = self.before.get(self.back.get(target.name, ""))
        joins = sorted(_joins(source, origin, target, self.names), key=_worth)
        if origin is not None:
            if joins:
                return joins[0], ""
            return None, f"`{source.name}` and `{target.name}` share no key, so their rows cannot be matched"
        why_not = f"`{target.name}` is new and shares no key with `{source.name}`, so its rows cannot be made"
        for join in joins:
            if join.relation != "one to one":
                one = f"one row of `{source.name}` does not make exactly one row of it"
                why_not = f"`{target.name}` is new, and {one}"
                continue
            later = self.after.get(self.names.table(source.name))
            some = given.get((old.table, new.table), ())
            fills, missing = _fills(join, source, later, target, self.names, some)
            if not missing:
                return replace(join, new_rows=True, fills=fills), ""
            why_not = f"`{target.name}` is new, and nothing gives a value for its column `{missing[0]}`"
        return None, why_not

    def _is_filled(self, new: ColumnFacts) -> bool:
        """Tell whether rows get the column from their parents, as part of a key, not from another table."""
        table = self.after[new.table]
        if new.name in table.primary_key:
            return True
        origin = self.before.get(self.back.get(new.table, ""))
        parents = {key.referenced_table for key in table.foreign_keys if new.name in key.columns}
        had = {self.names.table(key.referenced_table) for key in origin.foreign_keys} if origin else set()
        return bool(parents & had)

    def _is_deliberate(self, old: ColumnFacts, new: ColumnFacts) -> bool:
        """Tell whether the column went or came by itself, or has a name that no third table has.

        That a table is dropped and another one made does not mean much for the columns that all tables have.
        """
        if self.names.table(old.table) in self.after or new.table in self.back:
            return True
        return self.tables_with[fold(old.name)] == {old.table, new.table}

    def _doubts(
        self, old: ColumnFacts, new: ColumnFacts, join: Join | None, why_not: str, *, repeats: bool
    ) -> list[str]:
        """List what keeps a move from being certain."""
        fit, same_text = type_fit(old.type, new.type), _text(old) == _text(new) != ""
        both = bool(old.description and new.description)
        often = any(counter[fold(old.name), _text(old)] > 1 for counter in self.repeats)
        shared = (
            f"several rows of `{old.table}` belong to one row of `{new.table}`, and their values may differ"
        )
        doubts = {
            "the names differ in case": old.name != new.name,
            "the descriptions are not the same": both and not same_text,
            "no description confirms it": not both,
            "other tables have this name with this description too": repeats and same_text and often,
            f"the unit changes from {old.unit} to {new.unit}": old.unit
            and new.unit
            and old.unit.strip() != new.unit.strip(),
            f"the type changes from {old.type} to {new.type}": fit not in ("same", "wider"),
            why_not: join is None,
            "no key confirms that these rows belong together": join is not None and not join.certain,
            f"{shared}, and their values may differ": join is not None
            and join.certain
            and join.relation == "many to one",
        }
        return [doubt for doubt, holds in doubts.items() if holds]


def _doubtful(
    old: ColumnFacts, new: ColumnFacts, join: Join | None, doubts: Iterable[str], obstacle: str
) -> ColumnLink:
    same_text = _text(old) == _text(new) != ""
    evidence = ["the same name in both tables" if old.name == new.name else "names that differ in case"]
    evidence += ["the same description"] * same_text
    evidence += [join.describe()] if join is not None else []
    evidence += [f"but {doubt}" for doubt in doubts]
    score = 60 + 15 * (join is not None) + 25 * same_text
    return ColumnLink(old, new, score, tuple(evidence), move=True, obstacle=obstacle)


def _text(column: ColumnFacts) -> str:
    return normalised(column.description or "")


def _by_fold(columns: Iterable[ColumnFacts]) -> dict[str, list[ColumnFacts]]:
    found: dict[str, list[ColumnFacts]] = defaultdict(list)
    for column in columns:
        found[fold(column.name)].append(column)
    return found


def _given(pairs: Iterable[_Columns]) -> _Given:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for old, new in pairs:
        found[old.table, new.table].append(new.name)
    return found


def _worth(join: Join) -> tuple[bool, int, bool, int, tuple[str, ...]]:
    columns = join.source_columns + join.target_columns
    through = join.through is not None
    return not join.certain, _RELATIONS.index(join.relation), through, len(join.source_columns), columns


def _joins(
    source: TableFacts, target_before: TableFacts | None, target: TableFacts, names: NameMap
) -> Iterator[Join]:
    """Yield every way to match rows; columns of the target that are new in an old table do not count."""

    def join(
        old: tuple[str, ...],
        new: tuple[str, ...],
        relation: Relation,
        because: str,
        through: Through | None = None,
        certain: bool = True,
    ) -> Join:
        return Join(source.name, old, target.name, new, relation, because, through, certain)

    usable = {column.name for column in target.columns}
    keys = set(target.foreign_keys)
    if target_before is not None:
        usable &= set(names.columns_of(target_before.name, [column.name for column in target_before.columns]))
        keys |= {names.foreign_key(target_before.name, key) for key in target_before.foreign_keys}
    target_keys = sorted(
        (key for key in keys if set(key.columns) <= usable),
        key=lambda key: (key.columns, key.referenced_table, key.referenced_columns),
    )
    target_name, source_name = f"`{target.name}`", f"`{source.name}`"
    back = {names.column(source.name, column.name): column.name for column in source.columns}
    for key in target_keys:
        if key.referenced_table == names.table(source.name) and set(key.referenced_columns) <= set(back):
            old = tuple(back[column] for column in key.referenced_columns)
            relation: Relation = "one to one" if target.is_unique(key.columns) else "one to many"
            yield join(old, key.columns, relation, f"{target_name} refers to {source_name}")
    for key in source.foreign_keys:
        renamed = names.foreign_key(source.name, key)
        unique = source.is_unique(key.columns)
        if renamed.referenced_table == target.name and set(renamed.referenced_columns) <= usable:
            because = f"{source_name} refers to {target_name}"
            relation = "one to one" if unique else "many to one"
            yield join(key.columns, renamed.referenced_columns, relation, because)
        for other in target_keys:
            if other.referenced_table == renamed.referenced_table != target.name:
                relation = "one to one" if target.is_unique(other.columns) else "one to many"
                columns, through = _through(renamed, other)
                because = f"both refer to `{renamed.referenced_table}`"
                yield join(key.columns, columns, relation if unique else "many to one", because, through)
    # By columns of the same names.
    for old in source.keys:
        new = names.columns_of(source.name, old)
        if not set(new) <= usable or any(
            type_fit(source.column(one).type, target.column(other).type) == "incompatible"
            for one, other in zip(old, new, strict=True)
        ):
            continue
        if not any(set(key) == set(new) for key in target.keys):
            because = "columns of these names, which only the first has as a key"
            yield join(old, new, "one to many", because, certain=False)
        elif len(new) == 1 and new[0].casefold() in _SURROGATES:
            because = "both have a key of this name, which each may count in its own way"
            yield join(old, new, "one to one", because, certain=False)
        else:
            yield join(old, new, "one to one", "both have this key")


def _through(renamed: ForeignKeyFacts, other: ForeignKeyFacts) -> tuple[tuple[str, ...], Through]:
    """Match through the parent that both refer to: by the target's columns, in the order of the source's."""
    parent, own, theirs = renamed.referenced_table, renamed.referenced_columns, other.referenced_columns
    if set(own) != set(theirs):
        return other.columns, Through(parent, own, theirs)
    # The same key of the parent: in the same order the columns are equal to each other.
    return tuple(other.columns[theirs.index(column)] for column in own), Through(parent, own, own)


def _fills(
    join: Join,
    source: TableFacts,
    later: TableFacts | None,
    target: TableFacts,
    names: NameMap,
    given: Collection[str],
) -> tuple[tuple[ColumnSource, ...], list[str]]:
    """Say where each column that must have a value comes from, and which have no source."""
    fills: dict[str, ColumnSource] = {}
    if join.is_direct:
        for one, other in zip(join.source_columns, join.target_columns, strict=True):
            fills[other] = ColumnSource(other, source.name, one)
    back = {names.column(source.name, column.name): column.name for column in source.columns}
    for key in target.foreign_keys:
        for column, referenced in zip(key.columns, key.referenced_columns, strict=True):
            if key.referenced_table == names.table(source.name) and referenced in back:
                fills.setdefault(column, ColumnSource(column, source.name, back[referenced]))
            elif join.through is not None and key.referenced_table == join.through.table:
                fills.setdefault(column, ColumnSource(column, join.through.table, referenced))
    missing: list[str] = []
    for wanted in target.columns:
        optional = wanted.nullable and wanted.name not in target.primary_key
        if optional or wanted.name in fills or wanted.name in given:
            continue
        found = source.column(wanted.name) if wanted.name in source else None
        # Rows are made when the types have changed already.
        renamed = names.column(source.name, wanted.name)
        type_ = later.column(renamed).type if later and renamed in later else found and found.type
        if found and type_ and not found.nullable and type_fit(type_, wanted.type) != "incompatible":
            fills[wanted.name] = ColumnSource(wanted.name, source.name, wanted.name)
        else:
            missing.append(wanted.name)
    return tuple(fills[name] for name in sorted(fills)), missing
