"""What a run of the generator found and made, as plain data for reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from consdb_actions.migration.rewrite.plan import Loss, Risk

__all__ = ["Asked", "Check", "Operation", "RunOutcome", "SectionOutcome", "Status"]

Status = Literal["changed", "unchanged", "skipped", "question", "failed", "drift", "no schema file"]


@dataclass(frozen=True)
class Operation:
    """One operation in words; ``drift`` when the schema files' own change does not explain it (rule M17)."""

    words: str
    table: str
    drift: bool = False


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
    """One statement of the proof, whether it holds, and what speaks against it."""

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
        is the same as in the base. ``question``: something must be answered first. ``failed``: the proof does
        not hold. ``drift``: differences were looked for and are only reported.
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

    @property
    def drift(self) -> tuple[Operation, ...]:
        """The operations that the files' change does not explain."""
        return tuple(op for op in self.upgrade if op.drift)


@dataclass(frozen=True)
class RunOutcome:
    """All sections of a run, and where it ran."""

    sections: tuple[SectionOutcome, ...]
    message: str
    server: str = ""
    spoly: str = ""
    written: bool = False
    notes: tuple[str, ...] = field(default=())

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
