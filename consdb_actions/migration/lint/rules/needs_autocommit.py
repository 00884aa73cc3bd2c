"""Statements that cannot run inside of a transaction."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import CreateIndex, DropRelation, OutsideTransaction
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="needs-autocommit",
    severity="error",
    summary="A statement cannot run inside of the migration's transaction.",
    doc="""\
`CREATE INDEX CONCURRENTLY`, `DROP INDEX CONCURRENTLY`, `VACUUM` and a few others are refused inside of a
transaction, and a migration runs in one. Alembic steps out of it for the length of an autocommit block.
What stood before the block is committed by it, so that such a revision does nothing else if it can be
helped.""",
    safe="Put it into `with op.get_context().autocommit_block():`.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the statements of both directions that Postgres refuses in a transaction."""
    for run in script.runs:
        for step in run.steps:
            for action in step.actions if step.in_transaction else ():
                if isinstance(action, OutsideTransaction):
                    what = action.what
                elif isinstance(action, CreateIndex | DropRelation) and action.concurrently:
                    what = f"{'CREATE' if isinstance(action, CreateIndex) else 'DROP'} INDEX CONCURRENTLY"
                else:
                    continue
                yield at(step, run.direction, f"{what} cannot run inside of the migration's transaction")
