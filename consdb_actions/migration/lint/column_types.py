"""Column types, and what changing one into another means for the rows that are there.

Postgres leaves the rows alone when the new type stores the same bytes and admits all old values. Source:
``ATColumnChangeRequiresRewrite`` (tablecmds.c), the catalog ``pg_cast``, and the planner support functions of
the length coercions (``varchar_support``, ``numeric_support``, ``varbit_support``, ``timestamp_support``,
``time_support``), which drop a coercion that cannot change a value.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Type", "casts_by_itself", "rewrite_reason"]

_SPELLED = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "bpchar": "char",
    "varbit": "bit varying",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
}

_NUMBERS = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric"})
_STRINGS = frozenset({"text", "varchar", "bpchar", "name", "citext"})
_TIMES = frozenset({"timestamp", "timestamptz", "time", "timetz"})
_OTHERS = frozenset(
    {"bool", "date", "interval", "uuid", "json", "jsonb", "bytea", "bit", "varbit", "inet", "cidr", "spoly"}
)
_KNOWN = _NUMBERS | _STRINGS | _TIMES | _OTHERS

_TEMPORAL_PRECISION = 6  # digits of a second that are kept where none are named

# Pairs that store the same bytes, where every old value is a value of the new type.
_SAME_BYTES = frozenset(
    {
        ("varchar", "text"),
        ("text", "varchar"),
        ("cidr", "inet"),
        ("bit", "varbit"),
        ("citext", "text"),
        ("text", "citext"),
        ("citext", "varchar"),
        ("varchar", "citext"),
    }
)

# Casts for assignment between types of different kinds; those among numbers and to strings are always there.
_ASSIGNMENT_CASTS = frozenset(
    {
        ("date", "timestamp"),
        ("date", "timestamptz"),
        ("timestamp", "date"),
        ("timestamp", "time"),
        ("timestamp", "timestamptz"),
        ("timestamptz", "date"),
        ("timestamptz", "time"),
        ("timestamptz", "timestamp"),
        ("timestamptz", "timetz"),
        ("time", "interval"),
        ("time", "timetz"),
        ("timetz", "time"),
        ("interval", "time"),
        ("json", "jsonb"),
        ("jsonb", "json"),
        ("bit", "varbit"),
        ("varbit", "bit"),
        ("cidr", "inet"),
        ("inet", "cidr"),
    }
)


@dataclass(frozen=True, slots=True)
class Type:
    """A type as Postgres' parser names it (``int4``, ``varchar``), with its modifiers.

    Attributes
    ----------
    name
        Internal name, with its schema when that is not ``pg_catalog``.
    mods
        Length, or precision and scale.
    array
        Whether it is an array of that type.
    """

    name: str
    mods: tuple[int, ...] = ()
    array: bool = False

    def __str__(self) -> str:
        spelled = _SPELLED.get(self.name, self.name)
        mods = f"({', '.join(map(str, self.mods))})" if self.mods and self.name != "interval" else ""
        if mods and " with" in spelled:
            kind, _, rest = spelled.partition(" ")
            spelled, mods = f"{kind}{mods} {rest}", ""
        return f"{spelled}{mods}{'[]' if self.array else ''}"

    @property
    def same(self) -> Type:
        """The type without modifiers that say nothing."""
        if self.name in _TIMES and self.mods == (_TEMPORAL_PRECISION,):
            return Type(self.name, (), self.array)
        if self.name == "numeric" and len(self.mods) == 1:
            return Type(self.name, (*self.mods, 0), self.array)
        if self.name in ("bpchar", "bit") and not self.mods:
            return Type(self.name, (1,), self.array)
        return self


def rewrite_reason(old: Type | None, new: Type) -> str:
    """Say why changing a column's type makes Postgres write the whole table anew.

    Parameters
    ----------
    old
        The type that the column has; None when it is not known.
    new
        The type that it gets, without a ``USING`` that computes something.

    Returns
    -------
    str
        The reason; empty when the rows stay as they are.
    """
    if old is None:
        return f"the type before is not known, and only some changes to {new} leave the rows alone"
    if old.same == new.same:
        return ""
    kinds = {old.name, new.name}
    if old.array or new.array:
        return f"{old} and {new} are not stored alike"
    if kinds == {"timestamp", "timestamptz"}:
        return f"{old} to {new} leaves the rows alone only in a session whose TimeZone is UTC"
    if old.name != new.name:
        if (old.name, new.name) in _SAME_BYTES and not new.mods:
            return ""
        if (old.name, new.name) in _SAME_BYTES:
            return f"each value is checked against the length of {new}"
        return f"{old} and {new} are not stored alike"
    return _narrowing(old.same, new.same)


def _narrowing(old: Type, new: Type) -> str:
    """Compare modifiers of one type; an unlimited type has none."""
    if old.name in ("varchar", "varbit"):
        if not new.mods or (old.mods and new.mods[0] >= old.mods[0]):
            return ""
        return f"each value is checked against the length of {new}"
    if old.name == "numeric":
        if not new.mods or (old.mods and old.mods[1] == new.mods[1] and new.mods[0] >= old.mods[0]):
            return ""
        return f"each value of {old} is rounded or checked for {new}"
    if old.name in _TIMES:
        if not new.mods or (old.mods and new.mods[0] >= old.mods[0]):
            return ""
        return f"each value of {old} is rounded for {new}"
    return f"{old} and {new} are not stored alike"


def casts_by_itself(old: Type, new: Type) -> bool | None:
    """Tell whether Postgres converts between two types in an assignment, without ``USING``.

    Returns
    -------
    bool or None
        None where this module does not know one of the types.
    """
    if old.name == new.name:
        return True if old.array == new.array else None
    if old.array or new.array or not {old.name, new.name} <= _KNOWN:
        return None
    if new.name in _STRINGS:
        return True
    if {old.name, new.name} <= _NUMBERS:
        return True
    return (old.name, new.name) in _ASSIGNMENT_CASTS
