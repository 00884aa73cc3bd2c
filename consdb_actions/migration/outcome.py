"""Results of a generation, and their JSON form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from consdb_actions.catalog import fact
from consdb_actions.catalog.merge import CatalogDrift, Conflict
from consdb_actions.migration.matching.decisions import Decisions, MatchingQuestion
from consdb_actions.migration.rewrite.plan import DataLoss, MigrationPlan, RewriteQuestion, Risk
from consdb_actions.migration.words import describe, subject

__all__ = [
    "OpenQuestion",
    "VerificationCheck",
    "DriftItem",
    "Operation",
    "RunOutcome",
    "SectionOutcome",
    "Status",
    "asked",
    "asked_conflict",
    "asked_value",
    "decided",
    "drift_items",
    "operations",
    "outcome_from_json",
    "present_elements",
]

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
    revision: str = ""  # The revision that caused it, with its message, if known
    message: str = ""


@dataclass(frozen=True)
class OpenQuestion:
    """A question with options ready to copy, by their meaning."""

    words: str
    proposals: tuple[str, ...]
    answers: tuple[tuple[str, tuple[str, ...]], ...]
    rejected: tuple[str, ...] = ()
    answered: str = ""


@dataclass(frozen=True)
class VerificationCheck:
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
    status: Status  # ``skipped``: the file equals its base; ``unchanged``: the database agrees with the file
    version: str = ""
    base_version: str = ""
    path: str = ""  # The new revision file, relative to the tree; empty when none
    revision: str = ""
    down_revision: str = ""
    source: str = ""
    upgrade: tuple[Operation, ...] = ()
    downgrade: tuple[Operation, ...] = ()
    decisions: tuple[str, ...] = ()
    remembered: tuple[str, ...] = ()
    questions: tuple[OpenQuestion, ...] = ()
    risks: tuple[Risk, ...] = ()
    losses: tuple[DataLoss, ...] = ()
    checks: tuple[VerificationCheck, ...] = ()
    notes: tuple[str, ...] = ()
    drift: tuple[DriftItem, ...] = ()
    """What the change does not touch and the database has otherwise than the file (rule M17)."""
    present: tuple[str, ...] = ()  # What the change requires and the database has already


@dataclass(frozen=True)
class RunOutcome:
    """All sections of a run, and where it ran."""

    sections: tuple[SectionOutcome, ...]
    message: str
    server: str = ""
    spoly: str = ""
    written: bool = False
    notes: tuple[str, ...] = ()
    base: str = ""  # What the change is compared with, such as ``main (1a2b3c4)``

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


Json = Mapping[str, Any]


def outcome_from_json(data: Json) -> RunOutcome:
    """Read a validated report of ``migrations generate --report``."""
    return RunOutcome(
        tuple(_section(section) for section in data["sections"]),
        data["message"],
        data["server"],
        data["spoly"],
        data["written"],
        tuple(data["notes"]),
        data["base"],
    )


def _section(data: Json) -> SectionOutcome:
    texts = (
        "name",
        "schema",
        "status",
        "version",
        "base_version",
        "path",
        "revision",
        "down_revision",
        "source",
    )
    words: dict[str, Any] = {
        name: tuple(data[name]) for name in ("decisions", "remembered", "notes", "present")
    }
    return SectionOutcome(
        **{name: data[name] for name in texts},
        **words,
        upgrade=tuple(Operation(**item) for item in data["upgrade"]),
        downgrade=tuple(Operation(**item) for item in data["downgrade"]),
        questions=tuple(_asked(item) for item in data["questions"]),
        risks=tuple(Risk(**item) for item in data["risks"]),
        losses=tuple(DataLoss(**item) for item in data["losses"]),
        drift=tuple(DriftItem(**item) for item in data["drift"]),
        checks=tuple(
            VerificationCheck(**{**item, "details": tuple(item["details"])}) for item in data["checks"]
        ),
    )


def _asked(data: Json) -> OpenQuestion:
    return OpenQuestion(
        data["words"],
        tuple(data["proposals"]),
        tuple((answer["meaning"], tuple(answer["options"])) for answer in data["answers"]),
        tuple(data["rejected"]),
        data["answered"],
    )


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
    return OpenQuestion(
        words=f"{name} was changed by this change and by another one.",
        proposals=states,
        answers=tuple(
            (meanings[side], tuple(f"--take {side} {'.'.join(path)}" for path in paths))
            for side, paths in conflict.answers.items()
        ),
        answered=meanings[conflict.taken].lower() if conflict.taken else "",
    )


def _state(value: object) -> str:
    if value is None or value is False:
        return "none" if value is None else "no"
    return "yes" if value is True else fact("", value)


def decided(decisions: Decisions) -> tuple[str, ...]:
    """Describe renames, moves and drops."""
    parts = (
        decisions.table_renames,
        decisions.renames,
        decisions.moves,
        decisions.dropped_tables,
        decisions.drops,
    )
    return tuple(item.describe() for part in parts for item in part)


def asked(question: MatchingQuestion) -> OpenQuestion:
    """Convert a question about names for the report."""
    return OpenQuestion(
        words=question.text,
        proposals=tuple(f"{p.old} to {p.new}: {', '.join(p.evidence)}" for p in question.proposals),
        answers=tuple((a.meaning, tuple(f"--rename {d}" for d in a.declarations)) for a in question.answers),
        rejected=tuple(f"{r.old} to {r.new}: {r.reason}" for r in question.rejected),
        answered=question.answered,
    )


def asked_value(question: RewriteQuestion) -> OpenQuestion:
    """Convert a question about values for the report."""
    meanings = {"--fill": "give the value", "--no-fill": "no row lacks a value"}
    answers = tuple((meanings.get(a.split()[0], "drop the values"), (a,)) for a in question.answers)
    return OpenQuestion(words=question.words, proposals=(), answers=answers)
