"""What a deployment needs to know of the repositories that it deploys from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consdb_actions.adapters.github import graphql
from consdb_actions.adapters.github.client import GitHub, GitHubError, quoted
from consdb_actions.adapters.github.releases import ReleaseReader
from consdb_actions.deploy.model import DATALINK_FILE, DeployPlan
from consdb_actions.deploy.plan import Holds, TicketImage, candidates, replaced_by
from consdb_actions.deploy.tags import branch_tag
from consdb_actions.errors import CheckFailed
from consdb_actions.release.notes import arrange
from consdb_actions.release.versions import ReleasePolicy

__all__ = ["DeployReader"]

SCHEMAS = ("cdb_", "efd_")


class DeployReader:
    """Reads releases of consdb and of sdm_schemas."""

    def __init__(self, github: GitHub) -> None:
        self._github = github

    def tags(self, repository: str, prefix: str = "") -> tuple[str, ...]:
        """Return the names of all tags that begin so."""
        refs = self._github.get(f"/repos/{repository}/git/matching-refs/tags/{quoted(prefix)}")
        return tuple(ref["ref"].removeprefix("refs/tags/") for ref in refs)

    def has_datalink(self, repository: str, tag: str) -> bool:
        """Tell whether a release has datalink snippets (rule R4)."""
        data = self._github.find(f"/repos/{repository}/releases/tags/{quoted(tag)}") or {}
        return any(asset.get("name") == DATALINK_FILE for asset in data.get("assets") or ())

    def holds(
        self, plan: DeployPlan, repository: str, policy: ReleasePolicy, patterns: Sequence[str]
    ) -> Holds:
        """Read what a deployment brings, or why that is not known: nothing depends on it.

        `patterns` are regular expressions of tickets.
        """
        tag = plan.request.tag
        if not tag.is_fixed:
            return Holds(repository)
        try:
            if plan.request.app == "consdb":
                return self._release(plan, repository, policy, patterns)
            since = replaced_by(plan)
            if since is None:
                return Holds(repository)
            data = self._github.get(f"/repos/{repository}/compare/{since.text}...{tag.text}", lasting=True)
            names = [item["filename"] for item in data.get("files") or ()]
            schemas = {
                name
                for name in names
                if name.endswith(".yaml") and name.rpartition("/")[2].startswith(SCHEMAS)
            }
            return Holds(repository, since.text, schemas=tuple(sorted(schemas)))
        except GitHubError as error:
            if error.status not in (403, 404):
                raise
            return Holds(repository, problem=f"{repository} could not be read (HTTP {error.status})")

    def _release(
        self, plan: DeployPlan, repository: str, policy: ReleasePolicy, patterns: Sequence[str]
    ) -> Holds:
        """Read what a release of consdb brings."""
        reader = ReleaseReader(self._github, repository)
        tags = {tag.name: tag for tag in reader.tags()}
        since = replaced_by(plan, tags)
        missing = [
            name for name in (plan.request.tag.text, since.text if since else "") if name and name not in tags
        ]
        if missing:
            return Holds(repository, problem=f"{repository} has no tag {missing[0]}")
        if since is None:
            return Holds(repository)
        contents = reader.contents(tags[since.text], tags[plan.request.tag.text].commit, policy)
        return Holds(repository, since.text, arrange(contents, patterns))

    def first_week(self, image: TicketImage, repository: str) -> str:
        """Find the first week of sdm_schemas with what a ticket's branch merged, else raise `CheckFailed`."""
        branch = branch_tag(image.tag)
        number, sha, day = self._merge(repository, branch)
        tags = {
            name for year in range(day.year - 1, day.year + 3) for name in self.tags(repository, f"w.{year}.")
        }
        for name in candidates(tags, day):
            data = self._github.get(
                f"/repos/{repository}/compare/{sha}...{name}", {"per_page": 1}, lasting=True
            )
            if data["status"] in ("ahead", "identical"):
                return name
        raise CheckFailed(
            f"no week of {repository} holds pull request {number} yet, which was merged on {day}",
            remedy="Run this again after the next weekly tag.",
        )

    def _merge(self, repository: str, branch: str) -> tuple[int, str, Any]:
        """Return number, commit and day of the last merge of a branch."""
        owner = repository.partition("/")[0]
        items = self._github.items(
            f"/repos/{repository}/pulls", {"head": f"{owner}:{branch}", "state": "all"}
        )
        merged = [item for item in items if item.get("merged_at") and item.get("merge_commit_sha")]
        still_open = [item["number"] for item in items if item["state"] == "open"]
        if still_open or not merged:
            words = f"pull request {still_open[0]} is open" if still_open else "it has no merged pull request"
            raise CheckFailed(
                f"the branch {branch} of {repository} is not merged: {words}",
                remedy="Merge it first; until then the ticket image stays.",
            )
        last = max(merged, key=lambda item: str(item["merged_at"]))
        moment = graphql.moment(last["merged_at"])
        assert moment is not None
        return last["number"], last["merge_commit_sha"], moment.date()
