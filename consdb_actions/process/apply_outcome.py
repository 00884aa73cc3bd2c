"""What a run of ``migrations apply`` found and did, as plain data for evidence and reports."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from consdb_actions.errors import CheckFailed, DatabaseChanged
from consdb_actions.process.apply_facts import ApplyCheck, Checkout, DatabaseFacts
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.sites import Site

__all__ = ["ApplyOutcome", "Changed", "Direction", "Result", "SectionResult", "State", "statements"]

Result = Literal[
    "planned", "applied", "nothing to do", "refused", "declined", "failed", "interrupted", "not verified"
]

Changed = Literal["nothing", "verified", "not verified", "in part", "unknown"]
"""
What is in the database now: as before; changed and verified; changed, and verification failed; changed in
some sections or in part of one; or not known.
"""

State = Literal["planned", "applied", "already there", "untouched", "failed", "applied in part", "unknown"]

Direction = Literal["upgrade", "downgrade"]


def statements(change: SectionChange, direction: Direction) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the revisions of a way with their statements, in the order in which they run."""
    for revision in change.revisions:
        yield revision.id, revision.upgrade if direction == "upgrade" else revision.downgrade


@dataclass(frozen=True, slots=True)
class SectionResult:
    """One section.

    Attributes
    ----------
    change
        What was to be applied; without revisions when it was there already.
    state
        What became of it.
    attempts, seconds
        How often it was tried, and how long it took.
    verification
        What was looked at afterwards.
    at
        The revision at which it is after a failure; empty where that is not known.
    part
        What is in the catalog after a failure that was not there before.
    """

    change: SectionChange
    state: State = "planned"
    attempts: int = 0
    seconds: float = 0.0
    verification: tuple[ApplyCheck, ...] = ()
    at: str = ""
    part: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether nothing that was looked at afterwards is wrong."""
        return not any(check.stops for check in self.verification)

    def digest(self, direction: Direction) -> str:
        """Return a digest of the statements; empty when there are none."""
        text = "\n".join(sql for _, parts in statements(self.change, direction) for sql in parts)
        return hashlib.sha256(text.encode()).hexdigest() if text else ""


@dataclass(frozen=True, slots=True)
class ApplyOutcome:
    """The whole run.

    Attributes
    ----------
    result
        How it ended.
    when
        When it began, in ISO 8601.
    direction
        Forward, or back.
    facts
        The database.
    site
        Which site that is, where it was said.
    checkout
        The tree's commit.
    checks
        What was looked at before.
    sections
        The sections, in their order.
    problem
        Why it ended as it did, where that is not plain.
    """

    result: Result
    when: str
    direction: Direction
    facts: DatabaseFacts
    site: Site | None
    checkout: Checkout
    checks: tuple[ApplyCheck, ...]
    sections: tuple[SectionResult, ...]
    problem: str = ""

    @property
    def done(self) -> tuple[SectionResult, ...]:
        """The sections that were changed."""
        return tuple(section for section in self.sections if section.state == "applied")

    @property
    def changed(self) -> Changed:
        """What is in the database now."""
        states = {section.state for section in self.sections}
        if "unknown" in states:
            return "unknown"
        if "applied in part" in states:
            return "in part"
        if not all(section.verified for section in self.sections):
            return "not verified"
        if "applied" not in states:
            return "nothing"
        return "verified" if self.result == "applied" else "in part"

    @property
    def exit_code(self) -> int:
        """The exit code of a run that ends with this outcome and without an error."""
        if self.changed in ("in part", "not verified", "unknown"):
            return DatabaseChanged.exit_code
        return 0 if self.result in ("applied", "nothing to do", "planned") else CheckFailed.exit_code

    @property
    def next_step(self) -> str:
        """What to do next, as the runbook says it; empty where that is plain."""
        if self.result in ("applied", "nothing to do", "planned"):
            return ""
        if self.changed == "nothing":
            return (
                "Nothing was changed. Fix the cause and run the same command again, or follow the part "
                "“Abort before anything is changed” of the runbook."
            )
        return (
            "The database was changed, or may have been. Do not enable the subscription, and do not "
            "continue with the runbook: follow its part “When an upgrade fails half way”."
        )

    @property
    def attests(self) -> str:
        """The step of the process that is done now; empty when none is."""
        if self.direction == "downgrade" or self.result not in ("applied", "nothing to do"):
            return ""
        return self.site.attest if self.site else ""

    def way_back(self) -> tuple[str, ...]:
        """Return the commands that take back what was done, the last section first."""
        turned = "upgrade" if self.direction == "downgrade" else "downgrade"
        return tuple(
            f"alembic -n {shlex.quote(section.change.section)} {turned} {section.change.start}"
            for section in reversed(self.done)
        )
