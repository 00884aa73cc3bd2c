"""What a release holds, read over the API: merged pull requests and migrations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from consdb_actions.adapters.github import reading
from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.contents import ApiContents
from consdb_actions.migration.summary import read_revision
from consdb_actions.release.facts import Tag
from consdb_actions.release.notes import Contents, Migration, PullRequest
from consdb_actions.release.policy import ReleasePolicy

__all__ = ["read_contents"]

_LATE = timedelta(days=7)
"""How much the clock of who made a commit may differ from GitHub's."""


def read_contents(
    github: GitHub, repository: str, branch: str, previous: Tag | None, commit: str, policy: ReleasePolicy
) -> Contents:
    """Read what a release holds.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.
    branch
        The branch into which its pull requests are merged.
    previous
        The release before; None for the first, which is not compared with anything.
    commit
        The commit that is released.
    policy
        Which files are migrations.

    Returns
    -------
    Contents
        Merged pull requests and migrations since then.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    if previous is None:
        return Contents()
    pages = list(github.pages(f"/repos/{repository}/compare/{previous.commit}...{commit}"))
    commits = {item["sha"] for page in pages for item in page["commits"]}
    since = reading.moment(pages[0]["merge_base_commit"]["commit"]["committer"]["date"])
    contents, wanted = ApiContents(github, repository), _Migrations(policy)
    migrations, changed = _migrations(contents, previous.commit, commit, wanted)
    pulls = _merged(github, repository, branch, commits, since)
    return Contents(previous.name, len(commits), tuple(pulls), migrations, changed)


def _merged(
    github: GitHub, repository: str, branch: str, commits: set[str], since: datetime | None
) -> list[PullRequest]:
    """Find the merged pull requests by the commits that their merging made."""
    query = {"state": "closed", "base": branch, "sort": "updated", "direction": "desc"}
    found = []
    for page in github.pages(f"/repos/{repository}/pulls", query):
        for item in page:
            if item.get("merged_at") and item.get("merge_commit_sha") in commits:
                author = reading.account(item.get("user"))
                login = author.login if author is not None else ""
                found.append(PullRequest(item["number"], item["title"] or "", item["head"]["ref"], login))
        oldest = reading.moment(page[-1].get("updated_at")) if page else None
        if oldest is not None and since is not None and oldest < since - _LATE:
            break  # Whatever was merged after that was updated after that.
    return found


def _migrations(
    contents: ApiContents, base: str, head: str, wanted: _Migrations
) -> tuple[tuple[Migration, ...], tuple[tuple[str, str], ...]]:
    """Read the migrations that were added, and name those that were changed or removed."""
    before, after = contents.files(base, wanted), contents.files(head, wanted)
    added = []
    for path in sorted(after.keys() - before.keys()):
        found = read_revision(contents.blob(after[path]).decode("utf-8", "replace"))
        section = path.split("/")[-3] if path.count("/") >= 2 else ""
        added.append(
            Migration(section, path, found.id, found.title, found.operations, found.others, found.down)
        )
    changed = [
        (path, "changed" if path in after else "removed")
        for path in sorted(before)
        if after.get(path) != before[path]
    ]
    return tuple(added), tuple(changed)


@dataclass(frozen=True, slots=True)
class _Migrations:
    """Which files are migrations."""

    policy: ReleasePolicy

    def matches(self, path: str) -> bool:
        """Tell whether a file is one."""
        return self.policy.is_migration(path)

    @property
    def schemas(self) -> tuple[str, ...]:
        """The patterns."""
        return self.policy.migrations
