"""When two texts of different types are the same value, as a change of type should keep it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from consdb_actions.migration.kinds import parse_type

__all__ = ["Normalise", "normaliser"]

Normalise = Callable[[str | None], Hashable]
"""Turns a value's text into something that is equal for equal values."""

_NUMBERS = {"integer", "decimal", "float"}
_MOMENTS = {"timestamp", "date"}
_TRUE = frozenset({"t", "true", "y", "yes", "on", "1"})
_FALSE = frozenset({"f", "false", "n", "no", "off", "0"})


def normaliser(left: str, right: str) -> Normalise:
    """Return the function that makes values of two types comparable.

    Parameters
    ----------
    left, right
        The two types, as ``format_type`` prints them.

    Returns
    -------
    callable
        Same texts for the same type; numbers by value, in single precision where one side has no more;
        booleans by any of their words; moments in UTC; ``character`` without its padding. A text that does
        not read as the other type stays itself.
    """
    if left == right:
        return _as_it_is
    kinds = (parse_type(left), parse_type(right))
    names, families = {k.name for k in kinds}, {k.family for k in kinds}
    if kinds[0].dimensions or kinds[1].dimensions:
        return _as_it_is
    if families == {"text"}:
        return _guarded(lambda text: text.rstrip(" ")) if "character" in names else _as_it_is
    if families & _NUMBERS:
        return _guarded(_single if "real" in names else _number)
    if "boolean" in families:
        return _guarded(_flag)
    if families & _MOMENTS:
        return _guarded(_moment)
    if "json" in families:
        return _guarded(lambda text: json.dumps(json.loads(text), sort_keys=True))
    if families == {"bytea", "text"}:
        return _guarded(lambda text: bytes.fromhex(text[2:]).decode() if text.startswith("\\x") else text)
    return _as_it_is


def _as_it_is(text: str | None) -> Hashable:
    return text


def _guarded(read: Callable[[str], Hashable]) -> Normalise:
    def normalise(text: str | None) -> Hashable:
        if text is None:
            return None
        try:
            return read(text)
        except (ValueError, InvalidOperation, OverflowError):
            return text

    return normalise


def _number(text: str) -> Hashable:
    word = text.strip().lower()
    if word in {"t", "true", "f", "false"}:
        return Decimal(word.startswith("t"))
    found = Decimal(word)
    return found if found.is_finite() else str(found)


def _single(text: str) -> Hashable:
    found = _number(text)
    return Decimal(struct.unpack("f", struct.pack("f", found))[0]) if isinstance(found, Decimal) else found


def _flag(text: str) -> Hashable:
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else text


def _moment(text: str) -> Hashable:
    # Python before 3.11 is not supported, so fractions of any length and +00 are read.
    found = datetime.fromisoformat(text.strip())
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
