"""What GitHub shows of a branch of ours and of its pull requests."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.objects import Objects
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.proposal import BranchCommit, Facts, Proposal, Pull, is_ours

__all__ = ["ProposalReader", "path_of", "read_pull"]

MOST_FILES = 300
"""Changed files that GitHub shows of two commits; beyond, a comparison would not be whole."""

Json = Mapping[str, Any]


class ProposalReader:
    """Reads the facts that `consdb_actions.proposal.decide` rests on.

    Parameters
    ----------
    github
        The connection.
    """

    def __init__(self, github: GitHub) -> None:
        self._github = github

    def facts(self, proposal: Proposal) -> Facts:
        """Read all that the decision rests on.

        Raises
        ------
        InputError
            There is no base branch, or a wanted path is no file in it.
        CheckFailed
            The branch changes more files than GitHub compares.
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        repository = proposal.repository
        base = proposal.base_commit or self.tip(repository, proposal.base)
        if base is None:
            raise InputError(
                f"there is no branch {proposal.base}",
                place=repository,
                remedy="Check the name of the base branch.",
            )
        on_base = self._blobs(repository, proposal.files, base)
        pulls = self._pulls(proposal)
        if on_base == proposal.blobs:
            return Facts("", base, on_base, pulls=pulls)
        viewer = self._github.viewer()
        head = self.tip(repository, proposal.branch)
        if head is None:
            return Facts(viewer, base, on_base, pulls=pulls)
        fork, on_branch, commits = self._compare(proposal, base, head)
        paths = {*proposal.files, *on_branch}
        return Facts(
            viewer=viewer,
            base=base,
            on_base=self._blobs(repository, paths, base),
            head=head,
            fork=fork,
            on_fork=self._blobs(repository, paths, fork),
            on_branch=on_branch,
            commits=tuple(self._commit(proposal, base, item) for item in commits),
            pulls=pulls,
        )

    def tip(self, repository: str, branch: str) -> str | None:
        """Return the newest commit of a branch; None when there is no such branch."""
        try:
            data = self._github.get(f"/repos/{repository}/git/ref/heads/{path_of(branch)}")
        except GitHubError as error:
            if error.status == 404:
                return None
            raise
        return str(data["object"]["sha"])

    def commit(self, repository: str, name: str) -> str:
        """Return the commit that a branch, a tag or a SHA names.

        Raises
        ------
        InputError
            There is none.
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        try:
            data = self._github.get(f"/repos/{repository}/commits/{quoted(name)}")
        except GitHubError as error:
            if error.status not in (404, 422):
                raise
            raise InputError(f'there is no commit "{name[:100]}"', place=repository) from error
        return str(data["sha"])

    def blob(self, repository: str, sha: str | None) -> bytes | None:
        """Return the bytes of a blob; None for none."""
        if sha is None:
            return None
        data = self._github.get(f"/repos/{repository}/git/blobs/{sha}", lasting=True)
        return base64.b64decode(data["content"])

    def _blobs(self, repository: str, paths: Iterable[str], commit: str) -> dict[str, str | None]:
        """Return the blob of each path at a commit."""
        return Objects(self._github, repository).names(commit, paths)

    def _compare(
        self, proposal: Proposal, base: str, head: str
    ) -> tuple[str, dict[str, str | None], list[Json]]:
        """Return where a commit left the base, the files that it changes since, and its commits."""
        pages = list(
            self._github.pages(f"/repos/{proposal.repository}/compare/{base}...{head}", lasting=True)
        )
        files = pages[0].get("files") or []
        if len(files) >= MOST_FILES:
            raise CheckFailed(
                f"the branch {proposal.branch} changes {MOST_FILES} files or more, which cannot be compared",
                place=f"{proposal.repository}, branch {proposal.branch}",
                remedy="Look at the branch; remove it when nobody needs it, and run this again.",
            )
        blobs: dict[str, str | None] = {}
        for item in files:
            if item["status"] == "renamed":
                blobs[item["previous_filename"]] = None
            blobs[item["filename"]] = None if item["status"] == "removed" else item["sha"]
        commits = [commit for page in pages for commit in page["commits"]]
        return str(pages[0]["merge_base_commit"]["sha"]), blobs, commits

    def _commit(self, proposal: Proposal, base: str, item: Json) -> BranchCommit:
        """Read a commit of the branch, with what it did to the files that the branch changes."""
        commit = BranchCommit(
            sha=item["sha"],
            author=(item.get("author") or {}).get("login") or "",
            committer=(item.get("committer") or {}).get("login") or "",
            message=item["commit"].get("message") or "",
        )
        if is_ours(commit, proposal, self._github.viewer()):
            return commit
        after = self._compare(proposal, base, commit.sha)[1]
        parent = item["parents"][0]["sha"] if item["parents"] else ""
        before = self._compare(proposal, base, parent)[1] if parent else {}
        changed = {
            path: after.get(path)
            for path in {*before, *after}
            if (path in before, before.get(path)) != (path in after, after.get(path))
        }
        return replace(commit, changed=changed)

    def _pulls(self, proposal: Proposal) -> tuple[Pull, ...]:
        """Read the pull requests of the branch, newest first; those of forks are none of them."""
        owner = proposal.repository.partition("/")[0]
        items = self._github.items(
            f"/repos/{proposal.repository}/pulls",
            {"head": f"{owner}:{proposal.branch}", "state": "all"},
        )
        found = []
        for item in items:
            home = item["base"]["repo"]["id"]
            if item["head"]["ref"] == proposal.branch and (item["head"].get("repo") or {}).get("id") == home:
                found.append(read_pull(item))
        return tuple(sorted(found, key=lambda pull: -pull.number))


def read_pull(item: Json) -> Pull:
    """Read a pull request."""
    return Pull(
        number=item["number"],
        url=item["html_url"],
        title=item.get("title") or "",
        body=item.get("body") or "",
        base=item["base"]["ref"],
        head=item["head"]["sha"],
        is_open=item["state"] == "open",
        merged=bool(item.get("merged_at")),
        labels=tuple(label["name"] for label in item.get("labels") or ()),
    )


def path_of(name: str) -> str:
    """Quote a path or the name of a branch for an address."""
    return "/".join(map(quoted, name.split("/")))
