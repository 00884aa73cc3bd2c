"""Maintain one pull request per branch without overwriting people's work; pure."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.redaction import redact

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
class PullSeen:
    """A pull request as GitHub shows it."""

    number: int
    url: str
    branch: str
    head: str = ""
    title: str = ""
    body: str = ""
    base: str = ""
    author: str = ""  # empty for a deleted account
    is_open: bool = True
    merged: bool = False
    from_fork: bool = False
    labels: tuple[str, ...] = ()

    def has_label(self, label: str) -> bool:
        """Tell whether it has a label, ignoring case."""
        return label.casefold() in {name.casefold() for name in self.labels}


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
    pulls: tuple[PullSeen, ...] = ()  # Pull requests of the branch, newest first


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
    pull: PullSeen | None = None  # The open pull request; without one, a difference opens one
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


BEGIN = "<!-- consdb-actions: this part is regenerated on each run -->"

END = "<!-- consdb-actions: end -->"

_TICK = re.compile(r"^(\s*[-*] \[)[xX](?=\])", re.MULTILINE)


def merged_body(present: str, wanted: str) -> str:
    """Return the body with our part replaced."""
    present = present.replace("\r\n", "\n")
    part = f"{BEGIN}\n{wanted.strip()}\n{END}"
    before, begin, rest = present.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end:
        return f"{part}\n\n{present.strip()}" if present.strip() else part
    if _TICK.sub(r"\1 ", inside).strip() == wanted.strip():
        return present
    return f"{before}{part}{after}"


_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")

LINES = 200  # Maximum number of lines of a difference in an error


def difference(theirs: Mapping[str, bytes | None], ours: Mapping[str, bytes | None]) -> str:
    """Return a unified diff without credentials."""
    lines: list[str] = []
    for path in sorted(theirs):
        old, new = _lines(ours.get(path)), _lines(theirs[path])
        if old is None or new is None:
            lines.append(f"{path}: binary, not shown")
            continue
        lines += difflib.unified_diff(
            old, new, f"{path} (would be written)", f"{path} (on the branch)", lineterm=""
        )
    if len(lines) > LINES:
        lines = [*lines[:LINES], f"… and {len(lines) - LINES} more lines"]
    return redact("\n".join(lines))


def _lines(data: bytes | None) -> list[str] | None:
    """Return the lines of a text file with control characters escaped; None if binary."""
    try:
        text = (data or b"").decode("utf-8")
    except UnicodeDecodeError:
        return None
    return [_CONTROL_CHARACTERS.sub("\ufffd", line) for line in text.split("\n")]


def foreign_error(
    proposal: Proposal,
    foreign: Foreign,
    theirs: Mapping[str, bytes | None],
    ours: Mapping[str, bytes | None],
) -> CheckFailed:
    """Return the error that prevents overwriting people's work."""
    commits = "\n".join(
        f"  {commit.sha[:8]} by {commit.author or 'an unknown account'}:"
        f" {next(iter(commit.message.splitlines()), '')[:100]}"
        for commit in foreign.commits
    )
    shown = difference(theirs, ours)
    return CheckFailed(
        redact(
            f"the branch {proposal.branch} holds commits that this program did not create:\n{commits}\n"
            f"They differ from what would be written in {', '.join(foreign.paths)}:\n{shown}"
        ),
        place=f"{proposal.repository}, branch {proposal.branch}",
        remedy="Merge the branch as it is; or revert these commits, and run this again.",
    )


def decide(proposal: Proposal, facts: BranchFacts) -> ProposalPlan | Foreign:
    """Plan the update of the branch and its pull request."""
    wanted = {path: sha for path, sha in proposal.blobs.items() if facts.on_base.get(path) != sha}
    pull = next((item for item in facts.pulls if item.is_open), None)
    if not wanted:
        return ProposalPlan((), pull=pull)
    if pull is not None and pull.base != proposal.base:
        raise CheckFailed(
            f"pull request {pull.number} goes to {pull.base}, not to {proposal.base}",
            place=pull.url,
            remedy=f"Change its base to {proposal.base}, or close it.",
        )
    last = facts.pulls[0] if facts.pulls else None
    if pull is None and last is not None and not last.merged and not proposal.reopen:
        raise CheckFailed(
            f"pull request {last.number} for this was closed without merging",
            place=last.url,
            remedy="Reopen it, and run this again; or open a new one with --reopen.",
        )
    title, body, labels = _text_changes(proposal, pull)
    write = _own_commit(wanted, facts)
    if write is None or _is_done(facts, last):
        return ProposalPlan(tuple(sorted(wanted)), write, pull, title, body, labels)
    people = tuple(
        commit for commit in facts.commits if commit.changed and not is_ours(commit, proposal, facts.viewer)
    )
    theirs = {path for commit in people for path in commit.changed}
    if lost := tuple(sorted(path for path in theirs if not proposal.keeps(path))):
        return Foreign(people, lost)
    if theirs:
        write = _mixed_commit(wanted, facts, theirs)
    return ProposalPlan(tuple(sorted(wanted)), write, pull, title, body, labels, tuple(sorted(theirs)))


def _is_done(facts: BranchFacts, last: PullSeen | None) -> bool:
    return last is not None and last.merged and last.head == facts.head


def _own_commit(wanted: dict[str, str | None], facts: BranchFacts) -> CommitWrite | None:
    """Plan the commit for a branch with our commits only: base and wanted files."""
    if facts.head is None:
        return CommitWrite(facts.base, (facts.base,), wanted)
    behind = any(facts.on_base.get(path) != facts.on_fork.get(path) for path in wanted)
    if facts.on_branch == wanted and not behind:
        return None
    if facts.fork == facts.head:
        parents: tuple[str, ...] = (facts.base,)
    else:
        parents = (facts.head,) if facts.fork == facts.base else (facts.head, facts.base)
    return CommitWrite(facts.base, parents, wanted)


def _mixed_commit(wanted: dict[str, str | None], facts: BranchFacts, theirs: set[str]) -> CommitWrite | None:
    """Plan the commit for a branch with people's changes to keep."""
    assert facts.head is not None
    there = {path: facts.on_branch.get(path, facts.on_fork.get(path)) for path in wanted}
    blobs = {path: sha for path, sha in wanted.items() if path not in theirs and there[path] != sha}
    for path, sha in facts.on_branch.items():
        if path not in wanted and path not in theirs and facts.on_base.get(path) != sha:
            blobs[path] = facts.on_base.get(path)
    return CommitWrite(facts.head, (facts.head,), blobs) if blobs else None


def _text_changes(
    proposal: Proposal, pull: PullSeen | None
) -> tuple[str | None, str | None, tuple[str, ...]]:
    if pull is None:
        return None, None, proposal.labels
    body = merged_body(pull.body, proposal.body)
    had = {label.casefold() for label in pull.labels}
    return (
        proposal.title if pull.title != proposal.title else None,
        body if body != pull.body.replace("\r\n", "\n") else None,
        tuple(label for label in proposal.labels if label.casefold() not in had),
    )
