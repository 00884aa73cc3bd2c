"""Words of names and descriptions, and how alike they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz.distance import OSA, Levenshtein

NameEdits = tuple[tuple[str, str], ...]
"""What a change of name replaces: what goes, and what comes; either may be empty."""

_NUMBERED = re.compile(r"([^\W\d_]+)(\d+)")
_TEXT = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:\d+(?![^\W\d_]))?|[^\W\d_]+")
_FILLERS = re.compile(
    "an?|and|any|are|as|at|be|been|by|each|for|from|has|have|if|in|into|is|it|its|no|not|off?|on|or|other|over"
    "|per|such|than|that|the|their|then|this|through|to|under|used|using|was|were|when|where|whether|which"
    "|while|will|with|within"
)

# Words that stand for different things, and after a slash other words for the same.
_OPPOSED = (
    "mean/average/avg median/med minimum/min maximum/max stddev/std/stdev/deviation rms variance/var "
    "count/number sum/total",
    "start/begin/beginning/first end/stop/last middle/mid",
    "x y z",
    "u v w",
    "azimuth/az elevation/el/altitude/alt rotator/rot/rotation",
    "ra dec/declination",
    "row/rows column/columns/col/cols",
    "width height",
    "left right",
    "upper/top lower/bottom",
    "inner/inside outer/outside",
    "plus/positive minus/negative",
    "open/opened/opening close/closed/closing",
    "requested/commanded/demand/target measured/actual/reported",
)
_POLE = {
    word: (axis, pole)
    for axis, poles in enumerate(_OPPOSED)
    for pole, words in enumerate(poles.split())
    for word in words.split("/")
}


def fold(name: str) -> str:
    """Return a name without its case."""
    return name.casefold()


def spelling(name: str) -> str:
    """Return a name without case and underscores."""
    return name.casefold().replace("_", "")


@lru_cache(maxsize=65536)
def name_words(name: str) -> tuple[str, ...]:
    """Split a name into words and numbers.

    Examples
    --------
    >>> name_words("mt_salIndex101_mean")
    ('mt', 'salindex', '101', 'mean')
    """
    words: list[str] = []
    for part in name.casefold().split("_"):
        numbered = _NUMBERED.fullmatch(part)
        words.extend(numbered.groups() if numbered else [part] if part else [])
    return tuple(words)


@lru_cache(maxsize=65536)
def text_words(text: str) -> tuple[str, ...]:
    """Split a description into words that carry meaning, without case."""
    return tuple(word for word in _TEXT.findall(text.casefold()) if not _FILLERS.fullmatch(word))


@lru_cache(maxsize=65536)
def normalised(text: str) -> str:
    """Return a description without case, punctuation and repeated blanks."""
    return " ".join(re.findall(r"\w+", text.casefold()))


@lru_cache(maxsize=65536)
def alike(one: str, other: str) -> float:
    """Compare two words: 1 equal, 0.8 a slip or a synonym, 0.7 an abbreviation, else 0.

    Numbers are the same or different, never alike.
    """
    if one == other:
        return 1.0
    short, long = sorted((one, other), key=len)
    if any(character.isdigit() for character in short + long) or opposed(one, other):
        return 0.0
    if one in _POLE and _POLE[one] == _POLE.get(other):
        return 0.8
    if len(short) >= 4 and (long == f"{short}es" or OSA.distance(short, long, score_cutoff=1) <= 1):
        return 0.8
    return 0.7 if len(short) >= 3 and long.startswith(short) else 0.0


def opposed(one: str, other: str) -> bool:
    """Return whether two words name different members of one group, as ``min`` and ``max`` do."""
    first, second = _POLE.get(one), _POLE.get(other)
    return first is not None and second is not None and first[0] == second[0] and first[1] != second[1]


def edits(old: Sequence[str], new: Sequence[str]) -> NameEdits:
    """Return what becomes of the words of a name, from left to right; several words are joined."""
    found: list[tuple[str, str]] = []
    i = j = 0
    for block in Levenshtein.editops(old, new).as_matching_blocks():
        gone, come = old[i : block.a], new[j : block.b]
        if len(gone) == len(come):
            found += zip(gone, come, strict=True)
        else:
            found.append(("_".join(gone), "_".join(come)))
        i, j = block.a + block.size, block.b + block.size
    return tuple(found)


def listed(parts: Sequence[str], most: int = 0) -> str:
    """Join parts with commas and an ``and``; at most ``most`` of them, when given."""
    shown = list(parts[:most] if most else parts)
    if len(shown) < len(parts):
        return f"{', '.join(shown)} and {len(parts) - len(shown)} more"
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)


def number(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
