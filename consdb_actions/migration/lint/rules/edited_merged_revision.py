"""A revision that was changed after it was merged (rule M12)."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="edited-merged-revision",
    severity="error",
    summary="A revision on the default branch is edited or removed.",
    doc="""\
Databases that have run the revision never see the change, and from then on differ from those that run it
later. What counts is what the file does: comments, its description, the order of imports and the layout
may change. The rule compares with the commit at which the branch left the default branch, and knows only
what git knows.""",
    safe="Put the file back as it was and make a new revision for what should be different.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the revision when it was edited, and those that were taken away."""
    if script.edited:
        yield Hit(script.line, f"revision {script.revision} is merged already and does something else now")
    for revision, file in script.removed.items():
        yield Hit(script.line, f"revision {revision} ({file}) is merged already and is gone")
