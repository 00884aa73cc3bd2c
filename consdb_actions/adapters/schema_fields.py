"""Types and keys of a schema file, and the columns that it takes from other files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path

from consdb_actions.adapters.yaml_tree import (
    MAX_BYTES,
    FileError,
    Problem,
    YamlNode,
    did_you_mean,
    read_tree,
    shorten,
)
from consdb_actions.errors import InputError


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


_TRUE = {"true", "yes", "on", "y", "t", "1"}
_FALSE = {"false", "no", "off", "n", "f", "0"}


class Fields:
    """The keys of a schema, table, column, constraint or index.

    Felis's attribute spellings (``primary_key``) are accepted, unknown keys are problems. ``kind`` is a key
    of :data:`~consdb_actions.adapters.schema_fields.KEYS`, ``what`` the object's name in messages.
    """

    def __init__(self, node: YamlNode, kind: str, what: str, problems: list[Problem]) -> None:
        self._node = node
        self.what = what
        self._problems = problems
        self.usable = isinstance(node.value, dict)
        self._values: dict[str, YamlNode] = {}
        self._spelled: dict[str, str] = {}
        if not isinstance(node.value, dict):
            found = "a list" if isinstance(node.value, list) else shorten(node.text)
            self.problem(
                "",
                f"{what} must be a mapping of keys and values, not {found}",
                "Write keys and values there.",
            )
            return
        known = KEYS[kind]
        for key, value in list(node.value.items()):
            spelled = known.get(key)
            if spelled is None:
                self.problem(
                    key,
                    f"{what} has an unknown key {shorten(key)}",
                    did_you_mean(key, known.values()) or "Remove the key.",
                )
            elif spelled in self._values:
                self.problem(key, f'{what} has "{spelled}" twice, in two spellings', "Remove one of the two.")
            else:
                self._values[spelled] = value
                self._spelled[spelled] = key

    def problem(self, key: str, cause: str, remedy: str = "") -> None:
        """Add a problem at a key of this mapping, or at its start."""
        line, column = self._node.keys.get(self._spelled.get(key, key), (self._node.line, self._node.column))
        self._problems.append(Problem(line, column, cause, remedy))

    def node(self, key: str) -> YamlNode | None:
        """Return the value of a key; None when it is absent."""
        return self._values.get(key)

    def line(self, key: str) -> int:
        """Return the line of a key, or of the object when the key is absent."""
        return self._node.keys.get(self._spelled.get(key, key), (self._node.line, 0))[0]

    def name(self) -> str:
        """Return the object's name; add a problem when it is missing or not text."""
        node = self.node("name")
        if node is None or node.value is None:
            self.problem("", f"{self.what} has no name", "Add name: and the name.")
            return ""
        name = self.text("name")
        if not name and isinstance(node.value, str):
            self.problem("name", f"{self.what} has an empty name", "Write the name.")
        return name

    def text(self, key: str) -> str:
        """Return a stripped text, empty when absent."""
        node = self.node(key)
        if node is None or node.value is None:
            return ""
        if not isinstance(node.value, str):
            kinds: dict[type, str] = {list: "a list", dict: "a mapping"}
            shown = kinds.get(type(node.value)) or f"{node.text} ({type(node.value).__name__} in YAML)"
            self.problem(key, f'"{key}" of {self.what} must be text, not {shown}', "Put it in quotes.")
            return ""
        if "\0" in node.value:
            self.problem(
                key, f'"{key}" of {self.what} holds a NUL character', "Postgres cannot store it: remove it."
            )
            return ""
        return node.value.strip()

    def integer(self, key: str, *, least: int) -> int | None:
        """Return a whole number, None when absent."""
        node = self.node(key)
        if node is None or node.value is None:
            return None
        value = node.value
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            shown = shorten(node.text) if node.text else "this"
            self.problem(
                key,
                f'"{key}" of {self.what} must be a whole number from {least} on, not {shown}',
                "Write a number.",
            )
            return None
        return value

    def flag(self, key: str, *, default: bool | None) -> bool | None:
        """Return a boolean, the default when absent."""
        node = self.node(key)
        if node is None or node.value is None:
            return default
        if isinstance(node.value, bool):
            return node.value
        word = node.text.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        self.problem(
            key,
            f'"{key}" of {self.what} must be true or false, not {shorten(node.text)}',
            "Write one of them.",
        )
        return default

    def choice(self, key: str, choices: Sequence[str]) -> str:
        """Return one of ``choices``, empty when absent."""
        text = self.text(key)
        if text and text not in choices:
            remedy = did_you_mean(text, choices) or f"Write one of: {', '.join(choices)}."
            cause = f'"{key}" of {self.what} is {shorten(text)}, which Felis does not know'
            self.problem(key, cause, remedy)
            return ""
        return text

    def items(self, key: str, *, required: bool = False) -> list[YamlNode]:
        """Return the nodes of a list, empty when absent."""
        node = self.node(key)
        if node is None or node.value is None:
            if required:
                self.problem(key, f'{self.what} has no "{key}"', f"Add {key}: and a list.")
            return []
        if not isinstance(node.value, list):
            self.problem(key, f'"{key}" of {self.what} must be a list', "Put a dash before each entry.")
            return []
        return node.value

    def texts(self, key: str) -> list[YamlNode]:
        """Return the nodes of a list of texts; a single text counts as a list."""
        node = self.node(key)
        if node is not None and isinstance(node.value, str):
            return [node]
        items = self.items(key)
        for item in items:
            if not isinstance(item.value, str):
                cause = f'"{key}" of {self.what} must be a list of texts'
                self._problems.append(item.problem(cause, "Put each entry in quotes."))
                return []
        return items

    def annotations(self, *keys: str) -> list[tuple[str, str]]:
        """Return keys that the database ignores, as pairs of text."""
        found = []
        for key in keys:
            node = self.node(key)
            if node is not None and node.value is not None and not isinstance(node.value, (list, dict)):
                found.append((key, str(node.value).strip()))
        return found


