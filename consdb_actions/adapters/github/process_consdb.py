"""What the repository of migrations shows of a schema change: pull requests, releases, EFD schemas."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from consdb_actions.adapters.github import reading
from consdb_actions.adapters.github.client import PAGE, GitHub, quoted
from consdb_actions.adapters.github.contents import ApiContents
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.adapters.github.release_facts import ReleaseReader
from consdb_actions.process.facts import EfdFile, Link, Migration, Pull, Release
from consdb_actions.process.links import efd_origin
from consdb_actions.process.policy import ProcessPolicy
from consdb_actions.publication.marker import read_marker
from consdb_actions.release.plan import last_release
from consdb_actions.release.versions import parse_version

__all__ = ["ConsdbReader"]

_REVISION = re.compile(r"alembic/[^/]+/versions/[^/]+\.py")


class ConsdbReader:
    """Reads the repository of migrations.

    Parameters
    ----------
    github
        The connection.
    policy
        Names the repository.
    """

    def __init__(self, github: GitHub, policy: ProcessPolicy) -> None:
        self._github = github
        self._policy = policy
        self.repository = policy.consdb
        self._root = f"/repos/{policy.consdb}"
        self._releases = ReleaseReader(github, policy.consdb)

    def migrations(self, repository: str, pull: Pull, body: str) -> tuple[Migration, ...]:
        """Find the pull requests that carry the migration of a schema change.

        Those count that say so in their mark, and the one that a copy of EFD schemas was made from; where
        there is none, those of a branch of the same ticket that add revisions. Only branches of the
        repository itself count, because only members can push to them.
        """
        origin = efd_origin(body)
        efd = origin.number if origin is not None and self._is(origin.repository) else 0
        recent = self._recent()
        items = {item["number"]: item for item in recent}
        if efd and efd not in items and (found := self._pull(efd)) is not None:
            items[efd] = found
        known = self._linked(repository, pull, efd, items)
        if not known and len(recent) >= PAGE:  # else these are all that there are
            for branch in (f"{pull.branch}-migration", f"{pull.branch}-migrate", pull.branch):
                items.update({item["number"]: item for item in self._of_branch(branch)})
            known = self._linked(repository, pull, efd, items)
        return tuple(
            migration
            for number, link in sorted(known.items())
            if (migration := self._migration(items[number], link, _references(repository, pull))) is not None
        )

    def releases(
        self, migrations: tuple[Migration, ...], deployed: frozenset[str]
    ) -> tuple[tuple[Release, ...], str]:
        """Find the release tags that hold some merged migrations."""
        tags = self._releases.tags()
        newest = last_release(tags)
        name = newest.name if newest is not None else ""
        live = [item for item in migrations if item.live]
        moments = [item.merged_at for item in live if item.merged_at is not None]
        if not live or len(moments) < len(live):
            return (), name
        # A day earlier, since the month of a tag is that of its maker's clock.
        start = max(moments) - timedelta(days=1)
        found: list[Release] = []
        for version, tag in sorted(
            (version, tag) for tag in tags if (version := parse_version(tag.name)) is not None
        ):
            if (version.year, version.month) < (start.year, start.month) or (
                found and tag.name not in deployed
            ):
                continue
            if all(self._holds(tag.commit, item.merge_commit) for item in live):
                release = Release(tag.name, tag.commit, self._page("tree", tag.name), tag.annotated)
                found.append(release if found else self._dated(release, tag.object))
        return tuple(found), name

    def efd_files(self, pull: Pull, body: str, here: dict[str, str]) -> tuple[EfdFile, ...]:
        """Compare EFD schemas with those of consdb."""
        origin = efd_origin(body)
        commit = self._releases.branch.head
        if origin is not None and origin.number and self._is(origin.repository):
            found = self._pull(origin.number)
            if found is not None and found["state"] == "open":
                commit = found["head"]["sha"]
        wanted = _Folder(self._policy.efd.sources)
        there = ApiContents(self._github, self.repository).files(commit, wanted)
        files = []
        for path, blob in sorted(here.items()):
            name = path.rpartition("/")[2]
            if name in self._policy.efd.without:
                continue
            source = f"{self._policy.efd.sources}/{name}"
            url = self._page("blob", f"{commit}/{source}")
            files.append(EfdFile(name.removesuffix(".yaml"), there.get(source, ""), blob, url))
        return tuple(files)

    def _linked(self, repository: str, pull: Pull, efd: int, items: dict[int, Any]) -> dict[int, Link]:
        """Choose the pull requests that belong to a change, by the strongest link there is."""
        wanted = _references(repository, pull)
        found: dict[int, Link] = {}
        branches: dict[int, Link] = {}
        ticket = self._policy.ticket_in(pull.branch, pull.title)
        for number, item in items.items():
            if not _is_own(item):
                continue
            marker = read_marker(item.get("body") or "")
            if marker is not None:
                if marker.commit_of(wanted):
                    found[number] = Link.MARKER
            elif number == efd:
                found[number] = Link.EFD
            elif ticket and self._policy.ticket_in(item["head"]["ref"]) == ticket:
                branches[number] = Link.BRANCH
        return found or branches

    def _migration(self, item: Any, link: Link, references: Collection[str]) -> Migration | None:
        """Read a pull request with its files; None for one found by its branch that adds no revision."""
        number = item["number"]
        rows = self._github.items(f"{self._root}/pulls/{number}/files")
        revisions = [
            [row["filename"], row["status"], row["sha"]]
            for row in rows
            if _REVISION.fullmatch(row["filename"])
        ]
        if link is Link.BRANCH and not revisions:
            return None
        head = item["head"]["sha"]
        commit = self._github.get(f"{self._root}/git/commits/{head}", lasting=True)
        marker = read_marker(item.get("body") or "")
        created = reading.moment(item["created_at"])
        assert created is not None
        digest = hashlib.sha256(json.dumps(sorted(revisions)).encode()).hexdigest()[:16] if revisions else ""
        return Migration(
            number=number,
            url=item["html_url"],
            title=item.get("title") or "",
            branch=item["head"]["ref"],
            head=head,
            state=item["state"],
            link=link,
            created_at=created,
            draft=bool(item.get("draft")),
            merged_at=reading.moment(item.get("merged_at")),
            merge_commit=(item.get("merge_commit_sha") or "") if item.get("merged_at") else "",
            committed_at=reading.moment(commit["committer"]["date"]),
            source=marker.commit_of(references) if marker is not None and link is Link.MARKER else "",
            files=tuple(row["filename"] for row in rows),
            digest=digest,
        )

    def _recent(self) -> list[Any]:
        """List the pull requests that changed last; a hundred reach back for years."""
        query: dict[str, str | int] = {"state": "all", "sort": "updated", "direction": "desc"}
        return list(next(self._github.pages(f"{self._root}/pulls", query)))

    def _of_branch(self, branch: str) -> list[Any]:
        """List the pull requests of a branch."""
        owner = self.repository.partition("/")[0]
        return self._github.items(f"{self._root}/pulls", {"state": "all", "head": f"{owner}:{branch}"})

    def _pull(self, number: int) -> Any | None:
        """Read one pull request; None when there is none."""
        try:
            return self._github.get(f"{self._root}/pulls/{number}")
        except GitHubError as error:
            if error.status == 404:
                return None
            raise

    def _holds(self, tagged: str, commit: str) -> bool:
        """Tell whether a tagged commit has another one in its history."""
        if tagged == commit:
            return True
        data = self._github.get(
            f"{self._root}/compare/{commit}...{tagged}", {"per_page": 1, "page": 2}, lasting=True
        )
        return data["status"] in ("ahead", "identical")

    def _dated(self, release: Release, sha: str) -> Release:
        """Add when a release was tagged, which its tag object says, and its notes."""
        at = None
        if sha:
            tag = self._github.get(f"{self._root}/git/tags/{sha}", lasting=True)
            at = reading.moment((tag.get("tagger") or {}).get("date"))
        try:
            notes = self._github.get(f"{self._root}/releases/tags/{quoted(release.tag)}")
        except GitHubError as error:
            if error.status != 404:
                raise
            return Release(release.tag, release.commit, release.url, release.annotated, at)
        published = reading.moment(notes.get("published_at"))
        return Release(
            release.tag, release.commit, release.url, release.annotated, at or published, notes["html_url"]
        )

    def _page(self, kind: str, name: str) -> str:
        """Return the address of a page."""
        return f"{self._releases.html_url}/{kind}/{'/'.join(map(quoted, name.split('/')))}"

    def _is(self, repository: str) -> bool:
        return repository.casefold() == self.repository.casefold()


class _Folder:
    """The YAML files of a folder."""

    def __init__(self, folder: str) -> None:
        self.schemas = (f"{folder}/*.yaml",)
        self._pattern = re.compile(rf"{re.escape(folder)}/[^/]+\.yaml")

    def matches(self, path: str) -> bool:
        """Tell whether a file is one."""
        return self._pattern.fullmatch(path) is not None


def _references(repository: str, pull: Pull) -> tuple[str, str]:
    """Return what markers call a schema change."""
    return f"{repository}#{pull.number}", f"{repository}@{pull.branch}"


def _is_own(item: Any) -> bool:
    """Tell whether a pull request comes from the repository itself, and not from a fork, deleted or not."""
    head, base = item["head"].get("repo"), item["base"]["repo"]
    return head is not None and head["id"] == base["id"]
