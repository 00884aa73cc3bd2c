"""The last releases with what each of them holds, read over the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from consdb_actions.adapters.github import reading
from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.objects import Objects
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.adapters.github.release_facts import ReleaseReader
from consdb_actions.process.board import Released, Releases
from consdb_actions.release.facts import Tag
from consdb_actions.release.notes import arrange
from consdb_actions.release.plan import last_release
from consdb_actions.release.policy import ReleasePolicy
from consdb_actions.release.versions import parse_version

__all__ = ["read_releases"]


def read_releases(
    github: GitHub, repository: str, policy: ReleasePolicy, tickets: Sequence[str], count: int
) -> Releases:
    """Read the last releases.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.
    policy
        Which files are migrations.
    tickets
        Regular expressions of tickets.
    count
        How many releases.

    Returns
    -------
    Releases
        The newest first. What cannot be read of one release does not hide the others.

    Raises
    ------
    GitHubError
        The tags could not be read.
    InputError
        The repository has another name now.
    """
    reader = ReleaseReader(github, repository)
    tags = reader.tags()
    versions = {tag: version for tag in tags if (version := parse_version(tag.name)) is not None}
    ordered = sorted(versions, key=lambda tag: (versions[tag], tag.name), reverse=True)
    pages = {item["tag_name"]: item for item in github.items(f"/repos/{repository}/releases")}
    shown = ordered[:count]
    objects = [tag.object for tag in shown if tag.object]
    found = []
    for tag in shown:
        page = pages.get(tag.name)
        url = page["html_url"] if page else f"{reader.html_url}/tree/{quoted(tag.name)}"
        at: datetime | None = None
        of_commit = False
        try:
            at = Objects(github, repository).tagged(objects).get(tag.object)
            if at is None:
                at, of_commit = _moment(github, repository, tag, page)
            contents = reader.contents(last_release(tags, versions[tag]), tag.commit, policy)
        except GitHubError as error:
            words = " ".join(error.cause.split())[:300]
            found.append(Released(tag.name, url, at, of_commit, tag.annotated, trouble=words))
        else:
            notes = arrange(contents, tickets)
            found.append(Released(tag.name, url, at, of_commit, tag.annotated, notes))
    return Releases(tuple(found), len(ordered) - len(found), reader.html_url)


def _moment(github: GitHub, repository: str, tag: Tag, page: Any) -> tuple[datetime | None, bool]:
    """Say when a release was made that its tag does not date, and whether that is its commit's date."""
    if page and (at := reading.moment(page.get("published_at"))) is not None:
        return at, False
    commit = github.get(f"/repos/{repository}/git/commits/{tag.commit}", lasting=True)
    return reading.moment(commit["committer"]["date"]), True
