"""Rows that a rehearsal's writer makes: each round one for each table, with keys of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.catalog import Relation, Snapshot
from consdb_actions.migration.rows import TableRows

__all__ = ["Template", "bumped", "made_row", "templates_of"]

_REFERENCES = re.compile(r"FOREIGN KEY \((?P<own>.*?)\) REFERENCES .*?\((?P<theirs>.*?)\)")
_LENGTH = re.compile(r"\((\d+)\)")


@dataclass(frozen=True, slots=True)
class Template:
    """How rows of a table are made.

    Attributes
    ----------
    rows
        Rows to take values from.
    parents
        Column -> table and column whose new row gives the value.
    keys
        Columns of each primary or unique key.
    changeable
        A column that is in no key; empty when there is none, or no primary key.
    leaf
        Whether no other table refers to this one, so that rows can go.
    """

    rows: TableRows
    parents: Mapping[str, tuple[str, str]]
    keys: tuple[tuple[str, ...], ...]
    changeable: str = ""
    leaf: bool = False


def templates_of(snapshot: Snapshot, made: Sequence[TableRows]) -> tuple[Template, ...]:
    """Return how to make rows, parents first.

    Parameters
    ----------
    snapshot
        The tables.
    made
        Rows that they took.
    """
    referred = {
        c.references
        for name, table in snapshot.tables.items()
        for c in table.constraints.values()
        if c.kind == "foreign key" and c.references != name
    }
    return tuple(_template(snapshot.tables[rows.table], rows, rows.table not in referred) for rows in made)


def _template(table: Relation, rows: TableRows, leaf: bool) -> Template:
    parents: dict[str, tuple[str, str]] = {}
    keys: list[tuple[str, ...]] = []
    primary = False
    for constraint in table.constraints.values():
        match = _REFERENCES.match(constraint.definition)
        if constraint.kind == "foreign key" and match and constraint.references != table.name:
            theirs = [name.strip().strip('"') for name in match["theirs"].split(",")]
            for own, their in zip(constraint.columns, theirs, strict=True):
                parents[own] = (constraint.references or "", their)
        elif constraint.kind in ("primary key", "unique"):
            keys.append(constraint.columns)
            primary |= constraint.kind == "primary key"
    taken = {column for key in keys for column in key} | set(parents)
    free = [name for name in rows.columns if name not in taken]
    return Template(rows, parents, tuple(keys), free[0] if free and primary else "", leaf and primary)


def made_row(
    template: Template, number: int, made: Mapping[str, Mapping[str, str | None]]
) -> dict[str, str | None]:
    """Make a row.

    Parameters
    ----------
    template
        The table.
    number
        The round, which no other round has.
    made
        Rows of this round, by table.

    Returns
    -------
    dict
        Values by column, as texts.
    """
    rows = template.rows
    row = dict(zip(rows.columns, rows.rows[number % len(rows.rows)], strict=True))
    fresh = set()
    for column, (table, theirs) in template.parents.items():
        if column in row and table in made and theirs in made[table]:
            row[column] = made[table][theirs]
            fresh.add(column)
    types = dict(zip(rows.columns, rows.types, strict=True))
    for key in template.keys:
        if not fresh & set(key):
            column = _bump_column([name for name in key if name in row], types)
            if column:
                row[column] = bumped(row[column] or "", types[column], number)
                fresh.add(column)
    return row


def _bump_column(columns: Sequence[str], types: Mapping[str, str]) -> str:
    """Choose the column of a key that gets a value of its own: a whole number where there is one."""
    numbers = [name for name in columns if types[name] in ("bigint", "integer")]
    return (numbers or list(columns) or [""])[0]


def bumped(value: str, type_: str, number: int) -> str:
    """Return a value of a type that belongs to one round alone."""
    if type_ in ("bigint", "integer", "smallint", "double precision", "real") or type_.startswith("numeric"):
        return str(number if type_ != "smallint" else number % 30_000)
    if type_.startswith(("timestamp", "date")):
        return f"{2100 + number % 5000}-01-01"
    length = _LENGTH.search(type_)
    text = f"{number}-{value}"
    return text[: int(length[1])] if length else text
