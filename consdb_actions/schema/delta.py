"""The difference of two schemas as plain data; :mod:`~consdb_actions.schema.compare` makes it.

Objects are matched by name. A rename is therefore a removal and an addition here; what makes one a rename is
decided elsewhere (rule M4). The order of tables and of columns is no difference.
"""

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
"""Attributes that no database structure depends on."""


@dataclass(frozen=True, slots=True)
class Change:
    """An attribute that has another value.

    Parameters
    ----------
    attribute
        Its name in :mod:`~consdb_actions.schema.model`; for metadata the key, such as ``tap:principal``.
    before, after
        The two values; empty text or None when there was or is none.
    text
        Whether it is about text for readers, not about structure.
    """

    attribute: str
    before: Value
    after: Value
    text: bool = False


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """A column, constraint or index of the same name whose attributes differ."""

    name: str
    changes: tuple[Change, ...]

    @property
    def structure(self) -> tuple[Change, ...]:
        """The changes that a database would notice."""
        return tuple(change for change in self.changes if not change.text)

    @property
    def text(self) -> tuple[Change, ...]:
        """The changes of descriptions, units, UCDs and other metadata."""
        return tuple(change for change in self.changes if change.text)

    @property
    def type_changed(self) -> bool:
        """Whether the type differs in any way, length and precision included."""
        return any(
            change.attribute in {"datatype", "length", "precision", "type_overrides"}
            for change in self.changes
        )


@dataclass(frozen=True, slots=True)
class TableDelta:
    """What differs in a table that both schemas have. Tuples are in the order of the YAML."""

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
        """Whether a database would notice, comments aside."""
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
        """Return the names of all columns, constraints or indexes that are new, gone or different."""
        items = (getattr(self, f"{kind}_{how}") for how in ("added", "removed", "changed"))
        return tuple(item.name for group in items for item in group)


@dataclass(frozen=True, slots=True)
class SchemaDelta:
    """What differs between two schemas.

    Parameters
    ----------
    name
        The schema's name, the later one when it has changed.
    tables_added, tables_removed
        Whole tables.
    tables_changed
        Tables of both that differ.
    text
        Changes of the schema's own description and metadata.
    version
        The change of the version, if any. It is no part of the digests.
    created, removed
        Whether the schema itself is new or gone.
    renamed
        The schema's name before and after, when it has changed.
    """

    name: str
    tables_added: tuple[Table, ...] = ()
    tables_removed: tuple[Table, ...] = ()
    tables_changed: tuple[TableDelta, ...] = ()
    text: tuple[Change, ...] = ()
    version: Change | None = None
    created: bool = False
    removed: bool = False
    renamed: Change | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing but perhaps the version differs."""
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
        """Whether a database would notice, comments aside."""
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
        """Names of the tables that are new, gone or different."""
        names = [table.name for table in (*self.tables_added, *self.tables_removed)]
        return tuple(sorted({*names, *(table.name for table in self.tables_changed)}))

    def table(self, name: str) -> TableDelta | None:
        """Return what differs in a table of both schemas, None when nothing does."""
        return next((table for table in self.tables_changed if table.name == name), None)
