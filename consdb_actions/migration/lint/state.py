"""What the database holds at one point of the history, as far as statements tell.

It is built from the statements alone, from the first revision on; no database is asked. Where a
statement's effect cannot be known the state says so (``complete``), and rules that would need the whole of it
stay silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from consdb_actions.migration.lint.actions import Column, Constraint
from consdb_actions.migration.lint.names import Name

__all__ = ["INDEXED", "Grants", "Index", "State", "Table", "View"]

_K = TypeVar("_K")
_V = TypeVar("_V")

Grants = frozenset[tuple[str, str]]
"""Roles with a privilege each."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index; those of primary keys and unique constraints are not listed."""

    columns: tuple[str, ...]
    unique: bool
    partial: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table with everything that belongs to it."""

    columns: Mapping[str, Column]
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    indexes: Mapping[str, Index] = field(default_factory=dict)

    @property
    def primary_key(self) -> Constraint | None:
        """The primary key."""
        return next((c for c in self.constraints.values() if c.kind == "primary"), None)

    def referable(self) -> list[tuple[str, frozenset[str]]]:
        """Return the names and columns of everything that a foreign key can refer to."""
        keys = [
            (n, frozenset(c.columns)) for n, c in self.constraints.items() if c.kind in ("primary", "unique")
        ]
        return keys + [
            (n, frozenset(i.columns)) for n, i in self.indexes.items() if i.unique and not i.partial
        ]

    def proves_not_null(self, column: str) -> bool:
        """Tell whether a constraint that was checked says that a column holds no NULL."""
        return any(
            c.valid and (column in c.not_null or (c.kind == "notnull" and column in c.columns))
            for c in self.constraints.values()
        )


INDEXED = ("primary", "unique", "exclude")
"""Kinds of constraints that have an index of the same name."""


@dataclass(frozen=True, slots=True)
class View:
    """A view.

    Attributes
    ----------
    columns
        Output names in order; None when they cannot be told.
    reads
        Columns of relations that the query names.
    sources
        Relations that it reads.
    """

    columns: tuple[str, ...] | None
    reads: frozenset[tuple[Name, str]]
    sources: frozenset[Name]
    materialized: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Everything that is known to exist.

    Attributes
    ----------
    schema
        The section's own schema; only of that one are all relations known.
    grants
        Privileges of roles on relations.
    default_grants
        Privileges that new tables and views get, by schema; the empty name stands for all schemas.
    comments
        Comments of relations (empty column) and columns.
    others
        Sequences that statements made; those that columns bring along are not listed.
    complete
        Whether nothing was done whose effect is not known.
    """

    schema: str
    tables: Mapping[Name, Table] = field(default_factory=dict)
    views: Mapping[Name, View] = field(default_factory=dict)
    grants: Mapping[Name, Grants] = field(default_factory=dict)
    default_grants: Mapping[str, Grants] = field(default_factory=dict)
    comments: Mapping[tuple[Name, str], str] = field(default_factory=dict)
    others: frozenset[Name] = frozenset()
    complete: bool = True

    def with_table(self, name: Name, table: Table | None) -> State:
        """Return the state with a table put in place or taken away."""
        return replace(self, tables=_put(self.tables, name, table))

    def with_view(self, name: Name, view: View | None) -> State:
        """Return the state with a view put in place or taken away."""
        return replace(self, views=_put(self.views, name, view))

    def created(self, name: Name) -> State:
        """Return the state after a relation was made: with the privileges that all new ones get."""
        given = self.default_grants.get("", frozenset()) | self.default_grants.get(name.schema, frozenset())
        return replace(self, grants=_put(self.grants, name, given or None))

    def dropped(self, name: Name) -> State:
        """Return the state without what is attached to a relation that is gone."""
        comments = {key: text for key, text in self.comments.items() if key[0] != name}
        return replace(self, grants=_put(self.grants, name, None), comments=comments)

    def readers(self, table: Name, column: str | None = None) -> list[Name]:
        """Return the views that read a relation, or one column of it."""
        if column is None:
            return [name for name, view in self.views.items() if table in view.sources and name != table]
        return [name for name, view in self.views.items() if (table, column) in view.reads]

    def referring(self, table: Name) -> list[tuple[Name, str, Constraint]]:
        """Return the foreign keys of other tables that refer to a table."""
        return [
            (name, key, constraint)
            for name, other in self.tables.items()
            for key, constraint in other.constraints.items()
            if constraint.kind == "foreign" and constraint.refers == table and name != table
        ]

    def relation_names(self) -> set[Name]:
        """Return all names that a new table, view or index of the schema must not have."""
        out = set(self.tables) | set(self.views) | self.others
        for name, table in self.tables.items():
            out.update(Name(name.schema, index) for index in table.indexes)
            out.update(Name(name.schema, key) for key, c in table.constraints.items() if c.kind in INDEXED)
        return out


def _put(mapping: Mapping[_K, _V], key: _K, value: _V | None) -> dict[_K, _V]:
    out = dict(mapping)
    if value is None:
        out.pop(key, None)
    else:
        out[key] = value
    return out
