"""What there is on GitHub, as the double keeps it; people by their id, which survives a change of login."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.support.github.store import GitStore, Signature

BOT = "github-actions[bot]"


@dataclass
class User:
    id: int
    login: str
    type: str = "User"
    name: str = ""
    email: str | None = None
    emails: list[str] = field(default_factory=list)

    @property
    def noreply(self) -> str:
        return f"{self.id}+{self.login}@users.noreply.github.com"

    def signature(self) -> Signature:
        return Signature(self.name or self.login, self.emails[0] if self.emails else self.noreply)


@dataclass
class Team:
    """A team; with `fault` set its members cannot be read, and the status says how."""

    org: str
    slug: str
    members: list[int]
    id: int
    fault: int = 0


@dataclass
class Label:
    id: int
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass
class Review:
    id: int
    user: int | None
    state: str
    commit: str | None
    body: str
    at: datetime


@dataclass
class Event:
    """A timeline event; `data` holds what is particular to its kind."""

    id: int
    kind: str
    actor: int | None
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Comment:
    id: int
    issue: int
    user: int | None
    body: str
    at: datetime
    edited: datetime


@dataclass
class Status:
    id: int
    sha: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    creator: int | None
    at: datetime


@dataclass
class Pull:
    number: int
    title: str
    body: str | None
    author: int | None
    base: str
    branch: str
    at: datetime
    draft: bool = False
    locked: bool = False
    state: str = "open"
    merged_at: datetime | None = None
    merge_sha: str | None = None
    labels: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    timeline: list[Event] = field(default_factory=list)
    asked_people: list[int] = field(default_factory=list)
    asked_teams: list[str] = field(default_factory=list)
    fork: str | None = ""
    """The fork that the branch is in; empty for the repository itself, None for a fork that was deleted."""
    undecided: int = 0
    """How often GitHub still has to be asked before it knows whether this can be merged."""


@dataclass
class Repo:
    """A repository. `lost` holds commits that GitHub has cleared away, `unseen` pull requests that
    the token may not see; `rows` what other routes keep."""

    id: int
    owner: str
    name: str
    store: GitStore
    default_branch: str = "main"
    labels: dict[str, Label] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    comments: list[Comment] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    unseen: set[int] = field(default_factory=set)
    refused_tags: set[str] = field(default_factory=set)
    members: dict[str, str] = field(default_factory=dict)
    """The permission of each person whom the organization knows, by login."""
    runs: dict[int, tuple[str, int]] = field(default_factory=dict)
    """The event and the workflow of each run, which is a suite of checks, where it is not a push's."""
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    def head(self, pull: Pull) -> str:
        """Return the newest commit of a pull request, also after its branch is gone."""
        found = self.store.ref(f"refs/heads/{pull.branch}") if pull.state == "open" else None
        found = found or self.store.ref(f"refs/pull/{pull.number}/head")
        assert found is not None
        return found[1]

    def base_of(self, pull: Pull) -> str:
        """Return the newest commit of the base branch; of a merged pull request the one before its merge."""
        if pull.merge_sha is None:
            return self.tip(pull.base)
        return self.store.info(pull.merge_sha).parents[0]

    def test_merge(self, pull: Pull) -> str | None:
        """Return the merge that GitHub made last to see whether a pull request can be merged."""
        found = self.store.ref(f"refs/pull/{pull.number}/merge")
        return None if found is None else found[1]

    def renew_test_merge(self, pull: Pull) -> bool:
        """Merge a pull request into its base branch for a test; on a conflict the last one stays."""
        parents = (self.tip(pull.base), self.head(pull))
        made = self.test_merge(pull)
        if made is None or self.store.info(made).parents != parents:
            made = self.store.merge(*parents)
            if made is None:
                return False
            self.store.set_ref(f"refs/pull/{pull.number}/merge", made)
        return True

    def tip(self, branch: str) -> str:
        found = self.store.ref(f"refs/heads/{branch}")
        assert found is not None, branch
        return found[1]
