"""Configured sources of tables and columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from consdb_actions.forms import Form, Line
from consdb_actions.schema.delta import SchemaDelta
from consdb_actions.schema.findings import SchemaFinding
from consdb_actions.schema.model import Schema


@dataclass(frozen=True, slots=True)
class DataSource:
    """What fills some tables."""

    tables: Annotated[str, Form("Pattern of schema.table.", min_length=1, max_length=200)]
    name: Line
    contact: Annotated[Line, Form("Who can answer questions and fill old rows.")] = ""
    columns: Annotated[
        tuple[Line, ...],
        Form(
            "Patterns of columns: the entry says where these come from, and nothing of the tables.",
            min_length=1,
        ),
    ] = ()

    def __str__(self) -> str:
        return f"{self.name} ({self.contact})" if self.contact else self.name


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table and its source; None where that is not declared."""

    table: str
    source: DataSource | None

    def __str__(self) -> str:
        return str(self.source) if self.source else "not declared"


def source_of_table(sources: Sequence[DataSource], table: str) -> DataSource | None:
    """Return the first matching source of a table, given as ``schema.table``."""
    return next((one for one in sources if not one.columns and fnmatchcase(table, one.tables)), None)


def source_of_column(sources: Sequence[DataSource], table: str, column: str) -> DataSource | None:
    """Return the source declared for a column itself."""
    return next(
        (
            one
            for one in sources
            if fnmatchcase(table, one.tables) and any(fnmatchcase(column, name) for name in one.columns)
        ),
        None,
    )


def table_sources(
    sources: Sequence[DataSource], delta: SchemaDelta, views: Collection[str]
) -> tuple[TableSource, ...]:
    """Return added and changed tables with sources; empty where none is declared at all."""
    if not sources:
        return ()
    names = (*(table.name for table in delta.tables_added), *(table.name for table in delta.tables_changed))
    return tuple(
        TableSource(name, source_of_table(sources, f"{delta.name}.{name}"))
        for name in names
        if name not in views
    )


def check_sources(
    sources: Sequence[DataSource], delta: SchemaDelta, after: Schema, views: Collection[str]
) -> Iterator[SchemaFinding]:
    """Yield new tables without a source, and new columns with a source of their own."""
    added = {table.name for table in delta.tables_added}
    new = {table.name: table.columns for table in delta.tables_added}
    new.update((table.name, table.columns_added) for table in delta.tables_changed)
    for item in table_sources(sources, delta, views):
        name, source = item.table, item.source
        if source is None:
            if name in added:
                yield SchemaFinding.of("source-missing", "table", name, name)
            continue
        for column in new[name]:
            own = source_of_column(sources, f"{after.name}.{name}", column.name)
            if own is not None and own.name != source.name:
                message = f"the column comes from {own.name}, but its table is filled by {source.name}"
                yield SchemaFinding.of("source-differs", "column", name, column.name, message=message)
