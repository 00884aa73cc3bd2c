"""Describe plans and decisions for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from consdb_actions.catalog import fact
from consdb_actions.catalog.merge import Conflict, Drift
from consdb_actions.migration.matching.decisions import Decisions, Question
from consdb_actions.migration.outcome import Asked, DriftItem, Operation
from consdb_actions.migration.rewrite.plan import Plan
from consdb_actions.migration.rewrite.plan import Question as ValueQuestion
from consdb_actions.migration.words import describe, subject

__all__ = [
    "asked",
    "asked_conflict",
    "asked_value",
    "decided",
    "drift_items",
    "operations",
    "present_elements",
]


def operations(plan: Plan) -> tuple[Operation, ...]:
    """Describe the operations of a plan."""
    return tuple(Operation(describe(op), subject(op)[0]) for op in plan.ops)


def drift_items(
    drift: Sequence[Drift], origins: Mapping[tuple[str, ...], tuple[str, str]]
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


def _is_missing_comment(drift: Drift) -> bool:
    return drift.path[-1] == "description" and drift.current is None


def present_elements(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Name the elements that the database has already."""
    return tuple(sorted({".".join(path) for path in paths}))


def asked_conflict(conflict: Conflict, origin: tuple[str, str] | None) -> Asked:
    """Return a conflict with its three states, and the revision of the current one."""
    name = ".".join(conflict.path)
    states = (
        f"before the change: {_state(conflict.base)}",
        f"after the change: {_state(conflict.head)}",
        f"in the database: {_state(conflict.current)}"
        + (f" (revision {origin[0]}, {origin[1]})" if origin else ""),
    )
    meanings = {
        "head": "Take it as after the change",
        "current": "Leave it as it is in the database",
    }
    return Asked(
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


def asked(question: Question) -> Asked:
    """Convert a question about names for the report."""
    return Asked(
        words=question.text,
        proposals=tuple(f"{p.old} to {p.new}: {', '.join(p.evidence)}" for p in question.proposals),
        answers=tuple((a.meaning, tuple(f"--rename {d}" for d in a.declarations)) for a in question.answers),
        rejected=tuple(f"{r.old} to {r.new}: {r.reason}" for r in question.rejected),
        answered=question.answered,
    )


def asked_value(question: ValueQuestion) -> Asked:
    """Convert a question about values for the report."""
    meanings = {"--fill": "give the value", "--no-fill": "no row lacks a value"}
    answers = tuple((meanings.get(a.split()[0], "drop the values"), (a,)) for a in question.answers)
    return Asked(words=question.words, proposals=(), answers=answers)
