"""What a rule is and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from consdb_actions.migration.lint.script import Direction, Step

__all__ = ["Finding", "Hit", "Rule", "Severity", "at"]

Severity = Literal["error", "warning", "info", "off"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule is about.

    Attributes
    ----------
    id
        Its name in the configuration and in acknowledgements.
    severity
        Its severity where the configuration says nothing.
    summary
        What it finds, as a sentence.
    doc
        Why that matters and when it does not, in Markdown.
    safe
        What to do instead.
    """

    id: str
    severity: Severity
    summary: str
    doc: str
    safe: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a rule found something.

    Attributes
    ----------
    tables
        Tables and views that it concerns, with their schema.
    lock
        The lock that Postgres takes; empty where none matters.
    safe
        What to do, where it can be said more exactly than the rule says it.
    """

    line: int
    words: str
    direction: Direction | None = None
    tables: tuple[str, ...] = ()
    lock: str = ""
    safe: str = ""
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit with its rule, its place and what was said about it.

    Attributes
    ----------
    acknowledged
        Reason that stands in the file; None where there is none.
    """

    rule: str
    severity: Literal["error", "warning", "info"]
    file: str
    section: str
    revision: str
    hit: Hit
    acknowledged: str | None = None


def at(step: Step, direction: Direction, words: str, *tables: object, lock: str = "", safe: str = "") -> Hit:
    """Return a hit on a statement."""
    return Hit(step.line, words, direction, tuple(map(str, tables)), lock, safe, step.sql)
