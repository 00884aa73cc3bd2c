"""Find migrations to regenerate, and stacked pull requests."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.proposal import PullSeen
from consdb_actions.publication.result import TargetSection
from consdb_actions.publication.source import Marker, SchemaSource


@dataclass(frozen=True, slots=True)
class Stack:
    """The pull requests above and below one, by their commits."""

    holder: PullSeen | None = None  # whose migration contains this change; None if it has its own
    below: tuple[PullSeen, ...] = ()  # whose changes this migration contains


def stack_of(
    pull: PullSeen, others: Sequence[PullSeen], commits: Mapping[int, Collection[str]], label: str
) -> Stack:
    """Find the stack of a pull request; `others` are open and not from forks, `commits` by number."""

    def contains(one: PullSeen, other: PullSeen) -> bool:
        # Of two pull requests with the same head, the later contains the earlier.
        is_later = one.head != other.head or one.number > other.number
        return is_later and other.head in commits.get(one.number, ())

    above = [other for other in others if other.has_label(label) and contains(other, pull)]
    top = [one for one in above if not any(contains(other, one) for other in above if other is not one)]
    return Stack(
        min(top, key=lambda other: other.number, default=None),
        tuple(other for other in others if contains(pull, other)),
    )


# These states are final for a commit; setting the label again triggers a run itself.
_FINAL = ("published", "withdrawn")


@dataclass(frozen=True, slots=True)
class RequestedChange:
    """A schema change for which a migration was requested."""

    source: SchemaSource
    marker: Marker | None  # of its generated pull request, or of our comment if that is newer
    told: Marker | None = None  # marker of our comment
    has_pull: bool = False  # whether a generated pull request is open
    is_held: bool = False  # whether another pull request's migration contains this change
    conflicts: bool = False  # whether it cannot be merged into its base branch


def reason_to_regenerate(
    candidate: RequestedChange,
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
        return "No migration was generated for it yet."
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


@dataclass(frozen=True, slots=True)
class Rebase:
    """A revision that does not follow its section's newest one."""

    path: str
    section: str
    old: str  # its ``down_revision``
    new: str  # the required ``down_revision``

    @property
    def text(self) -> str:
        """Return the instruction for people."""
        return (
            f"{self.path} has to follow {self.new}, the newest revision of {self.section}: change its "
            f"down_revision from {self.old} to {self.new}."
        )


def find_rebases(
    files: Mapping[str, bytes | None], folders: Mapping[str, str], newest: Mapping[str, str]
) -> tuple[Rebase, ...]:
    """Find a branch's revisions that need a rebase.

    `files` are the changes of the branch (None for a removed file); `folders` and `newest` are by section,
    and a section without a revision is missing in `newest`.
    """
    found = []
    for section, folder in folders.items():
        ids = {
            path: read
            for path, data in files.items()
            if path.startswith(f"{folder}/versions/") and data and (read := read_ids(data))
        }
        own = {revision for revision, _ in ids.values()}
        found += [
            Rebase(path, section, down, newest[section])
            for path, (_, down) in sorted(ids.items())
            if section in newest and down not in own and down != newest[section]
        ]
    return tuple(found)


def newest_revision(files: Iterable[bytes]) -> str:
    """Return the revision that no other follows; empty unless there is exactly one."""
    ids = [read for data in files if (read := read_ids(data))]
    heads = {revision for revision, _ in ids} - {down for _, down in ids}
    return heads.pop() if len(heads) == 1 else ""


def read_ids(data: bytes) -> tuple[str, str] | None:
    """Return the literal revision and down_revision of a file, if any."""
    values: dict[str, str] = {}
    try:
        body = ast.parse(data).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
                values[target.id] = str(value.value or "")
    if "revision" not in values or "down_revision" not in values:
        return None
    return values["revision"], values["down_revision"]
