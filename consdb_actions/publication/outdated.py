"""Which migrations have to be made again, since what they were made from has changed (rule M20)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.publication.marker import Marker
from consdb_actions.publication.result import TargetSection
from consdb_actions.publication.source import Source

__all__ = ["Candidate", "reason_to_regenerate"]

# Nothing is made again for these while the change is the same; a label that is set again starts a run itself.
_FINAL = ("published", "withdrawn")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A schema change for which a migration was asked.

    Attributes
    ----------
    source
        The change as it is now.
    marker
        What its generated pull request says of how it was made, or our comment where that is newer.
    told
        What our comment says.
    has_pull
        Whether there is an open generated pull request.
    is_held
        Whether another pull request's migration holds this change.
    conflicts
        Whether it cannot be merged into its base branch now.
    """

    source: Source
    marker: Marker | None
    told: Marker | None = None
    has_pull: bool = False
    is_held: bool = False
    conflicts: bool = False


def reason_to_regenerate(
    candidate: Candidate,
    sections: Sequence[TargetSection],
    revisions: Mapping[str, Mapping[str, str]],
    schemas: Mapping[str, Mapping[str, str]],
) -> str:
    """Say why a migration has to be made again.

    Parameters
    ----------
    candidate
        The change and what was made for it.
    sections
        The sections of the target.
    revisions
        The revision files by commit: of the target's default branch under the empty name, and of the commits
        that migrations were generated on. Each is a blob by path.
    schemas
        The schema files, in the same way.

    Returns
    -------
    str
        The reason as a sentence; empty for none.
    """
    marker, pull = candidate.marker, candidate.source.pull
    is_same = marker is not None and marker.sha == candidate.source.commit
    told = candidate.told if candidate.told and candidate.told.sha == candidate.source.commit else None
    state = told.state if told is not None else ""
    if pull is not None and pull.from_fork and not is_same:
        return ""  # a person looks at each commit of a fork before it is migrated
    mine = [section for section in sections if marker is not None and _is_in(section, marker)]
    folders = tuple(f"{section.folder}/versions/" for section in mine)

    def merged_since(commit: str) -> str:
        moved = _differ(revisions, commit, lambda path: path.startswith(folders))
        return f"Another revision was merged: {moved}." if moved else ""

    if candidate.conflicts:
        if told is None or state != "conflict":
            return "It cannot be merged into its base branch."
        # Its pull request must not be merged as it is, which is told there.
        return merged_since(told.target) if candidate.has_pull else ""
    if marker is None:
        return "No migration was made for it yet."
    if not is_same:
        return "It has newer commits than its migration."
    if state == "conflict":
        return "It can be merged again."
    if candidate.is_held != (state == "held"):
        return "Its stack of pull requests has changed."
    if candidate.is_held or (not candidate.has_pull and state in _FINAL):
        return ""
    if reason := merged_since(marker.target):
        return reason
    files = {f"{section.schema}.yaml" for section in mine}
    moved = _differ(schemas, marker.base, lambda path: path.rpartition("/")[2] in files)
    if moved:
        return f"Another schema change was merged: {moved}."
    return ""


def _is_in(section: TargetSection, marker: Marker) -> bool:
    """Tell whether a migration is about a section; without files it may be about any."""
    return not marker.files or any(path.startswith(f"{section.folder}/") for path in marker.files)


def _differ(files: Mapping[str, Mapping[str, str]], commit: str, matters: Callable[[str], bool]) -> str:
    """Name a file that differs between a commit and now; empty for none."""
    now = {path: blob for path, blob in files[""].items() if matters(path)}
    then = {path: blob for path, blob in files.get(commit, {}).items() if matters(path)}
    return min((path for path in now.keys() | then.keys() if now.get(path) != then.get(path)), default="")
