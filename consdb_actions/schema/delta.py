"""Compare two versions of a schema; describe a delta, and make digests of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, TypeVar

from consdb_actions.forms import Public
from consdb_actions.schema.model import Column, Constraint, Index, Schema, Table

Value = str | int | float | bool | None | tuple[Any, ...]

TEXT_ATTRIBUTES = frozenset({"description", "unit", "ucd", "metadata"})

"""Attributes that do not affect the database's structure."""


@dataclass(frozen=True, slots=True)
class Change:
    """A changed attribute."""

    attribute: str  # Name in :mod:`~consdb_actions.schema.model`, or metadata key such as ``tap:principal``
    before: Value  # Empty text or None without a value, like ``after``
    after: Value
    text: bool = False  # Whether it is text for readers, not structure


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """A column, constraint or index whose attributes differ."""

    name: str
    changes: tuple[Change, ...]

    @property
    def structure(self) -> tuple[Change, ...]:
        """The changes that affect a database."""
        return tuple(change for change in self.changes if not change.text)

    @property
    def text(self) -> tuple[Change, ...]:
        """The changes of descriptions, units, UCDs and other metadata."""
        return tuple(change for change in self.changes if change.text)

    @property
    def type_changed(self) -> bool:
        """Whether the type differs, including length and precision."""
        return any(
            change.attribute in {"datatype", "length", "precision", "type_overrides"}
            for change in self.changes
        )


