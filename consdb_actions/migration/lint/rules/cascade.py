"""CASCADE."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import (
    Action,
    DropColumn,
    DropConstraint,
    DropRelation,
    DropSchema,
    RemoveRows,
)
from consdb_actions.migration.lint.effects_tables import listed
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.script import Script, Step

__all__ = ["RULE", "check"]

RULE = Rule(
    id="cascade",
    severity="error",
    summary="CASCADE removes more than the statement names.",
    doc="""\
What depends on the thing goes with it without being named: views with their grants, foreign keys of other
tables, rows. Nothing brings it back in the downgrade, and what depends on it may differ from one database
to the next.""",
    safe="Name everything that is to go in statements of its own, and make it anew where it is still needed.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the statements of both directions with CASCADE."""
    for run in script.runs:
        for step in run.steps:
            for action in step.actions:
                if _cascades(action):
                    taken = listed(_taken(step))
                    known = f", here at least {taken}" if taken else ""
                    yield at(step, run.direction, f"CASCADE removes whatever depends on it{known}")
                    break


def _cascades(action: Action) -> bool:
    kinds = DropColumn | DropConstraint | DropRelation | DropSchema | RemoveRows
    return isinstance(action, kinds) and action.cascade


def _taken(step: Step) -> list[str]:
    """Return the views and foreign keys that go and are not named in the statement."""
    named = step.parsed.mentions.relations if step.parsed else frozenset()
    out = [str(view) for view in step.before.views if view not in step.after.views and view not in named]
    for name, table in step.before.tables.items():
        kept = step.after.tables.get(name)
        if kept is not None and name not in named:
            out += [key for key in table.constraints if key not in kept.constraints]
    return out
