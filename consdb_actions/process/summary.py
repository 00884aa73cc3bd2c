"""Decide on the merge and describe the status (rules P3, A9)."""

from __future__ import annotations

from dataclasses import dataclass

from consdb_actions.approval.evaluate import fit
from consdb_actions.process.facts import FactSource, ProcessFacts
from consdb_actions.process.states import Progress, StepState, StepStatus
from consdb_actions.process.steps import MERGE

__all__ = ["Readiness", "readiness"]


@dataclass(frozen=True, slots=True)
class Readiness:
    """State and description of the commit status."""

    state: str
    description: str

    @property
    def ready(self) -> bool:
        """Return whether the pull request may be merged."""
        return self.state == "success"


def readiness(facts: ProcessFacts, progress: Progress) -> Readiness:
    """Decide whether all steps before the merge are done.

    The state is ``success`` only if nothing before the merge is missing and the pull request is not a draft;
    ``error`` if something is unknown, ``failure`` if something is stale or was done too early, and else
    ``pending``. The description has at most 140 characters.
    """
    if not progress.applicable and facts.trouble(FactSource.SCHEMAS):
        return Readiness("error", "Unknown: the schema change could not be read")
    if not progress.applicable:
        return Readiness("success", "Not applicable: no ConsDB schema is changed")
    waiting = [item for item in progress.before_merge if item.open]
    unknown = [item for item in waiting if item.standing is StepStatus.UNKNOWN]
    if unknown:
        return Readiness("error", _line("Unknown", unknown))
    if not waiting:
        if facts.pull.draft:
            return Readiness("pending", "Draft; all steps before the merge are done")
        return Readiness("success", "All steps before the merge are done")
    stale = [item for item in waiting if item.standing is StepStatus.STALE]
    if stale:
        return Readiness("failure", _line("Stale", stale))
    early = [
        item
        for item in progress.steps
        if item.step.id != MERGE and any(disorder.still for disorder in item.order)
    ]
    if early:
        return Readiness("failure", _line("Done too early", early))
    first = next(iter(progress.actionable), waiting[0])
    count = len(waiting)
    many = f"{count} step{'' if count == 1 else 's'} before the merge missing"
    return Readiness(
        "pending",
        fit((f"Next: {first.step.todo} ({first.owner}); {many}", f"Next: {first.step.todo}; {many}", many)),
    )


def _line(what: str, items: list[StepState]) -> str:
    titles = ", ".join(item.step.title for item in items)
    ids = ", ".join(item.step.id for item in items)
    return fit((f"{what}: {titles}", f"{what}: {ids}", f"{what}: {len(items)} steps"))
