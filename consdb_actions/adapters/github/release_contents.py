"""What a release holds, read over the API: merged pull requests and migrations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from consdb_actions.adapters.github import reading
from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.contents import ApiContents
from consdb_actions.adapters.github.objects import Objects
from consdb_actions.migration.summary import read_revision
from consdb_actions.release.facts import Tag
from consdb_actions.release.notes import Contents, Migration, PullRequest
from consdb_actions.release.policy import ReleasePolicy

__all__ = ["read_contents"]

_LATE = timedelta(days=7)
"""How much the clock of who made a commit may differ from GitHub's."""
MOST_FILES = 300
"""Changed files that GitHub shows of two commits; beyond, a comparison would not be whole."""


def read_contents(
    github: GitHub, repository: str, branch: str, previous: Tag | None, commit: str, policy: ReleasePolicy
) -> Contents:
    """Read what a release holds."""
    if previous is None:
        return Contents()
    path = f"/repos/{repository}/compare/{previous.commit}...{commit}"
    pages = list(github.pages(path, lasting=True))
    commits = {item["sha"] for page in pages for item in page["commits"]}
    since = reading.moment(pages[0]["merge_base_commit"]["commit"]["committer"]["date"])
    files = _compared(pages[0], previous.commit, policy)
    if files is None:
        contents, wanted = ApiContents(github, repository), _Migrations(policy)
        files = contents.files(previous.commit, wanted), contents.files(commit, wanted)
    migrations, changed = _migrations(Objects(github, repository), *files)
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


def _compared(page: Any, base: str, policy: ReleasePolicy) -> tuple[dict[str, str], dict[str, str]] | None:
    """Take the migrations that differ, before and after, from a comparison; None where it is not whole."""
    files = page.get("files") or []
    # It begins where both have parted, and shows no more than some files.
    if page["merge_base_commit"]["sha"] != base or len(files) >= MOST_FILES:
        return None
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for item in files:
        path, status = item["filename"], item["status"]
        if policy.is_migration(path) and status != "unchanged":
            if status in ("modified", "changed", "removed"):
                before[path] = ""  # Only that it was there counts.
            if status != "removed":
                after[path] = item["sha"]
        if status == "renamed" and policy.is_migration(item["previous_filename"]):
            before[item["previous_filename"]] = ""
    return before, after


def _migrations(
    objects: Objects, before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[tuple[Migration, ...], tuple[tuple[str, str], ...]]:
    """Read the migrations that were added, and name those that were changed or removed."""
    new = sorted(after.keys() - before.keys())
    texts = objects.blobs(after[path] for path in new)
    added = []
    for path in new:
        found = read_revision(texts[after[path]].decode("utf-8", "replace"))
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
