"""A new table that nobody may read."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.grants import in_words, ungranted
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="table-without-grant",
    severity="warning",
    summary="A table is made without the configured grants.",
    doc="""\
The configuration names the roles that read every table and view of a schema (section `grants`; `usdf` and
`oods` where it says nothing). Where the database gives new tables their grants by itself, through default
privileges that no revision sets, switch the rule off.""",
    safe='`op.execute("GRANT SELECT ON schema.table TO role")` after the table is made.',
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the tables of the upgrade that lack a configured grant."""
    for name, wanted in ungranted(script, script.upgrade.end.tables):
        step = script.upgrade.made_at(name)
        if step is not None:
            yield at(step, "upgrade", f"table {name} is made without {in_words(wanted)}", name)
