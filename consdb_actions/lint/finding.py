"""What a rule is, what it finds, and what a run of lint found altogether."""

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
    remedy
        What to do instead.
    """

    id: str
    severity: Severity
    summary: str
    doc: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a rule found something.

    Attributes
    ----------
    message
        What it found; ``{items}`` stands for ``item``, and for those of other places when they are joined.
    table
        The table or view that it concerns, with its schema.
    lock
        The lock that Postgres takes; empty where none matters.
    minor
        Whether it is only worth a note, whatever the severity of the rule.
    """

    line: int
    message: str
    direction: Direction | None = None
    table: str = ""
    item: str = ""
    lock: str = ""
    sql: str = ""
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of a table, or of the whole revision (rule L3).

    Attributes
    ----------
    lines
        All lines that it concerns; the first is where it is shown.
    acknowledged
        Reason that the file gives; None where there is none.
    """

    rule: str
    severity: Literal["error", "warning", "info"]
    file: str
    section: str
    revision: str
    message: str
    lines: tuple[int, ...]
    direction: Direction | None = None
    table: str = ""
    lock: str = ""
    sql: str = ""
    acknowledged: str | None = None

    @property
    def line(self) -> int:
        """The line where it is shown."""
        return self.lines[0]


def merged(hits: Sequence[Hit]) -> str:
    """Write one message for several places."""
    items: dict[str, dict[str, None]] = {}
    for hit in hits:
        items.setdefault(hit.message, {}).update({hit.item: None} if hit.item else {})
    return "; ".join(
        message.replace("{items}", listed(found) if found else "") for message, found in items.items()
    )


def listed(names: Iterable[object]) -> str:
    """Write names, no more than a reader reads."""
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
    """Everything that a report needs.

    Attributes
    ----------
    revisions
        Those that were checked, section by section.
    findings
        What was found in them, that which is acknowledged included.
    selection
        Which revisions were chosen, in words.
    notes
        What else a reader should know.
    """

    revisions: tuple[Revision, ...]
    findings: tuple[Finding, ...]
    selection: str
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that nobody acknowledged, the worst first."""
        waiting = [f for f in self.findings if f.acknowledged is None]
        return tuple(sorted(waiting, key=lambda f: _ORDER.index(f.severity)))

    @property
    def acknowledged(self) -> tuple[Finding, ...]:
        """The findings for which the file gives a reason."""
        return tuple(f for f in self.findings if f.acknowledged is not None)

    def count(self, severity: str) -> int:
        """Return how many findings of a severity nobody acknowledged."""
        return sum(f.severity == severity for f in self.open)
