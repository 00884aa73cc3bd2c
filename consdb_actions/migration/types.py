"""Types as Postgres prints them, and whether their texts are the same value."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache

_TYPE = re.compile(r"^([^(\[]+)(?:\(([-\d,\s]+)\))?([^(\[]*)((?:\[\])*)$")
BITS = {"smallint": 15, "integer": 31, "bigint": 63, "oid": 31}
_FAMILIES = {
    **dict.fromkeys(BITS, "integer"),
    "numeric": "decimal",
    "real": "float",
    "double precision": "float",
    **dict.fromkeys(("text", "character varying", "character", "name", "citext"), "text"),
    "boolean": "boolean",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamp",
    "date": "date",
    "time without time zone": "time",
    "time with time zone": "time",
    "interval": "interval",
    "bytea": "bytea",
    "uuid": "uuid",
    "json": "json",
    "jsonb": "json",
    "spoly": "spoly",
    "inet": "inet",
}
NUMBERS = frozenset({"integer", "decimal", "float"})


@dataclass(frozen=True)
class TypeKind:
    """A parsed type name."""

    name: str
    arguments: tuple[int, ...] = ()
    dimensions: int = 0

    @property
    def family(self) -> str | None:
        """What kind of values it has; None when unknown."""
        if self.name == "numeric" and self.arguments and (*self.arguments, 0)[1] == 0:
            return "integer"
        return _FAMILIES.get(self.name)


@cache
def parse_type(text: str) -> TypeKind:
    """Parse the output of ``format_type``."""
    match = _TYPE.match(text)
    if match is None:
        return TypeKind(text)
    arguments = tuple(int(a) for a in match[2].split(",")) if match[2] else ()
    # pgSphere's is the only known type outside of pg_catalog.
    name = f"{match[1].strip()} {match[3].strip()}".strip().removeprefix("public.")
    return TypeKind(name, arguments, len(match[4]) // 2)


Normalise = Callable[[str | None], Hashable]
"""Converts a value's text to an object that is equal for equal values."""

_MOMENTS = {"timestamp", "date", "time"}
_TRUE = frozenset({"t", "true", "y", "yes", "on", "1"})
_FALSE = frozenset({"f", "false", "n", "no", "off", "0"})
_ZONE = "values are taken in the time zone of the session"
# Decimal digits that Postgres keeps of a binary fraction that becomes numeric.
_DIGITS = {"real": 6, "double precision": 15}


def alteration(old: str, new: str) -> str:
    """Describe what a type change alters silently; empty when it keeps every value."""
    a, b = parse_type(old), parse_type(new)
    if a.dimensions or b.dimensions or old == new:
        return ""
    match a.family, b.family:
        case "text", "text":
            return _between_texts(a, b)
        case "text", "integer" | "decimal":
            places = "; digits beyond its scale are rounded" if b.family == "decimal" and b.arguments else ""
            return f"leading zeros, signs and blanks are dropped ('007' becomes 7){places}"
        case "text", "float":
            return "leading zeros and blanks are dropped, and digits beyond its precision are lost"
        case "text", "boolean":
            return "other words for true and false are not kept ('yes' becomes true)"
        case "text", "timestamp" | "time" if not b.name.endswith("with time zone"):
            return "an offset such as +02 is dropped silently, and another spelling is not kept"
        case "text", "date":
            return "a time of day and an offset are dropped, and another spelling is not kept"
        case "text", "json" | "timestamp" | "time" | "interval" | "uuid" | "inet" | "spoly":
            return "another spelling of the same value is not kept"
        case "json", "json" if b.name == "jsonb":
            return "spaces, the order of members and repeated members are not kept"
        case "integer" | "decimal" | "float", "boolean":
            return "every value but 0 becomes true"
        case "integer" | "decimal" | "float", "integer" | "decimal" | "float":
            return _between_numbers(a, b)
        case "timestamp" | "date" | "time", "timestamp" | "date" | "time":
            return _between_moments(a, b)
    return ""


def _between_texts(a: TypeKind, b: TypeKind) -> str:
    if b.name == "character" and a.name != "character":
        return "blanks at the end are not kept"
    if a.arguments[:1] != b.arguments[:1] and b.arguments and (not a.arguments or b.arguments < a.arguments):
        return f"blanks at the end beyond {b.arguments[0]} characters are cut off"
    return ""


def _between_numbers(a: TypeKind, b: TypeKind) -> str:
    if b.name == "real" and a.name not in {"real", "smallint"}:
        return "digits beyond single precision are lost"
    if b.name == "double precision" and a.name == "bigint":
        return "integers beyond 2**53 lose their last digits"
    if b.name == "double precision" and a.name == "numeric" and sum(a.arguments[:1] or (99,)) > 15:
        return "digits beyond double precision are lost"
    if b.family == "integer" and a.family != "integer":
        return "fractions are rounded"
    if b.name == "numeric" and b.arguments and _scale(a) > _scale(b):
        return f"digits beyond the {_scale(b)} after the point are rounded"
    if b.name == "numeric" and a.name in _DIGITS:
        return f"digits beyond the first {_DIGITS[a.name]} are lost"
    return ""


