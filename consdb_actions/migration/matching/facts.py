"""Tables, columns, keys and types on both sides of a change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Literal

from consdb_actions.errors import InputError
from consdb_actions.migration.types import TypeKind, parse_type


@dataclass(frozen=True)
class ColumnFacts:
    """A column on one side of a change; the type as Postgres prints it, the ``@id`` as the YAML has it."""

    table: str
    name: str
    type: str
    nullable: bool
    description: str | None
    unit: str | None = None
    ucd: str | None = None
    id: str | None = None
    position: int = 0

    @cached_property
    def path(self) -> str:
        """Table and column, as people and declarations write it."""
        return f"{self.table}.{self.name}"


@dataclass(frozen=True)
class ForeignKeyFacts:
    """A foreign key: ``columns`` of the table that holds it, and what they refer to, in the same order."""

    columns: tuple[str, ...]
    referenced_table: str
    referenced_columns: tuple[str, ...]


@dataclass(frozen=True)
class TableFacts:
    """A table on one side of a change. Views are no tables: leave them out."""

    name: str
    columns: tuple[ColumnFacts, ...]
    description: str | None = None
    id: str | None = None
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKeyFacts, ...] = ()
    _by_name: dict[str, ColumnFacts] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {column.name: column for column in self.columns})

    def __contains__(self, column: object) -> bool:
        return column in self._by_name

    def column(self, name: str) -> ColumnFacts:
        """Return the column of this name, or raise KeyError."""
        return self._by_name[name]

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """Every list of columns that identifies a row, the primary key first."""
        primary = (self.primary_key,) if self.primary_key else ()
        return primary + self.unique_keys

    def is_unique(self, columns: Sequence[str]) -> bool:
        """Tell whether no two rows can share their values in these columns."""
        given = set(columns)
        return any(set(key) <= given for key in self.keys)


def canonical(tables: Sequence[TableFacts], side: str) -> dict[str, TableFacts]:
    """Order tables by name and columns by position, so that the order of the input does not matter."""
    ordered: dict[str, TableFacts] = {}
    for table in sorted(tables, key=lambda t: t.name):
        names = [column.name for column in table.columns]
        twice = (
            sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        )
        if table.name in ordered or twice:
            what = f"column {table.name}.{twice[0]}" if twice else f"table {table.name}"
            cause = f"{what} is listed twice in the schema {side} the change"
            raise InputError(cause, remedy="Remove one of the two, or give one another name.")
        ordered[table.name] = replace(
            table,
            columns=tuple(sorted(table.columns, key=lambda c: (c.position, c.name))),
            unique_keys=tuple(sorted(table.unique_keys)),
            foreign_keys=tuple(
                sorted(
                    table.foreign_keys, key=lambda k: (k.columns, k.referenced_table, k.referenced_columns)
                )
            ),
        )
    return ordered


@dataclass(frozen=True)
class NameMap:
    """Names before a change to names after it. What is not renamed keeps its name.

    With it, constraints and indexes over renamed columns are recognised as what they were.
    """

    tables: Mapping[str, str]
    columns: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, tables: Mapping[str, str], columns: Mapping[tuple[str, str], str]) -> NameMap:
        """Make a map."""
        return cls(dict(tables), dict(columns))

    def table(self, table: str) -> str:
        """Return a table's name after the change."""
        return self.tables.get(table, table)

    def column(self, table: str, column: str) -> str:
        """Return a column's name after the change; ``table`` is the name before it."""
        return self.columns.get((table, column), column)

    def columns_of(self, table: str, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the names after the change of several columns of a table."""
        return tuple(self.column(table, column) for column in columns)

    def foreign_key(self, table: str, key: ForeignKeyFacts) -> ForeignKeyFacts:
        """Return a foreign key that ``table`` holds before the change, in names after it."""
        return ForeignKeyFacts(
            self.columns_of(table, key.columns),
            self.table(key.referenced_table),
            self.columns_of(key.referenced_table, key.referenced_columns),
        )


Fit = Literal["same", "wider", "narrower", "converted", "incompatible"]

"""How a type relates to its possible successor.

``wider`` and ``narrower`` stay in the family (``real`` and ``double precision``); ``converted`` changes
between kinds of number or of time; ``incompatible`` has no conversion that keeps the meaning.
"""

_ALIASES = {
    "varchar": "character varying",
    "char": "character",
    "bpchar": "character",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "decimal": "numeric",
    "bool": "boolean",
}
_FAMILIES = {
    "smallint": ("integer", 1),
    "integer": ("integer", 2),
    "bigint": ("integer", 3),
    "real": ("float", 1),
    "double precision": ("float", 2),
    "numeric": ("decimal", 1),
    **dict.fromkeys(("character", "character varying", "text"), ("text", 1)),
}
_CONVERTED = ({"integer", "float", "decimal"}, {"date", "timestamp"})
_UNLIMITED = 10**9


@lru_cache(maxsize=4096)
def type_fit(before: str, after: str) -> Fit:
    """Compare two types as Postgres prints them; the usual short names are understood too.

    Examples
    --------
    >>> type_fit("real", "double precision"), type_fit("character varying(8)", "boolean")
    ('wider', 'incompatible')
    """
    old, new = (
        parse_type(re.sub(r"^\w+", lambda m: _ALIASES.get(m[0], m[0]), " ".join(text.lower().split())))
        for text in (before, after)
    )
    (one, capacity), (other, new_capacity) = _capacity(old), _capacity(new)
    if old.dimensions != new.dimensions:
        return "incompatible"
    if one != other:
        return "converted" if any({one, other} <= kinds for kinds in _CONVERTED) else "incompatible"
    if old.name.endswith("with time zone") != new.name.endswith("with time zone"):
        return "converted"
    if any(now < was for was, now in zip(capacity, new_capacity, strict=True)):
        return "narrower"
    return "same" if capacity == new_capacity else "wider"


def _capacity(kind: TypeKind) -> tuple[str, tuple[int, int]]:
    """Return a type's family and capacity: rank, characters, or digits before and after the point."""
    base = kind.name.partition(" with")[0]
    family, rank = _FAMILIES.get(base, (base, 0))
    size, scale = (*kind.arguments, 0)[:2] if kind.arguments else (None, 0)
    if family == "decimal":
        return family, (_UNLIMITED, _UNLIMITED) if size is None else (size - scale, scale)
    if size is None:
        size = {"character": 1, "timestamp": 6}.get(base, _UNLIMITED)
    return family, (rank if family in ("integer", "float") else size, 0)
