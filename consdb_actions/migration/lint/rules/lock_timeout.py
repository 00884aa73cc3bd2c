"""Exclusive locks that are waited for without a limit."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import SetVariable
from consdb_actions.migration.lint.effects_tables import listed
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.locks import EXCLUSIVE, locked_exclusively
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.script import Script, Step

__all__ = ["RULE", "check"]

_NONE = frozenset({"", "0", "0s", "0ms", "default"})

RULE = Rule(
    id="lock-timeout",
    severity="info",
    summary="Exclusive locks are taken without a lock_timeout.",
    doc="""\
Even a change that is done at once needs its lock first. While it waits for a long query to end, everybody
who comes later waits behind it, readers included. With a `lock_timeout` the migration gives up instead,
nothing is changed, and it can be started again. Only a note by default, because ConsDB is migrated in a
window in which its services are quiet, and nearly every revision takes such a lock.""",
    safe="`op.execute(\"SET LOCAL lock_timeout = '5s'\")` as the first statement of `upgrade()`.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the first unlimited lock of the upgrade, with all tables that are locked like that."""
    limited, first = False, None
    tables: set[Name] = set()
    for step in script.upgrade.steps:
        for action in step.actions:
            if isinstance(action, SetVariable) and action.name == "lock_timeout":
                limited = not set(map(str.lower, action.values)) <= _NONE
            name = locked_exclusively(action)
            if name is not None and not limited and _in_use(step, name):
                first = first or step
                tables.add(name)
    if first is not None:
        words = f"locks are waited for without limit: {listed(tables)}"
        yield at(first, "upgrade", words, *sorted(tables), lock=EXCLUSIVE)


def _in_use(step: Step, name: Name) -> bool:
    known = name in step.before.tables or name in step.before.views
    return step.is_filled(name) and (known or not step.before.complete)