def _scale(kind: TypeKind) -> int:
    if kind.family == "integer":
        return 0
    return kind.arguments[1] if len(kind.arguments) > 1 else 99


def _between_moments(a: TypeKind, b: TypeKind) -> str:
    zones = [k.name.endswith("with time zone") for k in (a, b)]
    if a.family != b.family:
        lost = {"date": "the time of day is lost", "time": "the day is lost"}
        return "" if a.family == "date" and not zones[1] else lost.get(b.family or "", _ZONE)
    if zones[0] != zones[1]:
        return _ZONE
    if _precision(a) > _precision(b):
        return f"fractions of a second beyond {_precision(b)} digits are rounded"
    return ""


def _precision(kind: TypeKind) -> int:
    return kind.arguments[0] if kind.arguments else 6


def normalisers(left: str, right: str, *, via: str | None = None) -> tuple[Normalise, Normalise]:
    """Return functions to compare values of two types."""
    a, b = parse_type(left), parse_type(right if via is None else via)
    same = left == right and (via is None or not alteration(left, via))
    if same or a.dimensions or b.dimensions:
        return _as_it_is, _as_it_is
    if {a.family, b.family} == {"bytea", "text"}:
        return (_decoded, _as_it_is) if a.family == "bytea" else (_as_it_is, _decoded)
    read = _reader(a, b)
    return read, read


def _reader(a: TypeKind, b: TypeKind) -> Normalise:
    families, names = {a.family, b.family}, {a.name, b.name}
    if families == {"text"}:
        size = b.arguments[0] if b.arguments else None
        return _guarded(lambda text: _padded(text, size, padded="character" in names))
    if "boolean" in families:
        return _guarded(_flag if families <= {"boolean", "text"} else lambda text: _number(text) != 0)
    if families & NUMBERS:
        return _guarded(lambda text: _resolved(_number(text), a, b))
    if families & _MOMENTS:
        return _guarded(lambda text: _moment(text, a, b))
    if "json" in families:
        return _guarded(lambda text: json.dumps(json.loads(text), sort_keys=True))
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


_decoded = _guarded(lambda text: bytes.fromhex(text.removeprefix("\\x")).decode())


def _padded(text: str, size: int | None, *, padded: bool) -> str:
    if padded:
        return text.rstrip(" ")
    return text[:size] if size is not None and not text[size:].strip(" ") else text


def _number(text: str) -> Decimal:
    word = text.strip().lower()
    return Decimal(word.startswith("t")) if word in {"t", "true", "f", "false"} else Decimal(word)


def _resolved(value: Decimal, a: TypeKind, b: TypeKind) -> Hashable:
    if not value.is_finite():
        return str(value)
    if a.family == "decimal" and b.name in _DIGITS:
        return Decimal(f"{float(value):.{_DIGITS[b.name]}g}")
    if "real" in {a.name, b.name}:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    if b.name == "double precision":
        return float(value)
    if b.name in BITS and a.family in NUMBERS:
        return value.quantize(Decimal(1), ROUND_HALF_EVEN if a.family == "float" else ROUND_HALF_UP)
    if b.name == "numeric":
        if a.name in _DIGITS:
            value = Decimal(f"{value:.{_DIGITS[a.name]}g}")
        if b.arguments:
            return value.quantize(Decimal(1).scaleb(-(*b.arguments, 0)[1]), ROUND_HALF_UP)
    return value


def _flag(text: str) -> Hashable:
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else text


def _moment(text: str, a: TypeKind, b: TypeKind) -> Hashable:
    """Return a time in UTC, or as local time where the change drops its offset."""
    if "time" in {a.family, b.family}:
        clock = time.fromisoformat(text.strip().replace("T", " ").rpartition(" ")[2]).replace(tzinfo=None)
        return _rounded(datetime.combine(date(2000, 1, 1), clock), b).time()
    found = datetime.fromisoformat(text.strip())
    if found.tzinfo is not None:
        zoned = b.name.endswith("with time zone") or a.family != "text"
        found = found.astimezone(UTC).replace(tzinfo=None) if zoned else found.replace(tzinfo=None)
    return found.date() if b.family == "date" else _rounded(found, b)


def _rounded(moment: datetime, kind: TypeKind) -> datetime:
    unit = 10 ** (6 - _precision(kind)) if kind.family in {"timestamp", "time"} else 1
    lower = moment - timedelta(microseconds=moment.microsecond % unit)
    return lower + timedelta(microseconds=unit) if moment.microsecond % unit * 2 >= unit > 1 else lower
