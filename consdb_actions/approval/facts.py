"""Facts about a pull request whose approvals are decided.

The GitHub adapter collects them; :mod:`consdb_actions.approval.codec` converts them to JSON.
"""

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
"""Stands where a digest would stand, when a commit changes nothing in that part of a schema."""


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
    """One submitted review. `author` is None when the account no longer exists."""

    id: int
    author: Account | None
    state: ReviewState
    commit: str | None
    submitted_at: datetime | None
    body: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """A label set or taken off, or a review asked for or no longer asked for.

    `subject` is the label's name, the login of the person asked, or the slug of the team asked.
    """

    kind: EventKind
    subject: str
    actor: Account | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Contributor:
    """Somebody named by a commit as author, committer or co-author."""

    name: str
    email: str
    account: Account | None = None
    part: str = "author"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the pull request.

    `update_only` marks a merge of the base branch that left the pull request's own change as it was, as the
    button "Update branch" makes: whoever pressed it wrote nothing of the change.
    """

    sha: str
    contributors: tuple[Contributor, ...]
    update_only: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit changes in one schema file, against the point where it left the base branch.

    Attributes
    ----------
    path
        Path of the file in the repository.
    structure
        Digest of the change of tables, columns, types, keys and constraints; `UNCHANGED` where there is none,
        empty where the file could not be read as a schema.
    text
        Digest of the change of descriptions, units, UCDs; likewise.
    verbatim
        Digest of the changed lines with those around them.
    """

    path: str
    structure: str
    text: str
    verbatim: str


@dataclass(frozen=True, slots=True)
class CommitChange:
    """All schema changes at a commit, or why they are not known (`problem`).

    `remembered` is true when the commit is gone and the digests come from the comment of an earlier run.
    """

    sha: str
    changes: tuple[Change, ...] = ()
    problem: str = ""
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class Team:
    """Active members of a team `org/slug`, or why they could not be read (`problem`)."""

    name: str
    members: tuple[Account, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class MarkedComment:
    """A comment on the pull request that starts with our marker, whoever wrote it."""

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
    """Everything that a decision about approvals rests on.

    `accounts` holds the accounts behind the people that the policy names, and others whose name matters;
    `unknown_people` the names in the policy that are no account (any more). `html_url` is the web address of
    the repository, without a slash at its end.
    """

    repository: str
    html_url: str
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
    unknown_people: tuple[str, ...] = ()
    changes: tuple[CommitChange, ...] = ()
    comments: tuple[MarkedComment, ...] = ()
    status: PublishedStatus | None = None
    notes: tuple[str, ...] = field(default=())

    def change_at(self, sha: str | None) -> CommitChange | None:
        """Return the schema change at a commit, or None when it was not looked at."""
        return next((change for change in self.changes if change.sha == sha), None)

    def team(self, name: str) -> Team | None:
        """Return the facts on a team by its name `org/slug`."""
        return next((team for team in self.teams if team.name.casefold() == name.casefold()), None)
