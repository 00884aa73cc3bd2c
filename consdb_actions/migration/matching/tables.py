"""Which tables live on under another name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.migration.matching.decisions import Rejected, TableRename
from consdb_actions.migration.matching.declarations import Settled
from consdb_actions.migration.matching.facts import TableFacts, type_fit
from consdb_actions.migration.matching.questions import assign
from consdb_actions.migration.matching.score import overlap, share_weight
from consdb_actions.migration.matching.words import fold, name_words, normalised

__all__ = ["TableGroup", "TableLink", "TableMatches", "match_tables"]

Tables = Mapping[str, TableFacts]

_ALIKE = 0.5
_SAME = 0.3
_CLOSE = 12
_SHOWN = 2
_WORTH_SHOWING = 20


@dataclass(frozen=True)
class TableLink:
    """A table that is gone and one that is new, which may be the same."""

    old: str
    new: str
    score: int
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class TableGroup:
    """Links that share tables, and those of them that fit best together."""

    links: tuple[TableLink, ...]
    chosen: tuple[TableLink, ...]

    @property
    def choices(self) -> tuple[TableLink, ...]:
        """The links to choose from, where one table has several that are as good; the proposed one first."""
        lone = len({link.old for link in self.links}) == 1 or len({link.new for link in self.links}) == 1
        best = self.chosen[0]
        close = [link for link in self.links if link != best and link.score > best.score - _CLOSE]
        return (best, *close) if lone and close else ()


@dataclass(frozen=True)
class TableMatches:
    """What became of each table.

    Parameters
    ----------
    renames
        Certain renames.
    groups
        Likely ones.
    rejected
        For tables without a likely successor: what was looked at, by the table's name.
    """

    renames: tuple[TableRename, ...]
    groups: tuple[TableGroup, ...]
    rejected: Mapping[str, tuple[Rejected, ...]]

    @property
    def asked(self) -> frozenset[str]:
        """The tables that are asked about, on either side."""
        return frozenset(
            name for group in self.groups for link in group.links for name in (link.old, link.new)
        )


def match_tables(before: Tables, after: Tables, settled: Settled) -> TableMatches:
    """Match the tables that are gone with those that are new."""
    renames = [
        TableRename(old, declared.new_table, "declared", f"declared ({declared.source})")
        for old, declared in settled.tables.items()
        if declared.new_table
    ]
    taken = {rename.new for rename in renames}
    gone = [n for n in before if n not in after and n not in settled.tables]
    come = [n for n in after if n not in before and n not in taken]
    counts = Counter(_column_names(before)) | Counter(_column_names(after))
    size = max(len(before), len(after))
    likeness = {(o, n): _Likeness.of(before[o], after[n], counts, size) for o in gone for n in come}
    certain, doubtful = _certain(before, after, gone, come, likeness)
    renames += certain
    done = {rename.old for rename in certain} | {rename.new for rename in certain}
    links = [
        TableLink(
            *pair, like.score + (100 if pair in doubtful else 0), (*doubtful.get(pair, ()), *like.words())
        )
        for pair, like in likeness.items()
        if not done & set(pair) and (like.likely or pair in doubtful)
    ]
    divided = {old for old in gone if _is_divided(old, links, likeness)}
    links = [link for link in links if link.old not in divided]
    groups = _groups(links)
    asked = {link.old for link in links}
    rejected = {
        old: _rejected(old, likeness, come, old in divided)
        for old in gone
        if old not in done and old not in asked
    }
    return TableMatches(tuple(sorted(renames, key=lambda r: r.old)), groups, rejected)


def _is_divided(old: str, links: Sequence[TableLink], likeness: Likenesses) -> bool:
    """Tell whether a table's columns went to several new tables, each of which has some that no other has."""
    parts = [likeness[old, link.new].shared for link in links if link.old == old]
    return len(parts) > 1 and all(
        part - frozenset().union(*(p for p in parts if p is not part)) for part in parts
    )


def _groups(links: Sequence[TableLink]) -> tuple[TableGroup, ...]:
    chosen = assign({(link.old, link.new): link.score for link in links})
    waiting = list(links)
    groups: list[TableGroup] = []
    while waiting:
        members = [waiting.pop(0)]
        found = members
        while found:
            names = {name for link in members for name in (f"-{link.old}", f"+{link.new}")}
            found = [link for link in waiting if f"-{link.old}" in names or f"+{link.new}" in names]
            members += found
            waiting = [link for link in waiting if link not in found]
        members.sort(key=lambda link: (-link.score, link.old, link.new))
        picked = tuple(link for link in members if chosen.get(link.old) == link.new)
        groups.append(TableGroup(tuple(members), picked))
    return tuple(sorted(groups, key=lambda group: min(link.old for link in group.links)))


