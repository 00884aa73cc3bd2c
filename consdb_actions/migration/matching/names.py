"""From names before a change to names after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consdb_actions.migration.matching.facts import ForeignKeyFacts

__all__ = ["NameMap"]


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
