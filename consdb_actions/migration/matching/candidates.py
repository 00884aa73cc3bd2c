"""Find pairs of columns that may be the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.migration.matching.decisions import ColumnRename, Kind, Rejected
from consdb_actions.migration.matching.declared import Column
from consdb_actions.migration.matching.evidence import (
    ColumnEvidence,
    TablePair,
    against,
    in_favour,
    is_likely,
    replaced,
    score,
)
from consdb_actions.migration.matching.facts import ColumnFacts, TableFacts, type_fit
from consdb_actions.migration.matching.words import (
    Substitution,
    document,
    fold,
    name_words,
    normalised,
    spelling,
)

__all__ = ["Key", "LIMIT", "Likeness", "ColumnLink", "candidates", "components", "proofs", "shifted"]

Key = tuple[Substitution, ...]

"""What a change of name replaces."""


@dataclass(frozen=True)
class ColumnLink:
    """A column before and one after the change that may be the same.

    Parameters
    ----------
    old, new
        The two, in the names of their sides.
    score
        Weight against rivals.
    evidence
        What speaks for it, in words.
    key
        What the change of name replaces; empty for a move, and for names that only differ in their spelling.
    change
        The same in words.
    move
        Whether they are in different tables.
    obstacle
        Why the answer "yes" could not be carried out: a move between tables that share no key.
    old_stays, new_stays
        Whether a column of that name is on the other side too.
    """

    old: ColumnFacts
    new: ColumnFacts
    score: int
    evidence: tuple[str, ...]
    key: Key = ()
    change: str = ""
    move: bool = False
    obstacle: str = ""
    old_stays: bool = False
    new_stays: bool = False

    @property
    def possible(self) -> bool:
        """Whether the answer "yes" can be carried out."""
        return not self.obstacle

    @property
    def declaration(self) -> str:
        """The form that declares it."""
        target = f"{self.new.table}.{self.new.name}" if self.move else self.new.name
        return f"{self.old.path}={target}"


def components(links: Iterable[ColumnLink]) -> Iterator[tuple[ColumnLink, ...]]:
    """Yield the links that hang together, in the order of their first column.

    Links hang together when they share a column, or a name that is there before and after: what is decided
    about one bears on the other.
    """
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    ordered = sorted(
        links,
        key=lambda k: (k.old.table, k.old.position, k.old.name, k.new.table, k.new.position, k.new.name),
    )

    def join(one: str, other: str) -> None:
        first, second = sorted((root(one), root(other)))
        parent[second] = first

    for link in ordered:
        join(f"-{link.old.path}", f"+{link.new.path}")
        if link.old_stays:
            join(f"-{link.old.path}", f"+{link.new.table}.{link.old.name}")
        if link.new_stays:
            join(f"+{link.new.path}", f"-{link.old.table}.{link.new.name}")
    groups: dict[str, list[ColumnLink]] = defaultdict(list)
    for link in ordered:
        groups[root(f"-{link.old.path}")].append(link)
    yield from map(tuple, groups.values())


_WEIGHT = 110

"""More than any likeness, less than an id."""


def shifted(pair: TablePair) -> tuple[ColumnLink, ...]:
    """Find the chains in a table."""
    before, after = _by_text(pair.before.columns), _by_text(pair.after.columns)
    successor = {
        old.name: after[text]
        for text, old in before.items()
        if text in after
        and after[text].name != old.name
        and type_fit(old.type, after[text].type) != "incompatible"
    }
    targets = {new.name for new in successor.values()}
    links: list[ColumnLink] = []
    for start in pair.before.columns:
        if start.name in pair.kept and start.name in targets:
            continue
        chain: list[ColumnLink] = []
        old = start
        while old.name in successor:
            new = successor[old.name]
            chain.append(_step(pair, old, new))
            if new.name not in pair.kept:
                break
            old = pair.before.column(new.name)
        # A column that went and one that came with its description are compared like any other pair.
        steps = 1 if start.name in pair.kept else 2
        if len(chain) >= steps and not chain[-1].new_stays:
            links += chain
    return tuple(links)


def _step(pair: TablePair, old: ColumnFacts, new: ColumnFacts) -> ColumnLink:
    stays = old.name in pair.kept
    evidence = f"`{new.name}` has the description that `{old.name}` had"
    if stays:
        evidence += f", and `{old.name}` now has another one"
    return ColumnLink(old, new, _WEIGHT, (evidence,), old_stays=stays, new_stays=new.name in pair.kept)


def _by_text(columns: Iterable[ColumnFacts]) -> dict[str, ColumnFacts]:
    """Index columns by a description that no other column of that side has."""
    found: dict[str, list[ColumnFacts]] = defaultdict(list)
    for column in columns:
        if column.description:
            found[normalised(column.description)].append(column)
    return {text: holders[0] for text, holders in found.items() if len(holders) == 1}


_CONTRADICTED_WEIGHT = 200

"""A proof that is contradicted still weighs more than any likeness."""

_UNLIKE = 0.4


@dataclass(frozen=True)
class _Proof:
    old: ColumnFacts
    new: ColumnFacts
    kind: Kind
    evidence: str


def proofs(
    pair: TablePair, settled_old: Collection[str], settled_new: Collection[str]
) -> tuple[tuple[ColumnRename, ...], tuple[ColumnLink, ...]]:
    """Find what ids and case say about a table."""
    found = [
        proof
        for proof in (*_same_ids(pair), *_same_folds(pair))
        if proof.old.name not in settled_old and proof.new.name not in settled_new
    ]
    pairs = {(proof.old.name, proof.new.name) for proof in found}
    degree = Counter(node for old, new in pairs for node in (("old", old), ("new", new)))
    kept_folds = {fold(name) for name in pair.kept}
    renames: dict[str, ColumnRename] = {}
    doubtful: dict[tuple[str, str], ColumnLink] = {}
    for proof in found:
        old, new = proof.old.name, proof.new.name
        doubt = ""
        if old in pair.kept or new in pair.kept:
            stays = old if old in pair.kept else new
            doubt = f"but a column `{stays}` is there before and after"
        elif degree["old", old] > 1 or degree["new", new] > 1:
            doubt = "but another pair has as good a claim"
        elif proof.kind == "case only" and fold(old) in kept_folds:
            doubt = "but a third column has such a name as well"
        elif type_fit(proof.old.type, proof.new.type) == "incompatible":
            doubt = f"but the type changes from {proof.old.type} to {proof.new.type}"
        elif proof.kind == "same id" and (found_doubt := _contradiction(pair, proof)):
            doubt = f"but {found_doubt}"
        if not doubt:
            # An id is named before the case when both prove the pair.
            renames.setdefault(
                old, ColumnRename(pair.before.name, old, new, pair.after.name, proof.kind, proof.evidence)
            )
        else:
            doubtful.setdefault(
                (old, new),
                ColumnLink(
                    proof.old,
                    proof.new,
                    _CONTRADICTED_WEIGHT,
                    (f"{proof.evidence}, {doubt}",),
                    old_stays=old in pair.kept,
                    new_stays=new in pair.kept,
                ),
            )
    return tuple(renames.values()), tuple(doubtful.values())


def _contradiction(pair: TablePair, proof: _Proof) -> str:
    """Say what makes a carried-over id look like one that was left behind by mistake."""
    evidence = pair.compare(proof.old, proof.new)
    unlike = evidence.name < _UNLIKE and evidence.text is not None and evidence.text < _UNLIKE
    if evidence.unit == "differs" and unlike:
        return "name, description and unit are all other ones"
    return ""


def _same_ids(pair: TablePair) -> Iterator[_Proof]:
    """Yield the columns whose unique id stands on a column of another name after the change."""
    before, after = _by_id(pair.before), _by_id(pair.after)
    for identifier, old in before.items():
        new = after.get(identifier)
        if new is not None and new.name != old.name:
            yield _Proof(old, new, "same id", f"both have the id `{identifier}`")


def _by_id(table: TableFacts) -> dict[str, ColumnFacts]:
    counts = Counter(column.id for column in table.columns)
    return {column.id: column for column in table.columns if column.id and counts[column.id] == 1}


def _same_folds(pair: TablePair) -> Iterator[_Proof]:
    """Yield the columns that are gone and new, and whose names differ only in case."""
    news: dict[str, list[ColumnFacts]] = defaultdict(list)
    for column in pair.added:
        news[fold(column.name)].append(column)
    for old in pair.dropped:
        for new in news.get(fold(old.name), ()):
            yield _Proof(old, new, "case only", "the names differ only in case")


LIMIT = 12

"""Most candidates per dropped column."""

_NEAREST = 7

_MAX_SPAN = 3

_RARE = 6

_BY_WORDS = 4

_NEIGHBOURS = 2


def candidates(
    pair: TablePair, without_old: Collection[str] = (), without_new: Collection[str] = ()
) -> Iterator[tuple[ColumnFacts, ColumnFacts]]:
    """Yield the pairs of a dropped and an added column that are worth a comparison."""
    olds = [column for column in pair.dropped if column.name not in without_old]
    news = [column for column in pair.added if column.name not in without_new]
    if not olds or not news:
        return
    finders: list[_Finder] = [
        _by_key(olds, news, lambda column: spelling(column.name)),
        _by_key(olds, news, lambda column: normalised(column.description or "") or None),
        _by_frame(olds, news),
        _by_place(pair, olds, news),
        _by_rare_words(pair, news),
    ]
    for old in olds:
        found: dict[str, ColumnFacts] = {}
        for new in (new for finder in finders for new in finder(old)):
            found.setdefault(new.name, new)
            if len(found) == LIMIT:
                break
        for new in found.values():
            yield old, new


_Columns = Sequence[ColumnFacts]

_Finder = Callable[[ColumnFacts], Iterable[ColumnFacts]]


def _by_key(olds: _Columns, news: _Columns, key: Callable[[ColumnFacts], Hashable]) -> _Finder:
    """Find the added columns that agree in a key; of many, those at the matching place among them."""
    old_buckets, new_buckets = _buckets(olds, key), _buckets(news, key)

    def find(old: ColumnFacts) -> Iterable[ColumnFacts]:
        wanted = key(old)
        return _nearest(old, old_buckets.get(wanted, {}), list(new_buckets.get(wanted, {}).values()))

    return find


def _by_frame(olds: _Columns, news: _Columns) -> _Finder:
    """Find the added columns whose names differ in one run of up to three words."""
    old_frames: dict[_Frame, _Bucket] = defaultdict(dict)
    new_frames: dict[_Frame, dict[int, list[ColumnFacts]]] = defaultdict(lambda: defaultdict(list))
    for column in olds:
        for frame, _ in _frames(column.name):
            old_frames[frame][column.name] = column
    for column in news:
        for frame, span in _frames(column.name):
            new_frames[frame][span].append(column)

    def find(old: ColumnFacts) -> Iterable[ColumnFacts]:
        matches = [
            (span + new_span, frame, found)
            for frame, span in _frames(old.name)
            for new_span, found in new_frames.get(frame, {}).items()
        ]
        for _, frame, found in sorted(matches, key=lambda match: (match[0], match[1])):
            yield from _nearest(old, old_frames[frame], found)

    return find


def _by_place(pair: TablePair, olds: _Columns, news: _Columns) -> _Finder:
    """Find the added columns in the same gap between kept columns, from its front and from its back."""
    gaps: dict[tuple[str, str], list[ColumnFacts]] = defaultdict(list)
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for column in news:
        gaps[pair.new_place(column.name)[:2]].append(column)
    for column in olds:
        sizes[pair.old_place(column.name)[:2]] += 1

    def find(old: ColumnFacts) -> Iterable[ColumnFacts]:
        after, until, rank = pair.old_place(old.name)
        members = gaps.get((after, until), [])
        from_back = rank + len(members) - sizes[(after, until)]
        near = {
            at for centre in (rank, from_back) for at in range(centre - _NEIGHBOURS, centre + _NEIGHBOURS + 1)
        }
        order = sorted(near, key=lambda at: (min(abs(at - rank), abs(at - from_back)), at))
        return [members[at] for at in order if 0 <= at < len(members)]

    return find


def _by_rare_words(pair: TablePair, news: _Columns) -> _Finder:
    """Find the added columns that share words which few of them have."""
    holders: dict[str, list[ColumnFacts]] = defaultdict(list)
    for column in news:
        for word in sorted(document(column.name, column.description or "")):
            holders[word].append(column)

    def find(old: ColumnFacts) -> Iterable[ColumnFacts]:
        weights: dict[str, float] = defaultdict(float)
        columns: dict[str, ColumnFacts] = {}
        for word in sorted(document(old.name, old.description or "")):
            if len(holders.get(word, ())) <= _RARE:
                for column in holders.get(word, ()):
                    weights[column.name] += pair.vocabulary.text_weight(word)
                    columns[column.name] = column
        best = sorted(weights, key=lambda name: (-weights[name], columns[name].position, name))
        return [columns[name] for name in best[:_BY_WORDS]]

    return find


_Frame = tuple[tuple[str, ...], tuple[str, ...]]


def _frames(name: str) -> Iterator[tuple[_Frame, int]]:
    """Yield what stays of a name when a run of words is cut out, and the length of the run."""
    words = name_words(name)
    for span in range(min(_MAX_SPAN, len(words) - 1) + 1):
        for start in range(len(words) - span + 1):
            yield (words[:start], words[start + span :]), span


_Bucket = dict[str, ColumnFacts]


def _buckets(
    columns: Iterable[ColumnFacts], key: Callable[[ColumnFacts], Hashable]
) -> dict[Hashable, _Bucket]:
    found: dict[Hashable, _Bucket] = defaultdict(dict)
    for column in columns:
        if (of := key(column)) is not None:
            found[of][column.name] = column
    return found


def _nearest(old: ColumnFacts, olds: _Bucket, news: _Columns) -> _Columns:
    """Return of many columns those that stand where ``old`` stands among its like."""
    if len(news) <= _NEAREST:
        return news
    at = list(olds).index(old.name)
    centre = round(at * (len(news) - 1) / max(len(olds) - 1, 1))
    start = max(0, min(centre - _NEAREST // 2, len(news) - _NEAREST))
    return news[start : start + _NEAREST]


_SHOWN = 2

_WORTH_SHOWING = 30

_OUTCLASSED = 25

"""A candidate that is so much weaker than the column's best one is not asked about."""


