"""A proposal, its state on GitHub, and the plan."""

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
    "BranchFacts",
    "Foreign",
    "ProposalOutcome",
    "ProposalPlan",
    "Proposal",
    "BranchPull",
    "CommitWrite",
    "blob_sha",
    "is_ours",
    "signed_message",
]

# The trailer of our commits; its value is the branch that the commit was made for.
TRAILER = "Consdb-Actions-Branch"

WEB = "web-flow"  # GitHub's own account, the committer of commits that it signs

Action = Literal["opened", "updated", "unchanged", "nothing"]

Blobs = Mapping[str, str | None]  # The blob of each path; None where there is no file

_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*", re.ASCII)
_PATH = re.compile(r"[^/\x00-\x1f\x7f\\]+(?:/[^/\x00-\x1f\x7f\\]+)*")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change of files for one pull request; InputError for invalid branches and paths."""

    repository: str  # ``owner/name``; the branch is created in it, never in a fork
    base: str  # Target branch of the pull request
    branch: str  # Our branch, with at most one open pull request
    files: Mapping[str, bytes | None]  # Wanted bytes of each path; None deletes the file
    message: str  # Message of the commit; `TRAILER` is added
    title: str
    body: str  # Our part; text that people write around it is kept
    draft: bool = False  # Whether a new pull request is a draft; it is not changed later
    labels: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()  # Patterns of paths (``*`` matches slashes) whose changes by people are kept
    reopen: bool = False  # Whether to open a new pull request if the last one was closed unmerged
    # Commit of the base that the files were made from, to avoid reverting later ones; default: newest.
    base_commit: str = ""

    def __post_init__(self) -> None:
        for name in (self.base, self.branch):
            bad = ".." in name or name.endswith(".") or any(p.endswith(".lock") for p in name.split("/"))
            if bad or len(name) > 200 or not _BRANCH.fullmatch(name):
                raise InputError(f"{name[:100]!r} is not a name for a branch", place=self.repository)
        if self.branch == self.base:
            raise InputError(f"{self.branch} cannot be proposed for itself", place=self.repository)
        for path in self.files:
            if not _PATH.fullmatch(path) or {".", "..", ".git"} & set(path.casefold().split("/")):
                raise InputError(
                    f"{path[:200]!r} is not a path of a file in a repository", place=self.repository
                )

    def keeps(self, path: str) -> bool:
        """Return whether people's changes of a file are kept."""
        return any(fnmatchcase(path, pattern) for pattern in self.keep)

    @property
    def blobs(self) -> dict[str, str | None]:
        """The blob hash of each wanted file."""
        return {path: None if data is None else blob_sha(data) for path, data in self.files.items()}


@dataclass(frozen=True, slots=True)
class BranchCommit:
    """A commit of the branch that the base does not have."""

    sha: str
    author: str  # Login; empty if unknown, like ``committer``
    committer: str
    message: str
    # Its blobs of files that the branch changes; a merge of the base changes none.
    changed: Blobs = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BranchPull:
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
class BranchFacts:
    """The state of a branch on GitHub."""

    viewer: str  # Login of the token's own account
    base: str  # Newest commit of the base branch, or `Proposal.base_commit`
    on_base: Blobs  # The wanted paths in it
    head: str | None = None  # Newest commit of the branch; None when there is no branch
    fork: str = ""  # Merge base of branch and base; empty without a branch
    on_fork: Blobs = field(default_factory=dict)  # The wanted paths in that
    on_branch: Blobs = field(default_factory=dict)  # All files that the branch changes since `fork`
    commits: tuple[BranchCommit, ...] = ()  # Commits of the branch, oldest first
    pulls: tuple[BranchPull, ...] = ()  # Pull requests of the branch, newest first


@dataclass(frozen=True, slots=True)
class CommitWrite:
    """A commit to create."""

    tree_of: str  # Commit whose files it starts from
    parents: tuple[str, ...]
    blobs: Blobs  # The difference from `tree_of`


@dataclass(frozen=True, slots=True)
class ProposalPlan:
    """The planned changes."""

    difference: tuple[str, ...]  # Paths that differ from the base; empty proposes nothing
    write: CommitWrite | None = None
    pull: BranchPull | None = None  # The open pull request; without one, a difference opens one
    title: str | None = None  # None if unchanged, like ``body``
    body: str | None = None
    labels: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()  # Paths with people's changes that are kept

    @property
    def action(self) -> Action:
        """The action that carries out the plan."""
        if not self.difference:
            return "nothing"
        if self.pull is None:
            return "opened"
        changes = self.write is not None or self.title is not None or self.body is not None or self.labels
        return "updated" if changes else "unchanged"


@dataclass(frozen=True, slots=True)
class Foreign:
    """A branch with people's work that would be overwritten: nothing is done."""

    commits: tuple[BranchCommit, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProposalOutcome:
    """The result."""

    action: Action  # ``nothing``: the base already has the wanted files
    number: int | None = None  # With ``nothing``, a pull request that is open without a difference
    url: str = ""
    commit: str = ""  # Newest commit of the branch; empty where there is no branch
    kept: tuple[str, ...] = ()  # Paths with people's changes that were kept


def is_ours(commit: BranchCommit, proposal: Proposal, viewer: str) -> bool:
    """Return whether this program made a commit, with this account, for this branch."""
    ours = viewer.casefold()
    return (
        commit.author.casefold() == ours
        and commit.committer.casefold() in (ours, WEB)
        and f"{TRAILER}: {proposal.branch}" in commit.message.splitlines()
    )


def blob_sha(data: bytes) -> str:
    """Return git's blob hash."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def signed_message(proposal: Proposal) -> str:
    """Return the commit message with the trailer that marks our commits."""
    return f"{proposal.message.strip()}\n\n{TRAILER}: {proposal.branch}"
