"""What a Felis schema says, as plain frozen data.

Every reference is resolved to a *name*: primary keys, constraints and indexes name columns, foreign keys name
their table, so that nothing here depends on the ``@id`` scheme of the YAML. The ids are kept only as evidence
for renames. Nothing in this package does I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Column", "Constraint", "ConstraintKind", "Index", "Pairs", "Schema", "Table"]

ConstraintKind = Literal["unique", "foreign key", "check"]

Pairs = tuple[tuple[str, str], ...]
"""A mapping as sorted pairs, so that the dataclass stays hashable."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name, id
        Its name, and its ``@id`` in the YAML.
    datatype
        The Felis type, such as ``int``, ``double``, ``string`` or ``timestamp``.
    length
        Characters or bytes, for the sized types; None otherwise.
    precision
        Fractional digits of the seconds of a timestamp, when given.
    nullable, autoincrement
        As in the YAML; ``nullable`` is True unless it says otherwise, also for columns of a primary key.
    default
        The YAML's ``value``.
    description, unit, ucd
        Text for people and for TAP; empty when absent. The unit is ``ivoa:unit`` or ``fits:tunit``.
    type_overrides
        Dialect and type, such as ``("postgresql", "JSONB")``. Only overrides that reach Postgres.
    metadata
        Every other annotation (``tap:…``, ``votable:…``, ``mysql:…``), which no database of ours sees.
    """

    name: str
    id: str
    datatype: str
    length: int | None = None
    precision: int | None = None
    nullable: bool = True
    autoincrement: bool | None = None
    default: str | int | float | bool | None = None
    description: str = ""
    unit: str = ""
    ucd: str = ""
    type_overrides: Pairs = ()
    metadata: Pairs = ()

    @property
    def type_text(self) -> str:
        """The type as a reader of the YAML would write it, such as ``string(32)``."""
        text = self.datatype
        if self.length is not None:
            text += f"({self.length})"
        if self.precision is not None:
            text += f"({self.precision})"
        if self.type_overrides:
            text += " as " + ", ".join(f"{dialect} {kind}" for dialect, kind in self.type_overrides)
        return text


@dataclass(frozen=True, slots=True)
class Constraint:
    """A unique, foreign key or check constraint.

    Parameters
    ----------
    kind, name, id
        What it is, its name, and its ``@id``.
    columns
        Names of the constrained columns, in order; empty for a check.
    referenced_table, referenced_columns
        Where a foreign key points, by name; empty otherwise.
    expression
        The SQL of a check; empty otherwise.
    on_delete, on_update, initially
        As SQL writes them, empty when not given.
    deferrable
        Whether the constraint is deferrable.
    description
        Text for people.
    """

    kind: ConstraintKind
    name: str
    id: str
    columns: tuple[str, ...] = ()
    referenced_table: str = ""
    referenced_columns: tuple[str, ...] = ()
    expression: str = ""
    on_delete: str = ""
    on_update: str = ""
    deferrable: bool = False
    initially: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """An index over columns or over expressions, never over both."""

    name: str
    id: str
    columns: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the order of ``columns`` is that of the YAML."""

    name: str
    id: str
    description: str = ""
    primary_key: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    metadata: Pairs = ()

    def __contains__(self, column: object) -> bool:
        return any(column == known.name for known in self.columns)

    def column(self, name: str) -> Column:
        """Return the column of this name.

        Raises
        ------
        KeyError
            When the table has none of that name.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name}.{name}")

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in the order of the YAML."""
        return tuple(column.name for column in self.columns)

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """The foreign keys of this table."""
        return tuple(constraint for constraint in self.constraints if constraint.kind == "foreign key")


@dataclass(frozen=True, slots=True)
class Schema:
    """A whole schema; the order of ``tables`` is that of the YAML.

    Parameters
    ----------
    name, id
        Name of the schema in the database, and its ``@id``.
    version
        The current version as the YAML gives it, or None when it gives none.
    description
        Text for people.
    tables
        The tables, views of ConsDB included: the YAML does not tell them apart.
    metadata
        Every other annotation. Compatible versions are left out: nothing here reads them.
    """

    name: str
    id: str = ""
    version: str | None = None
    description: str = ""
    tables: tuple[Table, ...] = ()
    metadata: Pairs = field(default=())

    def __contains__(self, table: object) -> bool:
        return any(table == known.name for known in self.tables)

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    def table(self, name: str) -> Table:
        """Return the table of this name.

        Raises
        ------
        KeyError
            When the schema has none of that name.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(f"{self.name}.{name}")
