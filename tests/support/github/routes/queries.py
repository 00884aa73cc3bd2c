"""The part of GraphQL that the program uses, on the same state as everything else."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from graphql import GraphQLError, build_schema, graphql_sync

from tests.support.github.permissions import Need
from tests.support.github.routes.pulls import pulls_with
from tests.support.github.routing import Call, RefusalError, Response, route
from tests.support.github.things import Repo

SCHEMA = """
scalar DateTime
scalar GitObjectID
scalar GitTimestamp
scalar URI
interface GitObject { oid: GitObjectID! }
type Blob implements GitObject { oid: GitObjectID! byteSize: Int! isTruncated: Boolean! text: String }
type Tree implements GitObject { oid: GitObjectID! entries: [TreeEntry!] }
type TreeEntry { name: String! mode: Int! }
type Tag implements GitObject { oid: GitObjectID! tagger: GitActor }
type GitActor { date: GitTimestamp }
type Commit implements GitObject {
  oid: GitObjectID!
  message: String!
  url: URI!
  committedDate: DateTime!
  history(first: Int, path: String, since: GitTimestamp): CommitHistoryConnection!
  associatedPullRequests(first: Int): PullRequestConnection
}
type CommitHistoryConnection { nodes: [Commit] }
type PullRequestConnection { nodes: [PullRequest] }
type PullRequest { mergedAt: DateTime url: URI! }
type Repository { object(expression: String, oid: GitObjectID): GitObject }
type User { login: String! }
type Query { viewer: User! repository(owner: String!, name: String!): Repository }
"""
"""Fields of GitHub's public schema; a test holds the program's queries against all of it."""

_SCHEMA = build_schema(SCHEMA)
TRUNCATED = 512_000
"""Bytes of which GitHub shows no more."""


@route("POST", "/graphql")
def graphql(call: Call) -> Response:
    done = graphql_sync(_SCHEMA, call.body["query"], _Root(call), variable_values=call.body.get("variables"))
    body: dict[str, Any] = {"data": done.data}
    if done.errors:
        body["errors"] = [_error(error) for error in done.errors]
    return Response(body=body)


def _error(error: GraphQLError) -> dict[str, Any]:
    known = error.original_error
    if known is not None and not isinstance(known, RefusalError):
        raise known
    kind = {"type": known.message} if known and known.message.isupper() else {}
    return {"message": error.message, "path": error.path, **kind}


class _Root:
    def __init__(self, call: Call) -> None:
        self._call = call
        self.viewer = {"login": call.actor.login}

    def repository(self, _: Any, owner: str, name: str) -> _Repository:
        repo = self._call.world.repos.get(f"{owner}/{name}")
        if repo is None:
            raise RefusalError(200, "NOT_FOUND")
        if "no queries" in repo.rows:
            raise RefusalError(200, "FORBIDDEN")
        _allow(self._call, "contents", repo)
        return _Repository(self._call, repo)


def _allow(call: Call, name: str, repo: Repo) -> None:
    """Refuse a field of a query for which a permission is lacking."""
    try:
        call.require(Need(name, "read"), repo.full_name)
    except RefusalError:
        raise RefusalError(200, "FORBIDDEN") from None


class _Repository:
    def __init__(self, call: Call, repo: Repo) -> None:
        self._call, self._repo = call, repo

    def object(self, _: Any, expression: str = "", oid: str = "") -> Any:
        store = self._repo.store
        name, _, path = (oid or expression).partition(":")
        sha = name if store.type_of(name) else store.resolve(f"refs/heads/{name}")
        if not sha or sha in self._repo.lost:
            return None
        if oid == "" and expression.endswith(":"):
            sha = store.info(sha).tree
        if path:
            rows = store.entries(store.info(sha).tree, recursive=True)
            sha = next((row.sha for row in rows if row.path == path), "")
        kind = store.type_of(sha) if sha else ""
        makers = {"blob": self._blob, "commit": self._commit, "tag": self._tag, "tree": self._tree}
        if kind not in makers:
            return {"__typename": kind.capitalize(), "oid": sha} if kind else None
        return makers[kind](sha)

    def _blob(self, sha: str) -> dict[str, Any]:
        data = self._repo.store.blob(sha)
        text = None if b"\0" in data else data[:TRUNCATED].decode("utf-8", "replace")
        cut = len(data) > TRUNCATED
        return {"__typename": "Blob", "oid": sha, "byteSize": len(data), "isTruncated": cut, "text": text}

    def _tree(self, sha: str) -> dict[str, Any]:
        rows = self._repo.store.entries(sha, recursive=False)
        entries = [{"name": row.path, "mode": int(row.mode, 8)} for row in rows]
        return {"__typename": "Tree", "oid": sha, "entries": entries}

    def _tag(self, sha: str) -> dict[str, Any]:
        at = self._repo.store.tag_info(sha).tagger.date
        date = at.astimezone(timezone(timedelta(hours=-3))).isoformat() if at is not None else None
        return {"__typename": "Tag", "oid": sha, "tagger": {"date": date}}

    def _commit(self, sha: str) -> dict[str, Any]:
        info, show = self._repo.store.info(sha), self._call.payloads
        assert info.committer.date is not None
        return {
            "__typename": "Commit",
            "oid": sha,
            "message": info.message,
            "url": f"{show.html(self._repo)}/commit/{sha}",
            "committedDate": show.moment(info.committer.date),
            "history": lambda _, **given: {"nodes": self._history(sha, **given)},
            "associatedPullRequests": lambda _, first: {"nodes": self._pulls(sha)[:first]},
        }

    def _pulls(self, sha: str) -> list[Any]:
        _allow(self._call, "pull_requests", self._repo)
        show = self._call.payloads
        return [
            {
                "mergedAt": show.moment(pull.merged_at) if pull.merged_at else None,
                "url": f"{show.html(self._repo)}/pull/{pull.number}",
            }
            if pull.number not in self._repo.unseen
            else None
            for pull in pulls_with(self._repo, sha)
        ]

    def _history(self, sha: str, first: int, path: str = "", since: str | None = None) -> list[Any]:
        start = datetime.fromisoformat(since or "1970-01-01T00:00:00Z")
        found = []
        for commit in self._repo.store.history(sha, path):
            at = self._repo.store.info(commit).committer.date
            if at is not None and at >= start:
                found.append(self._commit(commit))
        return found[:first]
