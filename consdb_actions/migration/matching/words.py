"""Names and descriptions as words, and which words are the same, alike, or opposed."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["alike", "fold", "name_words", "normalised", "opposed", "spelling", "text_words"]

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

# Words of one group that stand for different things: a column of the one is no column of the other.
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
