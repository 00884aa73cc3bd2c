"""Results of a generation; the attributes are the keys of the JSON report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from consdb_actions.catalog import fact
from consdb_actions.catalog.merge import CatalogDrift, Conflict
from consdb_actions.forms import Form, Name, Public
from consdb_actions.migration.matching.decisions import MatchingQuestion
from consdb_actions.migration.rewrite.plan import DataLoss, MigrationPlan, RewriteQuestion, Risk
from consdb_actions.migration.rewrite.statements import describe, subject

Status = Literal["changed", "unchanged", "skipped", "question", "failed", "no schema file"]


Verdict = Literal["changed", "unchanged", "question", "failed"]

Texts = tuple[Name, ...]


@dataclass(frozen=True)
class Operation:
    """The description of one operation."""

    text: str
    table: str  # Table or view; empty when it is about none


@dataclass(frozen=True)
class DriftItem:
    """An element that differs from the schema file, but not because of the change."""

    element: str  # Such as ``exposure.airmass.type``
    described: str  # What the schema file says
    current: str  # What the database has
    revision: str = ""  # The revision that caused it; empty where the history shows none
    message: str = ""  # Its message


@dataclass(frozen=True)
class Reply:
    """An answer to a question."""

    meaning: str
    options: Texts  # Options that give it, ready to copy


@dataclass(frozen=True)
class OpenQuestion:
    """A question that the schemas leave open."""

    text: Name
    proposals: Texts  # Likely answers, with what speaks for them
    answers: Annotated[tuple[Reply, ...], Form(min_length=1)]
    rejected: Texts = ()  # What was looked at and is not proposed, with why
    answered: str = ""  # How it was answered; empty when it is open


@dataclass(frozen=True)
class VerificationCheck:
    """One check of the verification."""

    name: str  # Short name that stays
    holds: bool | None  # Whether it holds; null where it could not be tried
    text: str  # The statement
    details: Texts = ()  # What speaks against it


@dataclass(frozen=True)
class SectionOutcome:
    """The result of one section of alembic.ini."""

    name: Name
    schema: Name  # Schema of the database
    status: Status
    """changed: a revision was made (or holds, in a check); unchanged: the database is as the file says;
    skipped: the file says the same as in the base; question: something must be answered first;
    failed: a check failed; no schema file: there is none to compare with."""
    version: str = ""  # Version that the schema file gives; empty when none
    base_version: str = ""  # The same in the base; empty without one
    path: str = ""  # The new revision file, relative to the tree; empty when none
    revision: str = ""  # Its id; empty when none
    down_revision: str = ""  # Id of the revision before; empty when none
    source: str = ""  # Text of a file that was made; empty when none
    upgrade: tuple[Operation, ...] = ()
    """What the upgrade does, in its order; in a check, the message of the revision."""
    downgrade: tuple[Operation, ...] = ()  # What the downgrade does
    decisions: Texts = ()  # Renames, moves and drops that were decided
    remembered: Texts = ()  # Answers that were given, and by whom
    questions: tuple[OpenQuestion, ...] = ()
    risks: tuple[Risk, ...] = ()
    losses: tuple[DataLoss, ...] = ()
    checks: tuple[VerificationCheck, ...] = ()
    notes: Texts = ()  # What else is worth knowing of the section
    drift: tuple[DriftItem, ...] = ()
    """What the change does not touch and the database has otherwise than the file (rule M17)."""
    present: Texts = ()  # What the change requires and the database has already


@dataclass(frozen=True)
class RunOutcome(Public):
    """All sections of a run, and where it ran; the report of ``migrations generate`` and ``check``."""

    FORMAT: ClassVar[str] = "consdb-actions/generation/1"

    sections: tuple[SectionOutcome, ...]  # Every section that was considered, in the order of the ini file
    message: str  # Message of the revisions; the word check in a check
    server: str = ""  # Which Postgres it ran on, with its version; empty when none was needed
    spoly: Annotated[str, Form(pattern="^(pg_sphere|stand-in)?$")] = ""
    """Where the type spoly came from; empty when no server was needed."""
    written: bool = False  # Whether the revision files were written
    notes: Texts = ()  # What else is worth knowing of the run
    base: str = ""
    """What the change is compared with, such as ``main (1a2b3c4)``; empty where that is not known."""
    verdict: Verdict = "unchanged"
    """The run in one word; the most severe section decides. In a check, changed means that all holds."""

    def __post_init__(self) -> None:
        states = {s.status for s in self.sections}
        order: tuple[Verdict, ...] = ("question", "failed", "changed")
        verdict = next((word for word in order if word in states), "unchanged")
        object.__setattr__(self, "verdict", verdict)

    @property
    def changed(self) -> tuple[SectionOutcome, ...]:
        """The sections that have a script."""
        return tuple(s for s in self.sections if s.status == "changed")


def operations(plan: MigrationPlan) -> tuple[Operation, ...]:
    """Describe the operations of a plan."""
    return tuple(Operation(describe(op), subject(op)[0]) for op in plan.ops)


def drift_items(
    drift: Sequence[CatalogDrift], origins: Mapping[tuple[str, ...], tuple[str, str]]
) -> tuple[DriftItem, ...]:
    """Describe drift with origins; missing constraint comments are counted per table."""
    silent = Counter(d.path[0] for d in drift if _is_missing_comment(d))
    items = [
        DriftItem(".".join(d.path), _state(d.described), _state(d.current), *origins.get(d.path, ("", "")))
        for d in drift
        if not _is_missing_comment(d)
    ]
    items += [
        DriftItem(table, f"descriptions of {count} constraint{'s' if count > 1 else ''}", "none")
        for table, count in silent.items()
    ]
    return tuple(sorted(items, key=lambda item: item.element))


def _is_missing_comment(drift: CatalogDrift) -> bool:
    return drift.path[-1] == "description" and drift.current is None


def present_elements(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Name the elements that the database has already."""
    return tuple(sorted({".".join(path) for path in paths}))


