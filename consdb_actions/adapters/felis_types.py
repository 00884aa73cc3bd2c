"""Types, keys and terms of Felis."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

from consdb_actions.adapters.problems import did_you_mean


def unknown_units(units: Iterable[str]) -> frozenset[str]:
    """Return the units that astropy does not know."""
    words = {unit for unit in units if unit}
    if not words:
        return frozenset()
    from astropy import units as astropy_units

    unknown = set()
    for word in words:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                astropy_units.Unit(word)
        except (ValueError, TypeError):
            unknown.add(word)
    return frozenset(unknown)


def unknown_ucds(ucds: Iterable[str]) -> dict[str, str]:
    """Return invalid UCDs with the reason."""
    words = {ucd for ucd in ucds if ucd}
    if not words:
        return {}
    from astropy.io.votable import ucd as astropy_ucd

    unknown = {}
    for word in words:
        try:
            astropy_ucd.parse_ucd(word, check_controlled_vocabulary=True, has_colon=";" in word)
        except ValueError as error:
            unknown[word] = str(error)
    return unknown


DATATYPES = (
    "boolean",
    "byte",
    "short",
    "int",
    "long",
    "float",
    "double",
    "char",
    "string",
    "unicode",
    "text",
    "binary",
    "timestamp",
)

SIZED = frozenset({"char", "string", "unicode", "binary"})

INTEGERS = frozenset({"byte", "short", "int", "long"})

REALS = frozenset({"float", "double"})

TEXTS = frozenset({"char", "string", "unicode", "text"})

CONSTRAINT_KINDS = {"Unique": "unique", "ForeignKey": "foreign key", "Check": "check"}

ACTIONS = ("CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION")

Keys = dict[str, str]  # Alternative spelling (Felis's attribute name) -> canonical key


def _keys(*names: str, **spellings: str) -> Keys:
    return {**{name: name for name in names}, **spellings, **{value: value for value in spellings.values()}}


_OBJECT = _keys("name", "description", id="@id", votable_utype="votable:utype")

_CONSTRAINT = {**_OBJECT, **_keys("deferrable", "initially", type="@type")}

KEYS: dict[str, Keys] = {
    "schema": {**_OBJECT, **_keys("version", "resources", "tables")},
    "table": {
        **_OBJECT,
        **_keys("columns", "constraints", "indexes", primary_key="primaryKey"),
        **_keys(column_refs="columnRefs", column_groups="columnGroups", tap_table_index="tap:table_index"),
        **_keys(mysql_engine="mysql:engine", mysql_charset="mysql:charset"),
    },
    "column": {
        **_OBJECT,
        **_keys("datatype", "length", "precision", "nullable", "value", "autoincrement"),
        **_keys(ivoa_ucd="ivoa:ucd", ivoa_unit="ivoa:unit", fits_tunit="fits:tunit"),
        **_keys(tap_column_index="tap:column_index", tap_principal="tap:principal", tap_std="tap:std"),
        **_keys(votable_arraysize="votable:arraysize", votable_xtype="votable:xtype"),
        **_keys(votable_datatype="votable:datatype"),
        **_keys(mysql_datatype="mysql:datatype", postgresql_datatype="postgresql:datatype"),
    },
    "unique": {**_CONSTRAINT, **_keys("columns")},
    "foreign key": {
        **_CONSTRAINT,
        **_keys("columns", "reference", "on_delete", "on_update", referenced_columns="referencedColumns"),
    },
    "check": {**_CONSTRAINT, **_keys("expression")},
    "index": {**_OBJECT, **_keys("columns", "expressions")},
    "resource": _keys("uri"),
    "column reference": _keys("ref_name", "overrides"),
    "column overrides": {
        **_keys("datatype", "length", "description", "nullable"),
        **_keys(tap_principal="tap:principal", tap_column_index="tap:column_index"),
    },
}

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
