"""What making a view makes of a state."""

from __future__ import annotations

from consdb_actions.migration.lint.actions import CreateView
from consdb_actions.migration.lint.effects_tables import SYSTEM_COLUMNS, Outcome, missing
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.state import State, View

__all__ = ["create_view"]


def create_view(state: State, action: CreateView) -> Outcome:
    """Make a view, or replace one, which keeps its privileges."""
    name = action.view
    if name in state.tables:
        return state, f"{name} is a table"
    problem = _source_problem(state, action)
    old = state.views.get(name)
    outputs = _outputs(state, action)
    if outputs is not None and len(set(outputs)) < len(outputs):
        problem = problem or f"{name} would show two columns of the same name"
    view = View(
        outputs,
        frozenset(_reads(state, action)),
        frozenset(source for _, source in action.sources),
        action.materialized,
    )
    if old is None:
        return state.with_view(name, view).created(name), problem
    if not action.replace:
        return state, "" if action.missing_ok else f"{name} is there already"
    if (
        old.columns is not None
        and view.columns is not None
        and view.columns[: len(old.columns)] != old.columns
    ):
        problem = problem or (
            f"{name} is there already, and CREATE OR REPLACE can only add columns at its end: "
            f"{_first_difference(old.columns, view.columns)}"
        )
    return state.with_view(name, view), problem


def _columns_of(state: State, name: Name) -> tuple[str, ...] | None:
    if name in state.tables:
        return tuple(state.tables[name].columns)
    return state.views[name].columns if name in state.views else None


def _outputs(state: State, action: CreateView) -> tuple[str, ...] | None:
    if action.outputs is None:
        return None
    out: list[str] = []
    for output, starred in action.outputs:
        if starred is None:
            out.append(output)
        else:
            columns = _columns_of(state, starred)
            if columns is None:
                return None
            out.extend(columns)
    return tuple(out)


def _reads(state: State, action: CreateView) -> set[tuple[Name, str]]:
    """Return the columns that the query may mean; a name without qualifier can be any source's."""
    out: set[tuple[Name, str]] = set()
    for known_as, source in action.sources:
        columns = _columns_of(state, source) or ()
        for qualifier, column in action.columns:
            if qualifier in ("", known_as):
                if column == "*":
                    out.update((source, c) for c in columns)
                elif column in columns:
                    out.add((source, column))
    return out


def _source_problem(state: State, action: CreateView) -> str:
    for _, source in action.sources:
        if problem := missing(state, source):
            return problem
    if not action.plain:
        return ""
    known: dict[str, set[str]] = {"": {known_as for known_as, _ in action.sources}}
    for known_as, source in action.sources:
        columns = _columns_of(state, source)
        if columns is None:
            return ""
        known[known_as] = {*columns, *SYSTEM_COLUMNS, "*"}
        known[""] |= known[known_as]
    for qualifier, column in sorted(action.columns):
        if column not in known.get(qualifier, {column}):
            where = dict(action.sources).get(qualifier) or " and ".join(str(s) for _, s in action.sources)
            return f"there is no column {column} in {where} at this point"
    return ""


def _first_difference(old: tuple[str, ...], new: tuple[str, ...]) -> str:
    for position, column in enumerate(old):
        now = new[position] if position < len(new) else None
        if now != column:
            return f"column {position + 1} is {column} and would be {now or 'gone'}"
    return ""
