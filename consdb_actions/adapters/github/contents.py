"""Read files, trees and commits of a repository."""

from __future__ import annotations

import base64
import difflib
import hashlib
import posixpath
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consdb_actions.adapters.github import graphql
from consdb_actions.adapters.github.client import (
    GitHub,
    GitHubError,
    RateLimitError,
    TooLargeError,
    quoted_path,
)
from consdb_actions.adapters.github.graphql import (
    BLOB,
    ENTRIES,
    FILE,
    FILE_NAME,
    PULLS,
    TAGGER,
    ObjectQuery,
    history,
)
from consdb_actions.adapters.schema_fields import Beside, uses_resources
from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.adapters.typed_files import parse_config
from consdb_actions.approval.facts import UNCHANGED, CommitChange, FileChange
from consdb_actions.config import CONFIG_PATH, DEFAULT_CONFIG, Config
from consdb_actions.errors import ExternalError, InputError
from consdb_actions.forms import matches_path
from consdb_actions.proposal import blob_sha
from consdb_actions.schema.delta import compare, digest_delta
from consdb_actions.schema.model import Schema

MAX_READ = 1_000_000  # Bytes of a file that are read

_FILES, _FOLDERS = ("100644", "100755"), ("040000",)

MOST = 100  # Objects that one query asks for: GitHub gives a query up after ten seconds


@dataclass(frozen=True, slots=True)
class FileCommit:
    """A commit that changed a file."""

    sha: str
    message: str
    url: str
    at: datetime


