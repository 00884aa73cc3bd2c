"""CREATE INDEX without CONCURRENTLY."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import CreateIndex
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.locks import SHARE
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="index-under-lock",
    severity="warning",
    summary="An index is built without CONCURRENTLY.",
    doc="""\
`CREATE INDEX` lets others read the table, and nobody write to it, until the migration commits; the
services that fill ConsDB wait or fail. With `CONCURRENTLY` they go on. That form cannot run inside of a
transaction, so that it needs an autocommit block (rule `needs-autocommit`).""",
    safe="`with op.get_context().autocommit_block(): op.create_index(..., postgresql_concurrently=True)`",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the indexes that the upgrade builds on a table with rows while nobody can write."""
    for step in script.upgrade.steps:
        for action in step.actions:
            if isinstance(action, CreateIndex) and step.is_filled(action.table) and not action.concurrently:
                words = (
                    f"index {action.name} is built over all of {action.table} while nobody can write to it"
                )
                yield at(step, "upgrade", words, action.table, lock=SHARE)
