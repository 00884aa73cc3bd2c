"""The result of a generator run as plain data for reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from consdb_actions.migration.rewrite.plan import Loss, Risk

__all__ = ["Asked", "Check", "DriftItem", "Operation", "RunOutcome", "SectionOutcome", "Status"]

Status = Literal["changed", "unchanged", "skipped", "question", "failed", "no schema file"]


@dataclass(frozen=True)
class Operation:
    """The description of one operation."""

    words: str
    table: str


@dataclass(frozen=True)
class DriftItem:
    """An element that differs from the schema file, but not because of the change."""

    element: str
    described: str
    current: str
    revision: str = ""
    """The revision that caused it, with its message, if known."""
    message: str = ""


@dataclass(frozen=True)
class Asked:
    """A question with options ready to copy, by their meaning."""

    words: str
    proposals: tuple[str, ...]
    answers: tuple[tuple[str, tuple[str, ...]], ...]
    rejected: tuple[str, ...] = ()
    answered: str = ""


@dataclass(frozen=True)
class Check:
    """One check of the verification; ``holds`` is None where it did not apply."""

    name: str
    holds: bool | None
    words: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class SectionOutcome:
    """The result of one section."""

    name: str
    schema: str
    status: Status
    """``skipped``: the file equals its base; ``unchanged``: the database agrees with the file."""
    version: str = ""
    base_version: str = ""
    path: str = ""
    """The new revision file, relative to the tree; empty when none."""
    revision: str = ""
    down_revision: str = ""
    source: str = ""
    upgrade: tuple[Operation, ...] = ()
    downgrade: tuple[Operation, ...] = ()
    decisions: tuple[str, ...] = ()
    remembered: tuple[str, ...] = ()
    questions: tuple[Asked, ...] = ()
    risks: tuple[Risk, ...] = ()
    losses: tuple[Loss, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    drift: tuple[DriftItem, ...] = ()
    """What the change does not touch and the database has otherwise than the file (rule M17)."""
    present: tuple[str, ...] = ()
    """What the change requires and the database has already."""


@dataclass(frozen=True)
class RunOutcome:
    """All sections of a run, and where it ran."""

    sections: tuple[SectionOutcome, ...]
    message: str
    server: str = ""
    spoly: str = ""
    written: bool = False
    notes: tuple[str, ...] = ()
    base: str = ""
    """What the change is compared with, such as ``main (1a2b3c4)``."""

    @property
    def changed(self) -> tuple[SectionOutcome, ...]:
        """The sections that have a script."""
        return tuple(s for s in self.sections if s.status == "changed")

    @property
    def verdict(self) -> Literal["changed", "unchanged", "question", "failed"]:
        """The run in one word; the most severe section decides."""
        states = {s.status for s in self.sections}
        if "question" in states:
            return "question"
        if "failed" in states:
            return "failed"
        return "changed" if "changed" in states else "unchanged"
