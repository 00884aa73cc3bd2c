"""A table that is named without its schema."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import CreateTable
from consdb_actions.migration.lint.effects_tables import listed
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="unqualified-name",
    severity="error",
    summary="A table is named without its schema.",
    doc="""\
Postgres looks for such a name along the search path of whoever runs the migration, which does not hold
the schemas of ConsDB: the statement fails, or finds another table. A forgotten `schema=` in an `op.` call
is the usual reason.""",
    safe="Give `schema=` to the `op.` call, or write `schema.table`.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the statements of both directions with a bare name."""
    for run in script.runs:
        temporary: set[str] = set()
        for step in run.steps:
            temporary |= {a.table.name for a in step.actions if isinstance(a, CreateTable) and a.temporary}
            if step.parsed is None or step.search_path:
                continue
            bare = [
                name
                for name in step.parsed.mentions.unqualified
                if name not in temporary and not name.startswith("pg_")
            ]
            if bare:
                words = f"{listed(bare)} is named without a schema"
                yield at(step, run.direction, words, *bare)
