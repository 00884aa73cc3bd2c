"""People, reviews, labels and commits of a pull request, and their JSON form."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, StrEnum
from typing import Any

from consdb_actions.approval.policy import Policy, Role
from consdb_actions.errors import InputError

__all__ = [
    "Account",
    "FileChange",
    "Commit",
    "CommitChange",
    "Contributor",
    "EventKind",
    "FORMAT",
    "ApprovalFacts",
    "MarkedComment",
    "NOREPLY",
    "PublishedStatus",
    "PullRequest",
    "Review",
    "ReviewState",
    "Team",
    "TimelineEvent",
    "UNCHANGED",
    "decode",
    "eligible",
    "encode",
    "facts_from_json",
    "facts_to_json",
    "holder_accounts",
    "holds",
    "roles_of",
    "unreadable_teams",
    "why_not",
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
class FileChange:
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
    changes: tuple[FileChange, ...] = ()
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
    trusted: bool = False
    """Whether its author may write in the repository, and so could edit a comment of ours."""


@dataclass(frozen=True, slots=True)
class PublishedStatus:
    """The newest commit status with our context on the head commit."""

    state: str
    description: str
    target_url: str
    creator: Account | None


@dataclass(frozen=True, slots=True)
class ApprovalFacts:
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


FORMAT = "consdb-actions/approval-facts/1"


def facts_to_json(facts: ApprovalFacts) -> dict[str, Any]:
    """Convert facts to JSON values, with the format's name under ``format``."""
    encoded: dict[str, Any] = {"format": FORMAT}
    encoded.update(encode(facts))
    return encoded


def facts_from_json(data: object, *, place: str = "facts") -> ApprovalFacts:
    """Read what `facts_to_json` wrote; ``place`` names the file in messages."""
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InputError(
            f'this file does not say "format": "{FORMAT}"',
            place=place,
            remedy="Give a file that --dump-facts of this version wrote.",
        )
    try:
        facts = decode({key: value for key, value in data.items() if key != "format"}, ApprovalFacts, "")
    except InputError as error:
        where = f"{place}: {error.place.removeprefix('.')}" if error.place else place
        remedy = "Give a file that --dump-facts wrote, as it is."
        raise InputError(error.cause, place=where, remedy=remedy) from error
    assert isinstance(facts, ApprovalFacts)
    return facts


def encode(value: Any) -> Any:
    """Encode dataclasses, tuples, enums and dates; leave the rest."""
    if dataclasses.is_dataclass(value):
        return {item.name: encode(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    return value


def decode(value: Any, kind: Any, place: str) -> Any:
    """Decode a value by a dataclass field's type; InputError names the path within the value."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        kind = next(item for item in typing.get_args(kind) if item is not type(None))
        return decode(value, kind, place)
    if origin is tuple:
        if not isinstance(value, list):
            raise _type_error(value, "a list", place)
        item_kind = typing.get_args(kind)[0]
        return tuple(decode(item, item_kind, f"{place}[{index}]") for index, item in enumerate(value))
    if dataclasses.is_dataclass(kind):
        return _decode_object(value, typing.cast("type[Any]", kind), place)
    if isinstance(kind, type) and issubclass(kind, Enum | date):
        try:
            return kind(value) if issubclass(kind, Enum) else kind.fromisoformat(value)
        except (ValueError, TypeError) as error:
            raise _type_error(value, _type_name(kind), place) from error
    if type(value) is not kind:
        raise _type_error(value, _type_name(kind), place)
    return value


def _decode_object(value: Any, kind: type[Any], place: str) -> Any:
    if not isinstance(value, Mapping):
        raise _type_error(value, "an object", place)
    hints = typing.get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}
    if unknown := sorted(set(value) - set(fields)):
        raise InputError(f'"{unknown[0]}" is not known here', place=place)
    required = [
        name
        for name, item in fields.items()
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    if missing := [name for name in required if name not in value]:
        raise InputError(f'"{missing[0]}" is missing', place=place)
    return kind(**{name: decode(value[name], hints[name], f"{place}.{name}") for name in value})


def _type_name(kind: type) -> str:
    if issubclass(kind, Enum):
        return f"one of {', '.join(item.value for item in kind)}"
    return _NAMES.get(kind, "what belongs here")


_NAMES = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    datetime: "a moment such as 2026-03-02T09:00:00+00:00",
    date: "a day such as 2026-03-02",
}


def _type_error(value: object, wanted: str, place: str) -> InputError:
    shown = repr(value)
    return InputError(f"{shown if len(shown) < 60 else shown[:57] + '...'} is not {wanted}", place=place)
