"""Read the latest releases and their content from a clone, without a token."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from consdb_actions.adapters import shell
from consdb_actions.adapters.git_read import GitReader
from consdb_actions.errors import InputError
from consdb_actions.migration.summary import read_revision
from consdb_actions.process.board import Released, Releases
from consdb_actions.release.notes import MergedPull, ReleaseContents, ReleasedMigration, arrange
from consdb_actions.release.versions import CalendarVersion, ReleasePolicy, parse_version

__all__ = ["clone_releases"]

LARGEST = 2_000_000  # Maximum size of a migration in bytes

_MERGE = re.compile(r"Merge pull request #(?P<number>[0-9]{1,9}) from [^/\s]+/(?P<branch>\S+)")
_SQUASH = re.compile(r"(?P<title>.+) \(#(?P<number>[0-9]{1,9})\)")


@dataclass(frozen=True, slots=True)
class _Tag:
    """A release tag; a lightweight one has the date of its commit."""

    name: str
    commit: str
    annotated: bool
    at: datetime | None
    version: CalendarVersion


def clone_releases(
    folder: Path, web: str, policy: ReleasePolicy, tickets: Sequence[str], count: int
) -> Releases:
    """Read the newest releases, newest first, with their pull requests.

    `folder` is a clone with tags, bare or not; `web` the repository's URL without trailing slash; pull
    requests are those named in commits.
    """
    reader = GitReader(folder)
    try:
        reader.commit("HEAD")
        known = set(reader.tags())
    except InputError as error:
        remedy = "Give --consdb the folder of a whole clone that has the tags."
        raise InputError(error.cause, place=str(folder), remedy=remedy) from error
    tags = sorted(
        (tag for tag in _tags(folder) if tag.name in known),
        key=lambda tag: (tag.version, tag.name),
        reverse=True,
    )
    found = []
    for number, tag in enumerate(tags[:count]):
        previous = next((item for item in tags[number + 1 :] if item.version < tag.version), None)
        notes = arrange(_contents(folder, reader, previous, tag, policy), tickets)
        url = f"{web}/tree/{tag.name}"
        found.append(Released(tag.name, url, tag.at, not tag.annotated, tag.annotated, notes))
    return Releases(tuple(found), len(tags) - len(found), web)


def _tags(folder: Path) -> Iterator[_Tag]:
    form = "%(refname:strip=2)%00%(objecttype)%00%(objectname)%00%(*objectname)%00%(creatordate:iso-strict)"
    for line in _git(folder, "for-each-ref", f"--format={form}", "refs/tags").splitlines():
        name, kind, sha, peeled, date = line.split("\0")
        version = parse_version(name)
        if version is not None:
            at = datetime.fromisoformat(date) if date else None
            yield _Tag(name, peeled or sha, kind == "tag", at, version)


def _contents(
    folder: Path, reader: GitReader, previous: _Tag | None, tag: _Tag, policy: ReleasePolicy
) -> ReleaseContents:
    """Read the content of a release; that of the first has no comparison."""
    if previous is None:
        return ReleaseContents()
    span = f"{previous.commit}..{tag.commit}"
    count = int(_git(folder, "rev-list", "--count", span))
    log = _git(folder, "log", "--first-parent", "--format=%s%x00%b%x01", span)
    pulls = [
        pull
        for record in log.split("\x01")
        if record.strip() and (pull := _pull(*record.strip("\n").split("\0", 1))) is not None
    ]
    before, after = (
        {path: blob for path, blob in reader.files(commit).items() if policy.is_migration(path)}
        for commit in (previous.commit, tag.commit)
    )
    added = {path: blob for path, blob in after.items() if path not in before}
    migrations = []
    for path, data in sorted(reader.read(added, limit=LARGEST).items()):
        revision = read_revision(data.decode("utf-8", "replace"))
        section = path.rsplit("/", 3)[-3] if path.count("/") >= 2 else ""
        migrations.append(
            ReleasedMigration(section, path, revision.id, revision.title, revision.operations, revision.down)
        )
    changed = tuple(
        (path, "changed" if path in after else "removed")
        for path, blob in sorted(before.items())
        if path not in after or after[path].sha != blob.sha
    )
    return ReleaseContents(previous.name, count, tuple(pulls), tuple(migrations), changed)


def _pull(subject: str, body: str) -> MergedPull | None:
    """Parse the pull request of a merge or squash commit; None for others."""
    if match := _MERGE.match(subject):
        title = next((line.strip() for line in body.splitlines() if line.strip()), match["branch"])
        return MergedPull(int(match["number"]), title, match["branch"])
    if match := _SQUASH.fullmatch(subject):
        return MergedPull(int(match["number"]), match["title"], "")
    return None


def _git(folder: Path, *arguments: str) -> str:
    done = shell.run(["git", *arguments], cwd=folder, timeout=120, check=False)
    if done.returncode:
        words = done.stderr.strip() or f"exit code {done.returncode}"
        raise InputError(f"git {arguments[0]} failed: {words}", place=str(folder), remedy="Clone it again.")
    return done.stdout
