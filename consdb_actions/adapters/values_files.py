"""Values files of the environments: out of a folder or a clone, or over the API; and their history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from consdb_actions.adapters.git_read import GitReader
from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.contents import read_file
from consdb_actions.adapters.shell import Completed, run
from consdb_actions.deploy.components import Values, default_files, slots, values_file
from consdb_actions.deploy.history import Version
from consdb_actions.deploy.policy import DeployPolicy
from consdb_actions.deploy.reading import Tree, parse_values
from consdb_actions.errors import ExternalError, InputError

__all__ = ["ApiFiles", "CloneFiles", "FolderFiles", "History", "Source", "read_history", "read_values"]

MAX_FILE = 1_000_000
"""Bytes of a values file that are read."""
MOST_VERSIONS = 60
"""Versions of a file that are looked at for the one that brought a tag."""


class History(Protocol):
    """A file through time."""

    def versions(self, path: str) -> Iterator[tuple[str, str, datetime, bytes | None]]:
        """Yield commit, message, moment and content, newest first."""


class Source(Protocol):
    """Where values files come from."""

    def read(self, path: str) -> bytes | None:
        """Return a file; None where there is none."""

    @property
    def history(self) -> History | None:
        """The files' history; None where there is none."""


class FolderFiles:
    """Files in a folder, whatever it is; with a history where it is a whole clone.

    Parameters
    ----------
    folder
        The folder.

    Raises
    ------
    InputError
        There is no such folder, or no values file in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / "applications").is_dir():
            raise InputError(
                "this is no checkout of the values files: it has no folder applications",
                place=str(folder),
                remedy="Give --phalanx the folder of a clone; for a bare clone, --ref as well.",
            )
        self.history: History | None = _history(folder, "HEAD")

    def read(self, path: str) -> bytes | None:
        """Return a file; None where there is none."""
        try:
            with (self._folder / path).open("rb") as file:
                return file.read(MAX_FILE)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InputError(
                f"the file cannot be read: {error.strerror}", place=str(self._folder / path)
            ) from error


class CloneFiles:
    """Files of a commit of a clone, bare or not.

    Parameters
    ----------
    folder
        The clone.
    revision
        The commit.

    Raises
    ------
    InputError
        There is no such clone or commit.
    """

    def __init__(self, folder: Path, revision: str) -> None:
        self._reader = GitReader(folder)
        try:
            self.commit = self._reader.commit(revision)
        except InputError as error:
            remedy = "Give --phalanx a checkout or clone of the values files, and --ref a commit of it."
            raise InputError(error.cause, place=error.place, remedy=remedy) from error
        self._files = self._reader.files(
            self.commit, ("applications/consdb", "applications/consdbtap", "charts")
        )
        self.history: History | None = _history(folder, self.commit)

    def read(self, path: str) -> bytes | None:
        """Return a file; None where there is none."""
        if path not in self._files:
            return None
        return self._reader.read({path: self._files[path]}, limit=MAX_FILE)[path]


class ApiFiles:
    """Files of a commit over the API.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.
    commit
        SHA of the commit.
    """

    def __init__(self, github: GitHub, repository: str, commit: str) -> None:
        self._github = github
        self._repository = repository
        self.commit = commit
        self.history: History | None = self

    def read(self, path: str) -> bytes | None:
        """Return a file; None where there is none."""
        return read_file(self._github, self._repository, path, self.commit)

    def versions(self, path: str) -> Iterator[tuple[str, str, datetime, bytes | None]]:
        """Yield commit, message, moment and content, newest first."""
        query = {"sha": self.commit, "path": path}
        for page in self._github.pages(f"/repos/{self._repository}/commits", query):
            for item in page:
                at = datetime.fromisoformat(item["commit"]["committer"]["date"].replace("Z", "+00:00"))
                data = read_file(self._github, self._repository, path, item["sha"])
                yield item["sha"], item["commit"]["message"], at, data


class _GitHistory:
    """Versions of files in a clone."""

    def __init__(self, folder: Path, revision: str) -> None:
        self._folder = folder
        self._revision = revision

    def versions(self, path: str) -> Iterator[tuple[str, str, datetime, bytes | None]]:
        """Yield commit, message, moment and content, newest first."""
        form = "--format=%H%x00%cI%x00%B"
        log = _git(
            self._folder, "log", "-z", f"--max-count={MOST_VERSIONS}", form, self._revision, "--", path
        )
        fields = log.stdout.split("\0") if log else []
        for commit, at, message in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
            blob = _git(self._folder, "show", f"{commit}:{path}")
            yield commit, message, datetime.fromisoformat(at), blob.stdout_bytes if blob else None


def _history(folder: Path, revision: str) -> History | None:
    """Return the history of a clone; None outside of one, and where it is cut off."""
    shallow = _git(folder, "rev-parse", "--is-shallow-repository")
    if shallow is None or shallow.stdout.strip() != "false":
        return None
    # A folder within a repository of something else has no history of its own.
    prefix = _git(folder, "rev-parse", "--show-prefix")
    return _GitHistory(folder, revision) if prefix is not None and not prefix.stdout.strip() else None


def _git(folder: Path, *arguments: str) -> Completed | None:
    """Run git; None when it refuses."""
    try:
        return run(
            ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", folder, *arguments],
            timeout=120,
        )
    except ExternalError:
        return None


def read_values(source: Source, app: str, policy: DeployPolicy) -> dict[str, Values]:
    """Read the values of every environment that has an application, in the order of the policy.

    Raises
    ------
    InputError
        A file is no values file.
    """
    defaults = _defaults(source, app)
    found = {}
    for name in policy.environments:
        path = values_file(app, name)
        data = source.read(path)
        if data is not None:
            text = _text(data, path)
            found[name] = Values(name, parse_values(text, place=path), text, defaults)
    return found


def read_history(
    source: Source, app: str, values: Mapping[str, Values]
) -> dict[str, Sequence[Version] | None]:
    """Read how the values files came to be what they are; None where there is no history.

    A file is followed back until none of its present values is in it any more.
    """
    found: dict[str, Sequence[Version] | None] = {}
    for name, now in values.items():
        if source.history is None:
            found[name] = None
            continue
        path, versions = values_file(app, name), []
        for commit, message, at, data in source.history.versions(path):
            version = Version(commit, message, at.astimezone(UTC).date(), _past(name, data, now.defaults))
            versions.append(version)
            past = version.values
            if past is None or not any(past.tag(slot) == now.tag(slot) for slot in slots(app, now)):
                break
            if len(versions) == MOST_VERSIONS:
                break
        found[name] = versions
    return found


def _past(name: str, data: bytes | None, defaults: tuple[Tree, ...]) -> Values | None:
    """Read an old version of a values file; what cannot be read says nothing."""
    if data is None:
        return None
    try:
        text = _text(data, name)
        return Values(name, parse_values(text, place=name), text, defaults)
    except InputError:
        return None


def _defaults(source: Source, app: str) -> tuple[Tree, ...]:
    """Read the values that hold where an environment says nothing."""
    found = []
    for path, key in default_files(app):
        data = source.read(path)
        if data is not None:
            tree = parse_values(_text(data, path), place=path)
            found.append({key: tree} if key else tree)
    return tuple(found)


def _text(data: bytes, place: str) -> str:
    """Decode a values file; every byte of it can be had back."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("this is no text in UTF-8", place=place) from error
