"""What a run of ``migrations apply`` found and did, as plain data for evidence and reports."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from consdb_actions.process.apply_facts import ApplyCheck, Checkout, DatabaseFacts
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.sites import Site

__all__ = ["ApplyOutcome", "Result", "SectionResult", "statements"]

Result = Literal[
    "planned", "applied", "nothing to do", "refused", "declined", "failed", "interrupted", "not as expected"
]

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
    """

    change: SectionChange
    state: Literal["planned", "applied", "already there", "untouched", "failed"] = "planned"
    attempts: int = 0
    seconds: float = 0.0
    verification: tuple[ApplyCheck, ...] = ()

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
