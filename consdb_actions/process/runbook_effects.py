"""What a migration does to the tables and views that are there: the net effect of all its statements.

Read from the statements of its revisions as they ran on the scratch server (:mod:`consdb_actions.lint`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from consdb_actions.lint.state import Name

__all__ = ["ColumnChange", "Effects", "Pair", "Rekeyed"]

Kind = Literal["added", "dropped", "renamed", "retyped", "tightened", "loosened"]


@dataclass(frozen=True, slots=True, order=True)
class ColumnChange:
    """What happens to one column of a table that is there before and after.

    Attributes
    ----------
    table
        The table, by its name afterwards.
    column
        The column, by its name afterwards; of a dropped one, by the name it had.
    kind
        What happens to it: ``tightened`` is NOT NULL that was not, ``loosened`` the opposite.
    old
        The name before, of a renamed column.
    required
        Whether a row that gives no value to it is refused: after the change, or, of a dropped column, before.
    widened
        Whether a retyped column takes every value of the old type as it is written.
    volatile
        What gives each row of a new column a value of its own; empty when all rows get the same.
    """

    table: Name
    column: str
    kind: Kind
    old: str = ""
    required: bool = False
    widened: bool = False
    volatile: str = ""

    def __str__(self) -> str:
        if self.kind == "renamed":
            return f"column {self.table}.{self.old} is renamed to {self.column}"
        words = {
            "added": "is new" + (" and required (NOT NULL without a default)" if self.required else ""),
            "dropped": "is dropped",
            "retyped": "changes its type",
            "tightened": "becomes NOT NULL",
            "loosened": "becomes nullable",
        }
        return f"column {self.table}.{self.column} {words[self.kind]}"


@dataclass(frozen=True, slots=True, order=True)
class Rekeyed:
    """A table whose primary key has other columns afterwards; the old ones have their new names."""

    table: Name
    old: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        return f"primary key of {self.table} changes from ({', '.join(self.old)}) to ({', '.join(self.new)})"


Pair = tuple[Name, Name]
"""A table by its names before and after."""


@dataclass(frozen=True, slots=True)
class Effects:
    """The net effect of one direction.

    Attributes
    ----------
    new_tables, dropped_tables
        Tables that are there only afterwards, or only before.
    renamed_tables
        Old and new names.
    columns, rekeyed
        What happens to tables that stay.
    updated, inserted, emptied
        Tables that stay and whose rows the scripts change, add to, or remove.
    filled
        New tables that the scripts put rows in.
    unidentified
        Tables that stay, by their names before and after, whose rows are changed or removed while their
        primary key is not the one that they have at the end.
    passing
        Tables that stay, by their names before and after, whose rows are written as they do not stay: with
        columns that go or get another name, or without a value that a column must have at the end; or to
        which rows are added.
    new_views, remade_views, dropped_views
        Views that are there only afterwards; that are dropped and made again; that are there only before.
    view_columns
        The columns of new and remade views, where they are known.
    locked
        Tables and views that are there before and are touched by a statement.
    grants
        Privileges that the scripts give: relation, role, privilege.
    losses
        What goes for good, as nouns.
    spoly
        Whether a column of the pgSphere type is made.
    apart
        Statements that cannot be undone with the others, by their names.
    unknown
        Statements whose effect is not known, or reasons why not all statements are.
    """

    new_tables: tuple[Name, ...] = ()
    dropped_tables: tuple[Name, ...] = ()
    renamed_tables: tuple[tuple[Name, Name], ...] = ()
    columns: tuple[ColumnChange, ...] = ()
    rekeyed: tuple[Rekeyed, ...] = ()
    updated: tuple[Name, ...] = ()
    inserted: tuple[Name, ...] = ()
    emptied: tuple[Name, ...] = ()
    filled: tuple[Name, ...] = ()
    unidentified: tuple[Pair, ...] = ()
    passing: tuple[Pair, ...] = ()
    new_views: tuple[Name, ...] = ()
    remade_views: tuple[Name, ...] = ()
    dropped_views: tuple[Name, ...] = ()
    view_columns: tuple[tuple[Name, tuple[str, ...]], ...] = ()
    locked: tuple[Name, ...] = ()
    grants: tuple[tuple[Name, str, str], ...] = ()
    losses: tuple[str, ...] = ()
    spoly: bool = False
    apart: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def changes(self, kind: Kind) -> tuple[ColumnChange, ...]:
        """Return the changes of columns of one kind."""
        return tuple(change for change in self.columns if change.kind == kind)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that get privileges."""
        return tuple(sorted({role for _, role, _ in self.grants if role.upper() != "PUBLIC"}))
