"""What a run of lint looked at and found."""

from __future__ import annotations

from dataclasses import dataclass

from consdb_actions.migration.lint.finding import Finding

__all__ = ["LintResult", "Looked"]


@dataclass(frozen=True, slots=True)
class Looked:
    """A revision that was looked at."""

    section: str
    revision: str
    file: str


@dataclass(frozen=True, slots=True)
class LintResult:
    """Everything that a report needs.

    Attributes
    ----------
    looked
        The revisions, section by section.
    findings
        What was found in them, that which is acknowledged included.
    selection
        Which revisions were chosen, in words.
    notes
        What else a reader should know.
    """

    looked: tuple[Looked, ...]
    findings: tuple[Finding, ...]
    selection: str
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that nobody acknowledged, the worst first."""
        order = ("error", "warning", "info")
        waiting = [f for f in self.findings if f.acknowledged is None]
        return tuple(sorted(waiting, key=lambda f: order.index(f.severity)))

    @property
    def acknowledged(self) -> tuple[Finding, ...]:
        """The findings for which the file gives a reason."""
        return tuple(f for f in self.findings if f.acknowledged is not None)

    def count(self, severity: str) -> int:
        """Return how many findings of a severity nobody acknowledged."""
        return sum(f.severity == severity for f in self.open)
