"""Outcome of ``migrations apply``, as plain data for evidence and reports."""

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
"""State of the database; "in part" is some sections or a part of one."""

State = Literal["planned", "applied", "already there", "untouched", "failed", "applied in part", "unknown"]

Direction = Literal["upgrade", "downgrade"]


def statements(change: SectionChange, direction: Direction) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the revisions of a section with their statements, in running order."""
    for revision in change.revisions:
        yield revision.id, revision.upgrade if direction == "upgrade" else revision.downgrade


@dataclass(frozen=True, slots=True)
class SectionResult:
    """The outcome for one section."""

    change: SectionChange  # without revisions if it was applied already
    state: State = "planned"
    attempts: int = 0
    seconds: float = 0.0
    verification: tuple[ApplyCheck, ...] = ()
    at: str = ""  # present revision after a failure; empty if unknown
    part: tuple[str, ...] = ()  # new elements in the catalog after a failure

    @property
    def verified(self) -> bool:
        """Return whether verification found nothing wrong."""
        return not any(check.stops for check in self.verification)

    def digest(self, direction: Direction) -> str:
        """Return a digest of the statements; empty if there are none."""
        text = "\n".join(sql for _, parts in statements(self.change, direction) for sql in parts)
        return hashlib.sha256(text.encode()).hexdigest() if text else ""


@dataclass(frozen=True, slots=True)
class ApplyOutcome:
    """The outcome of a run."""

    result: Result
    when: str  # start in ISO 8601
    direction: Direction
    facts: DatabaseFacts
    site: Site | None  # None if not given
    checkout: Checkout
    checks: tuple[ApplyCheck, ...]  # before the change
    sections: tuple[SectionResult, ...]
    problem: str = ""  # why it failed, if that is not obvious

    @property
    def done(self) -> tuple[SectionResult, ...]:
        """Return the changed sections."""
        return tuple(section for section in self.sections if section.state == "applied")

    @property
    def changed(self) -> Changed:
        """Return the state of the database."""
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
        """Return the exit code for this outcome."""
        if self.changed in ("in part", "not verified", "unknown"):
            return DatabaseChanged.exit_code
        return 0 if self.result in ("applied", "nothing to do", "planned") else CheckFailed.exit_code

    @property
    def next_step(self) -> str:
        """Return the next step of the runbook; empty if that is obvious."""
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
        """Return the step of the process that is done now; empty for none."""
        if self.direction == "downgrade" or self.result not in ("applied", "nothing to do"):
            return ""
        return self.site.attest if self.site else ""

    def way_back(self) -> tuple[str, ...]:
        """Return the commands that revert the changes, last section first."""
        turned = "upgrade" if self.direction == "downgrade" else "downgrade"
        return tuple(
            f"alembic -n {shlex.quote(section.change.section)} {turned} {section.change.start}"
            for section in reversed(self.done)
        )
