"""Split, weigh and align the words of names and descriptions."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = [
    "Alignment",
    "Substitution",
    "Vocabulary",
    "align",
    "alike",
    "document",
    "fold",
    "name_words",
    "normalised",
    "opposed",
    "share_weight",
    "spelling",
    "text_words",
]

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_NUMBERED = re.compile(r"([^\W\d_]+)(\d+)")

_TEXT = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:\d+(?![^\W\d_]))?|[^\W\d_]+")

_FILLERS = frozenset(
    [
        "a",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "by",
        "each",
        "for",
        "from",
        "has",
        "have",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "no",
        "not",
        "of",
        "off",
        "on",
        "or",
        "other",
        "over",
        "per",
        "such",
        "than",
        "that",
        "the",
        "their",
        "then",
        "this",
        "through",
        "to",
        "under",
        "used",
        "using",
        "was",
        "were",
        "when",
        "where",
        "whether",
        "which",
        "while",
        "will",
        "with",
        "within",
    ]
)

# Words of one group that stand for different things: a column of the one is not a column of the other.
_OPPOSED = (
    (
        ("mean", "average", "avg"),
        ("median", "med"),
        ("minimum", "min"),
        ("maximum", "max"),
        ("stddev", "std", "stdev", "deviation"),
        ("rms",),
        ("variance", "var"),
        ("count", "number"),
        ("sum", "total"),
    ),
    (("start", "begin", "beginning", "first"), ("end", "stop", "last"), ("middle", "mid")),
    (("x",), ("y",), ("z",)),
    (("u",), ("v",), ("w",)),
    (("azimuth", "az"), ("elevation", "el", "altitude", "alt"), ("rotator", "rot", "rotation")),
    (("ra",), ("dec", "declination")),
    (("row", "rows"), ("column", "columns", "col", "cols")),
    (("width",), ("height",)),
    (("left",), ("right",)),
    (("upper", "top"), ("lower", "bottom")),
    (("inner", "inside"), ("outer", "outside")),
    (("plus", "positive"), ("minus", "negative")),
    (("open", "opened", "opening"), ("close", "closed", "closing")),
    (("requested", "commanded", "demand", "target"), ("measured", "actual", "reported")),
)

_POLE = {
    word: (axis, pole)
    for axis, poles in enumerate(_OPPOSED)
    for pole, words in enumerate(poles)
    for word in words
}


def fold(name: str) -> str:
    """Return a name without its case."""
    return name.casefold()


def spelling(name: str) -> str:
    """Return a name without case and underscores: what is left when only the spelling changes."""
    return name.casefold().replace("_", "")


@lru_cache(maxsize=65536)
def name_words(name: str, *, camel: bool = False) -> tuple[str, ...]:
    """Split a name into words.

    Parameters
    ----------
    name
        Name of a table or column.
    camel
        Whether a capital letter starts a word too.

    Examples
    --------
    >>> name_words("mt_salIndex101_mean"), name_words("psfFluxErr", camel=True)
    (('mt', 'salindex', '101', 'mean'), ('psf', 'flux', 'err'))
    """
    text = _CAMEL.sub("_", name) if camel else name
    words: list[str] = []
    for part in text.casefold().split("_"):
        numbered = _NUMBERED.fullmatch(part)
        words.extend(numbered.groups() if numbered else [part] if part else [])
    return tuple(words)


@lru_cache(maxsize=65536)
def text_words(text: str) -> tuple[str, ...]:
    """Split a description into words that carry meaning, without case."""
    return tuple(word for word in _TEXT.findall(text.casefold()) if word not in _FILLERS)


@lru_cache(maxsize=65536)
def normalised(text: str) -> str:
    """Return a description without case, punctuation and repeated blanks."""
    return " ".join(re.findall(r"\w+", text.casefold()))


@lru_cache(maxsize=65536)
def alike(one: str, other: str) -> float:
    """Say how far two words may be the same: 1 equal, 0.8 a slip or a synonym, 0.7 an abbreviation, else 0.

    Numbers are the same or different, never alike.
    """
    if one == other:
        return 1.0
    short, long = sorted((one, other), key=len)
    if any(character.isdigit() for character in short + long) or opposed(one, other):
        return 0.0
    if one in _POLE and _POLE[one] == _POLE.get(other):
        return 0.8
    if len(short) >= 4 and long in (short + "s", short + "es"):
        return 0.8
    if len(short) >= 3 and long.startswith(short):
        return 0.7
    return 0.8 if len(short) >= 4 and _one_slip(short, long) else 0.0


def opposed(one: str, other: str) -> bool:
    """Tell whether two words name different members of one group, as ``min`` and ``max`` do."""
    first, second = _POLE.get(one), _POLE.get(other)
    return first is not None and second is not None and first[0] == second[0] and first[1] != second[1]


def _one_slip(short: str, long: str) -> bool:
    """Tell whether one letter added, left out, changed or exchanged with the next is all the difference."""
    if len(long) - len(short) > 1:
        return False
    start = 0
    while start < len(short) and short[start] == long[start]:
        start += 1
    if len(long) > len(short):
        return short[start:] == long[start + 1 :]
    if short[start + 1 :] == long[start + 1 :]:
        return True
    return (
        short[start : start + 2] == long[start : start + 2][::-1] and short[start + 2 :] == long[start + 2 :]
    )


Substitution = tuple[tuple[str, ...], tuple[str, ...]]

"""Words that go, and the words that come in their place; either may be empty."""

_MAX_JOINED = 3


@dataclass(frozen=True)
class Alignment:
    """How one name becomes another.

    Parameters
    ----------
    similarity
        0 to 1: the share of the names' information that both have in common.
    substitutions
        What is replaced, from left to right.
    shared
        Words that stand in both, from left to right.
    """

    similarity: float
    substitutions: tuple[Substitution, ...]
    shared: tuple[str, ...]


def align(old: Sequence[str], new: Sequence[str], weight: Callable[[str], float]) -> Alignment:
    """Lay two names side by side, keeping the order of their words.

    Words that only look alike (``temp`` and ``temperature``), or that are the same but for a break
    (``std_dev`` and ``stddev``), count as partly shared, yet stay a substitution.
    """
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old_part, new_part = old[start : len(old) - end], new[start : len(new) - end]
    steps = _best_steps(old_part, new_part, weight)
    common = sum(weight(word) for word in (*old[:start], *old[len(old) - end :])) * 2
    shared: list[str] = list(old[:start])
    substitutions: list[Substitution] = []
    i = j = 0
    for at_old, n_old, at_new, n_new, credit in steps:
        common += credit
        if at_old > i or at_new > j:
            substitutions.append((tuple(old_part[i:at_old]), tuple(new_part[j:at_new])))
        i, j = at_old + n_old, at_new + n_new
        gone, come = tuple(old_part[at_old:i]), tuple(new_part[at_new:j])
        if gone == come:
            shared.extend(gone)
        else:
            substitutions.append((gone, come))
    if i < len(old_part) or j < len(new_part):
        substitutions.append((tuple(old_part[i:]), tuple(new_part[j:])))
    shared.extend(old[len(old) - end :])
    total = sum(map(weight, old)) + sum(map(weight, new))
    return Alignment(common / total if total else 0.0, tuple(substitutions), tuple(shared))


_Step = tuple[int, int, int, int, float]

"""Where a match starts and how many words it has, in the old and in the new name; and its weight."""


def _best_steps(old: Sequence[str], new: Sequence[str], weight: Callable[[str], float]) -> list[_Step]:
    """Find the matches, in order, with the most weight in common."""
    rows, columns = len(old), len(new)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    choice: list[list[_Step | None]] = [[None] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1])
            for step in _matches(old, new, i, j, weight):
                value = step[4] + best[i + step[1]][j + step[3]]
                # At the same weight, words that start here are matched rather than skipped.
                if value >= best[i][j]:
                    best[i][j], choice[i][j] = value, step
    steps: list[_Step] = []
    i = j = 0
    while i < rows and j < columns:
        step_here = choice[i][j]
        if step_here is not None:
            steps.append(step_here)
            i, j = i + step_here[1], j + step_here[3]
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return steps


def _matches(
    old: Sequence[str], new: Sequence[str], i: int, j: int, weight: Callable[[str], float]
) -> list[_Step]:
    """List what the words that start here can be matched with."""
    found: list[_Step] = []
    credit = alike(old[i], new[j])
    if credit:
        found.append((i, 1, j, 1, credit * (weight(old[i]) + weight(new[j]))))
    for size in range(2, _MAX_JOINED + 1):
        if i + size <= len(old) and "".join(old[i : i + size]) == new[j]:
            found.append((i, size, j, 1, sum(map(weight, old[i : i + size])) + weight(new[j])))
        if j + size <= len(new) and "".join(new[j : j + size]) == old[i]:
            found.append((i, 1, j, size, sum(map(weight, new[j : j + size])) + weight(old[i])))
    return found


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
