"""A schema file as a model; identifiers as Postgres takes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

MAX_BYTES = 63  # Longest identifier in bytes of UTF-8

_SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


def is_too_long(name: str) -> bool:
    """Return whether Postgres would truncate this name."""
    return len(name.encode()) > MAX_BYTES


def cut(name: str, limit: int = MAX_BYTES) -> str:
    """Truncate a name to ``limit`` bytes, without splitting a character."""
    return name.encode()[:limit].decode(errors="ignore")


def is_snake_case(name: str) -> bool:
    """Return whether a name is lower-case words joined by single underscores."""
    return _SNAKE.fullmatch(name) is not None


def primary_key_name(table: str) -> str:
    """Return the default name of a primary key."""
    return cut(table, MAX_BYTES - len("_pkey")) + "_pkey"


class Name(NamedTuple):
    """A relation; ``schema`` is empty where a statement names none."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return pydantic's schema of the name as text."""
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls, serialization=core_schema.to_string_ser_schema())


ConstraintKind = Literal["unique", "foreign key", "check"]

Pairs = tuple[tuple[str, str], ...]  # A mapping as sorted pairs, so that the dataclass stays hashable


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    id: str
    datatype: str  # The Felis type, such as ``int``, ``double``, ``string`` or ``timestamp``
    length: int | None = None  # Characters or bytes of sized types; None otherwise
    precision: int | None = None  # Fractional digits of the seconds of a timestamp, if given
    nullable: bool = True  # True by default, also for primary keys
    autoincrement: bool | None = None
    default: str | int | float | bool | None = None  # The YAML's ``value``
    description: str = ""
    unit: str = ""  # ``ivoa:unit`` or ``fits:tunit``; empty when absent
    ucd: str = ""
    type_overrides: Pairs = ()
    """Dialect and type, such as ``("postgresql", "JSONB")``; only those that Postgres uses."""
    metadata: Pairs = ()
    """Other annotations (``tap:…``, ``votable:…``, ``mysql:…``), which the database ignores."""

    @property
    def type_text(self) -> str:
        """The type as in the YAML, such as ``string(32)``."""
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
    """A unique, foreign key or check constraint."""

    kind: ConstraintKind
    name: str
    id: str
    columns: tuple[str, ...] = ()  # In order; empty for a check
    referenced_table: str = ""
    referenced_columns: tuple[str, ...] = ()
    expression: str = ""  # The SQL of a check; empty otherwise
    on_delete: str = ""  # As in SQL, empty when not given; likewise ``on_update`` and ``initially``
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
        """Return the column of this name, or raise KeyError."""
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
    """A whole schema; the order of ``tables`` is that of the YAML."""

    name: str
    id: str = ""
    version: str | None = None  # As in the YAML; None when absent
    description: str = ""
    tables: tuple[Table, ...] = ()  # Includes views of ConsDB, which the YAML does not distinguish
    metadata: Pairs = field(default=())  # Other annotations, except compatible versions

    def __contains__(self, table: object) -> bool:
        return any(table == known.name for known in self.tables)

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    def table(self, name: str) -> Table:
        """Return the table of this name, or raise KeyError."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(f"{self.name}.{name}")
