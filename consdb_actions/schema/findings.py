"""Findings of the review of a schema change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["RULES", "Finding", "Rule", "Severity", "with_severities"]

Severity = Literal["error", "warning", "info", "off"]

_ORDER = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the review: default severity, message and remedy."""

    severity: Severity
    message: str
    remedy: str


RULES: dict[str, Rule] = {
    "version": Rule("error", "the version was not raised as the change asks", "Raise it as shown."),
    "version-person": Rule(
        "warning",
        "whether this is compatible cannot be told by a program",
        "Say in the pull request whether readers are affected, and raise MAJOR if they are.",
    ),
    "name-snake-case": Rule(
        "warning",
        "the name is not snake_case",
        "Use lower case words of letters and digits, joined by single underscores.",
    ),
    "description-missing": Rule("error", "there is no description", "Say what it is, in a sentence."),
    "description-end": Rule("warning", "the description does not end with a full stop", "Add one."),
    "description-repeats": Rule(
        "warning",
        "the description says no more than the name",
        "Say how it is measured, or where it comes from.",
    ),
    "unit-missing": Rule(
        "warning",
        "there is no unit, and the description gives no reason for that",
        "Add ivoa:unit, or say what makes it a pure number (ratio, fraction, dimensionless).",
    ),
    "unit-unknown": Rule("error", "astropy does not know the unit", "Write it as the IVOA does."),
    "ucd-missing": Rule("warning", "there is no UCD", "Add ivoa:ucd, from the IVOA's list of words."),
    "ucd-unknown": Rule("error", "the UCD is not valid", "Take words from the IVOA's list (UCD1+)."),
    "id-unexpected": Rule(
        "warning",
        "the @id is not #table.column",
        "An @id of another column is taken as a sign of a rename: write the usual one.",
    ),
    "timestamp-zone": Rule(
        "error",
        "Felis makes a timestamp with time zone of this type",
        "Remove postgresql:datatype; write datatype: timestamp, and precision: with the number.",
    ),
    "foreign-key-target": Rule(
        "error",
        "the foreign key refers to columns that are no key, which Postgres refuses",
        "Refer to the primary key or to the columns of a unique constraint.",
    ),
    "view-out-of-step": Rule(
        "error",
        "the view differs from the table that it shows",
        "Make the same change in both.",
    ),
    "view-words": Rule(
        "warning",
        "the view and the table that it shows say different things of a column",
        "Write the same in both.",
    ),
    "source-missing": Rule(
        "warning",
        "what fills the new table is not known",
        "Say in the pull request which source fills it, and declare it: sites.sources in the configuration.",
    ),
    "source-differs": Rule(
        "warning",
        "the column comes from another source than its table",
        "A table is filled by a single source: move the column to a table of its source.",
    ),
    "not-regenerated": Rule(
        "error",
        "the schema was not regenerated from its configuration",
        "Run the generator, and commit the schema.",
    ),
    "near-duplicate": Rule(
        "info",
        "the schema has a column that is nearly the same",
        "Use the existing column, or let the descriptions say how the two differ.",
    ),
    "felis-shape": Rule(
        "warning",
        "today's Felis does not take the file as it is",
        "Change the file; the database would be the same.",
    ),
}
"""All rules, in the order in which findings are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding."""

    rule: str
    severity: Severity
    kind: str
    """``column``, ``table``, ``constraint``, ``index``, ``schema`` or ``version``."""
    table: str
    name: str
    message: str
    """The same for all objects with the same fault; backquotes mark names."""
    remedy: str

    @classmethod
    def of(
        cls, rule: str, kind: str, table: str, name: str, *, message: str = "", remedy: str = ""
    ) -> Finding:
        """Return a finding with its rule's texts and severity by default."""
        known = RULES[rule]
        return cls(rule, known.severity, kind, table, name, message or known.message, remedy or known.remedy)

    @property
    def path(self) -> str:
        """The object's name: ``table.column``, or the name alone."""
        return f"{self.table}.{self.name}" if self.table and self.kind != "table" else self.name

    @property
    def place(self) -> tuple[str, ...]:
        """The key of the object's line in the file."""
        if self.kind in {"schema", "version"}:
            return (self.kind,)
        return (self.kind, self.table) if self.kind == "table" else (self.kind, self.table, self.name)


def with_severities(findings: Iterable[Finding], severities: Mapping[str, Severity]) -> tuple[Finding, ...]:
    """Apply configured severities, drop findings that are off, and sort by rule."""
    order = {rule: number for number, rule in enumerate(RULES)}
    chosen = (replace(item, severity=severities.get(item.rule, item.severity)) for item in findings)
    kept = (item for item in chosen if item.severity != "off")
    return tuple(sorted(kept, key=lambda item: (_ORDER.index(item.severity), order[item.rule])))
