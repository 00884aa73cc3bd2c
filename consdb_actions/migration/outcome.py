"""What a run of the generator found and made, as plain data for reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from consdb_actions.migration.rewrite.plan import Loss, Risk

__all__ = ["Asked", "Check", "DriftItem", "Operation", "RunOutcome", "SectionOutcome", "Status"]

Status = Literal["changed", "unchanged", "skipped", "question", "failed", "no schema file"]


@dataclass(frozen=True)
class Operation:
    """One operation, described."""

    words: str
    table: str


@dataclass(frozen=True)
class DriftItem:
    """An element that the database has otherwise than the schema file, for other reasons than the change.

    ``revision`` and ``message`` are of the revision that made it so, where the history shows one.
    """

    element: str
    described: str
    current: str
    revision: str = ""
    message: str = ""


@dataclass(frozen=True)
class Asked:
    """A question with its answers ready to copy: each a meaning and the options that give it."""

    words: str
    proposals: tuple[str, ...]
    answers: tuple[tuple[str, tuple[str, ...]], ...]
    rejected: tuple[str, ...] = ()
    answered: str = ""


@dataclass(frozen=True)
class Check:
    """One check of the verification, whether it holds, and what speaks against it."""

    name: str
    holds: bool | None
    words: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class SectionOutcome:
    """All about one section.

    Attributes
    ----------
    status
        ``changed``: a script was made. ``unchanged``: the database is as the file says. ``skipped``: the file
        is the same as in the base. ``question``: something must be answered first. ``failed``: a check
        failed.
    drift
        What the change does not touch and the database has otherwise than the file (rule M17).
    present
        What the change asks for and the database has already.
    path
        The new revision file, relative to the tree; empty when none.
    source
        Its text.
    """

    name: str
    schema: str
    status: Status
    version: str = ""
    base_version: str = ""
    path: str = ""
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
    present: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunOutcome:
    """All sections of a run, and where it ran.

    ``base`` names what the change is measured against, such as ``main (1a2b3c4)``.
    """

    sections: tuple[SectionOutcome, ...]
    message: str
    server: str = ""
    spoly: str = ""
    written: bool = False
    notes: tuple[str, ...] = ()
    base: str = ""

    @property
    def changed(self) -> tuple[SectionOutcome, ...]:
        """The sections that have a script."""
        return tuple(s for s in self.sections if s.status == "changed")

    @property
    def verdict(self) -> Literal["changed", "unchanged", "question", "failed"]:
        """The run in one word; the gravest section decides."""
        states = {s.status for s in self.sections}
        if "question" in states:
            return "question"
        if "failed" in states:
            return "failed"
        return "changed" if "changed" in states else "unchanged"
