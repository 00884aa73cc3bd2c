"""Files of a repository at any commit, over the API or out of a clone."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.adapters.shell import run
from consdb_actions.errors import ExternalError, InputError

__all__ = ["ApiContents", "CloneContents", "Contents", "UnreachableError", "Wanted"]

MAX_FILE = 5_000_000
"""Bytes that a schema file may have; the largest real one has about 600,000."""


class UnreachableError(ExternalError):
    """A commit that can no longer be read."""


class Wanted(Protocol):
    """The files that matter."""

    def matches(self, path: str) -> bool:
        """Tell whether a file matters."""

    @property
    def schemas(self) -> tuple[str, ...]:
        """The patterns of the files that matter."""


class Contents(Protocol):
    """Where files come from."""

    def fork_point(self, base: str, commit: str) -> str:
        """Return the commit at which `commit` left the history of `base`."""

    def files(self, commit: str, wanted: Wanted) -> dict[str, str]:
        """Return the blob of each file that matters, by its path."""

    def blob(self, sha: str) -> bytes:
        """Return the bytes of a blob."""


class ApiContents:
    """Files over the API.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.
    """

    def __init__(self, github: GitHub, repository: str) -> None:
        self._github = github
        self._root = f"/repos/{repository}"

    def fork_point(self, base: str, commit: str) -> str:
        """Return the commit at which `commit` left the history of `base`.

        Raises
        ------
        UnreachableError
            GitHub does not have one of them, or they have nothing in common.
        """
        # A whole page: who asks for the commits as well has the first hundred of them then.
        path = f"{self._root}/compare/{base}...{commit}"
        page = self._reachable(commit, lambda: next(self._github.pages(path, lasting=True)))
        return str(page["merge_base_commit"]["sha"])

    def files(self, commit: str, wanted: Wanted) -> dict[str, str]:
        """Return the blob of each file that matters, by its path.

        Raises
        ------
        UnreachableError
            GitHub does not have the commit.
        """
        data = self._tree(commit, {"recursive": "1"}, commit)
        if data["truncated"]:
            return self._walk(commit, "", wanted, commit)
        return {entry["path"]: entry["sha"] for entry in data["tree"] if _is_wanted(entry, "", wanted)}

    def blob(self, sha: str) -> bytes:
        """Return the bytes of a blob."""
        data = self._github.get(f"{self._root}/git/blobs/{sha}", lasting=True)
        if (data.get("size") or 0) > MAX_FILE:
            raise InputError(f"a schema file has more than {MAX_FILE:,} bytes", place=f"blob {sha[:8]}")
        return base64.b64decode(data["content"])

    def _walk(self, tree: str, folder: str, wanted: Wanted, commit: str) -> dict[str, str]:
        """Read folder by folder what is too large to be read at once, and only where it can matter."""
        data = self._tree(tree, None, commit)
        found = {}
        for entry in data["tree"]:
            path = folder + entry["path"]
            if entry["type"] == "tree" and _may_hold(path, wanted):
                found.update(self._walk(entry["sha"], path + "/", wanted, commit))
            elif _is_wanted(entry, folder, wanted):
                found[path] = entry["sha"]
        return found

    def _tree(self, tree: str, params: dict[str, str | int] | None, commit: str) -> Any:
        """Read a folder."""
        path = f"{self._root}/git/trees/{tree}"
        return self._reachable(commit, lambda: self._github.get(path, params, lasting=True))

    def _reachable(self, commit: str, read: Callable[[], Any]) -> Any:
        """Read what a SHA names; an answer that there is no such thing is about the commit."""
        try:
            return read()
        except GitHubError as error:
            if error.status == 404:
                raise UnreachableError(f"GitHub no longer has commit {commit[:8]}") from error
            raise


class CloneContents:
    """Files out of a clone, and over the API where the clone lacks a commit.

    Parameters
    ----------
    folder
        The clone, bare or not.
    fallback
        Where to look for what the clone does not have.

    Raises
    ------
    InputError
        The folder is no clone.
    """

    def __init__(self, folder: Path, fallback: Contents) -> None:
        self._folder = folder
        self._fallback = fallback
        if self._git("rev-parse", "--git-dir") is None:
            raise InputError(
                "this is not a clone of a git repository"
                if folder.is_dir()
                else "there is no such directory",
                place=str(folder),
                remedy="Give --sdm-schemas the folder of a clone, or leave it out to read over the API.",
            )

    def fork_point(self, base: str, commit: str) -> str:
        """Return the commit at which `commit` left the history of `base`."""
        # A shallow clone has commits without their history: its answer would be wrong.
        shallow = (self._git("rev-parse", "--is-shallow-repository") or b"true").strip() != b"false"
        found = None if shallow else self._git("merge-base", base, commit)
        return found.decode().strip() if found else self._fallback.fork_point(base, commit)

    def files(self, commit: str, wanted: Wanted) -> dict[str, str]:
        """Return the blob of each file that matters, by its path."""
        listing = self._git("ls-tree", "-r", "-z", commit)
        if listing is None:
            return self._fallback.files(commit, wanted)
        found = {}
        for line in listing.decode("utf-8", "surrogateescape").split("\0"):
            meta, _, path = line.partition("\t")
            if path and meta.split()[1] == "blob" and not meta.startswith("120000") and wanted.matches(path):
                found[path] = meta.split()[2]
        return found

    def blob(self, sha: str) -> bytes:
        """Return the bytes of a blob."""
        data = self._git("cat-file", "blob", sha)
        return self._fallback.blob(sha) if data is None else data

    def _git(self, *args: str) -> bytes | None:
        """Run git in the clone; None when it fails, as it does for an object that is not there."""
        done = run(["git", "-C", self._folder, "--no-optional-locks", *args], check=False)
        return done.stdout_bytes if done.returncode == 0 else None


def read_file(github: GitHub, repository: str, path: str, commit: str) -> bytes | None:
    """Return one file at a commit, or None when there is none.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    try:
        data = github.get(
            f"/repos/{repository}/contents/{'/'.join(map(quoted, path.split('/')))}",
            {"ref": commit},
            lasting=True,
        )
    except GitHubError as error:
        if error.status == 404:
            return None
        raise
    if not isinstance(data, dict) or data.get("type") != "file" or data.get("encoding") != "base64":
        raise InputError("this is not a file of a readable size", place=f"{path} at {commit[:8]}")
    return base64.b64decode(data["content"])


def _is_wanted(entry: dict[str, Any], folder: str, wanted: Wanted) -> bool:
    """Tell whether an entry of a tree is a file that matters; links are none."""
    return entry["type"] == "blob" and entry["mode"] != "120000" and wanted.matches(folder + entry["path"])


def _may_hold(folder: str, wanted: Wanted) -> bool:
    """Tell whether a folder can hold a file that matters, by depth and fixed parts of the patterns."""
    parts = folder.split("/")
    return any(
        len(pattern.split("/")) > len(parts)
        and all(
            part == want or any(mark in want for mark in "*?[")
            for part, want in zip(parts, pattern.split("/"), strict=False)
        )
        for pattern in wanted.schemas
    )
