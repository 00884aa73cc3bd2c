"""More than one newest revision (rule M12)."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="two-heads",
    severity="error",
    summary="The section has more than one head.",
    doc="""\
Two revisions follow the same one, usually because two branches were made at the same time. `alembic
upgrade head` refuses to choose between them.""",
    safe="Set `down_revision` of the newer file to the other head, and look whether both changes fit"
    " together.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the revision when it is one of several heads."""
    others = [
        f"{revision} ({file})" for revision, file in script.heads.items() if revision != script.revision
    ]
    if others and script.revision in script.heads:
        words = f"{script.revision} is a head of {script.section} beside {', '.join(others)}"
        yield Hit(script.line, words)
