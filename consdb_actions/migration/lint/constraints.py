"""Constraints as a table gets them: their names, what they do to columns, what they refer to."""

from __future__ import annotations

from collections.abc import Container, Iterable
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

__all__ = ["free_name", "merge_redundant", "named", "refers_problem", "with_constraint"]


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
    others = [c for c in items if c.kind not in ("primary", "unique")]
    # A foreign key can refer to a key of the same statement.
    return keys + sorted(others, key=lambda c: c.kind == "foreign")


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
    return free_name(state, owner.schema, base, table.constraints)


def free_name(state: State, schema: str, base: str, taken: Container[str] = ()) -> str:
    """Return a name that nothing has, made from another as Postgres makes it."""
    relations = {name.name for name in state.relation_names() if name.schema == schema}
    number, name = 0, base
    while name in relations or name in taken:
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
    key = other.primary_key
    if not constraint.referred and key is None:
        return f"table {target}, which the foreign key refers to, has no primary key"
    referred = constraint.referred or (key.columns if key else ())
    if len(referred) != len(constraint.columns):
        return (
            f"the foreign key has {len(constraint.columns)} columns and refers to {len(referred)} of {target}"
        )
    for column in referred:
        if column not in other.columns:
            return f"{target}, which the foreign key refers to, has no column {column}"
    wanted = frozenset(referred)
    if not any(columns == wanted for _, columns in other.referable()):
        listed = ", ".join(referred)
        return f"{target} has no primary key or unique constraint over exactly ({listed}) to refer to"
    return ""