@dataclass(frozen=True, slots=True)
class TableDelta:
    """The differences in a table of both schemas, in the order of the YAML."""

    name: str
    columns_added: tuple[Column, ...] = ()
    columns_removed: tuple[Column, ...] = ()
    columns_changed: tuple[ObjectChange, ...] = ()
    constraints_added: tuple[Constraint, ...] = ()
    constraints_removed: tuple[Constraint, ...] = ()
    constraints_changed: tuple[ObjectChange, ...] = ()
    indexes_added: tuple[Index, ...] = ()
    indexes_removed: tuple[Index, ...] = ()
    indexes_changed: tuple[ObjectChange, ...] = ()
    primary_key: Change | None = None
    text: tuple[Change, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return self == TableDelta(self.name)

    @property
    def changes_structure(self) -> bool:
        """Whether the database changes, except comments."""
        changed = (*self.columns_changed, *self.constraints_changed, *self.indexes_changed)
        rest = replace(self, text=(), columns_changed=(), constraints_changed=(), indexes_changed=())
        return not rest.is_empty or any(item.structure for item in changed)

    def names(self, kind: Literal["columns", "constraints", "indexes"]) -> tuple[str, ...]:
        """Return the names of all added, removed or changed objects."""
        items = (getattr(self, f"{kind}_{how}") for how in ("added", "removed", "changed"))
        return tuple(item.name for group in items for item in group)


@dataclass(frozen=True, slots=True)
class SchemaDelta:
    """The differences between two schemas."""

    name: str  # The later name when it has changed
    tables_added: tuple[Table, ...] = ()
    tables_removed: tuple[Table, ...] = ()
    tables_changed: tuple[TableDelta, ...] = ()
    text: tuple[Change, ...] = ()  # Changes of the schema's own description and metadata
    version: Change | None = None  # Not part of the digests
    created: bool = False
    removed: bool = False
    renamed: Change | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs except the version."""
        return replace(self, version=None) == SchemaDelta(self.name)

    @property
    def changes_structure(self) -> bool:
        """Whether the database changes, except comments."""
        rest = replace(self, text=(), tables_changed=())
        return not rest.is_empty or any(table.changes_structure for table in self.tables_changed)

    def table(self, name: str) -> TableDelta | None:
        """Return the differences in a table of both schemas; None without any."""
        return next((table for table in self.tables_changed if table.name == name), None)


_COLUMN = ("datatype", "length", "precision", "type_overrides", "nullable", "autoincrement", "default")

_CONSTRAINT = (
    "kind",
    "columns",
    "referenced_table",
    "referenced_columns",
    "expression",
    "on_delete",
    "on_update",
    "deferrable",
    "initially",
)

_INDEX = ("columns", "expressions")

_Named = TypeVar("_Named", Column, Constraint, Index)


def compare(before: Schema | None, after: Schema | None) -> SchemaDelta:
    """Compare two schemas; None (not both) for a side without the schema."""
    named = after or before
    if named is None:
        raise ValueError("one of the two schemas must exist")
    old = {table.name: table for table in before or ()}
    new = {table.name: table for table in after or ()}
    tables = [_table(old[name], table) for name, table in new.items() if name in old]
    return SchemaDelta(
        name=named.name,
        tables_added=tuple(table for name, table in new.items() if name not in old),
        tables_removed=tuple(table for name, table in old.items() if name not in new),
        tables_changed=tuple(table for table in tables if not table.is_empty),
        text=_texts(before, after) if before and after else (),
        version=_change("version", before.version if before else None, after.version if after else None),
        created=before is None,
        removed=after is None,
        renamed=_change("name", before.name, after.name) if before and after else None,
    )


def compare_columns(before: Column, after: Column) -> tuple[Change, ...]:
    """Return the attributes in which two columns differ, except their names."""
    return _changes(before, after, _COLUMN)


def _table(before: Table, after: Table) -> TableDelta:
    return TableDelta(
        after.name,
        *_objects(before.columns, after.columns, _COLUMN),
        *_objects(before.constraints, after.constraints, _CONSTRAINT),
        *_objects(before.indexes, after.indexes, _INDEX),
        primary_key=_change("primary_key", before.primary_key, after.primary_key),
        text=_texts(before, after),
    )


def _objects(
    before: Iterable[_Named], after: Iterable[_Named], attributes: Sequence[str]
) -> tuple[tuple[_Named, ...], tuple[_Named, ...], tuple[ObjectChange, ...]]:
    old = {item.name: item for item in before}
    new = {item.name: item for item in after}
    changed = []
    for name, item in new.items():
        changes = _changes(old[name], item, attributes) if name in old else ()
        if changes:
            changed.append(ObjectChange(name, changes))
    return (
        tuple(item for name, item in new.items() if name not in old),
        tuple(item for name, item in old.items() if name not in new),
        tuple(changed),
    )


def _changes(before: Any, after: Any, attributes: Sequence[str]) -> tuple[Change, ...]:
    structure = (_change(name, getattr(before, name), getattr(after, name)) for name in attributes)
    return (*(change for change in structure if change), *_texts(before, after))


def _texts(before: Any, after: Any) -> tuple[Change, ...]:
    changes = [
        _change(attribute, getattr(before, attribute), getattr(after, attribute), text=True)
        for attribute in ("description", "unit", "ucd")
        if hasattr(after, attribute)
    ]
    if hasattr(after, "metadata"):
        old, new = dict(before.metadata), dict(after.metadata)
        changes += [_change(key, old.get(key), new.get(key), text=True) for key in sorted({*old, *new})]
    return tuple(change for change in changes if change)


def _change(attribute: str, before: Value, after: Value, *, text: bool = False) -> Change | None:
    """Return the change of a value; None when equal (1, 1.0 and True differ)."""
    if before == after and type(before) is type(after):
        return None
    return Change(attribute, before, after, text)


Action = Literal["add", "remove", "change"]


class Code(str):
    """A name, type or expression of the schema."""

    __slots__ = ()


class Quote(str):
    """A text for people from the schema, such as a description."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DifferenceText(Public):
    """One difference."""

    PUBLIC: ClassVar[str] = "table kind name action text=__str__"

    table: str  # Empty for the schema itself
    kind: str  # ``schema``, ``table``, ``column``, ``primary key``, ``constraint`` or ``index``
    name: str
    action: Action
    text: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f'"{word}"' if isinstance(word, Quote) else word for word in self.text)

    @property
    def marked(self) -> str:
        """The sentence with its table, and with backquotes around names."""
        sentence = "".join(f"`{word}`" if isinstance(word, Code) else word for word in self.text)
        return f"`{self.table}`: {sentence}" if self.table and self.kind != "table" else sentence


_LABELS = {
    "datatype": "type",
    "type_overrides": "type in Postgres",
    "default": "default value",
    "ucd": "UCD",
    "referenced_table": "refers to table",
    "referenced_columns": "refers to",
    "on_delete": "ON DELETE",
    "on_update": "ON UPDATE",
}


def describe(delta: SchemaDelta) -> tuple[DifferenceText, ...]:
    """Describe all differences: the schema, then its tables, without the version."""
    return tuple(_statements(delta))


def describe_rename(table: str, old: str, new: str, changes: tuple[Change, ...]) -> DifferenceText:
    """Describe a renamed column and its other changes."""
    rest = (": ", *_changes_text(changes)) if changes else ()
    words = ("column ", Code(old), " is renamed to ", Code(new), *rest)
    return DifferenceText(table, "column", new, "change", words)


