"""What statements about tables, columns and constraints make of a state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from consdb_actions.migration.lint.actions import (
    AddColumn,
    AddConstraint,
    AlterOther,
    AlterType,
    ChangeColumn,
    Constraint,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropConstraint,
    ValidateConstraint,
)
from consdb_actions.migration.lint.constraints import (
    free_name,
    merge_redundant,
    refers_problem,
    with_constraint,
)
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.state import Index, State, Table
from consdb_actions.schema.names import index_name

__all__ = [
    "SYSTEM_COLUMNS",
    "Outcome",
    "add_column",
    "add_constraint",
    "alter_other",
    "alter_type",
    "change_column",
    "create_index",
    "create_table",
    "drop_column",
    "drop_constraint",
    "listed",
    "missing",
    "validate_constraint",
]

SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
"""Columns that every table has."""

Outcome = tuple[State, str]
"""The state afterwards, and why Postgres would refuse; empty when nothing is known against it."""


def missing(state: State, name: Name) -> str:
    """Say that a relation of the own schema is not there; empty when it is, or may be a sequence."""
    if name.schema != state.schema or name in state.tables or name in state.views:
        return ""
    if name in state.others or name.name.endswith("_seq"):
        return ""
    return f"there is no {name} at this point"


def listed(names: Iterable[object]) -> str:
    """Write names one after the other."""
    return ", ".join(sorted(str(name) for name in names))


def _table(state: State, name: Name) -> tuple[Table | None, str]:
    table = state.tables.get(name)
    if table is not None or name.schema != state.schema:
        return table, ""
    return None, f"{name} is a view" if name in state.views else f"there is no table {name} at this point"


def _column(state: State, name: Name, column: str) -> tuple[Table | None, str]:
    table, problem = _table(state, name)
    if table is not None and column not in table.columns:
        return None, f"{name} has no column {column} at this point"
    return table, problem


def create_table(state: State, action: CreateTable) -> Outcome:
    """Make a table with its constraints."""
    if action.temporary:
        return state, ""
    name = action.table
    if name in state.tables or name in state.views:
        return state, "" if action.missing_ok else f"{name} is there already"
    if not action.known:
        return replace(state.with_table(name, Table({})).created(name), complete=False), ""
    table = Table({column.name: column for column in action.columns})
    keys = [constraint for constraint in action.constraints if constraint.kind == "primary"]
    problem = f"{name} gets {len(keys)} primary keys" if len(keys) > 1 else ""
    for constraint in merge_redundant(action.constraints):
        problem = problem or _constraint_problem(state, name, table, constraint)
        table = with_constraint(state, name, table, constraint)
    return state.with_table(name, table).created(name), problem


def add_column(state: State, action: AddColumn) -> Outcome:
    """Add a column with what is written beside it."""
    table, problem = _table(state, action.table)
    if table is None:
        return state, problem
    name = action.column.name
    if name in table.columns:
        return state, "" if action.missing_ok else f"{action.table} has a column {name} already"
    table = replace(table, columns={**table.columns, name: action.column})
    for constraint in action.constraints:
        problem = problem or _constraint_problem(state, action.table, table, constraint)
        table = with_constraint(state, action.table, table, constraint)
    return state.with_table(action.table, table), problem


def drop_column(state: State, action: DropColumn) -> Outcome:
    """Take a column away, with the constraints and indexes that it is part of."""
    table, problem = _column(state, action.table, action.column)
    if table is None:
        return state, "" if action.missing_ok and action.table in state.tables else problem
    readers = state.readers(action.table, action.column)
    if readers and not action.cascade:
        problem = f"{listed(readers)} reads {action.table}.{action.column}; drop the view first"
    for view in readers if action.cascade else ():
        state = state.with_view(view, None).dropped(view)
    for other, key, constraint in state.referring(action.table):
        if action.column in _referred(constraint, table):
            if not action.cascade:
                problem = problem or f"foreign key {key} of {other} refers to {action.table}.{action.column}"
            state = _without_constraint(state, other, key)
    kept = Table(
        {n: c for n, c in table.columns.items() if n != action.column},
        {n: c for n, c in table.constraints.items() if action.column not in c.columns},
        {n: i for n, i in table.indexes.items() if action.column not in i.columns},
    )
    comments = {k: text for k, text in state.comments.items() if k != (action.table, action.column)}
    return replace(state.with_table(action.table, kept), comments=comments), problem


def alter_type(state: State, action: AlterType) -> Outcome:
    """Give a column another type."""
    table, problem = _column(state, action.table, action.column)
    if table is None:
        return state, problem
    if readers := state.readers(action.table, action.column):
        problem = f"{listed(readers)} reads {action.table}.{action.column}; drop the view first"
    changed = replace(table.columns[action.column], type=action.type)
    columns = {**table.columns, action.column: changed}
    return state.with_table(action.table, replace(table, columns=columns)), problem


def change_column(state: State, action: ChangeColumn) -> Outcome:
    """Set or drop NOT NULL or a default."""
    table, problem = _column(state, action.table, action.column)
    if table is None:
        return state, problem
    column = table.columns[action.column]
    if action.change in ("set not null", "drop not null"):
        column = replace(column, nullable=action.change == "drop not null")
        key = table.primary_key
        if column.nullable and key and action.column in key.columns:
            problem = f"{action.column} is part of the primary key {key.name} of {action.table}"
    else:
        column = replace(column, default=action.change == "set default", volatile="")
    columns = {**table.columns, action.column: column}
    return state.with_table(action.table, replace(table, columns=columns)), problem


def alter_other(state: State, action: AlterOther) -> Outcome:
    """Change nothing that is followed here."""
    return state, missing(state, action.table)


def add_constraint(state: State, action: AddConstraint) -> Outcome:
    """Add a constraint."""
    table, problem = _table(state, action.table)
    if table is None:
        return state, problem
    problem = _constraint_problem(state, action.table, table, action.constraint)
    return state.with_table(
        action.table, with_constraint(state, action.table, table, action.constraint)
    ), problem


def drop_constraint(state: State, action: DropConstraint) -> Outcome:
    """Take a constraint away."""
    table, problem = _table(state, action.table)
    if table is None:
        return state, problem
    constraint = table.constraints.get(action.name)
    if constraint is None:
        there = "" if action.missing_ok else f"{action.table} has no constraint {action.name} at this point"
        return state, there
    if constraint.kind in ("primary", "unique"):
        columns = frozenset(constraint.columns)
        # Where two keys have the same columns, only the database knows on which one a foreign key rests.
        alone = sum(held == columns for _, held in table.referable()) == 1
        using = [
            (other, key)
            for other, key, foreign in [*state.referring(action.table), *_own(action.table, table)]
            if frozenset(_referred(foreign, table)) == columns
        ]
        if using and alone and not action.cascade:
            other, key = using[0]
            problem = f"foreign key {key} of {other} rests on {action.name}; drop it first"
        for other, key in using if action.cascade else ():
            state = _without_constraint(state, other, key)
    return _without_constraint(state, action.table, action.name), problem


def validate_constraint(state: State, action: ValidateConstraint) -> Outcome:
    """Mark a constraint as checked."""
    table, problem = _table(state, action.table)
    if table is None:
        return state, problem
    constraint = table.constraints.get(action.name)
    if constraint is None:
        return state, f"{action.table} has no constraint {action.name} at this point"
    if constraint.kind not in ("foreign", "check", "notnull"):
        return state, f"{action.name} is neither a foreign key nor a CHECK"
    constraints = {**table.constraints, action.name: replace(constraint, valid=True)}
    return state.with_table(action.table, replace(table, constraints=constraints)), ""


def create_index(state: State, action: CreateIndex) -> Outcome:
    """Make an index."""
    table, problem = _table(state, action.table)
    if table is None:
        return state, "" if action.table in state.views else problem
    columns = tuple(c for c in action.columns if c)
    name = action.name or free_name(state, action.table.schema, index_name(action.table.name, columns))
    if action.name and Name(action.table.schema, name) in state.relation_names():
        return state, "" if action.missing_ok else f"{action.table.schema}.{name} is there already"
    for column in columns:
        if column not in table.columns:
            problem = problem or f"{action.table} has no column {column} at this point"
    indexes = {**table.indexes, name: Index(action.columns, action.unique, action.partial)}
    return state.with_table(action.table, replace(table, indexes=indexes)), problem


def _own(name: Name, table: Table) -> list[tuple[Name, str, Constraint]]:
    return [
        (name, key, c) for key, c in table.constraints.items() if c.kind == "foreign" and c.refers == name
    ]


def _referred(constraint: Constraint, target: Table) -> tuple[str, ...]:
    """Return the columns that a foreign key refers to."""
    if constraint.referred:
        return constraint.referred
    return target.primary_key.columns if target.primary_key else ()


def _without_constraint(state: State, name: Name, key: str) -> State:
    table = state.tables[name]
    constraints = {n: c for n, c in table.constraints.items() if n != key}
    return state.with_table(name, replace(table, constraints=constraints))


def _columns_problem(name: Name, table: Table, constraint: Constraint) -> str:
    # A CHECK may also speak of the whole row, by the table's name, and of system columns.
    others = {name.name, *SYSTEM_COLUMNS} if constraint.kind == "check" else set[str]()
    for column in constraint.columns if not constraint.index else ():
        if column not in table.columns and column not in others:
            return f"{name} has no column {column} at this point"
    return ""


def _constraint_problem(state: State, name: Name, table: Table, constraint: Constraint) -> str:
    if problem := _columns_problem(name, table, constraint):
        return problem
    if constraint.name and constraint.name in table.constraints:
        return f"{name} has a constraint {constraint.name} already"
    if constraint.kind == "primary" and (key := table.primary_key):
        return f"{name} has a primary key already: {key.name}"
    makes_index = constraint.kind in ("primary", "unique") and constraint.name not in ("", constraint.index)
    if makes_index and Name(name.schema, constraint.name) in state.relation_names():
        return f"{name.schema}.{constraint.name} is there already, and the constraint's index needs the name"
    if constraint.index:
        index = table.indexes.get(constraint.index)
        if index is None:
            return f"{name} has no index {constraint.index} at this point"
        if not index.unique or index.partial:
            return f"{constraint.index} is not a unique index over all rows"
    if constraint.kind == "foreign":
        return refers_problem(state, name, table, constraint)
    return ""
