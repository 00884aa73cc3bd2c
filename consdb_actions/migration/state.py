"""The state of a schema as the generator sees it: SQLAlchemy's own reflection, normalised by Postgres.

Both sides of a comparison are reflected from a real database (the one that the revisions made, and one made
from the YAML), so that types, defaults and CHECK texts have the same form on both. The proof does not use
this module; it reads ``pg_catalog`` itself (:mod:`consdb_actions.migration.catalog`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.types import TypeEngine

__all__ = [
    "Check",
    "ColumnState",
    "ForeignKey",
    "Index",
    "Key",
    "SchemaState",
    "TableState",
    "Unique",
]


@dataclass(frozen=True)
class ColumnState:
    """A column; ``default`` is SQL text, and None where a sequence or an identity gives the value.

    ``sequence`` is the qualified name of the sequence that a SERIAL column owns.
    """

    name: str
    type: TypeEngine[Any] = field(compare=False)
    type_text: str
    nullable: bool
    default: str | None = None
    sequence: str | None = None
    identity: tuple[tuple[str, Any], ...] = ()
    comment: str | None = None


@dataclass(frozen=True)
class Key:
    """A primary key."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Unique:
    """A UNIQUE constraint; ``options`` are those of SQLAlchemy, sorted."""

    name: str
    columns: tuple[str, ...]
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key; ``options`` are ON DELETE and the like, by SQLAlchemy's names, sorted."""

    name: str
    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]
    schema: str | None = None
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Check:
    """A CHECK; ``sql`` is the condition as Postgres prints it."""

    name: str
    sql: str
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Index:
    """An index of its own; ``elements`` are column names or, where ``is_expression``, SQL."""

    name: str
    elements: tuple[str, ...]
    is_expression: tuple[bool, ...]
    unique: bool = False
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class TableState:
    """A table with all that its constraints say."""

    name: str
    columns: Mapping[str, ColumnState]
    primary_key: Key | None = None
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    indexes: tuple[Index, ...] = ()
    comment: str | None = None

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """The column lists that identify a row."""
        primary = [self.primary_key.columns] if self.primary_key else []
        return primary + [u.columns for u in self.uniques]


@dataclass(frozen=True)
class SchemaState:
    """All tables of one schema."""

    schema: str
    tables: Mapping[str, TableState]

    def unlike(self, other: SchemaState) -> frozenset[str]:
        """Return the tables of either side that only one has, or whose columns or comments differ."""
        names = self.tables.keys() | other.tables.keys()
        return frozenset(name for name in names if _shown(self, name) != _shown(other, name))

    def with_parents(self, names: Iterable[str]) -> frozenset[str]:
        """Return those of these tables that are here, and all that their foreign keys lead to."""
        found: set[str] = set()
        open_ = [name for name in names if name in self.tables]
        while open_:
            found.add(name := open_.pop())
            open_ += [
                k.table
                for k in self.tables[name].foreign_keys
                if k.table in self.tables and k.table not in found
            ]
        return frozenset(found)


def _shown(state: SchemaState, name: str) -> object:
    table = state.tables.get(name)
    return table and (dict(table.columns), table.comment)
