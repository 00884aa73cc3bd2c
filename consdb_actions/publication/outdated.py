"""Find migrations that must be regenerated because their inputs changed (rule M20)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.publication.marker import Marker
from consdb_actions.publication.result import TargetSection
from consdb_actions.publication.source import Source

__all__ = ["Candidate", "reason_to_regenerate"]

# These states are final for a commit; setting the label again triggers a run itself.
_FINAL = ("published", "withdrawn")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A schema change for which a migration was requested."""

    source: Source
    marker: Marker | None  # of its generated pull request, or of our comment if that is newer
    told: Marker | None = None  # marker of our comment
    has_pull: bool = False  # whether a generated pull request is open
    is_held: bool = False  # whether another pull request's migration contains this change
    conflicts: bool = False  # whether it cannot be merged into its base branch


def reason_to_regenerate(
    candidate: Candidate,
    sections: Sequence[TargetSection],
    revisions: Mapping[str, Mapping[str, str]],
    schemas: Mapping[str, Mapping[str, str]],
) -> str:
    """Return why to regenerate a migration; empty if up to date.

    `revisions` and `schemas` map commits to blobs by path; the empty commit is the default branch.
    """
    marker, pull = candidate.marker, candidate.source.pull
    is_same = marker is not None and marker.sha == candidate.source.commit
    told = candidate.told if candidate.told and candidate.told.sha == candidate.source.commit else None
    state = told.state if told is not None else ""
    if pull is not None and pull.from_fork and not is_same:
        return ""  # a person reviews each commit of a fork before a migration is generated
    mine = [section for section in sections if marker is not None and _is_in(section, marker)]
    folders = tuple(f"{section.folder}/versions/" for section in mine)

    def merged_since(commit: str) -> str:
        moved = _differ(revisions, commit, lambda path: path.startswith(folders))
        return f"Another revision was merged: {moved}." if moved else ""

    if candidate.conflicts:
        if told is None or state != "conflict":
            return "It cannot be merged into its base branch."
        # A comment there warns that its pull request must not be merged as it is.
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
    """Tell whether a migration affects a section; without files it may affect any."""
    return not marker.files or any(path.startswith(f"{section.folder}/") for path in marker.files)


def _differ(files: Mapping[str, Mapping[str, str]], commit: str, matters: Callable[[str], bool]) -> str:
    """Name a file that changed since a commit; empty for none."""
    now = {path: blob for path, blob in files[""].items() if matters(path)}
    then = {path: blob for path, blob in files.get(commit, {}).items() if matters(path)}
    return min((path for path in now.keys() | then.keys() if now.get(path) != then.get(path)), default="")
