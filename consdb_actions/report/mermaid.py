"""Mermaid entity-relationship diagram of the tables that a change touches.

All but letters, digits and underscores in names becomes an underscore: names can neither break the diagram
nor add text to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from consdb_actions.schema.delta import SchemaDelta, TableDelta
from consdb_actions.schema.model import Column, Schema, Table

__all__ = ["MAX_COLUMNS", "MAX_TABLES", "er_diagram"]

MAX_TABLES = 15
MAX_COLUMNS = 20


def er_diagram(
    before: Schema | None,
    after: Schema | None,
    delta: SchemaDelta,
    renamed: Mapping[tuple[str, str], str] | None = None,
) -> str:
    """Draw the changed tables and those that they reference."""
    lines: list[str] = []
    touched = _touched(before, after, delta)
    shown = dict(list(touched.items())[:MAX_TABLES])
    for table, change in shown.items():
        lines.append(f"  {_word(table.name)} {{")
        lines += [f"    {line}" for line in _columns(table, change, renamed or {}, delta)]
        lines.append("  }")
    lines += [f"  {line}" for line in _relations(list(shown))]
    return "\n".join(["erDiagram", *lines]) if shown else ""


def _touched(
    before: Schema | None, after: Schema | None, delta: SchemaDelta
) -> dict[Table, TableDelta | None]:
    """Return the tables to draw; None for a new or dropped one."""
    tables: dict[Table, TableDelta | None] = {}
    for changed in delta.tables_changed:
        if after is not None:
            tables[after.table(changed.name)] = changed
    tables.update(dict.fromkeys(delta.tables_added))
    tables.update(dict.fromkeys(delta.tables_removed))
    return tables


def _columns(
    table: Table, change: TableDelta | None, renamed: Mapping[tuple[str, str], str], delta: SchemaDelta
) -> Iterator[str]:
    """Yield the key of a table and its changed columns, with the changes."""
    marks: dict[str, str] = {}
    if change is None:
        mark = "removed" if table in delta.tables_removed else "new"
        marks = dict.fromkeys(table.column_names, mark)
    else:
        for changed in change.columns_changed:
            what = changed.structure or changed.text
            marks[changed.name] = ", ".join(item.attribute.replace("_", " ") for item in what)
        marks.update((column.name, "new") for column in change.columns_added)
    columns: list[tuple[Column, str]] = [
        (column, marks.get(column.name, ""))
        for column in table.columns
        if column.name in marks or column.name in table.primary_key
    ]
    gone = {old for (name, _), old in renamed.items() if name == table.name}
    if change is not None:
        columns += [(column, "removed") for column in change.columns_removed if column.name not in gone]
    for column, mark in columns[:MAX_COLUMNS]:
        old = renamed.get((table.name, column.name))
        comment = f"was {_word(old)}" if old else mark
        yield _attribute(column, table, comment)
    if len(columns) > MAX_COLUMNS:
        yield f"columns and_{len(columns) - MAX_COLUMNS}_more"


def _attribute(column: Column, table: Table, comment: str) -> str:
    key = " PK" if column.name in table.primary_key else ""
    note = f' "{re.sub(r"[^A-Za-z0-9_ ,]", "", comment)}"' if comment else ""
    return f"{_word(column.datatype or 'unknown')} {_word(column.name)}{key}{note}"


def _relations(tables: list[Table]) -> Iterator[str]:
    """Yield a line for each pair of related tables."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for table in tables:
        for key in table.foreign_keys:
            pairs.setdefault((key.referenced_table, table.name), []).append(", ".join(key.columns))
    for (parent, child), columns in pairs.items():
        label = _label(columns[0]) if len(columns) == 1 else f"{len(columns)} foreign keys"
        yield f'{_word(parent)} ||--o{{ {_word(child)} : "{label}"'


def _word(name: str) -> str:
    word = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return word if word[:1].isalpha() else f"x{word}"


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_ ,]", "_", text)
