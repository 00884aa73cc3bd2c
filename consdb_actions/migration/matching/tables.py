"""Which tables live on under another name (rule M4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.migration.matching.decisions import (
    Answer,
    Kind,
    MatchingQuestion,
    RejectedCandidate,
    RenameProposal,
    TableRename,
)
from consdb_actions.migration.matching.declarations import SettledNames
from consdb_actions.migration.matching.facts import TableFacts, type_fit
from consdb_actions.migration.matching.questions import assign, groups_of
from consdb_actions.migration.matching.score import overlap, rival_claims, share_weight
from consdb_actions.migration.matching.similarity import fold, listed, name_words, normalised

Tables = Mapping[str, TableFacts]
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
        text=_text(olds, news),
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


def _text(olds: Sequence[str], news: Sequence[str]) -> str:
    if len(olds) == len(news) == 1:
        return f"Is table `{news[0]}` the old `{olds[0]}` under another name?"
    if len(olds) == 1:
        return f"Table `{olds[0]}` went, and each of {_quoted(news)} could continue it: which one?"
    return f"Which of the tables {_quoted(olds)} live on as {_quoted(news)}?"


def _dropped(names: Sequence[str]) -> str:
    return f"{_quoted(names)} {'is' if len(names) == 1 else 'are'} dropped and the rows lost"


def _quoted(names: Sequence[str]) -> str:
    return listed([f"`{name}`" for name in names])
