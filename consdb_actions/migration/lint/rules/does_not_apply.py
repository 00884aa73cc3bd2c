"""A statement that the database will refuse."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="does-not-apply",
    severity="error",
    summary="A statement cannot run where it stands.",
    doc="""\
The history of the section says what is there before the statement, and this one does not fit: it names a
table, column or constraint that is not there (any more), makes one that is there already, drops or
retypes a column that a view reads, drops a key on which a foreign key rests, or refers to columns that no
key covers. Only the first such statement of each direction is named, because Postgres stops there.

What was made by hand, outside of the revisions, is not known here. Data can make a statement fail as
well; that is what `migrations check` is for.""",
    safe="Change the order, the name or the statement; `migrations check` runs the revision on a "
    "scratch database.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the first statement of each direction that cannot run."""
    for run in script.runs:
        for step in run.steps:
            if step.problem:
                yield at(step, run.direction, f"the {run.direction} stops here: {step.problem}")
                break
