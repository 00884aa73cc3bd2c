"""What is known about the tables on each side of a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from consdb_actions.errors import InputError

__all__ = ["ColumnFacts", "ForeignKeyFacts", "TableFacts", "canonical"]


@dataclass(frozen=True)
class ColumnFacts:
    """A column on one side of a change.

    Parameters
    ----------
    table, name
        Where it stands and what it is called there.
    type
        Postgres type as the server prints it, such as ``double precision`` or ``character varying(32)``.
    nullable
        Whether it may be empty.
    description
        The YAML's description or the comment in the database.
    unit, ucd
        As the YAML gives them; None where that is not known.
    id
        The ``@id`` of the YAML; None where there is no YAML for this side.
    position
        Order within the table, from 0.
    """

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
        """Return the column of this name.

        Raises
        ------
        KeyError
            When the table has none of that name.
        """
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
            raise InputError(
                f"{what} is listed twice in the schema {side} the change",
                remedy="Remove one of the two, or give one another name.",
            )
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
