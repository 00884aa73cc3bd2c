"""What is proposed, what GitHub shows of it, and what is to be done."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from consdb_actions.errors import InputError

__all__ = [
    "TRAILER",
    "Action",
    "BranchCommit",
    "Facts",
    "Foreign",
    "Outcome",
    "Plan",
    "Proposal",
    "Pull",
    "Write",
    "blob_sha",
    "is_ours",
    "signed_message",
]

TRAILER = "Consdb-Actions-Branch"
"""The trailer of our commits; its value is the branch that the commit was made for."""

WEB = "web-flow"
"""GitHub's own account, the committer of commits that it signs."""

Action = Literal["opened", "updated", "unchanged", "nothing"]

Blobs = Mapping[str, str | None]
"""The blob of each path; None where there is no file."""

_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*", re.ASCII)
_PATH = re.compile(r"[^/\x00-\x1f\x7f\\]+(?:/[^/\x00-\x1f\x7f\\]+)*")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change of files that is put before people as one pull request.

    Parameters
    ----------
    repository
        ``owner/name``; the branch is made in it, never in a fork.
    base
        Branch that the change is meant for.
    branch
        Branch that is ours; one branch has at most one open pull request.
    files
        Wanted bytes of each path; None where the file shall go. A file keeps its mode.
    message
        Message of the commit; `TRAILER` is added to it.
    title, body
        Of the pull request. What people write above or below our part of the body stays.
    draft
        Whether the pull request is opened as a draft; afterwards that is people's affair.
    labels
        Labels that the pull request shall have; others stay.
    keep
        Patterns of paths (``*`` matches a slash as well) that people may have changed on the branch: what
        they made of those files stays, and the other files are renewed.
    reopen
        Whether a new pull request is opened where the last one was closed without merging.
    base_commit
        Commit of the base that the files were made from; the newest by default. Files that were made from an
        older one would undo what came in between, were they put onto a newer one.

    Raises
    ------
    InputError
        A branch or a path is not one.
    """

    repository: str
    base: str
    branch: str
    files: Mapping[str, bytes | None]
    message: str
    title: str
    body: str
    draft: bool = False
    labels: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    reopen: bool = False
    base_commit: str = ""

    def __post_init__(self) -> None:
        for name in (self.base, self.branch):
            bad = ".." in name or name.endswith(".") or any(p.endswith(".lock") for p in name.split("/"))
            if bad or len(name) > 200 or not _BRANCH.fullmatch(name):
                raise InputError(f"{name[:100]!r} is no name for a branch", place=self.repository)
        if self.branch == self.base:
            raise InputError(f"{self.branch} cannot be proposed for itself", place=self.repository)
        for path in self.files:
            if not _PATH.fullmatch(path) or {".", "..", ".git"} & set(path.casefold().split("/")):
                raise InputError(
                    f"{path[:200]!r} is no path of a file in a repository", place=self.repository
                )

    def keeps(self, path: str) -> bool:
        """Tell whether a person's change of a file stays."""
        return any(fnmatchcase(path, pattern) for pattern in self.keep)

    @property
    def blobs(self) -> dict[str, str | None]:
        """The blob of each wanted file."""
        return {path: None if data is None else blob_sha(data) for path, data in self.files.items()}


@dataclass(frozen=True, slots=True)
class BranchCommit:
    """A commit of the branch that the base does not have.

    Attributes
    ----------
    sha, message
        As they are.
    author, committer
        Logins of their accounts; empty where GitHub knows none.
    changed
        What the commit made of the files that the branch changes against its base. A merge of the base into
        the branch changes none of these.
    """

    sha: str
    author: str
    committer: str
    message: str
    changed: Blobs = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request of the branch."""

    number: int
    url: str
    title: str
    body: str
    base: str
    head: str
    is_open: bool
    merged: bool
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What GitHub shows of a branch.

    Attributes
    ----------
    viewer
        Login of the token's own account.
    base
        Newest commit of the base branch, or `Proposal.base_commit`.
    on_base
        The wanted paths in it.
    head
        Newest commit of the branch; None when there is no branch.
    fork
        The commit where the branch left the base; empty without a branch.
    on_fork
        The wanted paths in that.
    on_branch
        All files that the branch changes against `fork`, as they are on the branch.
    commits
        The commits of the branch, oldest first.
    pulls
        Pull requests of the branch, newest first.
    """

    viewer: str
    base: str
    on_base: Blobs
    head: str | None = None
    fork: str = ""
    on_fork: Blobs = field(default_factory=dict)
    on_branch: Blobs = field(default_factory=dict)
    commits: tuple[BranchCommit, ...] = ()
    pulls: tuple[Pull, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """A commit to make.

    Attributes
    ----------
    tree_of
        Commit whose files it starts from.
    parents
        Its parents.
    blobs
        What differs from `tree_of`.
    """

    tree_of: str
    parents: tuple[str, ...]
    blobs: Blobs


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes
    ----------
    difference
        Paths that the proposal changes against the base; empty means that nothing is proposed.
    write
        The commit to make, if any.
    pull
        The open pull request, if any; without one, one is opened when there is a difference.
    title, body
        New ones for the open pull request; None where they are right.
    labels
        Labels to add to it.
    kept
        Paths that people changed on the branch and that stay.
    """

    difference: tuple[str, ...]
    write: Write | None = None
    pull: Pull | None = None
    title: str | None = None
    body: str | None = None
    labels: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def action(self) -> Action:
        """What carrying out the plan will have done."""
        if not self.difference:
            return "nothing"
        if self.pull is None:
            return "opened"
        changes = self.write is not None or self.title is not None or self.body is not None or self.labels
        return "updated" if changes else "unchanged"


@dataclass(frozen=True, slots=True)
class Foreign:
    """The branch holds work of people that would be overwritten: nothing is done.

    Attributes
    ----------
    commits
        Their commits.
    paths
        The files that they changed and that may not be kept.
    """

    commits: tuple[BranchCommit, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done.

    Attributes
    ----------
    action
        ``opened``, ``updated``, ``unchanged``, or ``nothing`` where the base already has what was wanted.
    number, url
        The pull request; None and empty where there is none. With ``nothing`` it is one that is still open
        although it changes nothing any more.
    commit
        Newest commit of the branch; empty where there is no branch.
    kept
        Paths that people changed on the branch and that stayed as they were.
    """

    action: Action
    number: int | None = None
    url: str = ""
    commit: str = ""
    kept: tuple[str, ...] = ()


def is_ours(commit: BranchCommit, proposal: Proposal, viewer: str) -> bool:
    """Tell whether a commit is one that this program made, with this account, for this branch."""
    ours = viewer.casefold()
    return (
        commit.author.casefold() == ours
        and commit.committer.casefold() in (ours, WEB)
        and f"{TRAILER}: {proposal.branch}" in commit.message.splitlines()
    )


def blob_sha(data: bytes) -> str:
    """Return the name that git gives to a file's bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def signed_message(proposal: Proposal) -> str:
    """Return the message of the commit with the trailer that tells our commits from people's."""
    return f"{proposal.message.strip()}\n\n{TRAILER}: {proposal.branch}"
