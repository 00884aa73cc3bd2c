"""What a database holds, as plain facts: the one model of a schema in Postgres.

A :class:`Snapshot` is read from ``pg_catalog`` (:mod:`consdb_actions.adapters.catalog`). Generation, the
merge of three states, and verification work on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy.types import TypeEngine

from consdb_actions.catalog.expressions import stable_expression
from consdb_actions.catalog.types import sqlalchemy_type, type_text

__all__ = ["Column", "Constraint", "Grant", "Index", "Options", "Relation", "Sequence", "Snapshot"]

Options = tuple[tuple[str, Any], ...]
"""Options by their SQLAlchemy names, sorted; those with their default value are left out."""


@dataclass(frozen=True, order=True)
class Grant:
    """One privilege of one role; ``grantee`` is ``PUBLIC`` for everyone."""

    grantee: str
    privilege: str
    grantable: bool = False


@dataclass(frozen=True)
class Column:
    """A column as ``pg_attribute`` has it.

    Attributes
    ----------
    position
        Counts living columns from 0.
    type
        As ``format_type`` prints it.
    default
        SQL text as Postgres prints it; None where a sequence gives the value. Of a generated column, its
        expression.
    sequence
        Qualified name of the sequence that ``nextval`` reads in the default.
    statistics
        The target of ``SET STATISTICS``; None for the server's default.
    settings
        Storage, compression and options that are not those of its type, as ALTER COLUMN writes them.
    """

    name: str
    position: int
    type: str
    nullable: bool
    default: str | None = None
    identity: Options = ()
    generated: str = ""
    collation: str | None = None
    comment: str | None = None
    grants: frozenset[Grant] = frozenset()
    sequence: str | None = None
    statistics: int | None = None
    settings: tuple[str, ...] = ()

    @property
    def sqlalchemy_type(self) -> TypeEngine[Any]:
        """The type as SQLAlchemy has it."""
        return sqlalchemy_type(self.type)

    @property
    def type_text(self) -> str:
        """The type as SQLAlchemy writes it, such as ``VARCHAR(16)``."""
        return type_text(self.type)


@dataclass(frozen=True)
class Constraint:
    """A constraint of a table.

    Attributes
    ----------
    kind
        ``primary key``, ``unique``, ``foreign key``, ``check`` or ``exclusion``.
    definition
        The text of ``pg_get_constraintdef``.
    references, referenced, referenced_schema
        Table, columns and schema that a foreign key refers to; the schema is None where it is its own.
    expression
        The condition of a CHECK as Postgres prints it.
    index
        The index that a key has, or that a foreign key relies on.
    source
        The condition as the schema file writes it, where it does (rule M21).
    """

    name: str
    kind: str
    definition: str
    columns: tuple[str, ...] = ()
    references: str | None = None
    comment: str | None = None
    referenced: tuple[str, ...] = ()
    referenced_schema: str | None = None
    options: Options = ()
    expression: str = ""
    index: str = field(default="", compare=False)
    source: str | None = field(default=None, compare=False)

    @property
    def table(self) -> str:
        """The table that a foreign key refers to."""
        return self.references or ""

    @property
    def sql(self) -> str:
        """The condition of a CHECK, in the schema file's own words where they are known."""
        return self.source or self.expression

    @cached_property
    def meaning(self) -> tuple[Any, ...]:
        """What two constraints share that say the same under any name."""
        if self.kind == "check":
            return self.kind, self.options, stable_expression(self.expression)
        if self.kind == "exclusion":
            return self.kind, self.options, self.definition
        return (
            self.kind,
            self.options,
            self.columns,
            self.references,
            self.referenced,
            self.referenced_schema,
        )


@dataclass(frozen=True)
class Index:
    """An index that belongs to no constraint.

    Attributes
    ----------
    definition
        The text of ``pg_get_indexdef``.
    elements
        Names of columns or, where ``is_expression``, SQL with its order and operator class.
    """

    name: str
    definition: str
    elements: tuple[str, ...] = ()
    is_expression: tuple[bool, ...] = ()
    unique: bool = False
    options: Options = ()
    comment: str | None = None
    sources: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def meaning(self) -> tuple[Any, ...]:
        """What two indexes share that say the same under any name."""
        elements = tuple(
            stable_expression(e) if sql else e
            for e, sql in zip(self.elements, self.is_expression, strict=True)
        )
        options = tuple((k, stable_expression(v) if k == "postgresql_where" else v) for k, v in self.options)
        return elements, self.is_expression, self.unique, options


@dataclass(frozen=True)
class ExtendedStatistics:
    """What ``CREATE STATISTICS`` made; it goes with any of its columns."""

    definition: str
    columns: tuple[str, ...]
    target: int | None = None
    comment: str | None = None


@dataclass(frozen=True)
class Relation:
    """A table or view.

    Attributes
    ----------
    definition
        A view's query; empty for a table.
    reads
        The relations of the schema that a view's query names.
    statistics
        Extended statistics by name.
    extras
        What a migration does not make: rules, row-level security, replica identity, UNLOGGED, CLUSTER ON.
        They are compared, so that none is lost without a word.
    """

    name: str
    kind: str
    columns: Mapping[str, Column]
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    indexes: Mapping[str, Index] = field(default_factory=dict)
    comment: str | None = None
    grants: frozenset[Grant] = frozenset()
    definition: str = ""
    options: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    statistics: Mapping[str, ExtendedStatistics] = field(default_factory=dict)
    extras: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_view(self) -> bool:
        """Whether this is a view or a materialized view."""
        return self.kind in {"view", "materialized view"}

    @cached_property
    def primary_key(self) -> Constraint | None:
        """The primary key, if there is one."""
        return next((c for c in self.constraints.values() if c.kind == "primary key"), None)

    @cached_property
    def uniques(self) -> tuple[Constraint, ...]:
        """The UNIQUE constraints by name."""
        return self._of_kind("unique")

    @cached_property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """The foreign keys by name."""
        return self._of_kind("foreign key")

    @cached_property
    def checks(self) -> tuple[Constraint, ...]:
        """The CHECK constraints by name."""
        return self._of_kind("check")

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """The column lists that identify a row."""
        primary = [self.primary_key.columns] if self.primary_key else []
        return primary + [u.columns for u in self.uniques]

    def _of_kind(self, kind: str) -> tuple[Constraint, ...]:
        return tuple(c for _, c in sorted(self.constraints.items()) if c.kind == kind)


@dataclass(frozen=True)
class Sequence:
    """A sequence with the column that owns it, as ``table.column``.

    ``used`` tells whether a default or an identity takes values from it. ConsDB has sequences whose default
    was dropped; they are left as they are.
    """

    name: str
    type: str
    owned_by: str | None = None
    used: bool = True


@dataclass(frozen=True)
class Snapshot:
    """All relations of one schema."""

    schema: str
    relations: Mapping[str, Relation] = field(default_factory=dict)
    sequences: Mapping[str, Sequence] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    triggers: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def tables(self) -> dict[str, Relation]:
        """The tables by name."""
        return {name: r for name, r in self.relations.items() if not r.is_view}

    @cached_property
    def views(self) -> dict[str, Relation]:
        """The views by name."""
        return {name: r for name, r in self.relations.items() if r.is_view}

    def readers(self, names: Collection[str]) -> set[str]:
        """Return the views that read any of these relations, directly or through other views."""
        found: set[str] = set()
        while more := {
            v.name for v in self.views.values() if {*names, *found} & set(v.reads) and v.name not in found
        }:
            found |= more
        return found
