"""Compare a dropped with an added column, and score the pair."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from consdb_actions.migration.matching.facts import ColumnFacts, Fit, TableFacts, type_fit
from consdb_actions.migration.matching.words import (
    Substitution,
    Vocabulary,
    align,
    alike,
    document,
    name_words,
    normalised,
    opposed,
    spelling,
    text_words,
)

__all__ = [
    "Agreement",
    "ColumnEvidence",
    "LIKELY",
    "ColumnGap",
    "TablePair",
    "against",
    "closeness",
    "in_favour",
    "is_likely",
    "listed",
    "number",
    "places",
    "points",
    "replaced",
    "score",
]


@dataclass(frozen=True)
class ColumnGap:
    """The gap that a column stands in: between two kept columns, and as which of how many.

    ``after`` and ``until`` are empty at the start and at the end of the table.
    """

    after: str
    until: str
    rank: int
    size: int


def places(order: Sequence[str], kept: Collection[str]) -> dict[str, ColumnGap]:
    """Say for every column that is not kept in which gap it stands."""
    found: dict[str, ColumnGap] = {}
    gap: list[str] = []
    previous = ""
    for name in (*order, ""):
        if name and name not in kept:
            gap.append(name)
            continue
        for rank, member in enumerate(gap):
            found[member] = ColumnGap(previous, name, rank, len(gap))
        gap, previous = [], name
    return found


def closeness(old: ColumnGap, new: ColumnGap) -> float:
    """Say how well two places agree: 1 the same place of the same gap, 0 elsewhere."""
    shared = (old.after == new.after) + (old.until == new.until)
    if not shared:
        return 0.0
    if old.size == new.size:
        distance = float(abs(old.rank - new.rank))
    else:
        # The gaps differ in length: the place from the front or from the back may be the one that was kept.
        from_front = abs(old.rank - new.rank)
        from_back = abs((old.size - old.rank) - (new.size - new.rank))
        distance = float(min(from_front, from_back))
    return shared / 2 / (1 + distance / 2)


Agreement = Literal["same", "differs", "unknown"]

_REPEATED_TEXT = 0.75

_FOLLOWING_TEXT = 0.9

_FRAMED_TEXT = 0.35


@dataclass(frozen=True)
class ColumnEvidence:
    """How two columns of a table compare.

    Parameters
    ----------
    old, new
        The column that is gone and the one that is new.
    fit
        How the types relate.
    name, text
        Likeness of names and of descriptions, 0 to 1; ``text`` is None where a description is missing.
    repeats
        How many columns of one side have the very description, when both are equal; else 0.
    follows
        Whether the descriptions differ just as the names do.
    spelled
        Whether the names differ only in case and underscores.
    substitutions, shared
        What is replaced in the name, and the words that stay.
    contrast
        Two words that name different quantities, if there are any.
    unit, ucd
        Whether these agree; unknown when one side has none.
    place
        Agreement of the places in the order of columns, 0 to 1.
    """

    old: ColumnFacts
    new: ColumnFacts
    fit: Fit
    name: float
    text: float | None
    repeats: int
    follows: bool
    spelled: bool
    substitutions: tuple[Substitution, ...]
    shared: tuple[str, ...]
    contrast: tuple[str, str] | None
    text_contrast: tuple[str, str] | None
    unit: Agreement
    ucd: Agreement
    place: float

    @property
    def near(self) -> bool:
        """Whether one name holds all words of the other, or words that are only spelled otherwise."""
        return (
            all(not gone for gone, _ in self.substitutions)
            or all(not come for _, come in self.substitutions)
            or all(
                len(gone) == len(come) and all(map(alike, gone, come)) for gone, come in self.substitutions
            )
        )


class TablePair:
    """A table before and after a change, and the yardsticks for comparing its columns.

    The yardsticks use the names alone, never what is already decided, so that one answer does not shift the
    evidence for another question.

    Parameters
    ----------
    before, after
        The two sides; they may have different names.
    """

    def __init__(self, before: TableFacts, after: TableFacts) -> None:
        self.before, self.after = before, after
        self.kept = frozenset(c.name for c in before.columns) & frozenset(c.name for c in after.columns)
        self.dropped = tuple(c for c in before.columns if c.name not in self.kept)
        self.added = tuple(c for c in after.columns if c.name not in self.kept)
        self.vocabulary = Vocabulary(_texts(before), _texts(after))
        self._holders = _holders(before), _holders(after)
        self._evidence: dict[tuple[str, str], ColumnEvidence] = {}
        self.anchor({})

    def anchor(self, proved: Mapping[str, str]) -> None:
        """Let columns whose rename is proved stand for a place in the order, as the kept ones do."""
        fixed = self.kept | frozenset(proved.values())
        self._old_places = places([proved.get(c.name, c.name) for c in self.before.columns], fixed)
        self._new_places = places([c.name for c in self.after.columns], fixed)

    @property
    def comparisons(self) -> int:
        """How many pairs of columns were compared."""
        return len(self._evidence)

    def place(self, old: str, new: str) -> float:
        """Say how well the places of a dropped and of an added column agree, 0 to 1."""
        return closeness(self._old_places[old], self._new_places[new])

    def old_place(self, name: str) -> tuple[str, str, int]:
        """Return the gap of a dropped column and its rank there."""
        place = self._old_places[name]
        return place.after, place.until, place.rank

    def new_place(self, name: str) -> tuple[str, str, int]:
        """Return the gap of an added column and its rank there."""
        place = self._new_places[name]
        return place.after, place.until, place.rank

    def compare(self, old: ColumnFacts, new: ColumnFacts) -> ColumnEvidence:
        """Compare a dropped with an added column."""
        key = (old.name, new.name)
        if key not in self._evidence:
            self._evidence[key] = self._compare(old, new)
        return self._evidence[key]

    def _compare(self, old: ColumnFacts, new: ColumnFacts) -> ColumnEvidence:
        weight = self.vocabulary.name_weight
        alignment = align(name_words(old.name), name_words(new.name), weight)
        if old.name != old.name.lower() or new.name != new.name.lower():
            parted = align(name_words(old.name, camel=True), name_words(new.name, camel=True), weight)
            alignment = max(alignment, parted, key=lambda way: way.similarity)
        text, follows, text_contrast = self._compare_texts(old, new, alignment.substitutions)
        same_text = text is not None and normalised(old.description or "") == normalised(
            new.description or ""
        )
        return ColumnEvidence(
            old,
            new,
            type_fit(old.type, new.type),
            alignment.similarity,
            text,
            self.vocabulary.repeats(old.description or "") if same_text else 0,
            follows,
            spelling(old.name) == spelling(new.name),
            alignment.substitutions,
            alignment.shared,
            self._contrast(alignment.substitutions),
            text_contrast,
            _agreement(old.unit, new.unit),
            _agreement(old.ucd, new.ucd),
            self.place(old.name, new.name),
        )

    def _contrast(self, substitutions: Sequence[Substitution]) -> tuple[str, str] | None:
        """Find two words in the names, one gone and one new, that tell two quantities apart."""
        for gone, come in substitutions:
            for one, other in zip(gone, come, strict=False) if len(gone) == len(come) else ():
                if self.vocabulary.contrast(one, other):
                    return one, other
        left = [word for gone, _ in substitutions for word in gone]
        right = [word for _, come in substitutions for word in come]
        numbers = [word for word in left if word.isdigit()], [word for word in right if word.isdigit()]
        if len(numbers[0]) == len(numbers[1]):
            for one, other in zip(*numbers, strict=True):
                if self.vocabulary.contrast(one, other):
                    return one, other
        return next(((one, other) for one in left for other in right if opposed(one, other)), None)

    def _compare_texts(
        self, old: ColumnFacts, new: ColumnFacts, substitutions: Sequence[Substitution]
    ) -> tuple[float | None, bool, tuple[str, str] | None]:
        if not old.description or not new.description:
            return None, False, None
        if normalised(old.description) == normalised(new.description):
            repeated = self.vocabulary.repeats(old.description) > 1
            return (_REPEATED_TEXT if repeated else 1.0), False, None
        words, other_words = text_words(old.description), text_words(new.description)
        gone = frozenset(word for part, _ in substitutions for word in part)
        come = frozenset(word for _, part in substitutions for word in part)
        if _follows(words, other_words, gone, come):
            return _FOLLOWING_TEXT, True, None
        one, other = frozenset(words), frozenset(other_words)
        contrast = next(
            ((a, b) for a in sorted(one - other) for b in sorted(other - one) if opposed(a, b)), None
        )
        likeness = max(
            self._overlap(one, other),
            self._overlap(document(old.name, old.description), document(new.name, new.description)),
        )
        framed = _names_itself(gone, one, other, new.name) and _names_itself(come, other, one, old.name)
        if framed or self._is_told_apart(old, new):
            likeness = min(likeness, _FRAMED_TEXT)
        return likeness, False, contrast

    def _is_told_apart(self, old: ColumnFacts, new: ColumnFacts) -> bool:
        """Tell whether one of two descriptions went, word for word, with another column."""
        lost, gained = normalised(old.description or ""), normalised(new.description or "")
        before, after = self._holders
        return (lost in before and after.get(lost, new.name) != new.name) or (
            gained in after and before.get(gained, old.name) != old.name
        )

    def _overlap(self, one: frozenset[str], other: frozenset[str]) -> float:
        """Return the cosine of two sets of words, each word weighed by how few columns have it."""
        norms = self._norm(one) * self._norm(other)
        return self._norm(one & other) ** 2 / norms if norms else 0.0

    def _norm(self, words: frozenset[str]) -> float:
        return math.sqrt(sum(self.vocabulary.text_weight(word) ** 2 for word in sorted(words)))


def _holders(table: TableFacts) -> dict[str, str]:
    """Return the column of each description that no other column of a table has."""
    found: dict[str, list[str]] = {}
    for column in table.columns:
        if column.description:
            found.setdefault(normalised(column.description), []).append(column.name)
    return {text: names[0] for text, names in found.items() if len(names) == 1}


def _follows(old: Sequence[str], new: Sequence[str], gone: frozenset[str], come: frozenset[str]) -> bool:
    """Tell whether two descriptions differ in nothing but the words in which the names differ."""
    differences = [(one, other) for one, other in zip(old, new, strict=False) if one != other]
    return (
        len(old) == len(new)
        and bool(differences)
        and all(one in gone and other in come for one, other in differences)
    )


def _names_itself(words: frozenset[str], own: frozenset[str], other: frozenset[str], other_name: str) -> bool:
    """Tell whether a description names its quantity by a word of the name that the other side lacks.

    When both do, the likeness of the descriptions is that of a form filled in twice.
    """
    lacking = other | frozenset(name_words(other_name))
    return any(word in own and word not in lacking and not word.isdigit() for word in words)


def _agreement(old: str | None, new: str | None) -> Agreement:
    if not old or not new:
        return "unknown"
    return "same" if old.strip().casefold() == new.strip().casefold() else "differs"


def _texts(table: TableFacts) -> list[tuple[str, str]]:
    return [(column.name, column.description or "") for column in table.columns]


LIKELY = 4

"""Points from which a careful reader would suspect a rename."""

_FITS = {"same": 6.0, "wider": 4.0, "narrower": 3.0, "converted": -5.0, "incompatible": -40.0}

_UNITS = {"same": 6.0, "differs": -8.0, "unknown": 0.0}

_UCDS = {"same": 4.0, "differs": -2.0, "unknown": 0.0}

_UNKNOWN_TEXT = 0.25


def score(evidence: ColumnEvidence, support: int) -> int:
    """Weigh a pair against its rivals, from 0 to 100."""
    text = _UNKNOWN_TEXT if evidence.text is None else evidence.text
    total = 40 * evidence.name + 30 * text + 8 * evidence.place
    total += _FITS[evidence.fit] + _UNITS[evidence.unit] + _UCDS[evidence.ucd]
    total += min(12.0, 4 * math.log2(max(support, 1)))
    if evidence.spelled:
        total += 10
    if evidence.contrast:
        total -= 40
    if evidence.text_contrast:
        total -= 10
    return max(0, min(100, round(total)))


def points(evidence: ColumnEvidence, support: int) -> int:
    """Count what a careful reader would: each kind of evidence gives few points, none is enough alone."""
    text = -1.0 if evidence.text is None else evidence.text
    total = _steps(evidence.name, 0.4, 0.6, 0.8) + _steps(text, 0.4, 0.6, 0.85)
    total += 3 if support >= 3 else 2 if support == 2 else 0
    total += {"same": 1, "differs": -2, "unknown": 0}[evidence.unit]
    total += (evidence.place >= 0.5) + (evidence.near and evidence.name >= 0.4)
    if 0 <= text < 0.1:
        total -= 1
    if evidence.fit == "converted":
        total -= 2
    if evidence.text_contrast:
        total -= 2
    return total


def is_likely(evidence: ColumnEvidence, support: int) -> bool:
    """Tell whether a careful reader would suspect that the one column is the other."""
    if evidence.fit == "incompatible":
        return False
    if evidence.spelled:
        return True
    text = evidence.text or 0.0
    if evidence.contrast:
        # Different quantities by name; only the very same description, which nothing else has, outweighs
        # that.
        return evidence.repeats == 1 and evidence.unit != "differs"
    if evidence.name < 0.4 and text < 0.4:
        return False
    return points(evidence, support) >= LIKELY


def _steps(value: float, *bounds: float) -> int:
    return sum(value >= bound for bound in bounds)


_FEW = 4


def in_favour(evidence: ColumnEvidence, support: int) -> tuple[str, ...]:
    """List what speaks for a pair."""
    found: list[str] = []
    if evidence.spelled:
        found.append("the names differ only in case and underscores")
    elif support > 1 and evidence.shared:
        change = replaced(evidence.substitutions, evidence.old.name, evidence.new.name)
        found.append(f"{change}, as in {number(support - 1, 'other pair')}")
    elif evidence.name >= 0.4:
        found.append(f"the names share {_words(evidence.shared)}")
    if evidence.follows:
        found.append("the descriptions differ just as the names do")
    elif evidence.repeats == 1:
        found.append("the descriptions are the same")
    elif evidence.repeats > 1:
        found.append(f"the descriptions are the same, as in {evidence.repeats} columns of this table")
    elif evidence.text is not None and evidence.text >= 0.4:
        found.append("the descriptions are alike")
    if evidence.unit == "same":
        found.append(f"the same unit ({evidence.new.unit})")
    if evidence.fit == "same":
        found.append(f"the same type ({evidence.new.type})")
    elif evidence.fit in ("wider", "narrower"):
        found.append(f"a type of the same family ({evidence.old.type}, now {evidence.new.type})")
    if evidence.place >= 0.5:
        found.append("the same place among the columns")
    return tuple(found)


def against(evidence: ColumnEvidence) -> tuple[str, ...]:
    """List what speaks against a pair."""
    found: list[str] = []
    if evidence.fit in ("incompatible", "converted"):
        found.append(f"the type is another one ({evidence.old.type}, not {evidence.new.type})")
    if evidence.contrast:
        found.append(_opposites(evidence.contrast))
    if evidence.unit == "differs":
        found.append(f"the unit is another one ({evidence.old.unit}, not {evidence.new.unit})")
    if evidence.ucd == "differs":
        found.append(f"the UCD is another one ({evidence.old.ucd}, not {evidence.new.ucd})")
    if evidence.text_contrast:
        found.append(f"in the descriptions, {_opposites(evidence.text_contrast)}")
    if evidence.name < 0.4:
        shared = f"share only {_words(evidence.shared)}" if evidence.shared else "share no word"
        found.append(f"the names {shared}")
    if evidence.text is not None and evidence.text < 0.6:
        found.append("the descriptions speak of other things")
    return tuple(found) or ("too little speaks for it",)


def replaced(substitutions: Sequence[Substitution], old: str = "", new: str = "") -> str:
    """Say what a change of name replaces; the names, when given, show how their words are joined."""
    parts: list[str] = []
    for gone, come in substitutions:
        before, after = _joined(gone, old), _joined(come, new)
        if not gone:
            parts.append(f"`{after}` comes in")
        elif not come:
            parts.append(f"`{before}` goes")
        else:
            parts.append(f"`{before}` becomes `{after}`")
    return listed(parts)


def _joined(words: Sequence[str], name: str) -> str:
    text = ""
    for word in words:
        text = f"{text}{word}" if not text or f"{text}{word}" in name.casefold() else f"{text}_{word}"
    return text


def listed(parts: Sequence[str], most: int = 0) -> str:
    """Join parts with commas and an ``and``; at most ``most`` of them, when given."""
    shown = list(parts[:most] if most else parts)
    if len(shown) < len(parts):
        return f"{', '.join(shown)} and {len(parts) - len(shown)} more"
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)


def number(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _words(words: Sequence[str]) -> str:
    return listed([f"`{word}`" for word in dict.fromkeys(words)], _FEW)


def _opposites(pair: tuple[str, str]) -> str:
    return f"`{pair[0]}` and `{pair[1]}` are different quantities"