@dataclass(frozen=True)
class _Likeness:
    """How two tables compare: the share of their columns that agree, their names, and descriptions."""

    columns: float
    name: float
    same_text: bool
    shared: frozenset[str]
    n_old: int

    @classmethod
    def of(cls, old: TableFacts, new: TableFacts, counts: Mapping[str, int], n_tables: int) -> _Likeness:
        mine = {fold(column.name): column for column in old.columns}
        theirs = {fold(column.name): column for column in new.columns}
        shared = [
            name
            for name in mine
            if name in theirs and type_fit(mine[name].type, theirs[name].type) != "incompatible"
        ]

        def weight(name: str) -> float:
            return share_weight(counts[name], n_tables)

        total = sum(weight(name) for name in sorted({*mine, *theirs}))
        common = sum(weight(name) for name in sorted(shared))
        text = normalised(old.description or "")
        return cls(
            common / total if total else 0.0,
            overlap(name_words(old.name), name_words(new.name), lambda _: 1.0),
            bool(text) and text == normalised(new.description or ""),
            frozenset(shared),
            len(mine),
        )

    @property
    def score(self) -> int:
        """Weight against rivals, 0 to 100."""
        return round(60 * self.columns + 30 * self.name + 10 * self.same_text)

    @property
    def likely(self) -> bool:
        """Whether a careful reader would suspect a rename."""
        return self.columns >= _ALIKE or (self.columns >= _SAME and (self.name >= _ALIKE or self.same_text))

    def words(self) -> tuple[str, ...]:
        """Say it in words."""
        found = [f"{len(self.shared)} of its {self.n_old} columns are in both"]
        if self.name >= _ALIKE:
            found.append("the names are alike")
        if self.same_text:
            found.append("the descriptions are the same")
        return tuple(found)


Likenesses = Mapping[tuple[str, str], _Likeness]


def _certain(
    before: Tables, after: Tables, gone: list[str], come: list[str], likeness: Likenesses
) -> tuple[list[TableRename], dict[tuple[str, str], tuple[str, ...]]]:
    """Find the pairs that an id or the case alone proves, and those where that is contradicted."""
    found: dict[tuple[str, str], TableRename] = {}
    ids = [Counter(table.id for table in side.values() if table.id) for side in (before, after)]
    for old in gone:
        for new in come:
            shared_id = before[old].id if before[old].id == after[new].id else None
            if shared_id and ids[0][shared_id] == ids[1][shared_id] == 1:
                found[old, new] = TableRename(old, new, "same id", f"both have the id `{shared_id}`")
            elif fold(old) == fold(new):
                found[old, new] = TableRename(old, new, "case only", "the names differ only in case")
    kept_folds = {fold(name) for name in before if name in after}
    degree = Counter(name for old, new in found for name in (f"-{old}", f"+{new}"))
    certain: list[TableRename] = []
    doubtful: dict[tuple[str, str], tuple[str, ...]] = {}
    for (old, new), rename in found.items():
        if degree[f"-{old}"] > 1 or degree[f"+{new}"] > 1:
            doubtful[old, new] = (f"{rename.evidence}, but another pair has as good a claim",)
        elif rename.kind == "case only" and fold(old) in kept_folds:
            doubtful[old, new] = (f"{rename.evidence}, but a third table has such a name as well",)
        elif likeness[old, new].columns < _SAME:
            doubtful[old, new] = (f"{rename.evidence}, but they have few columns in common",)
        else:
            certain.append(rename)
    return certain, doubtful


def _rejected(old: str, likeness: Likenesses, come: Sequence[str], divided: bool) -> tuple[Rejected, ...]:
    pairs = sorted((-likeness[old, new].score, new) for new in come)
    why = "and other new tables have the rest" if divided else "too few to tell"
    return tuple(
        Rejected(old, new, f"{'; '.join(likeness[old, new].words())}, {why}")
        for score, new in pairs[:_SHOWN]
        if score <= -_WORTH_SHOWING
    )


def _column_names(tables: Tables) -> list[str]:
    return [fold(column.name) for table in tables.values() for column in table.columns]
