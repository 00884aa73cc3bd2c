"""Check the length (rule M9) and uniqueness of a schema's names."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.adapters.problems import Problem
from consdb_actions.schema.model import Schema
from consdb_actions.schema.names import MAX_BYTES, cut, is_too_long, primary_key_name

__all__ = ["check_names"]


def check_names(
    schema: Schema, lines: dict[tuple[str, ...], int], problems: list[Problem], notes: list[str]
) -> None:
    """Check the identifiers of a schema.

    Tables and indexes, also those of UNIQUE and primary keys, share one namespace; other constraints only
    need a unique name in their table.
    """
    for what, name, key in _names(schema):
        if is_too_long(name):
            size = len(name.encode())
            cause = (
                f'{what} "{name}" has {size} bytes, Postgres keeps {MAX_BYTES}: it would become "{cut(name)}"'
            )
            problems.append(
                Problem(lines.get(key, 0), 0, cause, f"Shorten the name by {size - MAX_BYTES} bytes.")
            )
    _relations(schema, lines, problems)
    _note_repeated(schema, lines, notes)


def _names(schema: Schema) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield every identifier with its description and its path."""
    yield "the schema", schema.name, ("schema",)
    for table in schema:
        yield "table", table.name, ("table", table.name)
        for column in table.columns:
            yield f"column of {table.name}", column.name, ("column", table.name, column.name)
        for constraint in table.constraints:
            yield f"constraint of {table.name}", constraint.name, ("constraint", table.name, constraint.name)
        for index in table.indexes:
            yield f"index of {table.name}", index.name, ("index", table.name, index.name)


def _relations(schema: Schema, lines: dict[tuple[str, ...], int], problems: list[Problem]) -> None:
    taken: dict[str, str] = {}
    named: list[tuple[str, str, tuple[str, ...]]] = [
        (table.name, f'table "{table.name}"', ("table", table.name)) for table in schema
    ]
    for table in schema:
        if table.primary_key:
            name = primary_key_name(table.name)
            named.append((name, f'the primary key of "{table.name}"', ("table", table.name)))
        for constraint in table.constraints:
            if constraint.kind == "unique":
                key = ("constraint", table.name, constraint.name)
                named.append((constraint.name, f'the unique constraint of "{table.name}"', key))
        named.extend(
            (index.name, f'the index of "{table.name}"', ("index", table.name, index.name))
            for index in table.indexes
        )
    for name, what, place in named:
        if name in taken:
            cause = (
                f'{what} is called "{name}", and so is {taken[name]}: Postgres refuses that within a schema'
            )
            remedy = "Rename one; put the table's name into it."
            problems.append(Problem(lines.get(place, 0), 0, cause, remedy))
        else:
            taken[name] = what


def _note_repeated(schema: Schema, lines: dict[tuple[str, ...], int], notes: list[str]) -> None:
    """Note constraint names used in several tables: Postgres accepts them, Felis does not."""
    holders: dict[str, list[str]] = {}
    for table in schema:
        for constraint in table.constraints:
            holders.setdefault(constraint.name, []).append(table.name)
    for name, tables in holders.items():
        if len(tables) > 1:
            line = lines.get(("constraint", tables[0], name), 0)
            notes.append(
                f"line {line}: the constraint name {name} stands in {len(tables)} tables: {', '.join(tables)}"
            )
