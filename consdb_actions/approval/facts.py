"""Required roles and their holders (rules A1, A3, A8); people, reviews and commits of a pull request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from consdb_actions.forms import STRICT, Form, Id, WrongValueError, matches_path, unique


class Concern(StrEnum):
    """A part of a schema change: what the database does, or what people read."""

    STRUCTURE = "structure"
    TEXT = "text"


Login = Annotated[str, Form("A GitHub login.", pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}(\[bot\])?$")]

TeamName = Annotated[str, Form("A team, as ORGANIZATION/TEAM.", pattern=r"^[A-Za-z0-9-]+/[a-z0-9._-]+$")]

Title = Annotated[str, Form("Name for people.", min_length=1, max_length=50)]

Label = Annotated[str, Form("A label.", min_length=1, max_length=50)]


@dataclass(frozen=True, slots=True)
class Designate:
    """A deputy for a role, up to and including a day (UTC); None: without end."""

    login: Login
    until: Annotated[date | None, Form("The last day, as YYYY-MM-DD; without it there is no end.")] = None

    def active_on(self, day: date) -> bool:
        """Return whether the designation is valid on a day."""
        return self.until is None or day <= self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """The people who hold a role."""

    teams: Annotated[
        tuple[TeamName, ...], Form("Teams whose active members hold the role, as org/slug.")
    ] = ()
    people: Annotated[tuple[Login, ...], Form("Logins of people who hold the role.")] = ()
    designates: Annotated[
        tuple[Designate, ...], Form("People who stand in, up to and including a day (UTC).")
    ] = ()


_DEFAULT_TITLES = {"de": "Data Engineering", "po": "ConsDB Product Owner", "consdb": "ConsDB team"}

_DEFAULT_LABELS = {"de": "data-engineering", "po": "product-owner"}


@dataclass(frozen=True, slots=True)
class Role(Holders):
    """A role that must approve a schema change; a default one takes what is empty from its default."""

    id: Annotated[Id, Form('Short name, as in the line "consdb: po" of a review.')]
    title: Title = ""
    label: Annotated[Label, Form("Label that shows the approval.")] = ""
    color: Annotated[
        str, Form("Colour of the label, six hexadecimal digits.", pattern="^#?[0-9a-fA-F]{6}$")
    ] = "0e8a16"
    concerns: Annotated[
        tuple[Concern, ...],
        Form(
            "The parts of a change after which an approval is stale: structure is tables, columns, types, "
            "keys and constraints; text is descriptions, units and UCDs.",
            min_length=1,
            then=unique,
        ),
    ] = ()

    def __post_init__(self) -> None:
        structure, text = Concern.STRUCTURE, Concern.TEXT
        for name, default in (
            ("title", _DEFAULT_TITLES.get(self.id, self.id)),
            ("label", f"approved: {_DEFAULT_LABELS.get(self.id, self.id)}"),
            ("concerns", (structure, text) if self.id == "de" else (structure,)),
        ):
            if not getattr(self, name):
                object.__setattr__(self, name, default)
        object.__setattr__(self, "color", self.color.lstrip("#"))

    @property
    def names(self) -> frozenset[str]:
        """Names of the role in a review: its id, and the slugs of its label and title."""
        label = self.label.rpartition(":")[2]
        return frozenset(_slug(word) for word in (self.id, label, self.title))


@dataclass(frozen=True, slots=True)
class Policy:
    """Roles, and the schema files that need their approval."""

    roles: Annotated[
        tuple[Role, ...],
        Form(
            "The roles that must approve. A list replaces the default roles de, po and consdb; a role with "
            "one of these ids takes from the default what it leaves out.",
            min_length=1,
        ),
    ] = (Role("de"), Role("po"), Role("consdb"))
    schemas: Annotated[
        tuple[
            Annotated[
                str,
                Form(
                    "Paths from the root of the repository, without a slash at the start.",
                    min_length=1,
                    max_length=300,
                    pattern="^[^/].*$",
                ),
            ],
            ...,
        ],
        Form(
            "Patterns of schema files that need approval; * does not match a slash.",
            min_length=1,
            then=unique,
        ),
    ] = (
        "python/lsst/sdm/schemas/cdb_*.yaml",
        "python/lsst/sdm/schemas/efd_*.yaml",
        "yml/cdb_*.yaml",
        "yml/efd_*.yaml",
    )
    distinct: Annotated[bool, Form("Whether different people must approve for different roles.")] = False
    ask_reviewers: Annotated[bool, Form("Whether people are asked for the reviews that are missing.")] = True

    def __post_init__(self) -> None:
        owners: dict[str, str] = {}
        for index, role in enumerate(self.roles):
            for name in role.names:
                if name in owners:
                    raise WrongValueError(
                        f'the roles "{owners[name]}" and "{role.id}" can both be called "{name}"',
                        "Give every role an id, a title and a label of its own.",
                        ("roles", index),
                    )
                owners[name] = role.id

    def matches(self, path: str) -> bool:
        """Return whether a file needs approval."""
        return matches_path(path, self.schemas)

    def role_named(self, word: str) -> Role | None:
        """Return the role with a name used in reviews, or None."""
        return next((role for role in self.roles if _slug(word) in role.names), None)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


DEFAULT_POLICY = Policy()


UNCHANGED = "unchanged"  # In place of a digest, where a commit does not change that part of a schema


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
    branch: str
    head: str
    base_branch: str
    base: str
    created_at: datetime
    merged_at: datetime | None = None
    merge_commit: str = ""  # empty unless merged
    committed_at: datetime | None = None  # date in the newest commit; read for the steps only, like the next
    pushed_at: datetime | None = None  # start of the first check on the newest commit; None without checks
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
    subject: str  # The label's name, the person's login, or the team's slug
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
    # Whether it merges the base branch ("Update branch"), which writes nothing of the change.
    update_only: bool = False


@dataclass(frozen=True, slots=True)
class FileChange:
    """The change of one schema file since the merge base."""

    path: str
    # Digest of the change of tables, columns, types, keys and constraints; empty if unreadable.
    structure: str
    text: str  # Digest of the change of descriptions, units and UCDs; empty if unreadable
    verbatim: str  # Digest of the changed lines and their context


@dataclass(frozen=True, slots=True)
class CommitChange:
    """All schema changes at a commit, or why they are unknown (`problem`)."""

    sha: str
    changes: tuple[FileChange, ...] = ()
    problem: str = ""
    remembered: bool = False  # Whether the commit is gone, and the digests come from a comment


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
    # Whether its author may write in the repository, and so could edit a comment of ours.
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class PublishedStatus:
    """The newest commit status with our context on the head commit."""

    state: str
    description: str
    target_url: str
    creator: Account | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullFacts:
    """What every decision about a pull request uses."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    repository: str
    html_url: str  # web address of the repository, without a slash at its end
    now: datetime  # determines which designates hold a role
    identity: Account  # our own account
    pull: PullRequest
    policy_source: str
    changes: tuple[CommitChange, ...] = ()
    teams: tuple[Team, ...] = ()  # named in the policy
    marked: tuple[MarkedComment, ...] = ()
    status: PublishedStatus | None = None  # the newest of ours on the newest commit

    def change_at(self, sha: str | None) -> CommitChange | None:
        """Return the schema change at a commit; None when it was not read."""
        return next((change for change in self.changes if change.sha == sha), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFacts(PullFacts):
    """Everything that a decision about approvals uses."""

    FORMAT: ClassVar[str] = "consdb-actions/approval-facts/1"

    policy: Policy
    reviews: tuple[Review, ...] = ()
    timeline: tuple[TimelineEvent, ...] = ()
    commits: tuple[Commit, ...] = ()
    accounts: tuple[Account, ...] = ()  # Accounts of people in the policy, and others whose name is needed
    unknown_people: tuple[str, ...] = ()  # Names in the policy without an account
    notes: tuple[str, ...] = ()

    def team(self, name: str) -> Team | None:
        """Return a team by its name `org/slug`."""
        return next((team for team in self.teams if team.name.casefold() == name.casefold()), None)


# The addresses that GitHub gives to accounts with a private address; the number is the account's id.
# https://docs.github.com/en/account-and-profile/reference/email-addresses-reference
NOREPLY = re.compile(r"^(?:(?P<id>\d+)\+)?(?P<login>[^@+]+)@users\.noreply\.github\.com$", re.IGNORECASE)


def unreadable_teams(facts: ApprovalFacts, role: Role) -> list[str]:
    """Return why members of the role's teams could not be read (rule A6)."""
    problems = []
    for name in role.teams:
        team = facts.team(name)
        if team is None:
            problems.append(f"{name}: it was not looked up")
        elif team.problem:
            problems.append(f"{name}: {team.problem}")
    return problems


def holder_accounts(facts: ApprovalFacts, role: Role, day: date) -> list[Account]:
    """Return the accounts that hold a role on a day, in the policy's order."""
    known = {account.login.casefold(): account for account in facts.accounts}
    gone = {login.casefold() for login in facts.unknown_people}
    logins = [*role.people, *(item.login for item in role.designates if item.active_on(day))]
    found = [known.get(login.casefold(), Account(login)) for login in logins if login.casefold() not in gone]
    for name in role.teams:
        team = facts.team(name)
        found.extend(team.members if team else ())
    by_id: set[int] = set()
    by_login: set[str] = set()
    holders: list[Account] = []
    for account in found:
        login = account.login.casefold()
        if account.id not in by_id and login not in by_login:
            holders.append(account)
        by_id |= {account.id} - {0}
        by_login.add(login)
    return holders


def holds(facts: ApprovalFacts, role: Role, account: Account, day: date) -> bool:
    """Return whether an account holds a role on a day."""
    return any(account.same_as(holder) for holder in holder_accounts(facts, role, day))


def roles_of(facts: ApprovalFacts, account: Account, day: date) -> list[Role]:
    """Return the roles that an account holds on a day."""
    return [role for role in facts.policy.roles if holds(facts, role, account, day)]


def why_not(facts: ApprovalFacts, account: Account) -> str:
    """Explain why an account cannot approve this pull request; empty when it can."""
    if account.bot:
        return "is a bot"
    if account.same_as(facts.pull.author):
        return "opened the pull request"
    known = next((other for other in facts.accounts if other.same_as(account)), account)
    for commit in facts.commits:
        if commit.update_only:
            continue
        for contributor in commit.contributors:
            if _is_same_person(contributor, known):
                return f"is {contributor.part} of commit {commit.sha[:8]}"
    return ""


def eligible(facts: ApprovalFacts, role: Role) -> list[str]:
    """Return the logins that could approve for a role today."""
    holders = holder_accounts(facts, role, facts.now.date())
    return [account.login for account in holders if not why_not(facts, account)]


def _is_same_person(contributor: Contributor, account: Account) -> bool:
    if contributor.account is not None:
        return account.same_as(contributor.account)
    if match := NOREPLY.match(contributor.email):
        # The id is decisive: the login in an old address may belong to another account now.
        if match["id"] and account.id:
            return int(match["id"]) == account.id
        return match["login"].casefold() == account.login.casefold()
    # No account is known for the address: an equal name is assumed to be the same person.
    names = {account.login.casefold(), account.name.casefold()} - {""}
    return contributor.name.casefold() in names