class Likeness:
    """All comparisons of one schema's columns.

    They are made once for all pairs that no proof settles, whatever has been declared: an answer thus never
    raises a new question.

    Parameters
    ----------
    pairs
        The tables before and after.
    proved
        Renames that a proof settles: new name by old name, by the table's name before.
    """

    def __init__(self, pairs: Sequence[TablePair], proved: Mapping[str, Mapping[str, str]]) -> None:
        self._found: dict[Column, list[ColumnEvidence]] = defaultdict(list)
        seen: set[tuple[str, str]] = set()
        self._support: Counter[Key] = Counter()
        for pair in pairs:
            here = proved.get(pair.before.name, {})
            pair.anchor(here)
            for old, new in candidates(pair, frozenset(here), frozenset(here.values())):
                evidence = pair.compare(old, new)
                self._found[old.table, old.name].append(evidence)
                # The same two names in a second table are no second case.
                if (old.name, new.name) not in seen and _counts(evidence):
                    seen.add((old.name, new.name))
                    self._support[evidence.substitutions] += 1
        self.comparisons = sum(pair.comparisons for pair in pairs)

    def links(self, settled_old: Collection[Column], settled_new: Collection[Column]) -> list[ColumnLink]:
        """Return the likely pairs of columns that are not settled."""
        found: list[ColumnLink] = []
        for column, evidences in self._found.items():
            if column in settled_old:
                continue
            links = [
                self._link(evidence)
                for evidence in evidences
                if (evidence.new.table, evidence.new.name) not in settled_new
                and is_likely(evidence, self.support(evidence))
            ]
            best = max((link.score for link in links), default=0)
            found += [link for link in links if link.score >= best - _OUTCLASSED]
        return found

    def _link(self, evidence: ColumnEvidence) -> ColumnLink:
        support = self.support(evidence)
        change = replaced(evidence.substitutions, evidence.old.name, evidence.new.name)
        value = max(1, score(evidence, support))
        favour = in_favour(evidence, support)
        return ColumnLink(evidence.old, evidence.new, value, favour, evidence.substitutions, change)

    def rejected(self, column: Column, taken: Mapping[Column, str]) -> tuple[Rejected, ...]:
        """Return the candidates of a column that are unlikely or taken, with the reason."""
        ranked = sorted(
            (
                (-score(e, self.support(e)), e.new.position, e.new.name, e)
                for e in self._found.get(column, ())
            ),
            key=lambda item: item[:3],
        )
        found: list[Rejected] = []
        for negative, _, _, evidence in ranked:
            new = (evidence.new.table, evidence.new.name)
            likely = is_likely(evidence, self.support(evidence))
            if likely and new not in taken:
                continue
            if -negative >= _WORTH_SHOWING or evidence.place == 1 or likely:
                reasons = (f"{taken[new]}",) if likely else against(evidence)
                found.append(Rejected(evidence.old.path, evidence.new.path, "; ".join(reasons)))
        return tuple(found[:_SHOWN])

    def support(self, evidence: ColumnEvidence) -> int:
        """Return how many pairs of names the same change of name explains, this one included."""
        return max(1, self._support[evidence.substitutions]) if _counts(evidence) else 1


def _counts(evidence: ColumnEvidence) -> bool:
    """Tell whether a pair can stand for a change of name that explains several pairs."""
    return bool(
        evidence.substitutions
        and evidence.shared
        and not evidence.contrast
        and evidence.fit != "incompatible"
    )
