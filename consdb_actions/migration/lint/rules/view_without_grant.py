"""A new view that nobody may read."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.grants import in_words, ungranted
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="view-without-grant",
    severity="warning",
    summary="A view is made without the configured grants.",
    doc="""\
The configuration names the roles that read every table and view of a schema (section `grants`; `usdf` and
`oods` where it says nothing). A view that is made without them can be read by its owner only. A view that
had grants and loses them is the subject of `view-grants-lost`.""",
    safe='`op.execute("GRANT SELECT ON schema.view TO role")` after the view is made.',
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the views of the upgrade that lack a configured grant."""
    for name, wanted in ungranted(script, script.upgrade.end.views):
        step = script.upgrade.made_at(name)
        if step is not None:
            yield at(step, "upgrade", f"view {name} is made without {in_words(wanted)}", name)
