"""What a statement does, as far as the rules care: plain data instead of the parser's own tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from consdb_actions.migration.lint.actions_tables import (
    AddColumn,
    AddConstraint,
    AlterOther,
    AlterType,
    ChangeColumn,
    Column,
    Constraint,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropConstraint,
    ValidateConstraint,
)
from consdb_actions.migration.lint.names import Name

__all__ = [
    "Action",
    "AddColumn",
    "AddConstraint",
    "AlterOther",
    "AlterType",
    "ChangeColumn",
    "Column",
    "Comment",
    "Constraint",
    "CreateIndex",
    "CreateOther",
    "CreateTable",
    "CreateView",
    "DefaultPrivileges",
    "DropColumn",
    "DropConstraint",
    "DropRelation",
    "DropSchema",
    "Grant",
    "OutsideTransaction",
    "Publish",
    "RemoveRows",
    "Rename",
    "SetSchema",
    "SetVariable",
    "Transaction",
    "UnknownEffect",
    "ValidateConstraint",
    "Write",
]

RelationKind = Literal["table", "view", "matview", "index", "sequence", "other"]


@dataclass(frozen=True, slots=True)
class CreateView:
    """``CREATE VIEW`` or ``CREATE MATERIALIZED VIEW``.

    Attributes
    ----------
    outputs
        Output columns in order: the name, or ``*`` with the relation whose columns stand there; None where
        they cannot be read from the statement.
    sources
        Relations that the query reads, by the name under which its expressions know them.
    columns
        Columns that the query names: qualifier (empty for none) and name.
    plain
        Whether the query only reads relations and joins them, so that every name must be a column of one.
    """

    view: Name
    outputs: tuple[tuple[str, Name | None], ...] | None
    sources: tuple[tuple[str, Name], ...] = ()
    columns: frozenset[tuple[str, str]] = frozenset()
    plain: bool = False
    replace: bool = False
    materialized: bool = False
    missing_ok: bool = False


@dataclass(frozen=True, slots=True)
class CreateOther:
    """A relation that is not followed any further: a sequence."""

    name: Name


@dataclass(frozen=True, slots=True)
class DropRelation:
    """``DROP TABLE``, ``VIEW``, ``INDEX``, ``SEQUENCE`` and others, one action for each name.

    ``together`` are all names of the statement; they may depend on each other.
    """

    kind: RelationKind
    name: Name
    cascade: bool = False
    missing_ok: bool = False
    concurrently: bool = False
    together: frozenset[Name] = frozenset()


@dataclass(frozen=True, slots=True)
class DropSchema:
    """``DROP SCHEMA``."""

    name: str
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Rename:
    """``RENAME`` of a relation, or of one of its columns or constraints."""

    kind: Literal["relation", "column", "constraint", "index"]
    relation: Name
    old: str
    new: str
    missing_ok: bool = False


@dataclass(frozen=True, slots=True)
class SetSchema:
    """``SET SCHEMA`` of a relation."""

    relation: Name
    schema: str


@dataclass(frozen=True, slots=True)
class Grant:
    """``GRANT`` or ``REVOKE`` on relations, or on all of some schemas."""

    roles: tuple[str, ...]
    privileges: frozenset[str]
    relations: tuple[Name, ...] = ()
    schemas: tuple[str, ...] = ()
    revoke: bool = False


@dataclass(frozen=True, slots=True)
class DefaultPrivileges:
    """``ALTER DEFAULT PRIVILEGES`` for tables; no schemas mean all."""

    roles: tuple[str, ...]
    privileges: frozenset[str]
    schemas: tuple[str, ...] = ()
    revoke: bool = False


@dataclass(frozen=True, slots=True)
class Comment:
    """``COMMENT ON`` a relation or a column."""

    relation: Name
    column: str
    text: str | None


@dataclass(frozen=True, slots=True)
class RemoveRows:
    """``TRUNCATE`` or ``DELETE``."""

    table: Name
    how: Literal["TRUNCATE", "DELETE"]
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """``INSERT`` or ``UPDATE``, with the columns whose values it carries into the table.

    ``values`` are qualifiers and names of columns in the written expressions, ``sources`` the relations by
    the name under which the statement knows them.
    """

    table: Name
    values: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    sources: tuple[tuple[str, Name], ...] = ()


@dataclass(frozen=True, slots=True)
class Publish:
    """A publication gains tables or whole schemas; ``everything`` when it is for all tables."""

    tables: tuple[Name, ...] = ()
    schemas: tuple[str, ...] = ()
    everything: bool = False


@dataclass(frozen=True, slots=True)
class SetVariable:
    """``SET`` or ``set_config``: the variable and its value's parts."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """``BEGIN`` or the end of a transaction."""

    opens: bool


@dataclass(frozen=True, slots=True)
class OutsideTransaction:
    """A statement that cannot run inside of a transaction block, by its name."""

    what: str


@dataclass(frozen=True, slots=True)
class UnknownEffect:
    """A statement that can change anything (``DO``, ``CALL``); what comes later is not known any more."""

    what: str


Action = (
    CreateTable
    | AddColumn
    | DropColumn
    | AlterType
    | ChangeColumn
    | AlterOther
    | AddConstraint
    | DropConstraint
    | ValidateConstraint
    | CreateIndex
    | CreateView
    | CreateOther
    | DropRelation
    | DropSchema
    | Rename
    | SetSchema
    | Grant
    | DefaultPrivileges
    | Comment
    | RemoveRows
    | Write
    | Publish
    | SetVariable
    | Transaction
    | OutsideTransaction
    | UnknownEffect
)
