"""Names that go away under those who read them."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import AddColumn, DropRelation, Rename, SetSchema
from consdb_actions.migration.lint.effects_tables import listed
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.locks import EXCLUSIVE
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.script import Script, Step

__all__ = ["RULE", "check"]

_FAILS = "queries with the old name fail"

RULE = Rule(
    id="breaks-readers",
    severity="warning",
    summary="A table, view or column gets another name, or a view goes away, under those who read it.",
    doc="""\
Queries in notebooks, `hinfo`, `pqserver` and the TAP service name tables and columns. They fail from the
moment of the migration until they are changed. A view that shows a renamed column keeps the old name for
it until it is made anew. What the same revision made itself can be renamed freely, and names of
constraints and indexes matter to nobody.""",
    safe="Announce it, and deploy the readers together with the migration; or keep the old name as "
    "well until they are changed (a view, or a second column).",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the names that the upgrade takes away."""
    added: set[tuple[Name, str]] = set()
    remade = script.upgrade.end.views
    for step in script.upgrade.steps:
        for action in step.actions:
            words, table = "", Name("", "")
            if isinstance(action, AddColumn):
                added.add((action.table, action.column.name))
            elif isinstance(action, Rename) and action.kind in ("relation", "column"):
                table = action.relation
                words = _renamed(step, action, added)
            elif isinstance(action, SetSchema):
                table = action.relation
                words = f"{action.relation} moves to schema {action.schema}; {_FAILS}"
            elif isinstance(action, DropRelation) and action.kind in ("view", "matview"):
                table = action.name
                if table in step.before.views and table not in remade:
                    words = f"view {table} goes away; queries that read it fail"
            if words and step.is_filled(table):
                yield at(step, "upgrade", words, table, lock=EXCLUSIVE)


def _renamed(step: Step, action: Rename, added: set[tuple[Name, str]]) -> str:
    if action.kind == "relation":
        # An index is renamed by the same statement.
        known = action.relation in step.before.tables or action.relation in step.before.views
        return f"{action.relation} is called {action.new} from now on; {_FAILS}" if known else ""
    if (action.relation, action.old) in added:
        return ""
    words = f"{action.relation}.{action.old} is called {action.new} from now on"
    if readers := step.after.readers(action.relation, action.new):
        words += f", while {listed(readers)} goes on calling it {action.old}"
    return f"{words}; {_FAILS}"
