"""Whether values of one Postgres type can live on in another."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

__all__ = ["Fit", "type_fit"]

Fit = Literal["same", "wider", "narrower", "converted", "incompatible"]
"""How a type relates to its possible successor.

``wider`` and ``narrower`` stay in the family (``real`` and ``double precision``); ``converted`` changes
between kinds of number or of time; ``incompatible`` has no conversion that keeps the meaning.
"""

_SHAPE = re.compile(
    r"(?P<base>[^()\[\]]+?)\s*(?:\((?P<size>\d+)(?:\s*,\s*(?P<scale>-?\d+))?\))?"
    r"(?P<zone> with(?:out)? time zone)?(?P<array>(?:\[\])*)"
)
_ALIASES = {
    "varchar": "character varying",
    "char": "character",
    "bpchar": "character",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "decimal": "numeric",
    "bool": "boolean",
}
_FAMILY = {
    "smallint": ("integer", 1),
    "integer": ("integer", 2),
    "bigint": ("integer", 3),
    "real": ("float", 1),
    "double precision": ("float", 2),
    "numeric": ("decimal", 1),
    "character": ("text", 1),
    "character varying": ("text", 1),
    "text": ("text", 1),
    "date": ("date", 1),
    "timestamp": ("timestamp", 1),
}
_NUMBERS = {"integer", "float", "decimal"}
_TIMES = {"date", "timestamp"}
_UNLIMITED = 10**9


@lru_cache(maxsize=4096)
def type_fit(before: str, after: str) -> Fit:
    """Compare two types as Postgres prints them; the usual short names are understood too.

    Examples
    --------
    >>> type_fit("real", "double precision"), type_fit("character varying(8)", "boolean")
    ('wider', 'incompatible')
    """
    old_text, new_text = (" ".join(text.lower().split()) for text in (before, after))
    old, new = _SHAPE.fullmatch(old_text), _SHAPE.fullmatch(new_text)
    if old is None or new is None:
        return "same" if old_text == new_text else "incompatible"
    old_family, new_family = _family(old), _family(new)
    if old["array"] != new["array"]:
        return "incompatible"
    if old_family != new_family:
        both = {old_family, new_family}
        return "converted" if both <= _NUMBERS or both <= _TIMES else "incompatible"
    if (old["zone"] == " with time zone") != (new["zone"] == " with time zone"):
        return "converted"
    parts = list(zip(_capacity(old), _capacity(new), strict=True))
    if any(after_part < before_part for before_part, after_part in parts):
        return "narrower"
    return "same" if all(after_part == before_part for before_part, after_part in parts) else "wider"


def _base(shape: re.Match[str]) -> str:
    return _ALIASES.get(shape["base"], shape["base"])


def _family(shape: re.Match[str]) -> str:
    base = _base(shape)
    return _FAMILY[base][0] if base in _FAMILY else base


def _capacity(shape: re.Match[str]) -> tuple[int, int]:
    """Say how much a type holds: rank, characters, or digits before and after the point."""
    base, size = _base(shape), int(shape["size"]) if shape["size"] else None
    family, rank = _FAMILY.get(base, (base, 0))
    if family == "text":
        return (size or (1 if base == "character" else _UNLIMITED), 0)
    if family == "timestamp":
        return (6 if size is None else size, 0)
    if family == "decimal":
        scale = int(shape["scale"] or 0)
        return (_UNLIMITED, _UNLIMITED) if size is None else (size - scale, scale)
    return (rank, 0) if base in _FAMILY else (_UNLIMITED if size is None else size, 0)
