"""Compare the catalog before and after a statement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from consdb_actions.lint.finding import Hit
from consdb_actions.lint.script import Run, Step
from consdb_actions.lint.state import Column, Relation

__all__ = ["EXCLUSIVE", "SIZE", "added", "at", "both", "short", "start_and_end", "types"]

EXCLUSIVE = "ACCESS EXCLUSIVE"
SIZE = re.compile(r"\(([\d,]+)\)")
"""Length or precision of a type."""


def at(run: Run, step: Step, message: str, table: object = "", item: str = "", **more: Any) -> Hit:
    """Return a hit on a statement."""
    return Hit(step.line, message, run.direction, str(table), item, sql=step.sql, **more)


def short(text: str) -> str:
    """Shorten a long text."""
    return text if len(text) <= 60 else f"{text[:60]}…"


def both(step: Step) -> Iterator[tuple[Relation, Relation]]:
    """Yield the relations that differ before and after a statement."""
    if step.before is step.after:
        return
    for oid, before in step.before.relations.items():
        after = step.after.relations.get(oid)
        if after is not None and after is not before:
            yield before, after


def start_and_end(run: Run) -> Iterator[tuple[Relation, Relation]]:
    """Yield the relations that differ before and after a direction."""
    for oid, start in run.start.relations.items():
        if (end := run.end.relations.get(oid)) is not None and end is not start:
            yield start, end


def added(run: Run, step: Step) -> Iterator[tuple[Relation, int, Column]]:
    """Yield the columns that a statement adds to existing tables."""
    for before, after in both(step):
        if run.is_old(before) and before.is_table:
            for number, column in after.columns.items():
                if number not in before.columns:
                    yield after, number, column


def types(relation: Relation | None) -> dict[str, str]:
    """Return the type of each column without length and precision."""
    columns = relation.columns.values() if relation is not None else ()
    return {column.name: SIZE.sub("", column.type) for column in columns}
