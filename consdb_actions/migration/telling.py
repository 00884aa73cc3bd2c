"""What was planned and decided, in the words of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from alembic.operations import ops

from consdb_actions.migration.catalog import Snapshot
from consdb_actions.migration.matching.decisions import Decisions, Question
from consdb_actions.migration.outcome import Asked, Operation
from consdb_actions.migration.rewrite.plan import Plan
from consdb_actions.migration.rewrite.plan import Question as ValueQuestion
from consdb_actions.migration.views import ViewRule, drifted
from consdb_actions.migration.words import describe, subject

__all__ = ["asked", "asked_value", "decided", "operations", "views_behind_words"]


def operations(plan: Plan, explained: Callable[[ops.MigrateOperation], bool] | None) -> tuple[Operation, ...]:
    """Put the operations of a plan in words; ``explained`` tells which the files' change explains."""
    return tuple(
        Operation(
            describe(op),
            subject(op)[0],
            drift=explained is not None and not explained(op),
        )
        for op in plan.ops
    )


def decided(decisions: Decisions) -> tuple[str, ...]:
    """Say what was renamed, moved and dropped."""
    parts = (
        decisions.table_renames,
        decisions.renames,
        decisions.moves,
        decisions.dropped_tables,
        decisions.drops,
    )
    return tuple(item.describe() for part in parts for item in part)


def asked(question: Question) -> Asked:
    """Return a question about names for the report."""
    return Asked(
        words=question.text,
        proposals=tuple(f"{p.old} to {p.new}: {', '.join(p.evidence)}" for p in question.proposals),
        answers=tuple((a.meaning, tuple(f"--rename {d}" for d in a.declarations)) for a in question.answers),
        rejected=tuple(f"{r.old} to {r.new}: {r.reason}" for r in question.rejected),
        answered=question.answered,
    )


def asked_value(question: ValueQuestion) -> Asked:
    """Return a question about values for the report."""
    meanings = {"--fill": "give the value", "--no-fill": "no row lacks a value"}
    answers = tuple((meanings.get(a.split()[0], "drop the values"), (a,)) for a in question.answers)
    return Asked(words=question.words, proposals=(), answers=answers)


def views_behind_words(
    catalog: Snapshot, columns: Mapping[str, Sequence[str]], rules: Mapping[str, ViewRule]
) -> tuple[str, ...]:
    """Say which views are behind their tables already."""
    out = []
    for name, (missing, extra) in drifted(catalog.views, rules, columns).items():
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"shows {', '.join(extra)}, which it should not"] if extra else []
        out.append(f"view {name} is behind its table already: it {' and '.join(parts)}; it is made anew")
    return tuple(out)
