"""Parse types as Postgres prints them."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
