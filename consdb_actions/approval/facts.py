"""Facts about a pull request from GitHub or JSON, from which approvals are decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from consdb_actions.approval.policy import Policy

__all__ = [
    "UNCHANGED",
    "Account",
    "Change",
    "Commit",
    "CommitChange",
    "Contributor",
    "EventKind",
    "Facts",
    "MarkedComment",
    "PublishedStatus",
    "PullRequest",
    "Review",
    "ReviewState",
    "Team",
    "TimelineEvent",
]


UNCHANGED = "unchanged"
"""In place of a digest, where a commit does not change that part of a schema."""


class ReviewState(StrEnum):
    """The states that GitHub gives a review."""

    APPROVED = "APPROVED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    DISMISSED = "DISMISSED"
    COMMENTED = "COMMENTED"
    PENDING = "PENDING"


class EventKind(StrEnum):
    """The timeline events that matter here."""

    LABELED = "labeled"
    UNLABELED = "unlabeled"
    REVIEW_REQUESTED = "review_requested"
    REVIEW_REQUEST_REMOVED = "review_request_removed"


@dataclass(frozen=True, slots=True)
class Account:
    """A GitHub account; the id survives a change of login, 0 means unknown."""

    login: str
    id: int = 0
    bot: bool = False
    name: str = ""

    def same_as(self, other: Account | None) -> bool:
        """Return whether both are one account: by id where known, else by login."""
        if other is None:
            return False
        if self.id and other.id:
            return self.id == other.id
        return self.login.casefold() == other.login.casefold()


@dataclass(frozen=True, slots=True)
class PullRequest:
    """The pull request itself; `base` is the tip of its base branch."""

    number: int
    title: str
    url: str
    author: Account | None
    state: str
    draft: bool
    head: str
    base_branch: str
    base: str
    labels: tuple[str, ...] = ()
    asked_people: tuple[str, ...] = ()
    asked_teams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """One submitted review; `author` is None when the account no longer exists."""

    id: int
    author: Account | None
    state: ReviewState
    commit: str | None
    submitted_at: datetime | None
    body: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """A label or review request that was added or removed."""

    kind: EventKind
    subject: str
    """The label's name, the person's login, or the team's slug."""
    actor: Account | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Contributor:
    """Author, committer or co-author of a commit."""

    name: str
    email: str
    account: Account | None = None
    part: str = "author"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the pull request."""

    sha: str
    contributors: tuple[Contributor, ...]
    update_only: bool = False
    """Whether it merges the base branch ("Update branch"), which writes nothing of the change."""


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one schema file since the merge base."""

    path: str
    structure: str
    """Digest of the change of tables, columns, types, keys and constraints; empty if unreadable."""
    text: str
    """Digest of the change of descriptions, units and UCDs; empty if unreadable."""
    verbatim: str
    """Digest of the changed lines and their context."""


@dataclass(frozen=True, slots=True)
class CommitChange:
    """All schema changes at a commit, or why they are unknown (`problem`)."""

    sha: str
    changes: tuple[Change, ...] = ()
    problem: str = ""
    remembered: bool = False
    """Whether the commit is gone, and the digests come from a comment."""


@dataclass(frozen=True, slots=True)
class Team:
    """Active members of a team `org/slug`, or why they could not be read (`problem`)."""

    name: str
    members: tuple[Account, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class MarkedComment:
    """A comment on the pull request that starts with our marker, by any author."""

    id: int
    author: Account | None
    created_at: datetime
    body: str


@dataclass(frozen=True, slots=True)
class PublishedStatus:
    """The newest commit status with our context on the head commit."""

    state: str
    description: str
    target_url: str
    creator: Account | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a decision about approvals uses."""

    repository: str
    html_url: str
    """The repository's web address, without a slash at its end."""
    now: datetime
    identity: Account
    pull: PullRequest
    policy: Policy
    policy_source: str
    reviews: tuple[Review, ...] = ()
    timeline: tuple[TimelineEvent, ...] = ()
    commits: tuple[Commit, ...] = ()
    teams: tuple[Team, ...] = ()
    accounts: tuple[Account, ...] = ()
    """Accounts of people in the policy, and others whose name is needed."""
    unknown_people: tuple[str, ...] = ()
    """Names in the policy without an account."""
    changes: tuple[CommitChange, ...] = ()
    comments: tuple[MarkedComment, ...] = ()
    status: PublishedStatus | None = None
    notes: tuple[str, ...] = field(default=())

    def change_at(self, sha: str | None) -> CommitChange | None:
        """Return the schema change at a commit; None when it was not read."""
        return next((change for change in self.changes if change.sha == sha), None)

    def team(self, name: str) -> Team | None:
        """Return a team by its name `org/slug`."""
        return next((team for team in self.teams if team.name.casefold() == name.casefold()), None)
