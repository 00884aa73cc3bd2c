"""A downgrade that leads elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule
from consdb_actions.migration.lint.mirror import differences
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

_SHOWN = 5

RULE = Rule(
    id="downgrade-mirror",
    severity="warning",
    summary="The downgrade does not bring back what was there before the upgrade.",
    doc="""\
Upgrade and downgrade are followed statement by statement. What is there in the end (tables, columns with
type and NOT NULL, constraints and indexes by name, views and the columns they show, comments) is compared
with what was there before. The text of defaults and CHECKs and the order of a table's columns are not
compared; `migrations check` compares everything, on a database.""",
    safe="Undo each statement of the upgrade, in the opposite order; views with the definition that "
    "stood before.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield one hit with everything that differs after the way there and back."""
    up, down = script.upgrade, script.downgrade
    if not (up.whole and down.whole and down.steps):
        return
    found = differences(up.start, down.end)
    if found:
        rest = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        words = f"after upgrade and downgrade {'; '.join(found[:_SHOWN])}{rest}"
        yield Hit(down.line, words, "downgrade")
