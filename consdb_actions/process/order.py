"""Find steps that were done in the wrong order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from consdb_actions.process.finding import Finding, listed
from consdb_actions.process.steps import BY_ID, MERGE, Scope, Step

__all__ = ["Disorder", "duration", "order_of"]


@dataclass(frozen=True, slots=True)
class Disorder:
    """A step that was done out of order."""

    words: str  # a sentence without full stop
    steps: tuple[str, ...]  # ids of the steps that should have been done before
    still: bool  # whether they are still not done


def order_of(step: Step, findings: Mapping[str, Finding], scope: Scope) -> tuple[Disorder, ...]:
    """Find what should have been done before a finished step.

    Only certain violations count: a step without a known time is never out of order.
    """
    names = scope.before_merge if step.id == MERGE else scope.before(step)
    at = findings[step.id].at
    missing: list[str] = []
    unattested: list[str] = []
    later: dict[str, timedelta] = {}
    for name in names:
        before = findings[name]
        if before.unknown:
            continue
        if not before.done:
            silent = BY_ID[name].attested and not before.stale and not before.evidence
            (unattested if silent else missing).append(name)
        elif at is not None and before.at is not None and at < before.at:
            later[name] = before.at - at
    found = []
    if later:
        words = [f"{_quoted(name)} ({duration(span)} later)" for name, span in later.items()]
        found.append(Disorder(f"done before {listed(words)}", tuple(later), still=False))
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        words = [_quoted(name) for name in missing]
        found.append(Disorder(f"done although {listed(words)} {verb} still open", tuple(missing), still=True))
    if unattested:
        words = [_quoted(name) for name in unattested]
        found.append(
            Disorder(f"done although nobody has attested to {listed(words)}", tuple(unattested), still=True)
        )
    return tuple(found)


def duration(span: timedelta) -> str:
    """Return a rounded duration as text."""
    minutes = int(span.total_seconds() // 60)
    for size, unit in ((60 * 24, "day"), (60, "hour")):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}s"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _quoted(name: str) -> str:
    return f"“{BY_ID[name].title}”"
