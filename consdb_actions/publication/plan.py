"""What is proposed to the repository of migrations, and what becomes of people's edits (rule P5)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from consdb_actions.errors import CheckFailed
from consdb_actions.migration.outcome import RunOutcome
from consdb_actions.proposal import blob_sha
from consdb_actions.publication.marker import Marker, read_marker
from consdb_actions.publication.result import TargetSection
from consdb_actions.publication.source import Inputs, Source

__all__ = [
    "WITHDRAWN",
    "Kept",
    "Present",
    "Publication",
    "State",
    "TargetPull",
    "find_pull",
    "find_withdrawn",
    "is_untouched",
    "may_reopen",
    "plan_files",
]

WITHDRAWN = "<!-- consdb-actions:withdrawn -->"
"""Stands in the text of a pull request that this program closed itself."""

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
class TargetPull:
    """A pull request of the repository of migrations.

    Attributes
    ----------
    author
        Login of who opened it; empty for an account that is gone.
    """

    number: int
    url: str
    branch: str
    author: str
    body: str = ""
    is_open: bool = True
    merged: bool = False

    @property
    def marker(self) -> Marker | None:
        """What it remembers about how it was made."""
        return read_marker(self.body)


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that a person changed on the branch, and how it differs from what was generated."""

    path: str
    section: str
    difference: str


@dataclass(frozen=True, slots=True)
class Publication:
    """What was done with a result, for the comment and the report.

    Attributes
    ----------
    state
        ``published``; ``unchanged``: no database would change; ``question`` and ``failed``: nothing was
        generated, and the report says why; ``error``: there is not even a report; ``withdrawn``: the pull
        request was closed or left, as `words` says; ``moved``: the change has a newer commit, or the target a
        newer revision; ``conflict``: the change cannot be merged into its base branch; ``held``: the
        migration of another change, `pull`, holds this one; ``nothing``: the event asks for nothing.
    source, commit
        The schema change, and the commit for which this was generated.
    outcome
        What the reports tell of, if there are any.
    pull
        The pull request of the migration, if there is one.
    kept
        What people edited and what stays.
    words
        What else is to be said, as sentences.
    log
        The end of what the generator printed, where it failed without a report.
    """

    state: State
    source: Source
    commit: str
    reason: str = ""
    outcome: RunOutcome | None = None
    pull: TargetPull | None = None
    action: str = ""
    kept: tuple[Kept, ...] = ()
    words: tuple[str, ...] = ()
    log: str = ""
    run_url: str = ""
    inputs: Inputs = field(default_factory=lambda: Inputs(""))

    @property
    def marker(self) -> Marker:
        """What our comment remembers of this."""
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
    """What there is on the branch of a migration.

    Attributes
    ----------
    files
        The files that it changes against the default branch, with their bytes; None for one that is removed.
    theirs
        Those of them that people changed.
    """

    files: Mapping[str, bytes | None] = field(default_factory=dict)
    theirs: tuple[str, ...] = ()


def find_pull(pulls: Sequence[TargetPull], source: Source, branch: str, viewer: str) -> TargetPull | None:
    """Find the open pull request that holds the migration of a change.

    Parameters
    ----------
    pulls
        The open pull requests of the target.
    source
        The change.
    branch
        The branch that the migration would have.
    viewer
        Login of the token's own account.

    Returns
    -------
    TargetPull | None
        Ours for this change, wherever it is; None when there is none.

    Raises
    ------
    CheckFailed
        The branch is taken by a pull request that is not ours, or by the migration of another change.
    """
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


def find_withdrawn(pulls: Sequence[TargetPull], source: Source) -> TargetPull | None:
    """Return the newest closed pull request of a branch when this program closed it for that change."""
    last = next(iter(pulls), None)
    if last is None or last.merged or WITHDRAWN not in last.body or last.marker is None:
        return None
    return last if last.marker.source in _references(source) else None


def may_reopen(pulls: Sequence[TargetPull], *, asked_anew: bool) -> bool:
    """Tell whether a new pull request may take the place of one that was closed without merging.

    Parameters
    ----------
    pulls
        The closed pull requests of the branch, newest first.
    asked_anew
        Whether somebody has just asked for it, by label or by hand.
    """
    return asked_anew or not pulls or pulls[0].merged or WITHDRAWN in pulls[0].body


def is_untouched(pull: TargetPull, present: Present) -> bool:
    """Tell whether nothing but what was generated is on the branch, so that nobody's work can be lost."""
    if pull.marker is None:
        return False
    blobs = {path: None if data is None else blob_sha(data) for path, data in present.files.items()}
    return blobs == dict(pull.marker.files)


def plan_files(
    accepted: Mapping[str, Mapping[str, bytes]], present: Present, sections: Sequence[TargetSection]
) -> tuple[dict[str, bytes], tuple[Kept, ...]]:
    """Decide which files are proposed: what was generated, except where a person has edited the section.

    A second revision beside an edited one would give the section two heads. So a section that people touched
    stays as they left it, and what would be generated now is shown.

    Parameters
    ----------
    accepted
        What was generated, by section.
    present
        What there is on the branch.
    sections
        The sections of the target.

    Returns
    -------
    tuple
        The files to propose, and the edited ones with their difference.
    """
    files: dict[str, bytes] = {}
    kept: list[Kept] = []
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
            Kept(path, section.name, _difference(path, there.get(path), new_path, new)) for path in edited
        ]
    return files, tuple(kept)


def _references(source: Source) -> set[str]:
    """Return what a change is called: before it had a pull request, and since."""
    return {source.reference, f"{source.repository}@{source.branch}"}


def _difference(path: str, theirs: bytes | None, new_path: str, new: bytes) -> str:
    """Return how an edited file differs from what would be generated now; empty when it does not."""
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
