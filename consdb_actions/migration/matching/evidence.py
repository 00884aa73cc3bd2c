"""What speaks for and against a column living on under another name: measured, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from consdb_actions.migration.matching.alignment import Substitution, align
from consdb_actions.migration.matching.facts import ColumnFacts, TableFacts
from consdb_actions.migration.matching.places import closeness, places
from consdb_actions.migration.matching.types import Fit, type_fit
from consdb_actions.migration.matching.vocabulary import Vocabulary, document
from consdb_actions.migration.matching.words import (
    alike,
    name_words,
    normalised,
    opposed,
    spelling,
    text_words,
)

__all__ = ["Agreement", "Evidence", "TablePair"]

Agreement = Literal["same", "differs", "unknown"]

_REPEATED_TEXT = 0.75
_FOLLOWING_TEXT = 0.9
_FRAMED_TEXT = 0.35


@dataclass(frozen=True)
class Evidence:
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
        self._evidence: dict[tuple[str, str], Evidence] = {}
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

    def compare(self, old: ColumnFacts, new: ColumnFacts) -> Evidence:
        """Compare a dropped with an added column."""
        key = (old.name, new.name)
        if key not in self._evidence:
            self._evidence[key] = self._compare(old, new)
        return self._evidence[key]

    def _compare(self, old: ColumnFacts, new: ColumnFacts) -> Evidence:
        weight = self.vocabulary.name_weight
        alignment = align(name_words(old.name), name_words(new.name), weight)
        if old.name != old.name.lower() or new.name != new.name.lower():
            parted = align(name_words(old.name, camel=True), name_words(new.name, camel=True), weight)
            alignment = max(alignment, parted, key=lambda way: way.similarity)
        text, follows, text_contrast = self._compare_texts(old, new, alignment.substitutions)
        same_text = text is not None and normalised(old.description or "") == normalised(
            new.description or ""
        )
        return Evidence(
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
