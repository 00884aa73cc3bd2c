"""The types that ``postgresql:datatype`` can name, without importing Felis or SQLAlchemy.

Felis passes SQLAlchemy at most one number, as the first argument. A test compares these tables with Felis.
"""

from __future__ import annotations

import re

from consdb_actions.adapters.problems import did_you_mean

__all__ = ["NUMBERS", "POSTGRES_TYPES", "drops_time_zone", "type_remedy"]

# fmt: off
POSTGRES_TYPES = frozenset({
    "BIGINT", "BIT", "BOOLEAN", "BYTEA", "CHAR", "CIDR", "DATE", "DATEMULTIRANGE", "DATERANGE",
    "DOUBLE_PRECISION", "FLOAT", "INET", "INT4MULTIRANGE", "INT4RANGE", "INT8MULTIRANGE", "INT8RANGE",
    "INTEGER", "INTERVAL", "JSON", "JSONB", "JSONPATH", "MACADDR", "MACADDR8", "MONEY", "NUMERIC",
    "NUMMULTIRANGE", "NUMRANGE", "OID", "REAL", "REGCLASS", "REGCONFIG", "SMALLINT", "TEXT", "TIME",
    "TIMESTAMP", "TSMULTIRANGE", "TSQUERY", "TSRANGE", "TSTZMULTIRANGE", "TSTZRANGE", "TSVECTOR", "UUID",
    "VARCHAR",
})
# fmt: on
"""Except those that need more than a number (ARRAY, DOMAIN, ENUM) or an extension (CITEXT, HSTORE)."""

NUMBERS = {
    "BIT": (1, 83_886_080),
    "CHAR": (1, 10_485_760),
    "FLOAT": (1, 53),
    "INTERVAL": (0, 6),
    "NUMERIC": (1, 1000),
    "TIMESTAMP": (0, 6),
    "VARCHAR": (1, 10_485_760),
}
"""Valid numbers of types whose number Felis passes on correctly, and TIMESTAMP (:func:`drops_time_zone`)."""

_INSTEAD = {
    "ARRAY": "Felis gives it no type of its elements: write JSONB, or a table with a row for each element.",
    "CITEXT": "It is a type of an extension that ConsDB lacks: use datatype: string, and compare lower().",
    "DOMAIN": "Felis gives it no type: write the type itself, and add a Check constraint.",
    "ENUM": "Felis gives it no values: use datatype: string, and a Check constraint that lists them.",
    "HSTORE": "It is a type of an extension that ConsDB lacks: write JSONB.",
    "SERIAL": "Remove the override, and write autoincrement: true.",
    "WITH TIME ZONE": "Felis cannot name types with a time zone: remove the override, and store TAI or UTC.",
}
_ALIASES = {
    "BOOL": "BOOLEAN",
    "BPCHAR": "CHAR",
    "CHARACTER": "CHAR",
    "CHARACTER VARYING": "VARCHAR",
    "DATETIME": "TIMESTAMP",
    "DECIMAL": "NUMERIC",
    "DOUBLE": "DOUBLE_PRECISION",
    "DOUBLE PRECISION": "DOUBLE_PRECISION",
    "FLOAT4": "REAL",
    "FLOAT8": "DOUBLE_PRECISION",
    "INT": "INTEGER",
    "INT2": "SMALLINT",
    "INT4": "INTEGER",
    "INT8": "BIGINT",
    "TIME WITHOUT TIME ZONE": "TIME",
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
    "VARBIT": "BIT",
}
_USABLE = re.compile(r"([A-Z][A-Z0-9_]*)(?:\((\d{1,9})\))?")
_NUMBER = re.compile(r"\((\d{1,9})\)$")


def type_remedy(text: str) -> str:
    """Return what to write instead of an unsupported type; empty if supported."""
    usable = _USABLE.fullmatch(text)
    if usable and usable[1] in POSTGRES_TYPES:
        name, number = usable[1], usable[2]
        if number is None:
            return ""
        if name not in NUMBERS:
            zone = " and takes it for a time zone" if name == "TIME" else ""
            return f"Write {name}: Felis does not hand the number on as a precision{zone}."
        least, most = NUMBERS[name]
        return "" if least <= int(number) <= most else f"Postgres takes numbers from {least} to {most} there."
    name = " ".join(re.sub(r"\([^)]*\)?", " ", text).upper().split())
    if "[" in text:
        return _INSTEAD["ARRAY"]
    if name in {"TIMESTAMPTZ", "TIMETZ"} or name.endswith(" WITH TIME ZONE"):
        return _INSTEAD["WITH TIME ZONE"]
    if name in {"SERIAL", "BIGSERIAL", "SMALLSERIAL"}:
        return _INSTEAD["SERIAL"]
    if name in _INSTEAD:
        return _INSTEAD[name]
    name = _ALIASES.get(name, name)
    if name not in POSTGRES_TYPES:
        near = did_you_mean(name, POSTGRES_TYPES)
        return near or "Write one of SQLAlchemy's types for Postgres, such as JSONB, or remove the override."
    if "," in text and name == "NUMERIC":
        return "Write NUMERIC, which keeps all digits: Felis drops the numbers where there are two."
    number_found = _NUMBER.search(text.strip()) if name in NUMBERS else None
    written = f"{name}{number_found[0] if number_found else ''}"
    return f"Write {written}: Felis takes SQLAlchemy's names, in capitals and without blanks."


def drops_time_zone(text: str) -> bool:
    """Return whether it is ``TIMESTAMP(n)`` (files before July 2024): Felis takes n for a time zone."""
    return text.startswith("TIMESTAMP(")