def _statements(delta: SchemaDelta) -> Iterator[DifferenceText]:
    def text(action: Action, *words: str) -> DifferenceText:
        return DifferenceText("", "schema", delta.name, action, words)

    if delta.created or delta.removed:
        state = " is new" if delta.created else " is gone"
        yield text("add" if delta.created else "remove", "schema ", Code(delta.name), state)
    if delta.renamed:
        yield text("change", "schema ", Code(str(delta.renamed.before)), " is now called ", Code(delta.name))
    if delta.text:
        yield text("change", "schema: ", *_changes_text(delta.text))
    words: tuple[str, ...]
    for table in delta.tables_removed:
        words = ("table ", Code(table.name), " removed, with all its rows")
        yield DifferenceText(table.name, "table", table.name, "remove", words)
    for table in delta.tables_added:
        words = ("new table ", Code(table.name), _size(table))
        yield DifferenceText(table.name, "table", table.name, "add", words)
    for changed in delta.tables_changed:
        yield from _table_texts(changed)


def _size(table: Table) -> str:
    parts = [_count(len(table.columns), "column")]
    parts += [_count(len(table.constraints), "constraint")] if table.constraints else []
    parts += [_count(len(table.indexes), "index", "indexes")] if table.indexes else []
    return " with " + ", ".join(parts)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _table_texts(delta: TableDelta) -> Iterator[DifferenceText]:
    def text(kind: str, name: str, action: Action, *words: str) -> DifferenceText:
        return DifferenceText(delta.name, kind, name, action, words)

    words: tuple[str, ...]

    def change(kind: str, changed: ObjectChange) -> DifferenceText:
        words = (f"{kind} ", Code(changed.name), ": ", *_changes_text(changed.changes))
        return text(kind, changed.name, "change", *words)

    if delta.text:
        yield change("table", ObjectChange(delta.name, delta.text))
    for column in delta.columns_removed:
        words = ("column ", Code(column.name), " (", Code(column.type_text), ") removed")
        yield text("column", column.name, "remove", *words)
    for column in delta.columns_added:
        yield text("column", column.name, "add", "new column ", *_column(column))
    for changed in delta.columns_changed:
        yield change("column", changed)
    if delta.primary_key:
        yield text("primary key", delta.name, "change", "primary key: ", *_values(delta.primary_key))
    for constraint in delta.constraints_removed:
        words = (f"{constraint.kind} ", Code(constraint.name), " removed")
        yield text("constraint", constraint.name, "remove", *words)
    for constraint in delta.constraints_added:
        yield text("constraint", constraint.name, "add", "new ", *_constraint(constraint))
    for changed in delta.constraints_changed:
        yield change("constraint", changed)
    for index in delta.indexes_removed:
        yield text("index", index.name, "remove", "index ", Code(index.name), " removed")
    for index in delta.indexes_added:
        yield text("index", index.name, "add", "new ", *_index(index))
    for changed in delta.indexes_changed:
        yield change("index", changed)


def _changes_text(changes: tuple[Change, ...]) -> Iterator[str]:
    for number, change in enumerate(changes):
        if number:
            yield "; "
        if change.attribute == "nullable":
            yield "NULL is allowed now" if change.after else "NOT NULL now"
        else:
            yield f"{_LABELS.get(change.attribute, change.attribute)} "
            yield from _values(change)


def _values(change: Change) -> Iterator[str]:
    before, after = (_shown(value, change) for value in (change.before, change.after))
    if not before:
        yield from ("added: ", after) if after else ("changed",)
    elif not after:
        yield from ("removed (was ", before, ")")
    else:
        yield from (before, " → ", after)


