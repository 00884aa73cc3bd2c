"""Compare two versions of a schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

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
        return bool(
            self.columns_added
            or self.columns_removed
            or self.constraints_added
            or self.constraints_removed
            or self.indexes_added
            or self.indexes_removed
            or self.primary_key
            or any(
                changed.structure
                for changed in (*self.columns_changed, *self.constraints_changed, *self.indexes_changed)
            )
        )

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
        return not (
            self.tables_added
            or self.tables_removed
            or self.tables_changed
            or self.text
            or self.created
            or self.removed
            or self.renamed
        )

    @property
    def changes_structure(self) -> bool:
        """Whether the database changes, except comments."""
        return bool(
            self.tables_added
            or self.tables_removed
            or self.created
            or self.removed
            or self.renamed
            or any(table.changes_structure for table in self.tables_changed)
        )

    @property
    def touched(self) -> tuple[str, ...]:
        """Names of the tables that are added, removed or changed."""
        names = [table.name for table in (*self.tables_added, *self.tables_removed)]
        return tuple(sorted({*names, *(table.name for table in self.tables_changed)}))

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
    if after is None:
        if before is None:
            raise ValueError("one of the two schemas must exist")
        return SchemaDelta(
            before.name,
            tables_removed=before.tables,
            version=_change("version", before.version, None),
            removed=True,
        )
    if before is None:
        return SchemaDelta(
            after.name,
            tables_added=after.tables,
            version=_change("version", None, after.version),
            created=True,
        )
    old = {table.name: table for table in before}
    new = {table.name: table for table in after}
    tables = [_table(old[name], table) for name, table in new.items() if name in old]
    return SchemaDelta(
        name=after.name,
        tables_added=tuple(table for name, table in new.items() if name not in old),
        tables_removed=tuple(table for name, table in old.items() if name not in new),
        tables_changed=tuple(table for table in tables if not table.is_empty),
        text=_texts(before, after),
        version=_change("version", before.version, after.version),
        renamed=_change("name", before.name, after.name),
    )


def compare_columns(before: Column, after: Column) -> tuple[Change, ...]:
    """Return the attributes in which two columns differ, except their names."""
    return _changes(before, after, _COLUMN)


def _table(before: Table, after: Table) -> TableDelta:
    columns = _objects(before.columns, after.columns, _COLUMN)
    constraints = _objects(before.constraints, after.constraints, _CONSTRAINT)
    indexes = _objects(before.indexes, after.indexes, _INDEX)
    return TableDelta(
        after.name,
        *columns,
        *constraints,
        *indexes,
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
