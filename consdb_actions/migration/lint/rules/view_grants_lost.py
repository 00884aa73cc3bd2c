"""A view or table that is made anew without the privileges it had."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.grants import in_words, lost
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="view-grants-lost",
    severity="error",
    summary="A view is dropped and made anew without the grants it had.",
    doc="""\
`DROP VIEW` takes the grants along, and `CREATE VIEW` brings none back: the roles that read the view
before cannot read it any more. The grants before are those of the section's history. The rule looks at
both directions, and at tables that are made anew as well. `CREATE OR REPLACE VIEW` keeps them.""",
    safe='`op.execute("GRANT SELECT ON schema.view TO role")` after the view is made.',
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the relations of both directions that come back with fewer grants."""
    for run in script.runs:
        for name, grants in lost(script, run).items():
            step = run.made_at(name)
            if step is not None:
                words = f"{name} is made anew without {in_words(grants)}, which it had before"
                yield at(step, run.direction, words, name)