Beside = Callable[[str], bytes | None]
"""Returns the content of a file by its path from the schema file's directory; None where it is missing."""

MAX_FILES = 16  # Maximum number of files that a schema file takes columns from, also indirectly

_NAME = re.compile(r"(?:\./)?([A-Za-z0-9_][A-Za-z0-9_.-]*\.ya?ml)")
_NOT_NULL = ("datatype", "length", "nullable")


def uses_resources(data: bytes) -> bool:
    """Return whether a schema file may take columns from others."""
    return b"columnRefs" in data or b"column_refs" in data


def beside_path(path: Path) -> Beside:
    """Return a reader for files beside a schema file; links must not lead out of their directory."""

    def read(name: str) -> bytes | None:
        found = Path(normpath(path.parent.resolve() / name))
        target = found.resolve()
        if target.parent != found.parent:
            raise InputError(f"{name} is a link that leads out of the folder")
        if not target.is_file():
            return None
        try:
            with target.open("rb") as stream:
                return stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}") from error

    return read


@dataclass
class _File:
    tables: dict[str, YamlNode]
    resources: Resources
    columns: dict[str, dict[str, YamlNode]] = field(default_factory=dict)


class Resources:
    """The files that a schema file takes columns from; without ``beside`` none is allowed."""

    def __init__(
        self,
        node: YamlNode | None,
        beside: Beside | None,
        problems: list[Problem],
        *,
        _files: dict[str, _File | str] | None = None,
        _chain: tuple[str, ...] = (),
    ) -> None:
        self._named = node.value if node is not None and isinstance(node.value, dict) else {}
        self._beside, self._problems = beside, problems
        self._files = {} if _files is None else _files
        self._chain = _chain
        if node is not None and node.value is not None and not isinstance(node.value, dict):
            cause = '"resources" must be a mapping of names to files'
            self._problem(node, cause, "Write name: {uri: file.yaml}.")

    def columns(self, fields: Fields, identity: str) -> Iterator[YamlNode]:
        """Yield the columns of a table's ``columnRefs``."""
        place, what = fields.node("columnRefs"), f"columnRefs of {fields.what}"
        if place is None or place.value is None:
            return
        for resource, tables, at in self._entries(place, place, what):
            if (file := self._resource(resource, at, fields.what)) is None:
                continue
            for name, columns, here in self._entries(tables, at, what):
                if (known := self._columns_of(file, name, here, fields.what)) is None:
                    continue
                for column, reference, spot in self._entries(columns, here, what):
                    made = self._column(known, column, reference, spot, f"{identity}.{column}", name)
                    if made is not None:
                        yield made

    def _entries(self, node: YamlNode, at: YamlNode, what: str) -> Iterator[tuple[str, YamlNode, YamlNode]]:
        if not isinstance(node.value, dict):
            self._problem(at, f"{what} must map resources to tables to columns", "See Felis's documentation.")
            return
        for key, value in node.value.items():
            line, column = node.keys.get(key, (node.line, node.column))
            yield key, value, YamlNode(None, line, column)

    def _resource(self, name: str, at: YamlNode, what: str) -> _File | None:
        """Return the file of a resource; None adds a problem."""
        label = f"{what} takes columns from {shorten(name)} (columnRefs)"
        node = self._named.get(name)
        if node is None:
            remedy = did_you_mean(name, self._named) or "Add it under resources:, with the uri of its file."
            self._problem(at, f"{label}, which resources: does not have", remedy)
            return None
        if not isinstance(node.value, dict):
            self._problem(node, f"the resource {shorten(name)} must be a mapping", "Write uri: file.yaml.")
            return None
        entry = Fields(node, "resource", f"the resource {shorten(name)}", self._problems)
        uri = entry.text("uri")
        match = _NAME.fullmatch(uri)
        if match is None:
            cause = f"{label}, and the uri {shorten(uri)} is not the name of a file in the same folder"
            entry.problem("uri", cause, "Nothing is fetched: put the file beside, or write the columns out.")
            return None
        found = self._load(match[1])
        if isinstance(found, str):
            entry.problem("uri", f"{label}, but {found}", "Correct that file, or write the columns out here.")
            return None
        return found

    def _load(self, name: str) -> _File | str:
        if name in self._chain:
            return f"{name} takes columns from itself through {' and '.join(self._chain)}"
        if name not in self._files:
            if len(self._files) >= MAX_FILES:
                return f"more than {MAX_FILES} files are needed"
            self._files[name] = self._read(name)
        return self._files[name]

    def _read(self, name: str) -> _File | str:
        if self._beside is None:
            return f"{name} cannot be read here, where only one file is at hand"
        try:
            data = self._beside(name)
            if data is None:
                return f"there is no file {name} in the folder"
            root = read_tree(data, source=name)
        except FileError as error:
            first = error.problems[0]
            return f"{name} cannot be read: {first.place + ': ' if first.line else ''}{first.cause}"
        except InputError as error:
            return error.cause
        tables = root.get("tables")
        if tables is None or not isinstance(tables.value, list):
            return f"{name} is not a schema file: it has no list of tables"
        below = Resources(
            root.get("resources"), self._beside, [], _files=self._files, _chain=(*self._chain, name)
        )
        return _File(_by_name(tables.value), below)

    def _columns_of(self, file: _File, table: str, at: YamlNode, what: str) -> dict[str, YamlNode] | None:
        node = file.tables.get(table)
        label = f"{what} takes columns from table {shorten(table)}"
        if node is None:
            remedy = did_you_mean(table, file.tables) or "Name a table of that file."
            self._problem(at, f"{label}, which the other file does not have", remedy)
            return None
        if table not in file.columns:
            problems = file.resources._problems
            fields = Fields(node, "table", f'table "{table}"', problems)
            found = _by_name([*fields.items("columns"), *file.resources.columns(fields, f"#{table}")])
            if problems:
                first = problems[0]
                self._problem(at, f"{label}, where {first.cause} ({first.place})", first.remedy)
                problems.clear()
                return None
            file.columns[table] = found
        return file.columns[table]

    def _column(
        self,
        known: dict[str, YamlNode],
        name: str,
        reference: YamlNode,
        at: YamlNode,
        identity: str,
        table: str,
    ) -> YamlNode | None:
        """Return a column under its name here, with the overrides of the reference."""
        what = f"the reference to column {shorten(name)}"
        source, changes = name, None
        if reference.value is not None:
            fields = Fields(reference, "column reference", what, self._problems)
            if not fields.usable:
                return None
            source = fields.text("ref_name") or name
            changes = fields.node("overrides")
        column = known.get(source)
        if column is None or not isinstance(column.value, dict):
            cause = f"{what} names {shorten(source)}, which table {shorten(table)} of the other file has not"
            remedy = did_you_mean(source, known) or "Write ref_name: and the column's name there."
            self._problem(at, cause, remedy)
            return None
        value = {KEYS["column"].get(key, key): node for key, node in column.value.items()}
        if changes is not None and changes.value is not None:
            self._change(value, Fields(changes, "column overrides", f"overrides of {what}", self._problems))
        value["name"] = YamlNode(name, at.line, at.column, text=name)
        value["@id"] = YamlNode(identity, at.line, at.column, text=identity)
        # Its problems are reported at the reference: the other file is not the one being read.
        return YamlNode(value, at.line, at.column, keys=dict.fromkeys(value, (at.line, at.column)))

    def _change(self, value: dict[str, YamlNode], fields: Fields) -> None:
        for key in dict.fromkeys(KEYS["column overrides"].values()):
            node = fields.node(key)
            if node is None:
                continue
            if node.value is None and key in _NOT_NULL:
                fields.problem(key, f'"{key}" in the {fields.what} is empty', "Write a value, or remove it.")
                continue
            value[key] = node
        datatype = fields.text("datatype")
        # Felis ignores what the new type does not use.
        if datatype and datatype not in SIZED and fields.node("length") is None:
            value.pop("length", None)
        if datatype and datatype != "timestamp":
            value.pop("precision", None)

    def _problem(self, at: YamlNode, cause: str, remedy: str) -> None:
        self._problems.append(at.problem(cause, remedy))


def _by_name(nodes: Iterable[YamlNode]) -> dict[str, YamlNode]:
    return {node.text_of("name").strip(): node for node in nodes if node.text_of("name")}
