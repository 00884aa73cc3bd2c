"""What dropping, renaming and moving relations makes of a state."""

from __future__ import annotations

from dataclasses import replace

from consdb_actions.migration.lint.actions import (
    Constraint,
    CreateOther,
    DropRelation,
    DropSchema,
    Rename,
    SetSchema,
)
from consdb_actions.migration.lint.effects_tables import Outcome, listed, missing
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.state import INDEXED, Index, State, Table, View

__all__ = ["create_other", "drop_relation", "drop_schema", "rename", "set_schema"]


def drop_relation(state: State, action: DropRelation) -> Outcome:
    """Take a relation away, with what depends on it where CASCADE says so."""
    name = action.name
    if action.kind == "index":
        return _drop_index(state, action)
    if action.kind in ("sequence", "other"):
        return replace(state, others=state.others - {name}), ""
    known = state.tables if action.kind == "table" else state.views
    if name not in known:
        problem = missing(state, name) or (
            f"{name} is no {action.kind}" if name.schema == state.schema else ""
        )
        return state, "" if action.missing_ok and missing(state, name) else problem
    problem = ""
    readers = [view for view in state.readers(name) if view not in action.together]
    referring = [(o, k) for o, k, _ in state.referring(name) if o not in action.together]
    if not action.cascade and readers:
        problem = f"{listed(readers)} reads {name}; drop the view first"
    elif not action.cascade and referring:
        problem = f"foreign key {referring[0][1]} of {referring[0][0]} refers to {name}; drop it first"
    for view in readers if action.cascade else ():
        state = state.with_view(view, None).dropped(view)
    for other, key in referring:
        table = state.tables[other]
        constraints = {n: c for n, c in table.constraints.items() if n != key}
        state = state.with_table(other, replace(table, constraints=constraints))
    return state.with_table(name, None).with_view(name, None).dropped(name), problem


def create_other(state: State, action: CreateOther) -> Outcome:
    """Make a sequence."""
    return replace(state, others=state.others | {action.name}), _taken(state, action.name)


def _drop_index(state: State, action: DropRelation) -> Outcome:
    for name, table in state.tables.items():
        if name.schema == action.name.schema:
            if action.name.name in table.indexes:
                indexes = {n: i for n, i in table.indexes.items() if n != action.name.name}
                return state.with_table(name, replace(table, indexes=indexes)), ""
            constraint = table.constraints.get(action.name.name)
            if constraint is not None and constraint.kind in INDEXED:
                return state, f"index {action.name} belongs to a constraint of {name}; drop the constraint"
    unknown = action.name.schema != state.schema or action.missing_ok
    return state, "" if unknown else f"there is no index {action.name} at this point"


def drop_schema(state: State, action: DropSchema) -> Outcome:
    """Take a schema away."""
    inside = [name for name in (*state.tables, *state.views) if name.schema == action.name]
    problem = ""
    if inside and not action.cascade:
        problem = f"schema {action.name} still holds {len(inside)} tables and views"
    for name in inside:
        state = state.with_table(name, None).with_view(name, None).dropped(name)
    return state, problem


def rename(state: State, action: Rename) -> Outcome:
    """Give something another name."""
    if action.kind == "column":
        return _rename_column(state, action)
    if action.kind == "constraint":
        return _rename_constraint(state, action)
    if action.kind == "relation" and (action.relation in state.tables or action.relation in state.views):
        return _move(state, action.relation, Name(action.relation.schema, action.new))
    return _rename_index(state, action)


def set_schema(state: State, action: SetSchema) -> Outcome:
    """Move a relation to another schema."""
    if problem := missing(state, action.relation):
        return state, problem
    return _move(state, action.relation, Name(action.schema, action.relation.name))


