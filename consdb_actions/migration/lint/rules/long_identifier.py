"""A name that Postgres cuts off (rule M9)."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.script import Script
from consdb_actions.migration.lint.state import State
from consdb_actions.schema.names import MAX_BYTES, cut

__all__ = ["RULE", "check"]

RULE = Rule(
    id="long-identifier",
    severity="error",
    summary=f"A name is longer than {MAX_BYTES} bytes.",
    doc="""\
Postgres cuts such a name silently. Two names can become the same one, and whoever looks for the long one,
like the next migration, does not find it. A name that was cut long ago may be named in full to rename or
drop it.""",
    safe="Choose a shorter name; the finding shows what Postgres would make of this one.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the names of both directions that would be cut."""
    for run in script.runs:
        for step in run.steps:
            for name in step.parsed.long_identifiers if step.parsed else ():
                if cut(name) not in _names(step.before):
                    words = f"{name} has {len(name.encode())} bytes; Postgres cuts it to {cut(name)}"
                    yield at(step, run.direction, words)


def _names(state: State) -> set[str]:
    names = {relation.name for relation in state.relation_names()}
    for table in state.tables.values():
        names.update(table.columns, table.constraints)
    return names
