"""A downgrade that does nothing."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule
from consdb_actions.migration.lint.mirror import differences
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="empty-downgrade",
    severity="error",
    summary="The upgrade changes something, and the downgrade does nothing.",
    doc="""\
`alembic downgrade` would say that it is done and leave the database as it was; the next upgrade then
fails on what is there already. That also goes for a downgrade that raises NotImplementedError. An upgrade
that only writes rows or grants needs none.""",
    safe="Write the way back, or acknowledge with the reason why there is none.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the downgrade that does nothing."""
    up, down = script.upgrade, script.downgrade
    raises = down.failure is not None and down.failure.kind == "unsupported"
    if down.steps or (down.failure is not None and not raises):
        return
    changes = differences(up.start, up.end) if up.whole else [step.sql for step in up.steps if step.actions]
    if changes:
        does = "raises NotImplementedError" if raises else "does nothing"
        yield Hit(down.line, f"the upgrade changes the schema, and the downgrade {does}", "downgrade")
