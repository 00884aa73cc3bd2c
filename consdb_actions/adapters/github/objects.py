"""Many git objects of a repository with one call, by GraphQL: over REST each of them is a call of its own.

A text is taken only where it has the very bytes whose name git gives; else the blob is read over REST.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consdb_actions.adapters.github import reading
from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.problems import GitHubError, RateLimitError, TooLargeError
from consdb_actions.adapters.github.questions import (
    BLOB,
    ENTRIES,
    FILE,
    FILE_NAME,
    PULLS,
    TAGGER,
    Question,
    history,
)
from consdb_actions.errors import InputError
from consdb_actions.proposal import blob_sha

__all__ = ["Change", "Objects"]

MAX_FILE = 1_000_000
"""Bytes of a file that are read."""
_FILES, _FOLDERS = ("100644", "100755"), ("040000",)
MOST = 100
"""Objects that one query asks for: GitHub gives a query up after ten seconds."""


@dataclass(frozen=True, slots=True)
class Change:
    """A commit that changed a file.

    Attributes
    ----------
    sha, message, url
        The commit.
    at
        When it was committed.
    """

    sha: str
    message: str
    url: str
    at: datetime


class Objects:
    """Git objects of one repository; what a commit names is asked for once in a run.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.
    """

    def __init__(self, github: GitHub, repository: str) -> None:
        self._github = github
        self._repository = repository

    def files(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes | None]:
        """Read files at commits."""
        keys = {f"{commit}:{path}": (commit, path) for commit, path in wanted}
        answers = self._lasting(list(keys), FILE)
        return {key: self._content(answers[name], name) for name, key in keys.items()}

    def blobs(self, shas: Iterable[str]) -> dict[str, bytes]:
        """Read blobs by their SHA."""
        found = {}
        for sha, answer in self._lasting(list(dict.fromkeys(shas)), BLOB).items():
            data = self._content(answer, sha)
            found[sha] = self._over_rest(sha) if data is None else data
        return found

    def names(self, commit: str, paths: Iterable[str]) -> dict[str, str | None]:
        """Return the SHA of the blob of each path at a commit; None where there is no such file."""
        keys = {f"{commit}:{path}": path for path in sorted(paths)}
        known = {
            name: self._github.lasting[key]
            for name in keys
            if (key := self._key(name, FILE)) in self._github.lasting
        }
        answers = known | self._lasting([name for name in keys if name not in known], FILE_NAME)
        return {path: self._name(answers[name], name) for name, path in keys.items()}

    def modes(self, commit: str, paths: Iterable[str]) -> dict[str, str]:
        """Return the mode of each file at a commit, that of an ordinary one where there is none.

        Raises
        ------
        InputError
            A path, or a folder of it, is a link or another repository: writing would replace it.
        """
        paths = list(paths)
        folders = {
            "/".join(path.split("/")[:depth]) for path in paths for depth in range(path.count("/") + 1)
        }
        answers = self._lasting([f"{commit}:{folder}" for folder in sorted(folders)], ENTRIES)
        there = {}
        for folder in folders:
            answer = answers[f"{commit}:{folder}"]
            if answer is not None and answer["__typename"] == "Tree":
                prefix = f"{folder}/" if folder else ""
                there.update({f"{prefix}{item['name']}": f"{item['mode']:06o}" for item in answer["entries"]})
        for path in (*paths, *filter(None, folders)):
            wanted = _FILES if path in paths else _FOLDERS
            if there.get(path, wanted[0]) not in wanted:
                raise InputError(
                    "this is a link or another repository, which is not written over",
                    place=f"{self._repository}, {path}",
                    remedy="Change what it points to, or put a file in its place by hand.",
                )
        return {path: there.get(path, _FILES[0]) for path in paths}

    def histories(
        self, commit: str, paths: Iterable[str], first: int, since: datetime | None = None
    ) -> dict[str, tuple[Change, ...]]:
        """List the commits that changed some files, newest first."""
        names = {f"{commit}:{path}": path for path in paths}
        answers = self._lasting(list(names), history(first, since))
        found = {}
        for name, path in names.items():
            if answers[name] is None:
                raise GitHubError(f"GitHub has no commit {commit[:8]}", place=self._repository, status=404)
            found[path] = tuple(
                _change(item) for item in answers[name]["history"]["nodes"] if item is not None
            )
        return found

    def merges(self, commits: Iterable[str]) -> dict[str, tuple[tuple[datetime, str], ...]]:
        """Say when and with which merged pull requests commits came to the default branch."""
        answers = self._lasting(list(dict.fromkeys(commits)), PULLS)
        return {
            commit: tuple(
                (moment, item["url"])
                for item in ((answer or {}).get("associatedPullRequests") or {}).get("nodes") or ()
                if item is not None and (moment := _utc(item["mergedAt"])) is not None
            )
            for commit, answer in answers.items()
        }

    def tagged(self, shas: Iterable[str]) -> dict[str, datetime | None]:
        """Say when annotated tags were made, by the SHA of their objects; None where they do not say."""
        answers = self._lasting(list(dict.fromkeys(shas)), TAGGER)
        return {
            sha: _utc(((answer or {}).get("tagger") or {}).get("date")) for sha, answer in answers.items()
        }

    def _key(self, name: str, question: Question) -> str:
        return f"{self._repository} {name} {question.argument} {question.fields}"

    def _lasting(self, names: Sequence[str], question: Question) -> dict[str, Any]:
        """Ask about objects by their names, which name the same for ever."""
        memory = self._github.lasting
        keys = {name: self._key(name, question) for name in names}
        unknown = [name for name in names if keys[name] not in memory]
        for start in range(0, len(unknown), MOST):
            some = unknown[start : start + MOST]
            answers = self._asked(some, question)
            memory.update((keys[name], answer) for name, answer in zip(some, answers, strict=True))
        return {name: memory[keys[name]] for name in names}

    def _asked(self, names: Sequence[str], question: Question) -> list[Any]:
        """Ask one query, or halves of it if it is too large; else each object is asked for over REST."""
        owner, _, name = self._repository.partition("/")
        refused = f"{self._repository} takes no queries"
        if refused not in self._github.lasting:
            query, values = question.query(names)
            try:
                data = self._github.query(query, {"owner": owner, "name": name, **values})
            except RateLimitError:
                raise
            except TooLargeError:
                if len(names) > 1:
                    half = len(names) // 2
                    return self._asked(names[:half], question) + self._asked(names[half:], question)
            except GitHubError as error:
                if error.status not in (0, 403, 404) and error.status < 500:
                    raise
                self._github.lasting[refused] = error
            else:
                return [data["repository"][f"o{index}"] for index in range(len(names))]
        return [question.rest(self._github, f"/repos/{self._repository}", item) for item in names]

    def _name(self, answer: Any, place: str) -> str | None:
        """Return the SHA of a blob; None where there is none."""
        if answer is None:
            return None
        if answer["__typename"] != "Blob":
            raise InputError("this is not a file", place=f"{self._repository}, {place}")
        return str(answer["oid"])

    def _content(self, answer: Any, place: str) -> bytes | None:
        """Return the bytes of a blob; None where there is none."""
        sha = self._name(answer, place)
        if sha is None:
            return None
        if answer["byteSize"] > MAX_FILE:
            raise InputError(f"a file has more than {MAX_FILE:,} bytes", place=f"{self._repository}, {place}")
        text = None if answer["isTruncated"] else answer["text"]
        data = text.encode("utf-8", "surrogatepass") if text is not None else b""
        return data if blob_sha(data) == sha else self._over_rest(sha)

    def _over_rest(self, sha: str) -> bytes:
        data = self._github.get(f"/repos/{self._repository}/git/blobs/{sha}", lasting=True)
        return base64.b64decode(data["content"])


def _utc(text: str | None) -> datetime | None:
    """Read a time; that of a person's tag comes with the offset of their clock."""
    moment = reading.moment(text)
    return None if moment is None else moment.astimezone(UTC)


def _change(item: Any) -> Change:
    at = _utc(item["committedDate"])
    assert at is not None
    return Change(item["oid"], item["message"], item["url"], at)
