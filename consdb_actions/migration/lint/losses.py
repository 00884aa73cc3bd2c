"""Data that a direction removes, unless it was copied elsewhere first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consdb_actions.migration.lint.actions import (
    AddColumn,
    DropColumn,
    DropRelation,
    DropSchema,
    RemoveRows,
    Rename,
    Write,
)
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.script import Run, Step

__all__ = ["Loss", "losses"]


@dataclass(frozen=True, slots=True)
class Loss:
    """What a statement removes for good.

    Attributes
    ----------
    what
        The column, table or rows, as a noun.
    table
        The table it is in.
    column
        The column; empty where it is more than one.
    """

    step: Step
    what: str
    table: Name
    column: str = ""


def losses(run: Run) -> Iterator[Loss]:
    """Yield what a direction removes that was there before it began."""
    added: set[tuple[Name, str]] = set()
    copied: set[tuple[Name, str]] = set()
    for step in run.steps:
        for action in step.actions:
            if isinstance(action, AddColumn):
                added.add((action.table, action.column.name))
            elif isinstance(action, Rename) and action.kind == "column":
                _rename(added, action)
                _rename(copied, action)
            elif isinstance(action, Write):
                copied |= _copies(step, action)
            elif isinstance(action, DropColumn) and step.is_filled(action.table):
                if (action.table, action.column) not in added | copied and _is_there(step, action):
                    what = f"column {action.table}.{action.column}"
                    yield Loss(step, what, action.table, action.column)
            elif isinstance(action, DropRelation) and action.kind == "table" and step.is_filled(action.name):
                yield from _table(step, action.name, copied)
            elif isinstance(action, RemoveRows) and step.is_filled(action.table):
                yield Loss(step, f"rows of {action.table}", action.table)
            elif isinstance(action, DropSchema):
                yield Loss(step, f"schema {action.name} with all its tables", Name(action.name, ""))


def _table(step: Step, name: Name, copied: set[tuple[Name, str]]) -> Iterator[Loss]:
    table = step.before.tables.get(name)
    if table is None:
        if not step.before.complete:
            yield Loss(step, f"table {name}", name)
        return
    key = table.primary_key
    kept = {column for column in table.columns if (name, column) in copied}
    # Rows were moved when every column but the key, by which they were matched, was copied.
    if kept and set(table.columns) - kept <= set(key.columns if key else ()):
        return
    but = f" but {', '.join(sorted(kept))}" if kept else ""
    yield Loss(step, f"table {name} with its rows{but}", name)


def _is_there(step: Step, action: DropColumn) -> bool:
    table = step.before.tables.get(action.table)
    return not step.before.complete or (table is not None and action.column in table.columns)


def _copies(step: Step, action: Write) -> set[tuple[Name, str]]:
    """Return the columns whose values a statement carries into a table."""
    out: set[tuple[Name, str]] = set()
    for known_as, source in (*action.sources, (action.table.name, action.table)):
        table = step.before.tables.get(source)
        for qualifier, column in action.values:
            if qualifier in ("", known_as, source.name):
                if column == "*":
                    out.update((source, name) for name in (table.columns if table else ()))
                elif table is None or column in table.columns:
                    out.add((source, column))
    return out


def _rename(columns: set[tuple[Name, str]], action: Rename) -> None:
    if (action.relation, action.old) in columns:
        columns.remove((action.relation, action.old))
        columns.add((action.relation, action.new))
