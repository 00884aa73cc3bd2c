"""An acknowledgement that acknowledges nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from consdb_actions.migration.lint.acknowledgements import Acknowledgement
from consdb_actions.migration.lint.finding import Hit, Rule
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check", "fault"]

RULE = Rule(
    id="acknowledgement",
    severity="warning",
    summary="An acknowledgement has no reason, names no rule, or has no effect.",
    doc="""\
`# consdb: ack RULE: reason` stands on the line of the statement or right before it. Without a reason it
does not count. One that speaks of nothing is a leftover, or stands in the wrong place, and would hide the
next finding.""",
    safe="Write `# consdb: ack RULE: reason` right before the statement, or remove the comment.",
)


def check(_: Script) -> Iterator[Hit]:
    """Yield nothing: whether a comment has an effect is known after all other rules."""
    return iter(())


def fault(comment: Acknowledgement, *, used: bool, known: Collection[str]) -> str:
    """Say what is wrong with an acknowledgement; empty when it is in order."""
    if not comment.rule:
        return "this acknowledgement names no rule"
    if comment.rule not in known:
        return f"this acknowledgement names {comment.rule}, which is no rule"
    if not comment.reason:
        return f"this acknowledgement of {comment.rule} gives no reason, so that it does not count"
    return "" if used else f"nothing here needs this acknowledgement of {comment.rule}"