def _shown(value: Value, change: Change) -> str:
    if value is None or value in ("", ()):
        return ""
    if change.attribute == "description":
        return Quote(value)
    if change.attribute == "type_overrides" and isinstance(value, tuple):
        return Code(", ".join(str(kind) for _, kind in value))
    return Code(", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value))


def _column(column: Column) -> Iterator[str]:
    yield from (Code(column.name), " ", Code(column.type_text))
    if not column.nullable:
        yield " NOT NULL"
    if column.default is not None:
        yield from (" default ", Code(str(column.default)))
    if column.unit:
        yield from (", unit ", Code(column.unit))
    if column.ucd:
        yield from (", UCD ", Code(column.ucd))
    if column.description:
        yield from (": ", Quote(column.description))


def _constraint(constraint: Constraint) -> Iterator[str]:
    yield from (f"{constraint.kind} ", Code(constraint.name))
    if constraint.kind == "check":
        yield from (": ", Code(constraint.expression))
        return
    yield from (" on ", Code(", ".join(constraint.columns)))
    if constraint.kind == "foreign key":
        target = f"{constraint.referenced_table}({', '.join(constraint.referenced_columns)})"
        yield from (" → ", Code(target))


def _index(index: Index) -> Iterator[str]:
    yield from ("index ", Code(index.name), " on ", Code(", ".join(index.columns or index.expressions)))


FORMAT = 1  # Incremented when the content of the digests changes, so that old and new ones never match

_SKIPPED = {"id", "name", "version", "columns", "constraints", "indexes", "tables"}


@dataclass(frozen=True, slots=True)
class Digest:
    """SHA-256 digests of a schema or delta, independent of the file's formatting and of all orders.

    ``structure`` covers what the database has, ``text`` descriptions, units, UCDs and TAP metadata; ``@id``
    and version belong to neither.
    """

    structure: str
    text: str


def digest_schema(schema: Schema) -> Digest:
    """Return the digests of a schema."""
    return Digest(_hash(_schema_content(schema, text=False)), _hash(_schema_content(schema, text=True)))


def digest_delta(delta: SchemaDelta) -> Digest:
    """Return the digests of a delta; equal for all deltas of a schema without changes in a part."""
    return Digest(_hash(_delta_content(delta, text=False)), _hash(_delta_content(delta, text=True)))


def _hash(content: Any) -> str:
    canonical = json.dumps(
        [FORMAT, content], sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=True
    )
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _schema_content(schema: Schema, *, text: bool) -> dict[str, Any]:
    content = _own(schema, text=text)
    content["tables"] = {table.name: _table_content(table, text=text) for table in schema}
    if not text:
        content["name"] = schema.name
    return content


def _table_content(table: Table, *, text: bool) -> dict[str, Any]:
    return {
        **_own(table, text=text),
        "columns": {item.name: _own(item, text=text) for item in table.columns},
        "constraints": {item.name: _leaf(item, text=text) for item in table.constraints},
        "indexes": {item.name: _leaf(item, text=text) for item in table.indexes},
    }


def _leaf(item: Constraint | Index, *, text: bool) -> dict[str, Any]:
    content = _own(item, text=text)
    return content if text else {**content, "columns": list(item.columns)}


def _own(item: Schema | Table | Column | Constraint | Index, *, text: bool) -> dict[str, Any]:
    names = [field.name for field in fields(item) if field.name not in _SKIPPED]
    return {name: getattr(item, name) for name in names if (name in TEXT_ATTRIBUTES) == text}


def _delta_content(delta: SchemaDelta, *, text: bool) -> dict[str, Any]:
    content: dict[str, Any] = {
        "schema": delta.name,
        "added": {table.name: _table_content(table, text=text) for table in delta.tables_added},
        "removed": {}
        if text
        else {table.name: _table_content(table, text=False) for table in delta.tables_removed},
        "changed": {},
    }
    for table in delta.tables_changed:
        if changes := _table_delta(table, text=text):
            content["changed"][table.name] = changes
    if text:
        content["own"] = _changes_content(delta.text)
    else:
        content["renamed"] = [delta.renamed.before, delta.renamed.after] if delta.renamed else None
        content["exists"] = [not delta.created, not delta.removed]
    return content


def _table_delta(table: TableDelta, *, text: bool) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if text:
        content["own"] = _changes_content(table.text)
    elif table.primary_key:
        content["primary_key"] = [table.primary_key.before, table.primary_key.after]
    for kind in ("columns", "constraints", "indexes"):
        added = getattr(table, f"{kind}_added")
        removed = getattr(table, f"{kind}_removed")
        changed: tuple[ObjectChange, ...] = getattr(table, f"{kind}_changed")
        content[f"{kind} added"] = {item.name: _item(item, text=text) for item in added}
        content[f"{kind} removed"] = {} if text else {item.name: _item(item, text=False) for item in removed}
        content[f"{kind} changed"] = {
            item.name: part
            for item in changed
            if (part := _changes_content(item.text if text else item.structure))
        }
    return {key: value for key, value in content.items() if value}


def _item(item: Column | Constraint | Index, *, text: bool) -> dict[str, Any]:
    return _own(item, text=text) if isinstance(item, Column) else _leaf(item, text=text)


def _changes_content(changes: tuple[Change, ...]) -> dict[str, list[Any]]:
    return {change.attribute: [change.before, change.after] for change in changes}
