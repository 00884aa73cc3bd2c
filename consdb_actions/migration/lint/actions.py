"""What a statement does, as far as the rules care: plain data instead of the parser's own tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from consdb_actions.migration.lint.column_types import Type
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
    simple
        Whether the query reads one relation and nothing else, so that every name must be a column of it.
    """

    view: Name
    outputs: tuple[tuple[str, Name | None], ...] | None
    sources: tuple[tuple[str, Name], ...] = ()
    columns: frozenset[tuple[str, str]] = frozenset()
    simple: bool = False
    replace: bool = False
    materialized: bool = False
    missing_ok: bool = False


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
