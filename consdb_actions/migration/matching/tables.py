"""Match tables that a change renames, and columns that it moves between tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.decisions import (
    Answer,
    ColumnSource,
    CopiedMove,
    Join,
    Kind,
    MatchingQuestion,
    RejectedCandidate,
    Relation,
    RenameProposal,
    TableRename,
    Through,
)
from consdb_actions.migration.matching.declarations import SettledNames
from consdb_actions.migration.matching.facts import (
    ColumnFacts,
    ForeignKeyFacts,
    NameMap,
    TableFacts,
    type_fit,
)
from consdb_actions.migration.matching.questions import assign, groups_of
from consdb_actions.migration.matching.score import ColumnLink, overlap, rival_claims, share_weight
from consdb_actions.migration.matching.similarity import fold, listed, name_words, normalised

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


ColumnsInside = Callable[[Mapping[str, str]], tuple[tuple[str, ...], tuple[RenameProposal, ...]]]
"""Declarations and proposals for the columns of tables, by the table's new name ("" for none)."""

_ALIKE, _SAME = 0.5, 0.3
_PROOF = 100
_BEST = 3
_SHOWN, _WORTH_SHOWING = 2, 20


@dataclass(frozen=True)
class TableLink:
    """A table that is gone and one that is new, which may be the same."""

    old: str
    new: str
    score: int
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class TableMatches:
    """What became of each table: certain renames, likely ones that share tables, and what was rejected."""

    renames: tuple[TableRename, ...]
    groups: tuple[tuple[TableLink, ...], ...]
    rejected: Mapping[str, tuple[RejectedCandidate, ...]]

    @property
    def asked(self) -> frozenset[str]:
        """The tables that are asked about, on either side."""
        return frozenset(name for links in self.groups for link in links for name in (link.old, link.new))


def match_tables(before: Tables, after: Tables, settled: SettledNames) -> TableMatches:
    """Match the tables that are gone with those that are new."""
    renames = [
        TableRename(old, found.new_table, "declared", f"declared ({found.source})")
        for old, found in settled.tables.items()
        if found.new_table
    ]
    taken = {rename.new for rename in renames}
    gone = [name for name in before if name not in after and name not in settled.tables]
    come = [name for name in after if name not in before and name not in taken]
    counts = Counter(_column_names(before)) | Counter(_column_names(after))
    size = max(len(before), len(after))
    scores = {(o, n): _TableScore.of(before[o], after[n], counts, size) for o in gone for n in come}
    certain, doubtful = _certain(before, after, scores)
    done = {name for rename in certain for name in (rename.old, rename.new)}
    links = [
        TableLink(*pair, score.value + _PROOF * (pair in doubtful), (*doubtful.get(pair, ()), *score.reasons))
        for pair, score in scores.items()
        if not done & set(pair) and (score.is_likely or pair in doubtful)
    ]
    divided = {
        old for old in gone if _is_divided([scores[k.old, k.new].shared for k in links if k.old == old])
    }
    links = [link for link in links if link.old not in divided]
    asked = {link.old for link in links}
    return TableMatches(
        tuple(sorted((*renames, *certain), key=lambda r: r.old)),
        tuple(
            tuple(sorted((links[at] for at in members), key=lambda k: (-k.score, k.old, k.new)))
            for members in groups_of((at, (f"-{k.old}", f"+{k.new}")) for at, k in enumerate(links))
        ),
        {
            old: _rejected(old, {new: scores[old, new] for new in come}, divided=old in divided)
            for old in gone
            if old not in done and old not in asked
        },
    )


def _is_divided(parts: Sequence[frozenset[str]]) -> bool:
    """Tell whether a table's columns went to several new tables, each of which has some that no other has."""
    others = [frozenset().union(*(part for part in parts if part is not one)) for one in parts]
    return len(parts) > 1 and all(one - rest for one, rest in zip(parts, others, strict=True))


@dataclass(frozen=True)
class _TableScore:
    """How two tables compare: the share of their columns that agree, their names, and descriptions."""

    columns: float
    name: float
    same_text: bool
    shared: frozenset[str]
    n_old: int

    @classmethod
    def of(cls, old: TableFacts, new: TableFacts, counts: Mapping[str, int], n_tables: int) -> _TableScore:
        mine, theirs = ({fold(column.name): column for column in side.columns} for side in (old, new))
        shared = {
            name
            for name in mine.keys() & theirs.keys()
            if type_fit(mine[name].type, theirs[name].type) != "incompatible"
        }
        total, common = (
            sum(share_weight(counts[name], n_tables) for name in sorted(names))
            for names in ({*mine, *theirs}, shared)
        )
        text = normalised(old.description or "")
        return cls(
            common / total if total else 0.0,
            overlap(name_words(old.name), name_words(new.name), lambda _: 1.0),
            bool(text) and text == normalised(new.description or ""),
            frozenset(shared),
            len(mine),
        )

    @property
    def value(self) -> int:
        """Weight against rivals, 0 to 100."""
        return round(60 * self.columns + 30 * self.name + 10 * self.same_text)

    @property
    def is_likely(self) -> bool:
        return self.columns >= _ALIKE or (self.columns >= _SAME and (self.name >= _ALIKE or self.same_text))

    @property
    def reasons(self) -> tuple[str, ...]:
        found = [f"{len(self.shared)} of its {self.n_old} columns are in both"]
        found += ["the names are alike"] * (self.name >= _ALIKE)
        return (*found, *["the descriptions are the same"] * self.same_text)


