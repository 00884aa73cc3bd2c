"""What a release rests on and what it holds, read over the API (rules R1 and R2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.contents import read_file
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.adapters.github.release_contents import read_contents
from consdb_actions.config import CONFIG_PATH
from consdb_actions.errors import InputError
from consdb_actions.release.facts import Check, CheckState, Facts, Tag
from consdb_actions.release.notes import Contents
from consdb_actions.release.plan import last_release
from consdb_actions.release.policy import ReleasePolicy
from consdb_actions.release.versions import parse_version

__all__ = ["MARK", "ReleaseReader"]

MARK = "Tagged by consdb-actions."
"""The last line of the message of a tag that this program made."""

_GREEN = {"success", "neutral", "skipped"}
_OF_THE_COMMIT = {"push", "pull_request", "merge_group", "dynamic"}
"""Events whose checks are about a commit; a schedule or a dispatch runs on whatever is newest."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """The default branch."""

    name: str
    head: str


class ReleaseReader:
    """Reads what concerns the releases of one repository.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.
    run
        Number of the run of GitHub Actions that this is; its own checks do not count. Empty outside of one.
    """

    def __init__(self, github: GitHub, repository: str, *, run: str = "") -> None:
        self._github = github
        self._repository = repository
        self._root = f"/repos/{repository}"
        self._run = run if run.isascii() and run.isdigit() else ""

    @cached_property
    def html_url(self) -> str:
        """The repository's page."""
        return str(self._data["html_url"])

    @cached_property
    def branch(self) -> _Branch:
        """The default branch, with its newest commit as it is when first asked for."""
        name = str(self._data["default_branch"])
        path = "/".join(quoted(part) for part in name.split("/"))
        return _Branch(name, self._github.get(f"{self._root}/git/ref/heads/{path}")["object"]["sha"])

    @cached_property
    def _data(self) -> Any:
        data = self._github.get(self._root)
        if data["full_name"].casefold() != self._repository.casefold():
            raise InputError(
                f"the repository {self._repository} is now called {data['full_name']}",
                remedy=f"Give --repo {data['full_name']}.",
            )
        return data

    def config(self) -> bytes | None:
        """Return the configuration file on the default branch; None where there is none.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        return read_file(self._github, self._repository, CONFIG_PATH, self.branch.head)

    def tags(self, commit: str = "") -> tuple[Tag, ...]:
        """Read all tags.

        Parameters
        ----------
        commit
            A commit; for releases on it, it is read as well whether this program made them.

        Returns
        -------
        tuple
            Those that are releases with the commit that they are on, the others with whatever they name.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        # Refs are current and tell the kind; the list tells the commits, and may be a moment old.
        refs = self._github.get(f"{self._root}/git/matching-refs/tags/")
        listed = self._github.items(f"{self._root}/tags")
        commits = {item["name"]: item["commit"]["sha"] for item in listed}
        found = {name: Tag(name, on) for name, on in commits.items()}
        for ref in refs:
            name, target = ref["ref"].removeprefix("refs/tags/"), ref["object"]["sha"]
            annotated = ref["object"]["type"] == "tag"
            on = target
            if annotated and parse_version(name) is not None:
                on = commits.get(name) or self._peeled(target)
            ours = annotated and on == commit and self._is_ours(target)
            found[name] = Tag(name, on, annotated, ours, target if annotated else "")
        return tuple(found.values())

    def facts(self, commit: str | None, now: datetime) -> Facts:
        """Read what the decision about a tag rests on.

        Parameters
        ----------
        commit
            The commit to be tagged, 40 hexadecimal digits; None for the newest of the default branch.
        now
            The moment of tagging.

        Returns
        -------
        Facts
            What GitHub shows.

        Raises
        ------
        InputError
            GitHub does not know the commit.
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        branch = self.branch
        sha = commit or branch.head
        contained = sha == branch.head or self._relation(sha, branch.head, sha) in ("ahead", "identical")
        tags = self.tags(sha)
        newest = last_release(tags)
        relation = "ahead" if newest is None else self._relation(newest.commit, sha, sha)
        return Facts(
            branch=branch.name,
            commit=sha,
            now=now,
            contained=contained,
            tags=tags,
            checks=tuple(self._checks(sha)),
            released=relation in ("behind", "identical"),
            parted=relation == "diverged",
        )

    def contents(self, previous: Tag | None, commit: str, policy: ReleasePolicy) -> Contents:
        """Read what a release holds.

        Parameters
        ----------
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
        return read_contents(
            self._github, self._repository, str(self._data["default_branch"]), previous, commit, policy
        )

    def _peeled(self, sha: str) -> str:
        """Return what a tag object stands for in the end."""
        for _ in range(5):
            target = self._github.get(f"{self._root}/git/tags/{sha}", lasting=True)["object"]
            sha = target["sha"]
            if target["type"] != "tag":
                break
        return str(sha)

    def _is_ours(self, sha: str) -> bool:
        """Tell whether a tag object was made by this program."""
        data = self._github.get(f"{self._root}/git/tags/{sha}", lasting=True)
        lines = (data.get("message") or "").strip().splitlines()
        return bool(lines) and lines[-1] == MARK

    def _relation(self, base: str, head: str, sha: str) -> str:
        """Say how a commit stands to another: ahead, behind, identical or diverged; one of them is `sha`."""
        if base == head:
            return "identical"
        try:
            # A whole page, which the contents of the release need as well.
            data = next(self._github.pages(f"{self._root}/compare/{base}...{head}", lasting=True))
        except GitHubError as error:
            if error.status != 404:
                raise
            raise InputError(
                f"GitHub knows no commit {sha} in {self._repository}, or none that has a history in common "
                f"with {self.branch.name}",
                place="--commit",
                remedy="Check the commit and --repo.",
            ) from error
        return str(data["status"])

    def _suites(self, sha: str) -> dict[int, tuple[str, Any]]:
        """Read which event started each run of a workflow on a commit, and which workflow, by its suite."""
        try:
            pages = list(self._github.pages(f"{self._root}/actions/runs", {"head_sha": sha}))
        except GitHubError as error:
            if error.status not in (403, 404):
                raise
            return {}  # Without the permission, all of them count.
        return {
            run["check_suite_id"]: (run["event"], run["workflow_id"])
            for page in pages
            for run in page["workflow_runs"]
        }

    def _checks(self, sha: str) -> list[Check]:
        """Read check runs and commit statuses, without the jobs of this run and of its earlier tries."""
        runs = [
            item
            for page in self._github.pages(f"{self._root}/commits/{sha}/check-runs")
            for item in page["check_runs"]
        ]
        mine = {
            item["name"]
            for item in runs
            if self._run
            and f"/actions/runs/{self._run}/" in (item.get("details_url") or "")
            and _of_actions(item)
        }
        suites = self._suites(sha)
        newest: dict[tuple[Any, ...], Any] = {}
        for item in sorted(runs, key=lambda item: (item.get("started_at") or "", item["id"])):
            suite, app = (item.get("check_suite") or {}).get("id"), (item.get("app") or {}).get("slug")
            if _of_actions(item):
                event, workflow = suites.get(suite or 0, ("push", suite))
                if item["name"] in mine or event not in _OF_THE_COMMIT:
                    continue
                newest[app, workflow, item["name"]] = item
            else:
                newest[app, item["name"]] = item
        found = [_check(item) for item in newest.values()]
        for page in self._github.pages(f"{self._root}/commits/{sha}/status"):
            for item in page["statuses"]:
                state: CheckState = "success" if item["state"] == "success" else "failure"
                if item["state"] == "pending":
                    state = "pending"
                found.append(Check(item["context"], state, item["state"]))
        return found


def _of_actions(item: Any) -> bool:
    return bool((item.get("app") or {}).get("slug") == "github-actions")


def _check(item: Any) -> Check:
    """Read a check run."""
    if item["status"] != "completed":
        return Check(item["name"], "pending", str(item["status"]).replace("_", " "))
    conclusion = str(item["conclusion"])
    return Check(item["name"], "success" if conclusion in _GREEN else "failure", conclusion.replace("_", " "))
