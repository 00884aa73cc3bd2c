"""GitHub's JSON as facts. What people wrote is taken as it is; what may be missing may be missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from consdb_actions.approval.facts import (
    Account,
    Commit,
    Contributor,
    EventKind,
    MarkedComment,
    PublishedStatus,
    PullRequest,
    Review,
    ReviewState,
    TimelineEvent,
)

__all__ = ["account", "comments", "commit", "moment", "pull_request", "reviews", "status", "timeline"]

Json = Mapping[str, Any]

# Whatever GitHub or git could read as a co-author counts: one too many cannot approve, one too few could.
_CO_AUTHOR = re.compile(
    r"^[^\S\n]*co-authored-by[^\S\n]*:(?P<people>.*(?:\n[^\S\n]+\S.*)*)", re.IGNORECASE | re.MULTILINE
)
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"]+@[^\s<>()\[\],;:\"]+")


def account(data: Json | None) -> Account | None:
    """Read an account; GitHub gives null, or an empty object, for one that is gone or unknown."""
    if not data or not data.get("login"):
        return None
    return Account(
        login=data["login"],
        id=data.get("id") or 0,
        bot=data.get("type") == "Bot",
        name=data.get("name") or "",
    )


def moment(text: str | None) -> datetime | None:
    """Read a time such as ``2026-03-02T09:00:00Z``."""
    return None if not text else datetime.fromisoformat(text.replace("Z", "+00:00"))


def pull_request(data: Json, base: str) -> PullRequest:
    """Read a pull request, with the newest commit of its base branch."""
    return PullRequest(
        number=data["number"],
        title=data.get("title") or "",
        url=data["html_url"],
        author=account(data.get("user")),
        state=data["state"],
        draft=bool(data.get("draft")),
        head=data["head"]["sha"],
        base_branch=data["base"]["ref"],
        base=base,
        labels=tuple(label["name"] for label in data.get("labels") or ()),
        asked_people=tuple(
            person.login for item in data.get("requested_reviewers") or () if (person := account(item))
        ),
        asked_teams=tuple(item["slug"] for item in data.get("requested_teams") or ()),
    )


def reviews(items: Iterable[Json]) -> tuple[Review, ...]:
    """Read reviews; drafts of reviews, which only their author sees, are left out."""
    return tuple(
        Review(
            id=item["id"],
            author=account(item.get("user")),
            state=ReviewState(item["state"]),
            commit=item.get("commit_id"),
            submitted_at=moment(item.get("submitted_at")),
            body=item.get("body") or "",
            url=item.get("html_url") or "",
        )
        for item in items
        if item.get("state") in set(ReviewState) - {ReviewState.PENDING}
    )


def timeline(items: Iterable[Json]) -> tuple[TimelineEvent, ...]:
    """Read the events of a timeline that matter."""
    found = []
    for item in items:
        if item.get("event") not in set(EventKind):
            continue
        kind, at = EventKind(item["event"]), moment(item.get("created_at"))
        subject = _subject(item)
        if subject and at is not None:
            found.append(TimelineEvent(kind, subject, account(item.get("actor")), at))
    return tuple(found)


def _subject(item: Json) -> str:
    """Name the label, person or team that an event is about."""
    if label := item.get("label"):
        return str(label["name"])
    if team := item.get("requested_team"):
        return str(team["slug"])
    person = account(item.get("requested_reviewer"))
    return person.login if person else ""


def comments(items: Iterable[Json], marker: str) -> tuple[MarkedComment, ...]:
    """Read the comments that start with a marker, whoever wrote them."""
    found = []
    for item in items:
        body, at = item.get("body") or "", moment(item.get("created_at"))
        if at is not None and body.lstrip().startswith(marker):
            found.append(MarkedComment(item["id"], account(item.get("user")), at, body))
    return tuple(found)


def status(item: Json) -> PublishedStatus:
    """Read a commit status."""
    return PublishedStatus(
        state=item["state"],
        description=item.get("description") or "",
        target_url=item.get("target_url") or "",
        creator=account(item.get("creator")),
    )


def commit(item: Json) -> Commit:
    """Read a commit with everybody whom it names."""
    inner = item["commit"]
    people = []
    for part in ("author", "committer"):
        signature = inner.get(part) or {}
        people.append(
            Contributor(
                signature.get("name") or "", signature.get("email") or "", account(item.get(part)), part
            )
        )
    for match in _CO_AUTHOR.finditer("\n".join((inner.get("message") or "").splitlines())):
        text = match["people"]
        name = " ".join(re.sub(r"[<>]", " ", _ADDRESS.sub(" ", text)).split())
        people.extend(
            Contributor(name, address, None, "co-author") for address in _ADDRESS.findall(text) or [""]
        )
    return Commit(item["sha"], tuple(people))