def _move(state: State, old: Name, new: Name) -> Outcome:
    problem = _taken(state, new)

    def renamed(name: Name) -> Name:
        return new if name == old else name

    def referring(constraint: Constraint) -> Constraint:
        return replace(constraint, refers=renamed(constraint.refers)) if constraint.refers else constraint

    tables = {
        renamed(name): replace(t, constraints={n: referring(c) for n, c in t.constraints.items()})
        for name, t in state.tables.items()
    }
    views = {
        renamed(name): replace(
            view,
            reads=frozenset((renamed(r), c) for r, c in view.reads),
            sources=frozenset(renamed(s) for s in view.sources),
        )
        for name, view in state.views.items()
    }
    return replace(
        state,
        tables=tables,
        views=views,
        grants={renamed(name): held for name, held in state.grants.items()},
        comments={(renamed(name), column): text for (name, column), text in state.comments.items()},
    ), problem


def _rename_column(state: State, action: Rename) -> Outcome:
    name, old, new = action.relation, action.old, action.new
    view = state.views.get(name)
    if view is not None:
        if view.columns is None:
            return state, ""
        if old not in view.columns:
            return state, f"{name} has no column {old} at this point"
        problem = f"{name} has a column {new} already" if new in view.columns else ""
        columns = tuple(new if c == old else c for c in view.columns)
        return _follow(state.with_view(name, replace(view, columns=columns)), name, old, new), problem
    table = state.tables.get(name)
    if table is None:
        return state, missing(state, name)
    if old not in table.columns:
        return state, f"{name} has no column {old} at this point"
    problem = f"{name} has a column {new} already" if new in table.columns else ""

    def one(column: str) -> str:
        return new if column == old else column

    changed = Table(
        {one(n): replace(c, name=one(n)) for n, c in table.columns.items()},
        {
            n: replace(
                c,
                columns=tuple(map(one, c.columns)),
                not_null=frozenset(map(one, c.not_null)),
                text=c.text.replace(repr(old), repr(new)),
            )
            for n, c in table.constraints.items()
        },
        {n: Index(tuple(map(one, i.columns)), i.unique, i.partial) for n, i in table.indexes.items()},
    )
    return _follow(state.with_table(name, changed), name, old, new), problem


def _follow(state: State, name: Name, old: str, new: str) -> State:
    """Rename a column wherever something else depends on it."""
    tables = {
        other: replace(
            table,
            constraints={
                n: replace(c, referred=tuple(new if r == old else r for r in c.referred))
                if c.refers == name
                else c
                for n, c in table.constraints.items()
            },
        )
        for other, table in state.tables.items()
    }
    views = {n: _reading(v, name, old, new) for n, v in state.views.items()}
    comments = {(r, new if (r, c) == (name, old) else c): text for (r, c), text in state.comments.items()}
    return replace(state, tables=tables, views=views, comments=comments)


def _reading(view: View, name: Name, old: str, new: str) -> View:
    return replace(view, reads=frozenset((r, new if (r, c) == (name, old) else c) for r, c in view.reads))


def _rename_constraint(state: State, action: Rename) -> Outcome:
    table = state.tables.get(action.relation)
    if table is None:
        return state, missing(state, action.relation)
    if action.old not in table.constraints:
        return state, f"{action.relation} has no constraint {action.old} at this point"
    problem = ""
    if action.new in table.constraints:
        problem = f"{action.relation} has a constraint {action.new} already"
    elif table.constraints[action.old].kind in INDEXED:
        problem = _taken(state, Name(action.relation.schema, action.new))
    constraints = {
        (action.new if n == action.old else n): replace(c, name=action.new) if n == action.old else c
        for n, c in table.constraints.items()
    }
    return state.with_table(action.relation, replace(table, constraints=constraints)), problem


def _rename_index(state: State, action: Rename) -> Outcome:
    """Rename an index; that of a constraint takes the constraint along."""
    problem = _taken(state, Name(action.relation.schema, action.new))
    for name, table in state.tables.items():
        if name.schema != action.relation.schema:
            continue
        if action.old in table.indexes:
            indexes = {(action.new if n == action.old else n): i for n, i in table.indexes.items()}
            return state.with_table(name, replace(table, indexes=indexes)), problem
        constraint = table.constraints.get(action.old)
        if constraint is not None and constraint.kind in INDEXED:
            return _rename_constraint(state, Rename("constraint", name, action.old, action.new))
    return state, "" if action.missing_ok else missing(state, action.relation)


def _taken(state: State, name: Name) -> str:
    return f"{name} is there already" if name in state.relation_names() else ""
