"""Compare the required version bump with the actual one (rule M14).

Source: the table in sdm_schemas' document on the CDB schemas. Removing or renaming requires MAJOR, a new
table or column MINOR, an index, a constraint or metadata PATCH. A person must judge changed types, units and
primary keys.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from consdb_actions.forms import Public
from consdb_actions.schema.delta import SchemaDelta, TableDelta

_SHOWN = 4
_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")


class Bump(enum.IntEnum):
    """The size of a version bump."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    @property
    def word(self) -> str:
        """The size as a word."""
        return self.name.lower()


class Status(enum.Enum):
    """The result of a version check."""

    OK = "ok"
    TOO_SMALL = "too small"
    MISSING = "missing"
    ODD = "not a version"
    BACKWARDS = "went backwards"
    PERSON = "needs a person"

    @property
    def is_ok(self) -> bool:
        """Whether nothing is left to do."""
        return self is Status.OK


@dataclass(frozen=True, slots=True)
class Reason:
    """One change with the bump that it requires."""

    bump: Bump
    rule: str
    what: str
    person: bool = False


@dataclass(frozen=True, slots=True)
class VersionVerdict(Public):
    """The verdict on one schema's version."""

    PUBLIC: ClassVar[str] = (
        "before after needed=needed.word made=made.word rule status expected text=describe"
    )

    schema: str
    before: str | None  # As in the YAML; None when absent, like ``after``
    after: str | None
    needed: Bump
    made: Bump | None  # None when it cannot be determined
    rule: str
    status: Status
    reasons: tuple[Reason, ...] = ()  # Every change that requires ``needed``, or a person
    expected: str = ""  # The smallest valid version; empty when it cannot be determined

    def describe(self) -> str:
        """Return the verdict as one sentence."""
        change = f"{self.before or 'no version'} → {self.after or 'no version'}"
        if self.before == self.after:
            change = f"{self.after or 'no version'}, not raised"
        needed = f"{self.needed.name} needed ({self.rule})" if self.needed else "no bump needed"
        hint = ""
        if self.status is Status.PERSON:
            hint = f": MAJOR if it breaks readers ({self.asks()})"
        elif self.expected and not self.status.is_ok:
            hint = f"; {self.expected} is sufficient"
        return f"{change}: {needed}, {self.status.value}{hint}"

    def asks(self, mark: str = "") -> str:
        """Return what a person must judge, with names between marks."""
        groups: dict[str, list[str]] = {}
        for reason in self.reasons:
            if reason.person:
                groups.setdefault(reason.rule, []).append(f"{mark}{reason.what}{mark}")
        parts = []
        for rule, names in groups.items():
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            parts.append(f"{rule} of {', '.join(names[:_SHOWN])}{more}")
        return "; ".join(parts)


def parse_version(text: str | None) -> tuple[int, int, int] | None:
    """Return the numbers of ``MAJOR.MINOR.PATCH``, None for other texts."""
    match = _VERSION.fullmatch(text or "")
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def judge_version(delta: SchemaDelta, before: str | None, after: str | None) -> VersionVerdict:
    """Compare the versions with the change; missing and invalid ones are verdicts, not errors."""
    reasons = tuple(_reasons(delta))
    needed = max((reason.bump for reason in reasons), default=Bump.NONE)
    largest = [reason for reason in reasons if reason.bump == needed]
    rule = largest[0].rule if largest else ""
    old, new = parse_version(before), parse_version(after)
    made = _made(old, new)
    expected = _raised(old, needed) if old else ""
    person = any(reason.person for reason in reasons)
    status = Status.OK if delta.removed else _status(needed, made, before, after, person=person)
    shown = tuple(reason for reason in reasons if reason.bump == needed or reason.person)
    return VersionVerdict(delta.name, before, after, needed, made, rule, status, shown, expected)


def _status(
    needed: Bump, made: Bump | None, before: str | None, after: str | None, *, person: bool
) -> Status:
    old, new = parse_version(before), parse_version(after)
    if new is None:
        unchanged = before == after and not needed
        return Status.OK if unchanged else Status.ODD if after else Status.MISSING
    if old is None:
        return Status.OK
    if new < old:
        return Status.BACKWARDS
    if made is None or made < needed:
        return Status.TOO_SMALL
    return Status.PERSON if person and made < Bump.MAJOR else Status.OK


def _made(old: tuple[int, int, int] | None, new: tuple[int, int, int] | None) -> Bump | None:
    if old is None or new is None or new < old:
        return None
    for bump, one, two in zip((Bump.MAJOR, Bump.MINOR, Bump.PATCH), old, new, strict=True):
        if one != two:
            return bump
    return Bump.NONE


def _raised(version: tuple[int, int, int], bump: Bump) -> str:
    major, minor, patch = version
    raised = {
        Bump.MAJOR: (major + 1, 0, 0),
        Bump.MINOR: (major, minor + 1, 0),
        Bump.PATCH: (major, minor, patch + 1),
        Bump.NONE: version,
    }[bump]
    return ".".join(str(number) for number in raised)


def _reasons(delta: SchemaDelta) -> Iterator[Reason]:
    if delta.created or delta.removed:
        return
    if delta.renamed:
        yield Reason(Bump.MAJOR, "schema renamed", f"{delta.renamed.before} → {delta.renamed.after}")
    for table in delta.tables_removed:
        yield Reason(Bump.MAJOR, "table removed or renamed", table.name)
    for table in delta.tables_added:
        yield Reason(Bump.MINOR, "new table", table.name)
    for changed in delta.tables_changed:
        yield from _table_reasons(changed)
    if delta.text:
        yield Reason(Bump.PATCH, "metadata", "the schema's own description or metadata")


def _table_reasons(table: TableDelta) -> Iterator[Reason]:
    for column in table.columns_removed:
        yield Reason(Bump.MAJOR, "column removed or renamed", f"{table.name}.{column.name}")
    for column in table.columns_added:
        yield Reason(Bump.MINOR, "new column", f"{table.name}.{column.name}")
    for changed in table.columns_changed:
        name = f"{table.name}.{changed.name}"
        if changed.type_changed:
            yield Reason(Bump.PATCH, "type change", name, person=True)
        elif changed.structure:
            yield Reason(Bump.PATCH, "NULL, default or identity", name)
        for change in changed.text:
            swapped = change.attribute == "unit" and bool(change.before) and bool(change.after)
            rule = "unit change" if swapped else "metadata"
            yield Reason(Bump.PATCH, rule, name, person=swapped)
    if table.primary_key:
        yield Reason(Bump.PATCH, "primary key change", table.name, person=True)
    for name in table.names("constraints"):
        yield Reason(Bump.PATCH, "constraint", f"{table.name}.{name}")
    for name in table.names("indexes"):
        yield Reason(Bump.PATCH, "index", f"{table.name}.{name}")
    if table.text:
        yield Reason(Bump.PATCH, "metadata", table.name)
