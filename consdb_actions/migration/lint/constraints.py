"""Constraints as a table gets them: their names, what they do to columns, what they refer to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from consdb_actions.migration.lint.actions import Constraint
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.state import Index, State, Table
from consdb_actions.schema.names import (
    check_name,
    foreign_key_name,
    index_name,
    primary_key_name,
    unique_name,
)

__all__ = ["merge_redundant", "named", "refers_problem", "with_constraint"]


def merge_redundant(constraints: Iterable[Constraint]) -> list[Constraint]:
    """Merge unique constraints over equal columns, as Postgres does within one statement.

    The primary key stays, under the name of the other where it has none. Source:
    ``transformIndexConstraints`` (parse_utilcmd.c).
    """
    items = list(constraints)
    keys: list[Constraint] = []
    for item in sorted((c for c in items if c.kind in ("primary", "unique")), key=lambda c: c.kind):
        for position, prior in enumerate(keys):
            if prior.columns == item.columns:
                keys[position] = replace(prior, name=prior.name or item.name)
                break
        else:
            keys.append(item)
    return keys + [c for c in items if c.kind not in ("primary", "unique")]


def named(state: State, owner: Name, table: Table, constraint: Constraint) -> str:
    """Return the name that a constraint gets."""
    if constraint.name:
        return constraint.name
    columns = constraint.columns
    base = {
        "primary": lambda: primary_key_name(owner.name),
        "unique": lambda: unique_name(owner.name, columns),
        "foreign": lambda: foreign_key_name(owner.name, columns),
        "check": lambda: check_name(owner.name, columns),
        "exclude": lambda: index_name(owner.name, columns),
        "notnull": lambda: f"{owner.name}_{columns[0]}_not_null",
    }[constraint.kind]()
    taken = {name.name for name in state.relation_names() if name.schema == owner.schema}
    taken |= set(table.constraints)
    number, name = 0, base
    while name in taken:
        number += 1
        name = f"{base}{number}"
    return name


def with_constraint(state: State, owner: Name, table: Table, constraint: Constraint) -> Table:
    """Return a table with a constraint more."""
    if constraint.kind == "notnull":
        columns = {
            n: replace(c, nullable=False) if n in constraint.columns else c for n, c in table.columns.items()
        }
        return replace(table, columns=columns)
    indexes = dict(table.indexes)
    if constraint.index:
        index = indexes.pop(constraint.index, Index((), True, False))
        constraint = replace(
            constraint, columns=index.columns, name=constraint.name or constraint.index, index=""
        )
    name = named(state, owner, table, constraint)
    columns = dict(table.columns)
    if constraint.kind == "primary":
        columns = {
            n: replace(c, nullable=False) if n in constraint.columns else c for n, c in columns.items()
        }
    return Table(columns, {**table.constraints, name: replace(constraint, name=name)}, indexes)


def refers_problem(state: State, owner: Name, table: Table, constraint: Constraint) -> str:
    """Say why a foreign key cannot be made; empty when nothing stands against it."""
    target = constraint.refers
    if target is None or target.schema != state.schema:
        return ""
    other = table if target == owner else state.tables.get(target)
    if other is None:
        return f"table {target}, which the foreign key refers to, is not there"
    if not constraint.referred:
        return (
            ""
            if other.primary_key
            else f"table {target}, which the foreign key refers to, has no primary key"
        )
    for column in constraint.referred:
        if column not in other.columns:
            return f"{target}, which the foreign key refers to, has no column {column}"
    wanted = frozenset(constraint.referred)
    if not any(columns == wanted for _, columns in other.referable()):
        listed = ", ".join(constraint.referred)
        return f"{target} has no primary key or unique constraint over exactly ({listed}) to refer to"
    return ""