class Objects:
    """Git objects of one repository; what a commit names is asked for once in a run."""

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
            found[sha] = self._github.blob(self._repository, sha) if data is None else data
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

        A path, or a folder of it, that is a link or another repository is an `InputError`: writing would
        replace it.
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
    ) -> dict[str, tuple[FileCommit, ...]]:
        """List the commits that changed some files, newest first."""
        names = {f"{commit}:{path}": path for path in paths}
        answers = self._lasting(list(names), history(first, since))
        found = {}
        for name, path in names.items():
            if answers[name] is None:
                raise GitHubError(f"GitHub has no commit {commit[:8]}", place=self._repository, status=404)
            found[path] = tuple(
                _commit(item) for item in answers[name]["history"]["nodes"] if item is not None
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

    def _key(self, name: str, question: ObjectQuery) -> str:
        return f"{self._repository} {name} {question.argument} {question.fields}"

    def _lasting(self, names: Sequence[str], question: ObjectQuery) -> dict[str, Any]:
        """Ask about objects by their names, which name the same for ever."""
        memory = self._github.lasting
        keys = {name: self._key(name, question) for name in names}
        unknown = [name for name in names if keys[name] not in memory]
        for start in range(0, len(unknown), MOST):
            some = unknown[start : start + MOST]
            answers = self._asked(some, question)
            memory.update((keys[name], answer) for name, answer in zip(some, answers, strict=True))
        return {name: memory[keys[name]] for name in names}

    def _asked(self, names: Sequence[str], question: ObjectQuery) -> list[Any]:
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
        if answer is None:
            return None
        if answer["__typename"] != "Blob":
            raise InputError("this is not a file", place=f"{self._repository}, {place}")
        return str(answer["oid"])

    def _content(self, answer: Any, place: str) -> bytes | None:
        sha = self._name(answer, place)
        if sha is None:
            return None
        if answer["byteSize"] > MAX_READ:
            raise InputError(f"a file has more than {MAX_READ:,} bytes", place=f"{self._repository}, {place}")
        text = None if answer["isTruncated"] else answer["text"]
        data = text.encode("utf-8", "surrogatepass") if text is not None else b""
        return data if blob_sha(data) == sha else self._github.blob(self._repository, sha)


def _utc(text: str | None) -> datetime | None:
    """Read a time; that of a person's tag comes with the offset of their clock."""
    moment = graphql.moment(text)
    return None if moment is None else moment.astimezone(UTC)


def _commit(item: Any) -> FileCommit:
    at = _utc(item["committedDate"])
    assert at is not None
    return FileCommit(item["oid"], item["message"], item["url"], at)


MAX_FILE = 5_000_000  # Bytes that a schema file may have; the largest real one has about 600,000


class UnreachableError(ExternalError):
    """A commit that can no longer be read."""


class ApiContents:
    """Files over the API."""

    def __init__(self, github: GitHub, repository: str) -> None:
        self._github = github
        self._repository = repository
        self._root = f"/repos/{repository}"

    def fork_point(self, base: str, commit: str) -> str:
        """Return the commit at which `commit` left the history of `base`, else raise `UnreachableError`."""
        # A whole page: who asks for the commits as well has the first hundred of them then.
        path = f"{self._root}/compare/{base}...{commit}"
        with self._reachable(commit):
            return str(next(self._github.pages(path, lasting=True))["merge_base_commit"]["sha"])

    def files(self, commit: str, patterns: Collection[str]) -> dict[str, str]:
        """Return the blob of each file that matches, by its path."""
        data = self._tree(commit, {"recursive": "1"}, commit)
        if data["truncated"]:
            return self._walk(commit, "", patterns, commit)
        return {entry["path"]: entry["sha"] for entry in data["tree"] if _is_wanted(entry, "", patterns)}

    def blob(self, sha: str) -> bytes:
        """Return the bytes of a blob."""
        return self._github.blob(self._repository, sha, MAX_FILE)

    def _walk(self, tree: str, folder: str, patterns: Collection[str], commit: str) -> dict[str, str]:
        """Read folder by folder what is too large to be read at once, and only where it can matter."""
        data = self._tree(tree, None, commit)
        found = {}
        for entry in data["tree"]:
            path = folder + entry["path"]
            if entry["type"] == "tree" and _may_hold(path, patterns):
                found.update(self._walk(entry["sha"], path + "/", patterns, commit))
            elif _is_wanted(entry, folder, patterns):
                found[path] = entry["sha"]
        return found

    def _tree(self, tree: str, params: dict[str, str | int] | None, commit: str) -> Any:
        with self._reachable(commit):
            return self._github.get(f"{self._root}/git/trees/{tree}", params, lasting=True)

    @contextmanager
    def _reachable(self, commit: str) -> Iterator[None]:
        """Read what a SHA names; an answer that there is no such thing is about the commit."""
        try:
            yield
        except GitHubError as error:
            if error.status == 404:
                raise UnreachableError(f"GitHub no longer has commit {commit[:8]}") from error
            raise


def read_file(github: GitHub, repository: str, path: str, commit: str) -> bytes | None:
    """Return one file at a commit, or None when there is none."""
    address = f"/repos/{repository}/contents/{quoted_path(path)}"
    data = github.find(address, {"ref": commit}, lasting=True)
    if data is None:
        return None
    if not isinstance(data, dict) or data.get("type") != "file" or data.get("encoding") != "base64":
        raise InputError("this is not a file of a readable size", place=f"{path} at {commit[:8]}")
    return base64.b64decode(data["content"])


def read_config(github: GitHub, repository: str, branch: str, commit: str = "") -> Config:
    """Read the configuration of a branch, at its newest or another commit; the default if it has none."""
    data = read_file(github, repository, CONFIG_PATH, commit or github.tip(repository, branch))
    return DEFAULT_CONFIG if data is None else parse_config(data, source=f"{CONFIG_PATH} of {branch}")


def _is_wanted(entry: dict[str, Any], folder: str, patterns: Collection[str]) -> bool:
    """Tell whether an entry of a tree is a file that matters; links are none."""
    return (
        entry["type"] == "blob"
        and entry["mode"] != "120000"
        and matches_path(folder + entry["path"], patterns)
    )


def _may_hold(folder: str, patterns: Collection[str]) -> bool:
    """Tell whether a folder can hold a file that matters, by depth and fixed parts of the patterns."""
    parts = folder.split("/")
    return any(
        len(pattern.split("/")) > len(parts)
        and all(
            part == want or any(mark in want for mark in "*?[")
            for part, want in zip(parts, pattern.split("/"), strict=False)
        )
        for pattern in patterns
    )


# Lines of both versions up to which they are compared; the largest real schema file has about 7,000.
MAX_LINES = 60_000

DIGITS = 32  # Hexadecimal digits kept of a digest: 128 bits, so that a comment has room for many


class SchemaFiles:
    """The schema files at a commit, and the other YAML in their folders that they can take columns from."""

    def __init__(self, contents: ApiContents, commit: str, patterns: Collection[str]) -> None:
        folders = {pattern[: pattern.rfind("/") + 1] for pattern in patterns}
        beside = [f"{folder}*.{suffix}" for folder in folders for suffix in ("yaml", "yml")]
        self._contents = contents
        self._blobs = contents.files(commit, [*patterns, *beside])
        self.blobs = {path: sha for path, sha in self._blobs.items() if matches_path(path, patterns)}
        self.others = {path: sha for path, sha in self._blobs.items() if path not in self.blobs}

    def takes_columns(self, path: str) -> bool:
        """Return whether a schema file may take columns from others."""
        return path in self.blobs and uses_resources(self._contents.blob(self.blobs[path]))

    def version(self, path: str) -> SchemaVersion:
        """Read a schema file, with those that it takes columns from; `InputError` if it is too large."""
        blob = self.blobs.get(path)
        if blob is None:
            return SchemaVersion()

        def beside(name: str) -> bytes | None:
            sha = self._blobs.get(posixpath.join(posixpath.dirname(path), posixpath.normpath(name)))
            return None if sha is None else self._contents.blob(sha)

        return read_version(path, self._contents.blob(blob), beside)


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """A schema file at a commit."""

    data: bytes | None = None  # with the files that it takes columns from; None where there is none
    schema: Schema | None = None
    valid: bool = True


def read_version(path: str, data: bytes | None, beside: Beside | None = None) -> SchemaVersion:
    """Read a schema as data, of which nothing is executed, and the files that it takes columns from."""
    if data is None:
        return SchemaVersion()
    taken: dict[str, bytes] = {}

    def recorded(name: str) -> bytes | None:
        assert beside is not None
        try:
            found = beside(name)
        except InputError as error:  # too large: the error names the blob
            taken[name] = error.place.encode()
            raise
        taken[name] = found or b""
        return found

    try:
        schema = read_yaml(data, source=path, beside=recorded if beside else None).schema
    except InputError:
        schema = None
    whole = b"\n".join([data, *(taken[name] for name in sorted(taken))])
    return SchemaVersion(whole, schema, schema is not None)


def changes_at(contents: ApiContents, base: str, commit: str, patterns: Collection[str]) -> CommitChange:
    """Compare the schemas at a commit with those at the point where it left the base branch."""
    try:
        fork = contents.fork_point(base, commit)
        before, after = (SchemaFiles(contents, sha, patterns) for sha in (fork, commit))
    except UnreachableError as error:
        return CommitChange(commit, problem=error.cause)
    others = before.others != after.others
    changes = []
    for path in sorted(before.blobs.keys() | after.blobs.keys()):
        old, new = before.blobs.get(path), after.blobs.get(path)
        try:
            if old == new and not (others and after.takes_columns(path)):
                continue
            versions = before.version(path), after.version(path)
        except InputError:
            # What is too large to be a schema is known by its name alone.
            if old != new:
                changes.append(FileChange(path, "", "", f"{old or 'none'}:{new or 'none'}"[-80:]))
            continue
        if versions[0].data != versions[1].data:
            changes.append(change_of_file(path, *versions))
    return CommitChange(commit, tuple(changes))


def change_of_file(path: str, old: SchemaVersion, new: SchemaVersion) -> FileChange:
    """Compare two versions of a schema file."""
    verbatim = _verbatim(old.data, new.data)
    if not (old.valid and new.valid):
        return FileChange(path, "", "", verbatim)
    digest = digest_delta(compare(old.schema, new.schema))
    # A schema against itself has the digests of no change.
    same = new.schema or old.schema
    nothing = digest_delta(compare(same, same))
    return FileChange(
        path,
        UNCHANGED if digest.structure == nothing.structure else digest.structure[:DIGITS],
        UNCHANGED if digest.text == nothing.text else digest.text[:DIGITS],
        verbatim,
    )


def _verbatim(old: bytes | None, new: bytes | None) -> str:
    """Digest the changed lines with three lines around each, but not where in the file they stand.

    This is what ``git patch-id --verbatim`` does: a rebase over a change elsewhere leaves it as it is.
    """
    before, after = ((data or b"").decode("utf-8", "surrogateescape").splitlines() for data in (old, new))
    if len(before) + len(after) > MAX_LINES:
        # Comparing that many lines could take for ever: the versions as a whole are the change.
        whole = hashlib.sha256(b"%d:" % len(old or b"") + (old or b"") + (new or b""))
        return whole.hexdigest()[:DIGITS]
    diff = list(difflib.unified_diff(before, after, n=3, lineterm=""))[2:]
    lines = ["@@" if line.startswith("@@") else line for line in diff]
    content = "\n".join([str(old is None), str(new is None), *lines])
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
