"""Pairs of columns that may be the same: what proves it, and a score for the rest."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rapidfuzz import fuzz, process

from consdb_actions.migration.matching.decisions import ColumnRename, Kind, RejectedCandidate
from consdb_actions.migration.matching.declarations import Column
from consdb_actions.migration.matching.facts import ColumnFacts, TableFacts, type_fit
from consdb_actions.migration.matching.similarity import (
    NameEdits,
    alike,
    edits,
    fold,
    listed,
    name_words,
    normalised,
    number,
    opposed,
    spelling,
    text_words,
)

CANDIDATES = 12
"""Maximum number of new columns that are compared with a dropped one."""

_ASK = 36
"""Score from which a person is asked."""
_FAR = 18
"""Candidates that score so much less than the column's best one are not asked about."""
_CHAIN = 110
_CONTRADICTED = 200
"""More than any score, so that a doubted proof is proposed first."""
_UNLIKE = 0.4
_SHOWN = 2

_SLIP = 0.85
"""Names whose letters are so much alike count as the same but for a slip."""
_UNITS = {"same": 6, "differs": -9, "unknown": 0}
_FITS = {"same": 3, "wider": 2, "narrower": 1, "converted": -9, "incompatible": -45}


@dataclass(frozen=True)
class ColumnLink:
    """A dropped and an added column that may be the same.

    ``score`` is the weight against rivals, ``obstacle`` why a move cannot be carried out; ``old_stays`` and
    ``new_stays`` tell whether a column of that name is on the other side too.
    """

    old: ColumnFacts
    new: ColumnFacts
    score: int
    evidence: tuple[str, ...]
    key: NameEdits = ()
    move: bool = False
    obstacle: str = ""
    old_stays: bool = False
    new_stays: bool = False

    @property
    def declaration(self) -> str:
        """The form that declares it."""
        return f"{self.old.path}={self.new.path if self.move else self.new.name}"


def share_weight(count: int, total: int) -> float:
    """Weigh what ``count`` of ``total`` have: 1 for one, near 0 for all."""
    return max(0.05, math.log((total + 1) / max(count, 1)) / math.log(total + 1)) if total > 1 else 1.0


def overlap(old: Iterable[str], new: Iterable[str], weight: Callable[[str], float]) -> float:
    """Return which share of their words, by weight, two texts have in common."""
    left, right = Counter(old), Counter(new)
    total = sum(weight(word) for side in (left, right) for word in side.elements())
    common = 2 * sum(weight(word) for word in (left & right).elements())
    rest = sorted((right - left).elements())
    for word in sorted((left - right).elements()):
        best = max(rest, key=lambda other: alike(word, other), default="")
        if best and (credit := alike(word, best)):
            common += credit * (weight(word) + weight(best))
            rest.remove(best)
    return common / total if total else 0.0


@dataclass(frozen=True)
class ColumnScore:
    """How two columns of a table compare; ``value`` is without the support of other pairs."""

    old: ColumnFacts
    new: ColumnFacts
    key: NameEdits
    shared: tuple[str, ...]
    name: float
    text: float | None
    unit: str
    place: float
    value: float
    possible: bool
    spelled: bool
    contrast: tuple[str, str] | None

    @property
    def is_pattern(self) -> bool:
        """Whether other pairs may change their names in the same way."""
        return self.possible and bool(self.key and self.shared) and not self.contrast

    def in_favour(self) -> tuple[str, ...]:
        """List what speaks for the pair."""
        fit, text = type_fit(self.old.type, self.new.type), self.text or 0.0
        reasons = {
            "the names differ only in case and underscores": self.spelled,
            f"the names share {listed(self.shared, 4)}": self.shared and not self.spelled,
            "the descriptions are the same": text == 1.0,
            "the descriptions are alike": 0.5 <= text < 1.0,
            f"the same unit ({self.new.unit})": self.unit == "same",
            f"the same type ({self.new.type})": fit == "same",
            f"a type of the same family ({self.old.type}, now {self.new.type})": fit in ("wider", "narrower"),
            "the same place among the columns": self.place >= 0.5,
        }
        return tuple(reason for reason, holds in reasons.items() if holds)

    def against(self) -> tuple[str, ...]:
        """List what speaks against the pair."""
        old, new = self.old, self.new
        one, other = self.contrast or ("", "")
        shared = f"only {listed(self.shared, 4)}" if self.shared else "no word"
        reasons = {
            f"the type is another one ({old.type}, not {new.type})": type_fit(old.type, new.type)
            in ("incompatible", "converted"),
            f"`{one}` and `{other}` are different quantities": self.contrast,
            f"the unit is another one ({old.unit}, not {new.unit})": self.unit == "differs",
            f"the names share {shared}": self.name < 0.5,
            "the descriptions differ": self.text is not None and self.text < 0.6,
        }
        return tuple(reason for reason, holds in reasons.items() if holds) or ("too little speaks for it",)


