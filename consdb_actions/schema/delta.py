"""The difference of two schemas, by name and ignoring order (see :mod:`~consdb_actions.schema.compare`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from consdb_actions.schema.model import Column, Constraint, Index, Table

__all__ = [
    "TEXT_ATTRIBUTES",
    "Change",
    "ObjectChange",
    "SchemaDelta",
    "TableDelta",
    "Value",
]

Value = str | int | float | bool | None | tuple[Any, ...]

TEXT_ATTRIBUTES = frozenset({"description", "unit", "ucd", "metadata"})
"""Attributes that do not affect the database's structure."""


@dataclass(frozen=True, slots=True)
class Change:
    """A changed attribute."""

    attribute: str
    """Name in :mod:`~consdb_actions.schema.model`, or metadata key such as ``tap:principal``."""
    before: Value
    """Empty text or None without a value, like ``after``."""
    after: Value
    text: bool = False
    """Whether it is text for readers, not structure."""


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

    name: str
    """The later name when it has changed."""
    tables_added: tuple[Table, ...] = ()
    tables_removed: tuple[Table, ...] = ()
    tables_changed: tuple[TableDelta, ...] = ()
    text: tuple[Change, ...] = ()
    """Changes of the schema's own description and metadata."""
    version: Change | None = None
    """Not part of the digests."""
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
