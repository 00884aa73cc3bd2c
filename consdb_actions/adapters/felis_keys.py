"""The keys and types of ``felis.datamodel``, without importing it (compared by a test)."""

from __future__ import annotations

__all__ = [
    "ACTIONS",
    "CONSTRAINT_KINDS",
    "DATATYPES",
    "INTEGERS",
    "KEYS",
    "REALS",
    "SIZED",
    "TEXTS",
    "Keys",
]

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

Keys = dict[str, str]
"""Alternative spelling (Felis's attribute name) -> canonical key."""


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
