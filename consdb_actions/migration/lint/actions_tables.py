"""What statements do to tables, columns, constraints and indexes: plain data instead of the parser's tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from consdb_actions.migration.lint.column_types import Type
from consdb_actions.migration.lint.names import Name

__all__ = [
    "AddColumn",
    "AddConstraint",
    "AlterOther",
    "AlterType",
    "ChangeColumn",
    "Column",
    "Constraint",
    "CreateIndex",
    "CreateTable",
    "DropColumn",
    "DropConstraint",
    "ValidateConstraint",
]


@dataclass(frozen=True, slots=True)
class Column:
    """A column as a statement defines it.

    Attributes
    ----------
    default
        Whether it has a default, an identity or a sequence.
    volatile
        What makes each row's value its own: a function's name, ``IDENTITY``, ``serial`` or ``GENERATED``;
        empty when all rows can share one value.
    """

    name: str
    type: Type
    nullable: bool = True
    default: bool = False
    volatile: str = ""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table.

    Attributes
    ----------
    name
        Empty when the statement gives none.
    refers, referred
        Table and columns that a foreign key refers to; no columns mean its primary key.
    valid
        Whether rows that are there are checked.
    index
        Name of the index in ``USING INDEX``.
    not_null
        Columns of which a CHECK says that they hold no NULL.
    text
        What a CHECK or an exclusion says, in a form that can be compared.
    """

    kind: Literal["primary", "unique", "foreign", "check", "exclude", "notnull"]
    name: str = ""
    columns: tuple[str, ...] = ()
    refers: Name | None = None
    referred: tuple[str, ...] = ()
    valid: bool = True
    index: str = ""
    not_null: frozenset[str] = frozenset()
    text: str = ""


@dataclass(frozen=True, slots=True)
class CreateTable:
    """``CREATE TABLE``; ``known`` is false where columns come from elsewhere (LIKE, AS, INHERITS)."""

    table: Name
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    missing_ok: bool = False
    known: bool = True
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class AddColumn:
    """``ADD COLUMN``, with the constraints written beside the column."""

    table: Name
    column: Column
    constraints: tuple[Constraint, ...] = ()
    missing_ok: bool = False


@dataclass(frozen=True, slots=True)
class DropColumn:
    """``DROP COLUMN``."""

    table: Name
    column: str
    cascade: bool = False
    missing_ok: bool = False


@dataclass(frozen=True, slots=True)
class AlterType:
    """``ALTER COLUMN TYPE``; ``computes`` when ``USING`` says more than a cast of the column itself."""

    table: Name
    column: str
    type: Type
    using: bool = False
    computes: bool = False


@dataclass(frozen=True, slots=True)
class ChangeColumn:
    """``ALTER COLUMN`` that sets or drops NOT NULL, a default or an identity."""

    table: Name
    column: str
    change: Literal["set not null", "drop not null", "set default", "drop default"]


@dataclass(frozen=True, slots=True)
class AlterOther:
    """Another change of a table, by its name in the parser; ``light`` when readers and writers go on."""

    table: Name
    what: str
    light: bool = False


@dataclass(frozen=True, slots=True)
class AddConstraint:
    """``ADD CONSTRAINT``."""

    table: Name
    constraint: Constraint


@dataclass(frozen=True, slots=True)
class DropConstraint:
    """``DROP CONSTRAINT``."""

    table: Name
    name: str
    cascade: bool = False
    missing_ok: bool = False


@dataclass(frozen=True, slots=True)
class ValidateConstraint:
    """``VALIDATE CONSTRAINT``."""

    table: Name
    name: str


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """``CREATE INDEX``; expressions have no name in ``columns``."""

    table: Name
    name: str
    columns: tuple[str, ...] = ()
    unique: bool = False
    partial: bool = False
    concurrently: bool = False
    missing_ok: bool = False
