"""Plan the proposed files and keep people's edits (rule P5)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from consdb_actions.errors import CheckFailed
from consdb_actions.forms import Public
from consdb_actions.migration.outcome import RunOutcome
from consdb_actions.proposal import PullSeen, blob_sha
from consdb_actions.publication.result import TargetSection
from consdb_actions.publication.source import Inputs, Marker, SchemaSource, read_marker

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
class Present:
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


def is_untouched(pull: TargetPull, present: Present) -> bool:
    """Tell whether the branch holds generated files only."""
    if pull.marker is None:
        return False
    blobs = {path: None if data is None else blob_sha(data) for path, data in present.files.items()}
    return blobs == dict(pull.marker.files)


def plan_files(
    accepted: Mapping[str, Mapping[str, bytes]], present: Present, sections: Sequence[TargetSection]
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