class TablePair:
    """A table before and after a change. Scores do not depend on what is decided already."""

    def __init__(self, before: TableFacts, after: TableFacts) -> None:
        self.before, self.after = before, after
        self.kept = frozenset(c.name for c in before.columns) & frozenset(c.name for c in after.columns)
        self.dropped = tuple(c for c in before.columns if c.name not in self.kept)
        self.added = tuple(c for c in after.columns if c.name not in self.kept)
        self._places = self._anchored({})
        # Columns whose rename is proved stand for a place in the order, as the kept ones do.
        self.proved = {rename.old: rename.new for rename in proofs(self)[0]}
        self._places = self._anchored(self.proved)

    def _anchored(self, proved: Mapping[str, str]) -> tuple[_Places, _Places]:
        kept = {name: name for name in self.kept}
        sides = (self.before, kept | dict(proved)), (self.after, kept | {new: new for new in proved.values()})
        before, after = (_places([c.name for c in side.columns], anchors) for side, anchors in sides)
        return before, after

    @cached_property
    def _texts(self) -> list[Counter[str]]:
        return [
            Counter(normalised(c.description) for c in side.columns if c.description)
            for side in (self.before, self.after)
        ]

    @cached_property
    def _weights(self) -> dict[str, float]:
        """Weigh each word by how few columns have it, on the side where it is rarer."""
        one, other = (
            Counter(w for c in side.columns for w in {*name_words(c.name), *text_words(c.description or "")})
            for side in (self.before, self.after)
        )
        size = max(len(self.before.columns), len(self.after.columns))
        return {w: share_weight(min(one[w] or other[w], other[w] or one[w]), size) for w in one | other}

    @cached_property
    def _slots(self) -> list[dict[str, set[_Frame]]]:
        """Return on each side, by word, the frames in which it alternates with another."""
        sides: list[dict[str, set[_Frame]]] = []
        for table in (self.before, self.after):
            frames: dict[_Frame, set[str]] = defaultdict(set)
            for column in table.columns:
                for frame, word in _frames(column.name):
                    frames[frame].add(word)
            found: dict[str, set[_Frame]] = defaultdict(set)
            for frame, words in frames.items():
                for word in words if len(words) > 1 else ():
                    found[word].add(frame)
            sides.append(found)
        return sides

    def candidates(self) -> Iterator[tuple[ColumnFacts, ColumnFacts]]:
        """Yield the pairs that no proof settles and that are alike in name or description."""
        proved = set(self.proved.values())
        news = {column.name: column for column in self.added if column.name not in proved}
        framed: dict[_Frame, list[str]] = defaultdict(list)
        for name in news:
            for frame, _ in _frames(name):
                framed[frame].append(name)
        names = {name: spelling(name) for name in news}
        texts = {name: text for name, column in news.items() if (text := _sorted(column))}
        for old in self.dropped if news else ():
            if old.name in self.proved:
                continue
            found: list[str] = []
            for wanted, choices in ((_sorted(old), texts), (spelling(old.name), names)):
                if wanted:
                    matches = process.extract(wanted, choices, scorer=fuzz.ratio, limit=CANDIDATES // 3)
                    found += [name for _, _, name in matches]
            # Names that differ in one word may be a pattern, however long the word.
            found += [name for frame, _ in _frames(old.name) for name in framed.get(frame, ())]
            for name in list(dict.fromkeys(found))[:CANDIDATES]:
                yield old, news[name]

    def compare(self, old: ColumnFacts, new: ColumnFacts) -> ColumnScore:
        """Compare a dropped with an added column: names, descriptions, type, unit and place."""
        words = name_words(old.name), name_words(new.name)
        key = edits(*words)
        spelled = spelling(old.name) == spelling(new.name)
        name = fuzz.ratio(spelling(old.name), spelling(new.name)) / 100
        # Names that differ in a number are not a slip.
        if not spelled and (name < _SLIP or re.search(r"\d", str(key))):
            name = overlap(*words, self._weights.__getitem__)
        text, sole = self._compare_texts(old, new, key)
        fit, place = type_fit(old.type, new.type), self._place(old, new)
        units = [(column.unit or "").strip().casefold() for column in (old, new)]
        unit = "unknown" if not all(units) else "same" if units[0] == units[1] else "differs"
        contrast = self._contrast(key)
        value = 34 * name + (17 * name if text is None else 34 * text) + 6 * place + 8 * spelled
        value += _FITS[fit] + _UNITS[unit] - 15 * bool(contrast)
        return ColumnScore(
            old=old,
            new=new,
            key=key,
            shared=tuple(f"`{word}`" for word in dict.fromkeys(words[0]) if word in words[1]),
            name=name,
            text=text,
            unit=unit,
            place=place,
            value=value,
            possible=fit != "incompatible" and (not contrast or spelled or (sole and unit != "differs")),
            spelled=spelled,
            contrast=contrast,
        )

    def _place(self, old: ColumnFacts, new: ColumnFacts) -> float:
        """Compare the distances to the nearest kept columns, before and after."""
        sides = zip(self._places[0][old.name], self._places[1][new.name], strict=True)
        return max(2 / (2 + abs(one[1] - other[1])) if one[0] == other[0] else 0.0 for one, other in sides)

    def _contrast(self, key: NameEdits) -> tuple[str, str] | None:
        """Find two words, one gone and one new, that tell two quantities apart."""
        for gone, come in key:
            if any(
                not slots[gone].isdisjoint(slots[come])
                for slots in self._slots
                if {gone, come} <= slots.keys()
            ):
                return gone, come
        gone_, come_ = ([word for pair in key for word in pair[side].split("_")] for side in (0, 1))
        return next(((one, other) for one in gone_ for other in come_ if opposed(one, other)), None)

    def _compare_texts(self, old: ColumnFacts, new: ColumnFacts, key: NameEdits) -> tuple[float | None, bool]:
        """Compare descriptions; tell also whether both are the same and no other column has it."""
        if not old.description or not new.description:
            return None, False
        text = normalised(old.description)
        if text == normalised(new.description):
            sole = all(counts[text] == 1 for counts in self._texts)
            return (1.0 if sole else 0.75), sole
        words, others = text_words(old.description), text_words(new.description)
        if len(words) == len(others) and set(edits(words, others)) <= set(key):
            return 0.9, False
        alike_ = overlap(words, others, self._weights.__getitem__)
        # Where each description has the word that its own name has, a template is filled in twice.
        names = (set(words) - set(others), 0), (set(others) - set(words), 1)
        if all(any(w in own and not w.isdigit() for k in key for w in k[at].split("_")) for own, at in names):
            alike_ = min(alike_, 0.2)
        return alike_, False


_Frame = tuple[tuple[str, ...], tuple[str, ...]]


def _frames(name: str) -> Iterator[tuple[_Frame, str]]:
    """Yield what remains of a name without one of its words, and that word."""
    words = name_words(name)
    for at, word in enumerate(words):
        yield (words[:at], words[at + 1 :]), word


def _sorted(column: ColumnFacts) -> str:
    return " ".join(sorted(text_words(column.description or "")))


_Places = Mapping[str, Sequence[tuple[str, int]]]


def _places(order: Sequence[str], anchors: Mapping[str, str]) -> _Places:
    """Return for each column the nearest anchor before and after, and how far away."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for direction in (order, order[::-1]):
        anchor, steps = "", 0
        for name in direction:
            anchor, steps = (anchors[name], 0) if name in anchors else (anchor, steps + 1)
            found[name].append((anchor, steps))
    return found


class ColumnScores:
    """The scores of all pairs that no proof settles, whatever was declared: no answer raises a question."""

    def __init__(self, pairs: Sequence[TablePair]) -> None:
        self._found: dict[Column, list[ColumnScore]] = defaultdict(list)
        patterns: dict[NameEdits, set[tuple[str, str]]] = defaultdict(set)
        for pair in pairs:
            for old, new in pair.candidates():
                score = pair.compare(old, new)
                self._found[old.table, old.name].append(score)
                if score.is_pattern:
                    patterns[score.key].add((old.name, new.name))
        self._support = {key: len(names) for key, names in patterns.items()}

    @property
    def comparisons(self) -> int:
        """How many pairs of columns were compared."""
        return sum(map(len, self._found.values()))

    def _value(self, score: ColumnScore) -> int:
        """Return 1 to 100: the score with the support of the other pairs that change in the same way."""
        support = self._support.get(score.key, 1) if score.is_pattern else 1
        return max(1, round(score.value + min(9.0, 3 * math.log2(support))))

    def _is_likely(self, score: ColumnScore) -> bool:
        return score.possible and (score.spelled or bool(score.contrast) or self._value(score) >= _ASK)

    def links(self, settled_old: Collection[Column], settled_new: Collection[Column]) -> list[ColumnLink]:
        """Return the likely pairs of columns that are not settled."""
        found: list[ColumnLink] = []
        for column, scores in self._found.items():
            likely = [
                score
                for score in scores
                if column not in settled_old
                and (score.new.table, score.new.name) not in settled_new
                and self._is_likely(score)
            ]
            best = max(map(self._value, likely), default=0)
            found += [self._link(score) for score in likely if self._value(score) >= best - _FAR]
        return found

    def _link(self, score: ColumnScore) -> ColumnLink:
        others = self._support.get(score.key, 1) - 1 if score.is_pattern and not score.spelled else 0
        pattern = (f"{replaced(score.key)}, as in {number(others, 'other pair')}",) if others else ()
        return ColumnLink(score.old, score.new, self._value(score), (*pattern, *score.in_favour()), score.key)

    def rejected(self, column: Column, taken: Mapping[Column, str]) -> tuple[RejectedCandidate, ...]:
        """Return the best candidates of a column that are unlikely or taken, with the reason."""
        found: list[RejectedCandidate] = []
        scores = self._found.get(column, ())
        for score in sorted(scores, key=lambda s: (-self._value(s), s.new.position, s.new.name)):
            new, likely = (score.new.table, score.new.name), self._is_likely(score)
            if (likely and new in taken) or (not likely and score.value > 0):
                reasons = (taken[new],) if likely else score.against()
                found.append(RejectedCandidate(score.old.path, score.new.path, "; ".join(reasons)))
        return tuple(found[:_SHOWN])


def replaced(key: NameEdits) -> str:
    """Describe what a change of name replaces."""
    return listed(
        [
            f"`{gone}` becomes `{come}`"
            if gone and come
            else f"`{gone}` goes"
            if gone
            else f"`{come}` comes in"
            for gone, come in key
        ]
    )


def proofs(
    pair: TablePair, settled_old: Collection[str] = (), settled_new: Collection[str] = ()
) -> tuple[tuple[ColumnRename, ...], tuple[ColumnLink, ...]]:
    """Find what ids and case prove, and where something contradicts them."""
    found = {
        (old.name, new.name, kind): (old, new, evidence)
        for old, new, kind, evidence in (*_same_ids(pair), *_same_folds(pair))
        if old.name not in settled_old and new.name not in settled_new
    }
    doubts = rival_claims(found, pair.kept, "column")
    renames: dict[str, ColumnRename] = {}
    doubtful: dict[tuple[str, str], ColumnLink] = {}
    for (old_name, new_name, kind), (old, new, evidence) in found.items():
        kept = old_name in pair.kept, new_name in pair.kept
        doubt = doubts.get((old_name, new_name, kind), "")
        if any(kept):
            doubt = f"a column `{old_name if kept[0] else new_name}` is there before and after"
        elif not doubt and type_fit(old.type, new.type) == "incompatible":
            doubt = f"the type changes from {old.type} to {new.type}"
        elif not doubt and kind == "same id" and _is_left_behind(pair.compare(old, new)):
            doubt = "name, description and unit are all other ones"
        if doubt:
            evidence = f"{evidence}, but {doubt}"
            link = ColumnLink(old, new, _CONTRADICTED, (evidence,), (), False, "", *kept)
            doubtful.setdefault((old_name, new_name), link)
        else:
            # An id is named before the case when both prove the pair.
            rename = ColumnRename(pair.before.name, old_name, new_name, pair.after.name, kind, evidence)
            renames.setdefault(old_name, rename)
    return tuple(renames.values()), tuple(doubtful.values())


def rival_claims(
    found: Collection[tuple[str, str, Kind]], kept: Iterable[str], what: str
) -> dict[tuple[str, str, Kind], str]:
    """Return what contradicts pairs that an id or the case proves: other names with as good a claim."""
    degree = Counter(
        end for old, new in {(old, new) for old, new, _ in found} for end in (f"-{old}", f"+{new}")
    )
    kept_folds = {fold(name) for name in kept}
    doubts: dict[tuple[str, str, Kind], str] = {}
    for old, new, kind in found:
        if degree[f"-{old}"] > 1 or degree[f"+{new}"] > 1:
            doubts[old, new, kind] = "another pair has as good a claim"
        elif kind == "case only" and fold(old) in kept_folds:
            doubts[old, new, kind] = f"a third {what} has such a name as well"
    return doubts


def _is_left_behind(score: ColumnScore) -> bool:
    """Tell whether an id looks like one that was left on another quantity by mistake."""
    unlike = score.name < _UNLIKE and score.text is not None and score.text < _UNLIKE
    return unlike and score.unit == "differs"


_Proof = tuple[ColumnFacts, ColumnFacts, Kind, str]


def _same_ids(pair: TablePair) -> Iterator[_Proof]:
    """Yield the columns whose unique id stands on a column of another name after the change."""
    before, after = (
        _by_sole([(c.id, c) for c in pair.before.columns]),
        _by_sole([(c.id, c) for c in pair.after.columns]),
    )
    for identifier, old in before.items():
        new = after.get(identifier)
        if new is not None and new.name != old.name:
            yield old, new, "same id", f"both have the id `{identifier}`"


def _same_folds(pair: TablePair) -> Iterator[_Proof]:
    """Yield the columns that are gone and new, and whose names differ only in case."""
    news: dict[str, list[ColumnFacts]] = defaultdict(list)
    for column in pair.added:
        news[fold(column.name)].append(column)
    for old in pair.dropped:
        for new in news.get(fold(old.name), ()):
            yield old, new, "case only", "the names differ only in case"


def _by_sole(keyed: Iterable[tuple[str | None, ColumnFacts]]) -> dict[str, ColumnFacts]:
    """Index columns by a key that no other column of that side has."""
    found: dict[str, list[ColumnFacts]] = defaultdict(list)
    for key, column in keyed:
        if key:
            found[key].append(column)
    return {key: columns[0] for key, columns in found.items() if len(columns) == 1}


def chains(pair: TablePair) -> tuple[ColumnLink, ...]:
    """Follow descriptions that moved on to a name which another column had before."""
    before, after = (
        _by_sole((normalised(c.description or ""), c) for c in side.columns)
        for side in (pair.before, pair.after)
    )
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
            evidence = f"`{new.name}` has the description that `{old.name}` had"
            if stays := old.name in pair.kept:
                evidence += f", and `{old.name}` now has another one"
            new_stays = new.name in pair.kept
            chain.append(ColumnLink(old, new, _CHAIN, (evidence,), old_stays=stays, new_stays=new_stays))
            if not new_stays:
                break
            old = pair.before.column(new.name)
        # A dropped column and an added one with its description are compared like any other pair.
        steps = 1 if start.name in pair.kept else 2
        if len(chain) >= steps and not chain[-1].new_stays:
            links += chain
    return tuple(links)
