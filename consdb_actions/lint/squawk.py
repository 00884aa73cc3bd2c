"""The input and output of squawk for an upgrade (rule L4)."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["INCLUDED", "SquawkFinding", "read_output", "write_input"]

INCLUDED = (
    "ban-alter-row-level-security",
    "ban-create-policy",
    "ban-drop-policy",
    "require-concurrent-reindex",
)
"""Rules of squawk that are off by default and matter here."""


@dataclass(frozen=True, slots=True)
class SquawkFinding:
    """A finding of squawk, with the index of its statement."""

    statement: int
    rule: str
    message: str


def write_input(statements: Sequence[str]) -> str:
    """Join statements for squawk, each starting on its own line."""
    return "\n".join(f"{statement}\n;" for statement in statements)


def read_output(output: str, statements: Sequence[str]) -> tuple[SquawkFinding, ...]:
    """Read squawk's JSON, and find the statement of each finding."""
    first, lines = 0, []
    for statement in statements:
        lines.append(first)
        first += statement.count("\n") + 2
    return tuple(
        SquawkFinding(bisect_right(lines, found["line"]) - 1, found["rule_name"], found["message"])
        for found in json.loads(output or "[]")
    )
