"""What can be asked about git objects: by GraphQL, and over REST where queries are refused."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.problems import GitHubError

__all__ = ["BLOB", "ENTRIES", "FILE", "FILE_NAME", "PULLS", "TAGGER", "Question", "history"]

Read = Callable[[GitHub, str, str], Any]
"""Reads the answer over REST: of a repository's root, about the object of a name."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about an object.

    Attributes
    ----------
    fields
        What is asked, in GraphQL; ``$p`` is a path.
    rest
        Asks the same over REST, and answers in the same form; None where there is no such object.
    argument
        Whether the object is named by its ``oid``, or by an ``expression`` such as ``COMMIT:PATH``.
    with_path
        Whether the name is that of a commit, a colon, and the path that is meant.
    """

    fields: str
    rest: Read
    argument: str = "oid"
    with_path: bool = False

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


def history(first: int, since: datetime | None) -> Question:
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
    return Question(fields, read, with_path=True)


def _file(github: GitHub, root: str, name: str) -> Any:
    commit, _, path = name.partition(":")
    try:
        address = f"{root}/contents/{'/'.join(map(quoted, path.split('/')))}"
        data = github.get(address, {"ref": commit}, lasting=True)
    except GitHubError as error:
        if error.status == 404:
            return None
        raise
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


FILE = Question("__typename ... on Blob { oid byteSize isTruncated text }", _file, "expression")
FILE_NAME = Question("__typename ... on Blob { oid }", _file, "expression")
BLOB = Question("__typename ... on Blob { oid byteSize isTruncated text }", _blob)
ENTRIES = Question("__typename ... on Tree { entries { name mode } }", _entries, "expression")
TAGGER = Question("... on Tag { tagger { date } }", _tagger)
PULLS = Question(
    "... on Commit { associatedPullRequests(first: 10) { nodes { mergedAt url } } }",
    _pulls,
)
