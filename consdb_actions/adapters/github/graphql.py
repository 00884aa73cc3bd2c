"""GraphQL queries, and strict reading of their responses."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from consdb_actions.adapters.github.client import GitHub, quoted_path
from consdb_actions.approval.facts import (
    Account,
    Commit,
    Contributor,
    EventKind,
    PublishedStatus,
    PullRequest,
    Review,
    ReviewState,
    TimelineEvent,
)
from consdb_actions.proposal import PullSeen

# Reads the answer over REST: of a repository's root, about the object of a name.
Read = Callable[[GitHub, str, str], Any]


@dataclass(frozen=True, slots=True)
class ObjectQuery:
    """A question about an object."""

    fields: str  # what is asked, in GraphQL; ``$p`` is a path
    rest: Read  # asks over REST, and answers likewise; None without such an object
    argument: str = "oid"  # ``oid``, or ``expression`` such as ``COMMIT:PATH``
    with_path: bool = False  # whether the name is that of a commit, a colon, and a path

    def query(self, names: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Write one query about some objects, the answers of which are called ``o0``, ``o1``, and so on."""
        kind = "GitObjectID!" if self.argument == "oid" else "String!"
        declared, asked, values = ["$owner: String!", "$name: String!"], [], {}
        for index, name in enumerate(names):
            if self.with_path:
                name, _, values[f"p{index}"] = name.partition(":")
                declared.append(f"$p{index}: String!")
            values[f"e{index}"] = name
            declared.append(f"$e{index}: {kind}")
            fields = self.fields.replace("$p", f"$p{index}")
            asked.append(f"o{index}: object({self.argument}: $e{index}) {{ {fields} }}")
        body = " ".join(asked)
        return (
            f"query({', '.join(declared)}) {{ repository(owner: $owner, name: $name) {{ {body} }} }}",
            values,
        )


def history(first: int, since: datetime | None) -> ObjectQuery:
    """Ask for the commits that changed a file, newest first: so many, and none from before a moment."""
    moment = since.strftime("%Y-%m-%dT%H:%M:%SZ") if since is not None else ""
    limits = f"first: {first}" + (f', since: "{moment}"' if moment else "")

    def read(github: GitHub, root: str, name: str) -> Any:
        commit, _, path = name.partition(":")
        query: dict[str, str | int] = {"sha": commit, "path": path, "per_page": first}
        if moment:
            query["since"] = moment
        items = github.get(f"{root}/commits", query)
        nodes = [
            {
                "oid": item["sha"],
                "message": item["commit"]["message"],
                "url": item["html_url"],
                "committedDate": item["commit"]["committer"]["date"],
            }
            for item in items
        ]
        return {"history": {"nodes": nodes}}

    fields = (
        f"... on Commit {{ history(path: $p, {limits}) {{ nodes {{ oid message url committedDate }} }} }}"
    )
    return ObjectQuery(fields, read, with_path=True)


def _file(github: GitHub, root: str, name: str) -> Any:
    commit, _, path = name.partition(":")
    data = github.find(f"{root}/contents/{quoted_path(path)}", {"ref": commit}, lasting=True)
    if data is None:
        return None
    if not isinstance(data, dict) or data.get("type") != "file":
        return {"__typename": "Tree"}
    return _content(data)


def _blob(github: GitHub, root: str, name: str) -> Any:
    return _content(github.get(f"{root}/git/blobs/{name}", lasting=True))


def _content(data: Any) -> Any:
    """Answer as a query does; a text that REST leaves out is one that is cut off."""
    whole = data.get("encoding") == "base64"
    try:
        text = base64.b64decode(data["content"]).decode("utf-8") if whole else None
    except UnicodeDecodeError:
        text = None
    return {
        "__typename": "Blob",
        "oid": data["sha"],
        "byteSize": data["size"],
        "isTruncated": not whole,
        "text": text,
    }


def _tagger(github: GitHub, root: str, name: str) -> Any:
    return github.get(f"{root}/git/tags/{name}", lasting=True)


def _pulls(github: GitHub, root: str, name: str) -> Any:
    items = github.get(f"{root}/commits/{name}/pulls", lasting=True)
    nodes = [{"mergedAt": item.get("merged_at"), "url": item["html_url"]} for item in items]
    return {"associatedPullRequests": {"nodes": nodes}}


def _entries(github: GitHub, root: str, name: str) -> Any:
    tree, _, folder = name.partition(":")
    for part in [part for part in folder.split("/") if part]:
        rows = github.get(f"{root}/git/trees/{tree}", lasting=True)["tree"]
        found = next((row for row in rows if row["path"] == part), None)
        if found is None:
            return None
        if found["type"] != "tree":
            return {"__typename": "Blob"}
        tree = found["sha"]
    rows = github.get(f"{root}/git/trees/{tree}", lasting=True)["tree"]
    return {
        "__typename": "Tree",
        "entries": [{"name": row["path"], "mode": int(row["mode"], 8)} for row in rows],
    }


FILE = ObjectQuery("__typename ... on Blob { oid byteSize isTruncated text }", _file, "expression")

FILE_NAME = ObjectQuery("__typename ... on Blob { oid }", _file, "expression")

BLOB = ObjectQuery("__typename ... on Blob { oid byteSize isTruncated text }", _blob)

ENTRIES = ObjectQuery("__typename ... on Tree { entries { name mode } }", _entries, "expression")

TAGGER = ObjectQuery("... on Tag { tagger { date } }", _tagger)

PULLS = ObjectQuery(
    "... on Commit { associatedPullRequests(first: 10) { nodes { mergedAt url } } }",
    _pulls,
)

Json = Mapping[str, Any]

Pull = TypeVar("Pull", bound=PullSeen)

# Whatever GitHub or git could read as a co-author counts: one too many cannot approve, one too few could.
_CO_AUTHOR = re.compile(
    r"^[^\w\n]*co-authored-by[^\S\n]*:(?P<people>.*(?:\n[^\S\n]+\S.*)*)", re.IGNORECASE | re.MULTILINE
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
    created, merged = moment(data["created_at"]), moment(data.get("merged_at"))
    assert created is not None
    return PullRequest(
        number=data["number"],
        title=data.get("title") or "",
        url=data["html_url"],
        author=account(data.get("user")),
        state=data["state"],
        draft=bool(data.get("draft")),
        branch=data["head"]["ref"],
        head=data["head"]["sha"],
        base_branch=data["base"]["ref"],
        base=base,
        created_at=created,
        merged_at=merged,
        merge_commit=(data.get("merge_commit_sha") or "") if merged is not None else "",
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


def is_own(pull: Json) -> bool:
    """Tell whether a pull request comes from the repository itself, and not from a fork, deleted or not."""
    head = pull["head"].get("repo")
    return head is not None and head["id"] == pull["base"]["repo"]["id"]


def seen(pull: Json, kind: type[Pull]) -> Pull:
    """Read a pull request of any repository; a fork that was removed leaves no repository behind."""
    return kind(
        number=pull["number"],
        url=pull["html_url"],
        branch=pull["head"]["ref"],
        head=pull["head"]["sha"],
        title=pull.get("title") or "",
        body=pull.get("body") or "",
        base=pull["base"]["ref"],
        author=(pull.get("user") or {}).get("login") or "",
        is_open=pull["state"] == "open",
        merged=bool(pull.get("merged_at")),
        from_fork=not is_own(pull),
        labels=tuple(label["name"] for label in pull.get("labels") or ()),
    )
