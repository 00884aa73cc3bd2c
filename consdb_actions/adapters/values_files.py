"""Read and edit values files by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

from consdb_actions.adapters.git_read import GitReader
from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.contents import FileCommit, Objects
from consdb_actions.deploy.drift import ValuesVersion
from consdb_actions.deploy.model import DeployPolicy, Values, default_files, slots, values_file
from consdb_actions.deploy.values import Tree, parse_values
from consdb_actions.errors import InputError

MAX_FILE = 1_000_000  # Maximum size of a values file in bytes

MOST_VERSIONS = 60  # Maximum number of versions searched for the commit of a tag

Past = tuple[str, str, datetime, bytes | None]

"""Commit, message, time, and content; None if the file did not exist."""


class History(Protocol):
    """The history of files."""

    def versions(self, paths: Sequence[str]) -> Mapping[str, Iterator[Past]]:
        """Return the versions of files, newest first."""


class ValuesSource(Protocol):
    """The source of values files."""

    def read(self, paths: Sequence[str]) -> Mapping[str, bytes | None]:
        """Return files; None for a missing one."""

    @property
    def history(self) -> History | None:
        """Return the history, if any."""


@dataclass(frozen=True, slots=True)
class ValuesCommit:
    """A commit, and its day in UTC."""

    id: str
    day: date


class FolderFiles:
    """Files in a folder, with a history if it is a complete clone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / "applications").is_dir():
            raise InputError(
                "this is not a checkout of the values files: it has no folder applications",
                place=str(folder),
                remedy="Give --phalanx the folder of a clone; for a bare clone, --ref as well.",
            )
        git = GitReader(folder)
        self.history: History | None = _history(git, "HEAD")
        self.commit = _commit(git, "HEAD") if self.history else None

    def read(self, paths: Sequence[str]) -> dict[str, bytes | None]:
        """Return files; None for a missing one."""
        return {path: self._read(path) for path in paths}

    def _read(self, path: str) -> bytes | None:
        place = (self._folder / path).resolve()
        if not place.is_relative_to(self._folder.resolve()):
            raise InputError("this is a link that leads out of the folder", place=str(self._folder / path))
        if place.exists() and not place.is_file():
            raise InputError("this is not a regular file", place=str(place))
        try:
            with place.open("rb") as file:
                return file.read(MAX_FILE)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InputError(
                f"the file cannot be read: {error.strerror}", place=str(self._folder / path)
            ) from error


class CloneFiles:
    """Files at a commit of a clone, bare or not."""

    def __init__(self, folder: Path, revision: str) -> None:
        self._reader = GitReader(folder)
        try:
            commit = self._reader.commit(revision)
        except InputError as error:
            remedy = "Give --phalanx a checkout or clone of the values files, and --ref a commit of it."
            raise InputError(error.cause, place=error.place, remedy=remedy) from error
        self._files = self._reader.files(commit, ("applications/consdb", "applications/consdbtap", "charts"))
        self.history: History | None = _history(self._reader, commit)
        self.commit = _commit(self._reader, commit)

    def read(self, paths: Sequence[str]) -> dict[str, bytes | None]:
        """Return files; None for a missing one."""
        there = {path: self._files[path] for path in paths if path in self._files}
        return {**dict.fromkeys(paths), **self._reader.read(there, limit=MAX_FILE)}


class _GitHistory:
    def __init__(self, git: GitReader, revision: str) -> None:
        self._git, self._revision = git, revision

    def versions(self, paths: Sequence[str]) -> dict[str, Iterator[Past]]:
        """Return the versions of files, newest first, read on demand."""
        return {path: self._versions(path) for path in paths}

    def _versions(self, path: str) -> Iterator[Past]:
        form = "--format=%H%x00%cI%x00%B"
        log = self._git.ask("log", "-z", f"--max-count={MOST_VERSIONS}", form, self._revision, "--", path)
        fields = log.stdout.split("\0") if log else []
        for commit, at, message in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
            blob = self._git.ask("show", f"{commit}:{path}")
            yield commit, message, datetime.fromisoformat(at), blob.stdout_bytes if blob else None


