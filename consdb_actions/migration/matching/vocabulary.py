"""How much a word says about a column, given all the columns of its table.

A word that most columns share does not tell them apart, so that likeness counts only in words that few
columns have. Two words that stand in the same place of two columns' names at the same time (``min`` and
``max``, ``flux`` and ``fwhm``) name different quantities, whatever else is alike.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from consdb_actions.migration.matching.words import name_words, normalised, opposed, text_words

__all__ = ["Vocabulary", "document", "share_weight"]

_FLOOR = 0.05


class Vocabulary:
    """The words of one table's names and descriptions, before and after a change.

    Parameters
    ----------
    before, after
        Name and description (empty when there is none) of every column on each side.
    """

    def __init__(self, before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]) -> None:
        # Counted on each side apart: a word of a column's old and new name is in one column. Where the sides
        # differ the smaller count is taken, so that a column that is split in two does not lose its words.
        names: list[Counter[str]] = []
        texts: list[Counter[str]] = []
        for side in (before, after):
            spellings = sorted({name.casefold() for name, _ in side})
            names.append(Counter(word for name in spellings for word in set(name_words(name))))
            texts.append(Counter(word for name, text in sorted(set(side)) for word in document(name, text)))
        self._names, self._texts = _fewest(*names), _fewest(*texts)
        self._size = max(len(before), len(after))
        self._name_weights = {word: share_weight(n, self._size) for word, n in self._names.items()}
        self._text_weights = {word: share_weight(n, self._size) for word, n in self._texts.items()}
        self._repeats = [Counter(normalised(text) for _, text in side if text) for side in (before, after)]
        self._slots = [_slots(name for name, _ in side) for side in (before, after)]

    def name_weight(self, word: str) -> float:
        """Return how much a word of a name says: 1 when one column has it, near 0 when all have."""
        return self._name_weights.get(word, 1.0)

    def text_weight(self, word: str) -> float:
        """Return how much a word of a description or name says."""
        return self._text_weights.get(word, 1.0)

    def repeats(self, text: str) -> int:
        """Return how many columns of one side have this description."""
        return max(counter[normalised(text)] for counter in self._repeats)

    def contrast(self, old: str, new: str) -> bool:
        """Tell whether two words name different quantities.

        They do when they oppose each other in the language, or when the table had, or has, two columns whose
        names differ in nothing but these two words.
        """
        if opposed(old, new):
            return True
        return any(
            old in slots and new in slots and not slots[old].isdisjoint(slots[new]) for slots in self._slots
        )


def document(name: str, text: str) -> frozenset[str]:
    """Return the words that say what a column is: those of its description and of its name."""
    return frozenset(text_words(text)) | frozenset(name_words(name))


def share_weight(count: int, total: int) -> float:
    """Return how much it says to have what ``count`` of ``total`` have: 1 for one, near 0 for all."""
    if total < 2:
        return 1.0
    return max(_FLOOR, math.log((total + 1) / max(count, 1)) / math.log(total + 1))


def _fewest(one: Counter[str], other: Counter[str]) -> Counter[str]:
    """Take the smaller count of each word, or the only one."""
    return Counter({word: min(one[word] or other[word], other[word] or one[word]) for word in one | other})


def _slots(names: Iterable[str]) -> dict[str, frozenset[int]]:
    """Give every place in a name where words alternate a number, and list by word where it stands."""
    places: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for name in sorted(set(names)):
        words = name_words(name)
        for at, word in enumerate(words):
            places[(*words[:at], "\0", *words[at + 1 :])].add(word)
    found: dict[str, set[int]] = defaultdict(set)
    for number, place in enumerate(sorted(places)):
        if len(places[place]) > 1:
            for word in places[place]:
                found[word].add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}
