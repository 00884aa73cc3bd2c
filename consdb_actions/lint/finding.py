"""Lint rules and their results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from consdb_actions.lint.script import Direction

__all__ = ["Finding", "Hit", "LintResult", "LintRule", "Revision", "Severity", "listed", "merged"]

Severity = Literal["error", "warning", "info", "off"]

_LISTED = 8
_ORDER = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class LintRule:
    """A rule of lint."""

    id: str
    """Name in the configuration and in acknowledgements."""
    severity: Severity
    summary: str
    """What it finds, as a sentence."""
    doc: str
    """When it matters and when not, in Markdown."""
    remedy: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a rule found something."""

    line: int
    message: str
    """``{items}`` is replaced by ``item``, or by those of all joined hits."""
    direction: Direction | None = None
    table: str = ""
    """The table or view, with its schema."""
    item: str = ""
    lock: str = ""
    """The lock that Postgres takes, if relevant."""
    sql: str = ""
    minor: bool = False
    """Whether the finding is ``info`` whatever the rule's severity."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a rule for a table or the whole revision (rule L3)."""

    rule: str
    severity: Literal["error", "warning", "info"]
    file: str
    section: str
    revision: str
    message: str
    lines: tuple[int, ...]
    """All lines concerned; it is shown at the first."""
    direction: Direction | None = None
    table: str = ""
    lock: str = ""
    sql: str = ""
    acknowledged: str | None = None
    """Reason in the file; None without an acknowledgement."""

    @property
    def line(self) -> int:
        """The line where it is shown."""
        return self.lines[0]


def merged(hits: Sequence[Hit]) -> str:
    """Return one message for several hits."""
    items: dict[str, dict[str, None]] = {}
    for hit in hits:
        items.setdefault(hit.message, {}).update({hit.item: None} if hit.item else {})
    return "; ".join(
        message.replace("{items}", listed(found) if found else "") for message, found in items.items()
    )


def listed(names: Iterable[object]) -> str:
    """List names, with a limit."""
    texts = [str(name) for name in names]
    rest = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + rest


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision that was checked."""

    section: str
    revision: str
    file: str


@dataclass(frozen=True, slots=True)
class LintResult:
    """The result of a lint run."""

    revisions: tuple[Revision, ...]
    findings: tuple[Finding, ...]
    """All findings, also acknowledged ones."""
    selection: str
    """Description of the chosen revisions."""
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings without acknowledgement, most severe first."""
        waiting = [f for f in self.findings if f.acknowledged is None]
        return tuple(sorted(waiting, key=lambda f: _ORDER.index(f.severity)))

    @property
    def acknowledged(self) -> tuple[Finding, ...]:
        """The acknowledged findings."""
        return tuple(f for f in self.findings if f.acknowledged is not None)

    def count(self, severity: str) -> int:
        """Return the number of open findings of a severity."""
        return sum(f.severity == severity for f in self.open)