def _certain(
    before: Tables, after: Tables, scores: Mapping[tuple[str, str], _TableScore]
) -> tuple[list[TableRename], dict[tuple[str, str], tuple[str, ...]]]:
    """Find the pairs that an id or the case alone proves, and those where that is contradicted."""
    found: dict[tuple[str, str, Kind], TableRename] = {}
    ids = [Counter(table.id for table in side.values()) for side in (before, after)]
    for old, new in scores:
        identifier = before[old].id
        if identifier and identifier == after[new].id and ids[0][identifier] == ids[1][identifier] == 1:
            evidence = f"both have the id `{identifier}`"
            found[old, new, "same id"] = TableRename(old, new, "same id", evidence)
        elif fold(old) == fold(new):
            evidence = "the names differ only in case"
            found[old, new, "case only"] = TableRename(old, new, "case only", evidence)
    doubts = rival_claims(found, before.keys() & after.keys(), "table")
    for old, new, kind in found:
        if scores[old, new].columns < _SAME:
            doubts.setdefault((old, new, kind), "they have few columns in common")
    certain = [rename for key, rename in found.items() if key not in doubts]
    return certain, {key[:2]: (f"{found[key].evidence}, but {doubt}",) for key, doubt in doubts.items()}


def _rejected(old: str, scores: Mapping[str, _TableScore], *, divided: bool) -> tuple[RejectedCandidate, ...]:
    why = "and other new tables have the rest" if divided else "too few to tell"
    best = sorted(scores, key=lambda new: (-scores[new].value, new))[:_SHOWN]
    return tuple(
        RejectedCandidate(old, new, f"{'; '.join(scores[new].reasons)}, {why}")
        for new in best
        if scores[new].value >= _WORTH_SHOWING
    )


def _column_names(tables: Tables) -> list[str]:
    return [fold(column.name) for table in tables.values() for column in table.columns]


def table_question(links: Sequence[TableLink], inside: ColumnsInside) -> MatchingQuestion:
    """Make a question of links that share tables; each answer includes what is likely for the columns."""
    olds, news = (tuple(dict.fromkeys(names)) for names in zip(*((k.old, k.new) for k in links), strict=True))
    chosen = assign({(link.old, link.new): link.score for link in links})
    best = [link for link in links if chosen.get(link.old) == link.new]
    choices = [best]
    if 1 in (len(olds), len(news)):
        choices += [[link] for link in links if link not in best][: _BEST - 1]
    answers: list[Answer] = []
    proposals = [
        RenameProposal(link.old, link.new, link.evidence, link.score if link.score <= _PROOF else None)
        for link in best
    ]
    for choice in choices:
        renamed = {link.old: link.new for link in choice}
        declarations, likely = inside({old: renamed.get(old, "") for old in olds})
        if choice is best:
            proposals += likely
        meaning = [listed([f"`{old}` is renamed to `{new}`" for old, new in renamed.items()])]
        meaning += [_dropped(lost)] if (lost := [old for old in olds if old not in renamed]) else []
        meaning += ["with the columns as proposed"] if declarations else []
        tables = [f"{old}={renamed.get(old, '')}" for old in olds]
        answers.append(Answer(", ".join(meaning), (*tables, *declarations)))
    answers.append(Answer(_dropped(olds), tuple(f"{old}=" for old in olds)))
    return MatchingQuestion(
        text=_question(olds, news),
        proposals=tuple(proposals),
        answers=tuple(answers),
        rejected=tuple(
            RejectedCandidate(link.old, link.new, f"{'; '.join(link.evidence)}, a weaker fit")
            for link in links
            if not any(link in choice for choice in choices)
        ),
        columns=olds,
        targets=news,
    )


def _question(olds: Sequence[str], news: Sequence[str]) -> str:
    if len(olds) == len(news) == 1:
        return f"Is table `{news[0]}` the old `{olds[0]}` under another name?"
    if len(olds) == 1:
        return f"This change drops table `{olds[0]}`. Which of {_quoted(news)} is its new name?"
    return f"Which of the tables {_quoted(olds)} were renamed to {_quoted(news)}?"


def _dropped(names: Sequence[str]) -> str:
    return f"{_quoted(names)} {'is' if len(names) == 1 else 'are'} dropped and the rows lost"


def _quoted(names: Sequence[str]) -> str:
    return listed([f"`{name}`" for name in names])
