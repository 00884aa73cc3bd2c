"""Which pairs are worth a comparison.

Comparing every dropped with every added column would be quadratic, and pointless: a successor has a like
name, a like description, or stands in the same place. Each dropped column gets at most :data:`LIMIT`
candidates, found through tables of keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence

from consdb_actions.migration.matching.evidence import TablePair
from consdb_actions.migration.matching.facts import ColumnFacts
from consdb_actions.migration.matching.vocabulary import document
from consdb_actions.migration.matching.words import name_words, normalised, spelling

__all__ = ["LIMIT", "candidates"]

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
