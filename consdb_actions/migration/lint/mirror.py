"""How the state after upgrade and downgrade differs from the one before (rule M10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from consdb_actions.migration.lint.actions import Column, Constraint
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.state import State, Table

__all__ = ["differences"]

_V = TypeVar("_V")


def differences(before: State, after: State) -> list[str]:
    """Return what the way there and back changed, as short phrases; data is another matter.

    The order of a table's columns does not count: a column that was dropped comes back as the last one.
    """
    return [*_relations(before, after), *_comments(before, after)]


def _relations(before: State, after: State) -> Iterator[str]:
    for name in _gone(before.tables, after.tables):
        yield f"table {name} is gone"
    for name in _gone(after.tables, before.tables):
        yield f"table {name} is left"
    for name in sorted(set(before.tables) & set(after.tables)):
        yield from _table(name, before.tables[name], after.tables[name])
    for name in _gone(before.views, after.views):
        yield f"view {name} is gone"
    for name in _gone(after.views, before.views):
        yield f"view {name} is left"
    for name in sorted(set(before.views) & set(after.views)):
        old, new = before.views[name].columns, after.views[name].columns
        if old is None or new is None or old == new:
            continue
        lost, left = sorted(set(old) - set(new)), sorted(set(new) - set(old))
        if lost or left:
            yield f"view {name} shows other columns ({_change(lost, left)})"
        else:
            yield f"view {name} shows its columns in another order"


def _table(name: Name, old: Table, new: Table) -> Iterator[str]:
    for column in _gone(old.columns, new.columns):
        yield f"column {name}.{column} is gone"
    for column in _gone(new.columns, old.columns):
        yield f"column {name}.{column} is left"
    for column in old.columns:
        if column in new.columns:
            yield from _column(f"{name}.{column}", old.columns[column], new.columns[column])
    for key in _gone(old.constraints, new.constraints):
        yield f"constraint {key} of {name} is gone"
    for key in _gone(new.constraints, old.constraints):
        yield f"constraint {key} of {name} is left"
    for key in sorted(set(old.constraints) & set(new.constraints)):
        if _shape(old.constraints[key]) != _shape(new.constraints[key]):
            yield f"constraint {key} of {name} says something else"
    for index in _gone(old.indexes, new.indexes):
        yield f"index {index} of {name} is gone"
    for index in _gone(new.indexes, old.indexes):
        yield f"index {index} of {name} is left"


def _column(name: str, old: Column, new: Column) -> Iterator[str]:
    if old.type.same != new.type.same:
        yield f"{name} is {new.type} and was {old.type}"
    if old.nullable != new.nullable:
        yield f"{name} is {'nullable' if new.nullable else 'NOT NULL'} and was not"
    # What a default says is not compared: the same value is written in many ways.
    if old.default != new.default:
        yield f"{name} has a default and had none" if new.default else f"{name} has lost its default"


def _shape(constraint: Constraint) -> tuple[object, ...]:
    """Return what of a constraint counts; what a CHECK says is not compared, like a default."""
    return (constraint.kind, constraint.columns, constraint.refers, frozenset(constraint.referred))


def _comments(before: State, after: State) -> Iterator[str]:
    changed = {
        key
        for key in {*before.comments, *after.comments}
        if before.comments.get(key) != after.comments.get(key)
    }
    there = [
        (name, column) for name, column in sorted(changed) if name in after.tables and name in before.tables
    ]
    for name, column in there:
        if not column or column in after.tables[name].columns:
            yield f"the comment of {name}{'.' if column else ''}{column} is another"


def _gone(left: Mapping[_V, object], right: Mapping[_V, object]) -> list[_V]:
    return sorted(set(left) - set(right), key=str)


def _change(lost: list[str], left: list[str]) -> str:
    parts = [f"without {', '.join(lost)}"] if lost else []
    return "; ".join([*parts, *([f"with {', '.join(left)}"] if left else [])])
