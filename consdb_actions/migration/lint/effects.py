"""What an action makes of a state, and why Postgres would refuse it.

A refusal is found only where the state is complete and the relation is in the section's own schema; the
state goes on as far as it can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from consdb_actions.migration.lint import effects_names, effects_tables
from consdb_actions.migration.lint.actions import (
    Action,
    AddColumn,
    AddConstraint,
    AlterOther,
    AlterType,
    ChangeColumn,
    Comment,
    CreateIndex,
    CreateOther,
    CreateTable,
    CreateView,
    DefaultPrivileges,
    DropColumn,
    DropConstraint,
    DropRelation,
    DropSchema,
    Grant,
    RemoveRows,
    Rename,
    SetSchema,
    UnknownEffect,
    ValidateConstraint,
    Write,
)
from consdb_actions.migration.lint.effects_tables import Outcome, missing
from consdb_actions.migration.lint.effects_views import create_view
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.state import State

__all__ = ["apply"]


def apply(state: State, action: Action, *, if_exists: bool = False) -> Outcome:
    """Return the state after an action, and why Postgres would refuse it.

    Parameters
    ----------
    state
        What is there before.
    action
        What is done.
    if_exists
        Whether a table that is missing is no mistake.

    Returns
    -------
    tuple
        The state after it, and the reason of a refusal; the reason is empty where none is known.
    """
    effect = _EFFECTS.get(type(action))
    if effect is None:
        return state, ""
    after, problem = effect(state, action)
    if not state.complete:
        return after, ""
    if if_exists and isinstance(table := getattr(action, "table", None), Name) and table not in state.tables:
        return after, ""
    return after, problem


def _grant(state: State, action: Grant) -> Outcome:
    relations = list(action.relations)
    for schema in action.schemas:
        relations += [name for name in (*state.tables, *state.views) if name.schema == schema]
    given = frozenset((role, privilege) for role in action.roles for privilege in action.privileges)
    grants = dict(state.grants)
    for name in relations:
        held = grants.get(name, frozenset())
        grants[name] = held - given if action.revoke else held | given
    return replace(state, grants=grants), next((p for n in action.relations if (p := missing(state, n))), "")


def _default_privileges(state: State, action: DefaultPrivileges) -> Outcome:
    given = frozenset((role, privilege) for role in action.roles for privilege in action.privileges)
    grants = dict(state.default_grants)
    for schema in action.schemas or ("",):
        held = grants.get(schema, frozenset())
        grants[schema] = held - given if action.revoke else held | given
    return replace(state, default_grants=grants), ""


def _comment(state: State, action: Comment) -> Outcome:
    problem = missing(state, action.relation)
    table = state.tables.get(action.relation)
    if not problem and table is not None and action.column and action.column not in table.columns:
        problem = f"{action.relation} has no column {action.column}"
    comments = dict(state.comments)
    if action.text:
        comments[action.relation, action.column] = action.text
    else:
        comments.pop((action.relation, action.column), None)
    return replace(state, comments=comments), problem


def _rows(state: State, action: RemoveRows | Write) -> Outcome:
    return state, missing(state, action.table)


def _unknown(state: State, _: UnknownEffect) -> Outcome:
    return replace(state, complete=False), ""


_EFFECTS: dict[type[Action], Callable[[State, Any], Outcome]] = {
    CreateTable: effects_tables.create_table,
    AddColumn: effects_tables.add_column,
    DropColumn: effects_tables.drop_column,
    AlterType: effects_tables.alter_type,
    ChangeColumn: effects_tables.change_column,
    AlterOther: effects_tables.alter_other,
    AddConstraint: effects_tables.add_constraint,
    DropConstraint: effects_tables.drop_constraint,
    ValidateConstraint: effects_tables.validate_constraint,
    CreateIndex: effects_tables.create_index,
    CreateView: create_view,
    CreateOther: effects_names.create_other,
    DropRelation: effects_names.drop_relation,
    DropSchema: effects_names.drop_schema,
    Rename: effects_names.rename,
    SetSchema: effects_names.set_schema,
    Grant: _grant,
    DefaultPrivileges: _default_privileges,
    Comment: _comment,
    RemoveRows: _rows,
    Write: _rows,
    UnknownEffect: _unknown,
}