def asked_conflict(conflict: Conflict, origin: tuple[str, str] | None) -> OpenQuestion:
    """Return a conflict with its three states, and the revision of the current one."""
    name = ".".join(conflict.path)
    states = (
        f"before the change: {_state(conflict.base)}",
        f"after the change: {_state(conflict.head)}",
        f"in the database: {_state(conflict.current)}"
        + (f" (revision {origin[0]}, {origin[1]})" if origin else ""),
    )
    meanings = {
        "head": "Use the state after the change",
        "current": "Keep the state in the database",
    }
    text = f"{name} was changed by this change and by another one."
    if conflict.stands_on and conflict.ours:
        text = f"{name} cannot be created as the schema file describes it."
    elif conflict.stands_on:
        text = f"{name} cannot be kept: this change drops what it uses."
    return OpenQuestion(
        text=text,
        proposals=states,
        answers=tuple(
            Reply(meanings[side], tuple(f"--take {side} {'.'.join(path)}" for path in paths))
            for side, paths in conflict.answers.items()
        ),
        answered=meanings[conflict.taken].lower() if conflict.taken else "",
    )


def _state(value: object) -> str:
    if value is None or value is False:
        return "none" if value is None else "no"
    return "yes" if value is True else fact("", value)


def asked(question: MatchingQuestion) -> OpenQuestion:
    """Convert a question about names for the report."""
    return OpenQuestion(
        text=question.text,
        proposals=tuple(f"{p.old} to {p.new}: {', '.join(p.evidence)}" for p in question.proposals),
        answers=tuple(
            Reply(a.meaning, tuple(f"--rename {d}" for d in a.declarations)) for a in question.answers
        ),
        rejected=tuple(f"{r.old} to {r.new}: {r.reason}" for r in question.rejected),
        answered=question.answered,
    )


def asked_value(question: RewriteQuestion) -> OpenQuestion:
    """Convert a question about values for the report."""
    meanings = {"--fill": "give the value", "--no-fill": "no row lacks a value"}
    answers = tuple(Reply(meanings.get(a.split()[0], "drop the values"), (a,)) for a in question.answers)
    return OpenQuestion(text=question.text, proposals=(), answers=answers)
