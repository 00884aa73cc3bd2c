"""Check the files of a generating job before publication (rule S3).

The job runs the target tree's code on data from a pull request, without rights: its files are untrusted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.errors import CheckFailed
from consdb_actions.migration.outcome import RunOutcome, SectionOutcome
from consdb_actions.proposal import blob_sha
from consdb_actions.publication.revision_file import BadFileError, read_revision

__all__ = ["MAX_FILE", "MAX_FILES", "MAX_REPORT", "TargetSection", "check_result", "join_outcomes"]

MAX_FILES = 64  # Maximum number of files; ConsDB has 11 sections
MAX_FILE = 1_000_000  # Maximum size of a file in bytes; the largest revision of ConsDB has about 250,000
MAX_REPORT = 20_000_000  # Maximum size of a report in bytes

_PATH = re.compile(
    r"(?P<folder>alembic/[a-z0-9_]{1,60})/versions/[A-Za-z0-9][A-Za-z0-9_]{0,150}\.py", re.ASCII
)
_REMEDY = (
    "Nothing was published. Run again; if this persists, check the job that generated it: its result "
    "contains something that the generator does not create."
)


@dataclass(frozen=True, slots=True)
class TargetSection:
    """A section of the ``alembic.ini`` on the target's default branch."""

    name: str
    schema: str
    folder: str  # relative to the repository


def check_result(
    files: Mapping[str, bytes],
    outcome: RunOutcome,
    sections: Sequence[TargetSection],
    present: Mapping[str, str],
) -> dict[str, dict[str, bytes]]:
    """Check that a result only adds revisions of its sections.

    `present` maps the revision files of the default branch to their blobs. Returns the files by section;
    raises `CheckFailed` for anything that the generator does not make.
    """
    if len(files) > MAX_FILES:
        raise CheckFailed(f"the result has {len(files)} files", remedy=_REMEDY)
    known = {section.name: section for section in sections}
    told = _told(outcome, known)
    for path in sorted(files.keys() | told.keys()):
        if path not in told:
            raise _refused(path, "no report lists this file")
        if path not in files:
            raise _refused(path, "the report lists this file, but it is missing")
    accepted: dict[str, dict[str, bytes]] = {}
    for path, section in told.items():
        _check_file(path, files[path], section, known[section.name])
        if present.get(path, blob_sha(files[path])) != blob_sha(files[path]):
            raise _refused(path, "a merged revision of this name would be changed")
        accepted.setdefault(section.name, {})[path] = files[path]
    return accepted


def _told(outcome: RunOutcome, known: Mapping[str, TargetSection]) -> dict[str, SectionOutcome]:
    """Return the sections to publish, by path of their file."""
    if outcome.verdict != "changed":
        return {}
    told: dict[str, SectionOutcome] = {}
    for section in outcome.changed:
        if section.name not in known or known[section.name].schema != section.schema:
            raise CheckFailed(
                f"the report lists a section that the target does not have: {section.name[:60]!r}",
                remedy=_REMEDY,
            )
        if section.path in told:
            raise _refused(section.path, "two sections claim this file")
        told[section.path] = section
    return told


def _check_file(
    path: str,
    data: bytes,
    told: SectionOutcome,
    section: TargetSection,
) -> None:
    match = _PATH.fullmatch(path)
    if match is None or match["folder"] != section.folder:
        raise _refused(path, f"this is not a revision file of section {section.name}")
    if len(data) > MAX_FILE:
        raise _refused(path, f"this file has more than {MAX_FILE:,} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(path, "this file is not UTF-8") from None
    if text != told.source:
        raise _refused(path, "this is not the script that the report shows")
    if not all(check.holds is not False for check in told.checks) or not told.checks:
        raise _refused(path, "the report contains no passed verification of this script")
    try:
        revision = read_revision(data, section.schema)
    except BadFileError as error:
        raise _refused(f"{path}:{error.line}" if error.line else path, error.cause) from None
    if revision.revision != told.revision or (revision.down_revision or "") != told.down_revision:
        raise _refused(path, "its revision ids are not those of the report")


def _refused(path: str, cause: str) -> CheckFailed:
    return CheckFailed(f"this cannot be published: {cause}", place=repr(path[:200])[1:-1], remedy=_REMEDY)


def join_outcomes(outcomes: Sequence[RunOutcome], order: Sequence[str]) -> RunOutcome:
    """Join the reports of jobs with one section each; it counts as written only if every job wrote."""
    sections: dict[str, SectionOutcome] = {}
    for outcome in outcomes:
        for section in outcome.sections:
            before = sections.get(section.name)
            if before is not None and before != section:
                raise CheckFailed(f"two reports list the section {section.name[:60]!r}", remedy=_REMEDY)
            sections[section.name] = section
    places = {name: place for place, name in enumerate(order)}
    ordered = sorted(sections.values(), key=lambda s: (places.get(s.name, len(places)), s.name))
    first = next((o for o in outcomes if o.server), outcomes[0])
    return RunOutcome(
        tuple(ordered),
        first.message,
        first.server,
        first.spoly,
        written=all(o.written for o in outcomes if o.verdict == "changed"),
        notes=tuple(dict.fromkeys(note for o in outcomes for note in o.notes)),
    )
