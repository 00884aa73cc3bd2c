"""Facts for tests of the pure policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from consdb_actions.approval.facts import (
    Account,
    ApprovalFacts,
    Commit,
    CommitChange,
    Contributor,
    EventKind,
    FileChange,
    Policy,
    PullRequest,
    Review,
    ReviewState,
    Team,
    TimelineEvent,
)
from tests.support.configuration import section

HEAD = "c" * 40
OLD = "a" * 40
PATH = "python/lsst/sdm/schemas/cdb_latiss.yaml"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BOT = Account("github-actions[bot]", 41898282, bot=True)

_IDS: dict[str, int] = {}


def person(login: str, **values: Any) -> Account:
    """Return the account of a login; the same login has the same id."""
    return Account(login, _IDS.setdefault(login.casefold(), len(_IDS) + 1), **values)


def policy(**values: Any) -> Policy:
    """Return a policy: dan and dina are Data Engineering, olga is the owner, carl and cleo are the team."""
    roles: list[dict[str, Any]] = [
        {"id": "de", "teams": ["lsst/data-engineering"]},
        {"id": "po", "people": ["olga"], "designates": [{"login": "dora", "until": "2026-03-10"}]},
        {"id": "consdb", "people": ["carl", "cleo"]},
    ]
    made: Policy = section("approvals", {"roles": roles, **values})
    return made


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


_next = iter(range(1, 100_000))


def review(
    login: str | None,
    state: str = "APPROVED",
    *,
    minute: int | None = None,
    commit: str | None = HEAD,
    body: str = "",
    bot: bool = False,
) -> Review:
    """Return a review; without a minute it is later than the one before."""
    number = next(_next)
    author = person(login, bot=bot) if login else None
    return Review(
        number, author, ReviewState(state), commit, at(number if minute is None else minute), body=body
    )


def event(kind: str, subject: str, actor: str | None, *, minute: int | None = None) -> TimelineEvent:
    number = next(_next)
    who = BOT if actor == BOT.login else person(actor) if actor else None
    return TimelineEvent(EventKind(kind), subject, who, at(number if minute is None else minute))


def change(
    sha: str = HEAD, structure: str = "s1", text: str = "t1", verbatim: str = "v1", path: str = PATH
) -> CommitChange:
    return CommitChange(sha, (FileChange(path, structure, text, verbatim),))


def written_by(*contributors: Contributor, sha: str = HEAD, **values: Any) -> Commit:
    return Commit(sha, contributors, **values)


def facts(*reviews: Review, **values: Any) -> ApprovalFacts:
    """Return facts of a pull request by ann that changes one schema."""
    pull_values = values.pop("pull", {})
    chosen: Policy = values.pop("policy", None) or policy()
    pull = PullRequest(
        number=7,
        title="Add a column",
        url="https://github.com/lsst/sdm_schemas/pull/7",
        author=person("ann"),
        state="open",
        draft=False,
        branch="tickets/DM-7",
        head=HEAD,
        base_branch="main",
        base="b" * 40,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    logins: Sequence[str] = [
        login
        for role in chosen.roles
        for login in (*role.people, *(entry.login for entry in role.designates))
    ]
    base = ApprovalFacts(
        repository="lsst/sdm_schemas",
        html_url="https://github.com/lsst/sdm_schemas",
        now=datetime(2026, 3, 20, tzinfo=UTC),
        identity=BOT,
        pull=replace(pull, **pull_values),
        policy=chosen,
        policy_source="main",
        reviews=reviews,
        commits=(written_by(Contributor("Ann", "ann@example.org", person("ann"))),),
        teams=(Team("lsst/data-engineering", (person("dan"), person("dina"))),),
        accounts=tuple(person(login) for login in dict.fromkeys(logins)),
        changes=(change(),),
    )
    return replace(base, **values)