def _history(git: GitReader, revision: str) -> History | None:
    shallow = git.ask("rev-parse", "--is-shallow-repository")
    # A subfolder of another repository has no history of its own.
    prefix = git.ask("rev-parse", "--show-prefix")
    whole = shallow and shallow.stdout.strip() == "false" and prefix and not prefix.stdout.strip()
    return _GitHistory(git, revision) if whole else None


def _commit(git: GitReader, revision: str) -> ValuesCommit | None:
    shown = git.ask("show", "--no-patch", "--format=%H %ct", revision)
    if shown is None:
        return None
    sha, seconds = shown.stdout.split()
    return ValuesCommit(sha, datetime.fromtimestamp(int(seconds), UTC).date())


def read_values(source: ValuesSource, app: str, policy: DeployPolicy) -> dict[str, Values]:
    """Read the values of an application by environment."""
    files = {name: values_file(app, name) for name in policy.environments}
    there = source.read([*(path for path, _ in default_files(app)), *files.values()])
    defaults = _defaults(there, app)
    found = {}
    for name, path in files.items():
        data = there[path]
        if data is not None:
            text = _text(data, path)
            found[name] = Values(name, parse_values(text, place=path), text, defaults)
    return found


def read_history(
    source: ValuesSource, app: str, values: Mapping[str, Values]
) -> dict[str, Sequence[ValuesVersion] | None]:
    """Read the history of values files, back to where no present value exists; None without history."""
    if source.history is None:
        return dict.fromkeys(values)
    files = {name: values_file(app, name) for name in values}
    past = source.history.versions(list(files.values()))
    found: dict[str, Sequence[ValuesVersion] | None] = {}
    for name, now in values.items():
        versions: list[ValuesVersion] = []
        for commit, message, at, data in past[files[name]]:
            version = ValuesVersion(
                commit, message, at.astimezone(UTC).date(), _past(name, data, now.defaults)
            )
            versions.append(version)
            then = version.values
            if then is None or not any(then.tag(slot) == now.tag(slot) for slot in slots(app, now)):
                break
            if len(versions) == MOST_VERSIONS:
                break
        found[name] = versions
    return found


def _past(name: str, data: bytes | None, defaults: tuple[Tree, ...]) -> Values | None:
    """Read an old version of a values file; an invalid one is ignored."""
    if data is None:
        return None
    try:
        text = _text(data, name)
        return Values(name, parse_values(text, place=name), text, defaults)
    except InputError:
        return None


def _defaults(there: Mapping[str, bytes | None], app: str) -> tuple[Tree, ...]:
    found = []
    for path, key in default_files(app):
        data = there[path]
        if data is not None:
            tree = parse_values(_text(data, path), place=path)
            found.append({key: tree} if key else tree)
    return tuple(found)


def _text(data: bytes, place: str) -> str:
    """Decode a values file losslessly."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("this is not text in UTF-8", place=place) from error


AT_ONCE = 8  # Versions of each file per request; most tags are found within them


class ApiFiles:
    """Files of a commit over the API."""

    def __init__(self, github: GitHub, repository: str, commit: str) -> None:
        self._objects = Objects(github, repository)
        self.commit = commit
        self.history: History | None = self

    def read(self, paths: Sequence[str]) -> dict[str, bytes | None]:
        """Return files; None for a missing one."""
        found = self._objects.files((self.commit, path) for path in paths)
        return {path: found[self.commit, path] for path in paths}

    def versions(self, paths: Sequence[str]) -> dict[str, Iterator[Past]]:
        """Return the versions of files, newest first; old ones are fetched on demand."""
        changes = self._objects.histories(self.commit, paths, MOST_VERSIONS)
        self._objects.files((item.sha, path) for path in paths for item in changes[path][:AT_ONCE])
        return {path: self._versions(path, changes[path]) for path in paths}

    def _versions(self, path: str, changes: Sequence[FileCommit]) -> Iterator[Past]:
        for start in range(0, len(changes), AT_ONCE):
            some = changes[start : start + AT_ONCE]
            files = self._objects.files((item.sha, path) for item in some)
            for item in some:
                yield item.sha, item.message, item.at, files[item.sha, path]
