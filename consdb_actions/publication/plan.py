"""Plan the proposed files and keep people's edits (rule P5); find what to regenerate, and stacks."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from consdb_actions.errors import CheckFailed
from consdb_actions.forms import Public
from consdb_actions.migration.outcome import RunOutcome
from consdb_actions.proposal import PullSeen, blob_sha
from consdb_actions.publication.result import TargetSection
from consdb_actions.publication.source import Inputs, Marker, SchemaSource, read_marker


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
    # A marker without files may be about any section.
    mine = [
        section
        for section in sections
        if marker is not None
        and (not marker.files or any(path.startswith(f"{section.folder}/") for path in marker.files))
    ]
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


WITHDRAWN = "<!-- consdb-actions:withdrawn -->"  # Marks the body of a pull request that this program closed

State = Literal[
    "published",
    "unchanged",
    "question",
    "failed",
    "error",
    "withdrawn",
    "moved",
    "conflict",
    "held",
    "nothing",
]


@dataclass(frozen=True, slots=True)
class TargetPull(PullSeen, Public):
    """A pull request of the repository of migrations."""

    PUBLIC: ClassVar[str] = "number url branch"

    @property
    def marker(self) -> Marker | None:
        """Return the marker of its inputs, if any."""
        return read_marker(self.body)


@dataclass(frozen=True, slots=True)
class EditedFile:
    """A file edited on the branch, and its difference from the generated one."""

    path: str
    section: str
    difference: str


@dataclass(frozen=True, slots=True)
class Publication(Public):
    """The outcome of a publication, for the comment and the report.

    ``state`` is ``published``; ``unchanged``: no database changes; ``question`` and ``failed``: nothing was
    generated, and the report says why; ``error``: there is no report; ``withdrawn``: the pull request was
    closed or left, see `words`; ``moved``: the change has a newer commit, or the target a newer revision;
    ``conflict``: the change cannot be merged into its base branch; ``held``: the migration of `pull` contains
    this change; ``nothing``: the event requests nothing.
    """

    FORMAT: ClassVar[str] = "consdb-actions/publication/1"
    PUBLIC: ClassVar[str] = (
        "state action source=source.reference commit reason pull_request=pull sections kept notes=text"
    )

    state: State
    source: SchemaSource
    commit: str  # of the source, for which this was generated
    reason: str = ""
    outcome: RunOutcome | None = None  # the joined reports, if any
    pull: TargetPull | None = None  # the pull request of the migration
    action: str = ""
    kept: tuple[EditedFile, ...] = ()
    text: tuple[str, ...] = ()  # further sentences
    log: str = ""  # end of the generator's output if it failed without a report
    run_url: str = ""
    inputs: Inputs = field(default_factory=lambda: Inputs(""))

    @property
    def sections(self) -> tuple[str, ...]:
        """Return the sections with a new revision."""
        return tuple(section.name for section in self.outcome.changed) if self.outcome else ()

    @property
    def marker(self) -> Marker:
        """Return the marker for our comment."""
        inputs = self.inputs
        return Marker(
            self.source.reference,
            self.commit,
            base=inputs.base,
            target=inputs.target,
            state=self.state,
        )


@dataclass(frozen=True, slots=True)
class BranchFiles:
    """The files on the branch of a migration."""

    # content of each changed file; None for a removed one
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    theirs: tuple[str, ...] = ()  # files that people changed


def find_pull(
    pulls: Sequence[TargetPull], source: SchemaSource, branch: str, viewer: str
) -> TargetPull | None:
    """Find the open pull request of a change's migration."""
    references = _references(source)
    for pull in pulls:
        ours = pull.author.casefold() == viewer.casefold()
        if ours and pull.marker is not None and pull.marker.source in references:
            return pull
    taken = next((pull for pull in pulls if pull.branch == branch), None)
    if taken is None:
        return None
    if taken.author.casefold() != viewer.casefold():
        raise CheckFailed(
            f"the branch {branch} has a pull request already, which {taken.author or 'somebody'} opened",
            place=taken.url,
            remedy="Merge or close it, or give its branch another name, and run again.",
        )
    if taken.marker is None:
        return taken
    raise CheckFailed(
        f"the branch {branch} holds the migration of another change, {taken.marker.source}",
        place=taken.url,
        remedy="Give one of the two branches a suffix of its own, such as tickets/DM-12345-latiss.",
    )


def find_withdrawn(pulls: Sequence[TargetPull], source: SchemaSource) -> TargetPull | None:
    """Return the newest closed pull request if this program closed it."""
    last = next(iter(pulls), None)
    if last is None or last.merged or WITHDRAWN not in last.body or last.marker is None:
        return None
    return last if last.marker.source in _references(source) else None


def may_reopen(pulls: Sequence[TargetPull], *, asked_again: bool) -> bool:
    """Tell whether a closed pull request (newest first) can be replaced; `asked_again`: explicit request."""
    return asked_again or not pulls or pulls[0].merged or WITHDRAWN in pulls[0].body


def is_untouched(pull: TargetPull, present: BranchFiles) -> bool:
    """Tell whether the branch holds generated files only."""
    if pull.marker is None:
        return False
    blobs = {path: None if data is None else blob_sha(data) for path, data in present.files.items()}
    return blobs == dict(pull.marker.files)


def plan_files(
    accepted: Mapping[str, Mapping[str, bytes]], present: BranchFiles, sections: Sequence[TargetSection]
) -> tuple[dict[str, bytes], tuple[EditedFile, ...]]:
    """Decide which files to propose: the generated ones, except in edited sections.

    A second revision beside an edited one would give the section two heads; so an edited section stays, and
    its difference from the generated file is returned.
    """
    files: dict[str, bytes] = {}
    kept: list[EditedFile] = []
    for section in sections:
        folder = f"{section.folder}/versions/"
        generated = accepted.get(section.name, {})
        edited = [path for path in present.theirs if path.startswith(folder)]
        if not edited:
            files.update(generated)
            continue
        there = {path: data for path, data in present.files.items() if path.startswith(folder)}
        files.update({path: data for path, data in there.items() if data is not None})
        new_path, new = next(iter(generated.items()), ("", b""))
        kept += [
            EditedFile(path, section.name, _difference(path, there.get(path), new_path, new))
            for path in edited
        ]
    return files, tuple(kept)


def _references(source: SchemaSource) -> set[str]:
    return {source.reference, f"{source.repository}@{source.branch}"}


def _difference(path: str, theirs: bytes | None, new_path: str, new: bytes) -> str:
    lines = difflib.unified_diff(
        _lines(new),
        _lines(theirs or b""),
        f"{new_path} (generated now)" if new_path else "nothing is generated now",
        f"{path} (on the branch)" if theirs is not None else "removed on the branch",
        lineterm="",
    )
    return "\n".join(lines)


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\n") if data else []
