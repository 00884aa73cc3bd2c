"""Which schema a declaration is about: the textual forms name none, and a run may look at several."""

from __future__ import annotations

from collections.abc import Sequence

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.declarations import (
    Declaration,
    Declarations,
    DeclaredDrop,
    DeclaredMove,
    DeclaredRename,
    DeclaredTableDrop,
    DeclaredTableRename,
)
from consdb_actions.migration.matching.facts import TableFacts

__all__ = ["check_used", "concerns"]

Sides = tuple[Sequence[TableFacts], Sequence[TableFacts]]


def concerns(declaration: Declaration, before: Sequence[TableFacts], after: Sequence[TableFacts]) -> bool:
    """Tell whether a declaration says something about this change of a schema.

    It does when what it names on either side is there and changes: a column that goes, or one that comes.

    Parameters
    ----------
    declaration
        One declaration.
    before, after
        The two sides of one schema.
    """
    old, new = _columns(before), _columns(after)
    old_tables, new_tables = {t.name for t in before}, {t.name for t in after}
    match declaration:
        case DeclaredTableRename(name, new_name):
            return name in old_tables - new_tables or new_name in new_tables - old_tables
        case DeclaredTableDrop(name):
            return name in old_tables
        case DeclaredRename(table, column, new_column):
            here = _renamed(table, before, after)
            goes = any((t, column) in old and (t, column) not in new for t in here)
            comes = any((t, new_column) in new and (t, new_column) not in old for t in here)
            # A circle or an id that changed hands: both names are there before and after.
            both = any((t, column) in old and (t, new_column) in new for t in here) and not (goes or comes)
            return goes or comes or both
        case DeclaredDrop(table, column):
            return any((t, column) in old for t in _renamed(table, before, after))
        case DeclaredMove(table, column, new_table, new_column):
            goes = (table, column) in old and (table, column) not in new
            return goes or ((new_table, new_column) in new and (new_table, new_column) not in old)
    raise AssertionError(f"no such declaration: {declaration!r}")


def check_used(declared: Declarations, schemas: Sequence[Sides]) -> None:
    """Make sure that every option says something about one of the schemas.

    Parameters
    ----------
    declared
        All declarations of a run.
    schemas
        Before and after of every schema that is looked at.

    Raises
    ------
    InputError
        When an option is about none of them.
    """
    for declaration in declared.all():
        if declaration.source == "option" and not any(concerns(declaration, *sides) for sides in schemas):
            raise InputError(
                f"`{declaration.text}` matches nothing that changes",
                place="--rename",
                remedy="Check the names, and that the change is in the schema files given.",
            )


def _columns(tables: Sequence[TableFacts]) -> set[tuple[str, str]]:
    return {(table.name, column.name) for table in tables for column in table.columns}


def _renamed(table: str, before: Sequence[TableFacts], after: Sequence[TableFacts]) -> set[str]:
    """Return the names under which the table of a declaration may stand on either side."""
    names = {t.name for t in before} | {t.name for t in after}
    if table not in names:
        return set()
    gone = {t.name for t in before} - {t.name for t in after}
    come = {t.name for t in after} - {t.name for t in before}
    return {table} | (come if table in gone else set()) | (gone if table in come else set())
