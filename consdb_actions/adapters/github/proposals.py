"""Read and update the pull requests that we open."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from consdb_actions.adapters.github import graphql
from consdb_actions.adapters.github.client import MOST_FILES, GitHub, GitHubError, quoted, quoted_path
from consdb_actions.adapters.github.contents import Objects
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.proposal import (
    BranchCommit,
    BranchFacts,
    CommitWrite,
    Foreign,
    Proposal,
    ProposalOutcome,
    ProposalPlan,
    PullSeen,
    blob_sha,
    decide,
    foreign_error,
    is_ours,
    merged_body,
    signed_message,
)

Json = Mapping[str, Any]


class ProposalReader:
    """Reads the facts that `consdb_actions.proposal` rests on."""

    def __init__(self, github: GitHub) -> None:
        self._github = github

    def facts(self, proposal: Proposal) -> BranchFacts:
        """Read all that the decision rests on.

        Raises `InputError` without a base branch, or where a path is not a file in it, and `CheckFailed` if
        the branch changes more files than GitHub compares.
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
            return BranchFacts("", base, on_base, pulls=pulls)
        viewer = self._github.viewer()
        head = self.tip(repository, proposal.branch)
        if head is None:
            return BranchFacts(viewer, base, on_base, pulls=pulls)
        fork, on_branch, commits = self._compare(proposal, base, head)
        paths = {*proposal.files, *on_branch}
        return BranchFacts(
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
        data = self._github.find(f"/repos/{repository}/git/ref/heads/{quoted_path(branch)}")
        return None if data is None else str(data["object"]["sha"])

    def commit(self, repository: str, name: str) -> str:
        """Return the commit that a branch, a tag or a SHA names; raise `InputError` if there is none."""
        data = self._github.find(f"/repos/{repository}/commits/{quoted(name)}", missing=(404, 422))
        if data is None:
            raise InputError(f'there is no commit "{name[:100]}"', place=repository)
        return str(data["sha"])

    def blob(self, repository: str, sha: str | None) -> bytes | None:
        """Return the bytes of a blob; None for none."""
        return None if sha is None else self._github.blob(repository, sha)

    def _blobs(self, repository: str, paths: Iterable[str], commit: str) -> dict[str, str | None]:
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

    def _pulls(self, proposal: Proposal) -> tuple[PullSeen, ...]:
        """Read the pull requests of the branch, newest first; those of forks are none of them."""
        pulls = [
            graphql.seen(item, PullSeen)
            for item in self._github.pulls_of(proposal.repository, proposal.branch)
            if item["head"]["ref"] == proposal.branch and graphql.is_own(item)
        ]
        return tuple(sorted(pulls, key=lambda pull: -pull.number))


ATTEMPTS = 3  # How often everything is looked at again when the branch moved meanwhile

WITHIN = 1_000_000  # Bytes of files that go into the call that makes the tree


class Proposals:
    """Opens pull requests and keeps them up to date."""

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._reader = ProposalReader(github)

    def plan(self, proposal: Proposal) -> ProposalPlan:
        """Say what `publish` would do; nothing is changed."""
        return self._plan(proposal, self._reader.facts(proposal))

    def publish(self, proposal: Proposal) -> ProposalOutcome:
        """Make the branch and its pull request propose what is wanted.

        Other people's work in the way is a `CheckFailed`: their commits on the branch, a pull request that
        they closed or turned to another base.
        """
        for attempt in range(1, ATTEMPTS + 1):
            facts = self._reader.facts(proposal)
            plan = self._plan(proposal, facts)
            try:
                return self._carry_out(proposal, facts, plan)
            except GitHubError as error:
                if attempt == ATTEMPTS or not _has_moved(error):
                    raise
        raise AssertionError("unreachable")

    # Decision

    def _plan(self, proposal: Proposal, facts: BranchFacts) -> ProposalPlan:
        """Decide; where people's work stands in the way, read it to show it."""
        plan = decide(proposal, facts)
        if isinstance(plan, ProposalPlan):
            return plan
        raise self._refusal(proposal, facts, plan)

    def _refusal(self, proposal: Proposal, facts: BranchFacts, foreign: Foreign) -> CheckFailed:
        """Read what people made of the files, and what would be written in its place."""
        theirs, ours = {}, {}
        for path in foreign.paths:
            there = facts.on_branch.get(path, facts.on_fork.get(path))
            theirs[path] = self._reader.blob(proposal.repository, there)
            ours[path] = (
                proposal.files[path]
                if path in proposal.files
                else self._reader.blob(proposal.repository, facts.on_base.get(path))
            )
        return foreign_error(proposal, foreign, theirs, ours)

    # Actions

    def _carry_out(self, proposal: Proposal, facts: BranchFacts, plan: ProposalPlan) -> ProposalOutcome:
        """Make the commit, move the branch, open or change the pull request."""
        root = f"/repos/{proposal.repository}"
        head = facts.head or ""
        if plan.write is not None:
            head = self._write_commit(root, proposal, plan.write)
            self._move(proposal, head, new=facts.head is None)
        pull = plan.pull
        if plan.difference:
            if pull is None:
                pull = self._open(root, proposal)
            elif plan.title is not None or plan.body is not None:
                changes = {"title": plan.title, "body": plan.body}
                self._github.write(
                    "PATCH",
                    f"{root}/pulls/{pull.number}",
                    {key: value for key, value in changes.items() if value is not None},
                )
            missing = [label for label in plan.labels if label not in pull.labels]
            if missing:
                self._github.write("POST", f"{root}/issues/{pull.number}/labels", {"labels": missing})
        if pull is None:
            return ProposalOutcome(plan.action, commit=head, kept=plan.kept)
        return ProposalOutcome(plan.action, pull.number, pull.url, head, plan.kept)

    def _write_commit(self, root: str, proposal: Proposal, write: CommitWrite) -> str:
        """Make a tree and a commit; what a failure leaves of these, nobody sees."""
        entries = []
        room = WITHIN
        modes = Objects(self._github, proposal.repository).modes(write.tree_of, write.blobs)
        for path, sha in sorted(write.blobs.items()):
            data = proposal.files.get(path)
            entry = {"path": path, "mode": modes[path], "type": "blob", "sha": sha}
            if sha is not None and data is not None and blob_sha(data) == sha:
                text = _text(data) if len(data) <= room else None
                if text is None:
                    body = {"content": base64.b64encode(data).decode(), "encoding": "base64"}
                    entry["sha"] = str(self._github.write("POST", f"{root}/git/blobs", body)["sha"])
                else:
                    # The tree takes texts as they are, without a call for each.
                    room -= len(data)
                    del entry["sha"]
                    entry["content"] = text
            entries.append(entry)
        base_tree = self._github.get(f"{root}/git/commits/{write.tree_of}", lasting=True)["tree"]["sha"]
        tree = self._github.write("POST", f"{root}/git/trees", {"base_tree": base_tree, "tree": entries})
        made = {"message": signed_message(proposal), "tree": tree["sha"], "parents": list(write.parents)}
        return str(self._github.write("POST", f"{root}/git/commits", made)["sha"])

    def _move(self, proposal: Proposal, sha: str, *, new: bool) -> None:
        """Make the branch, or move it forward; GitHub refuses when somebody else moved it meanwhile."""
        refs = f"/repos/{proposal.repository}/git/refs"
        if not new:
            self._github.write(
                "PATCH", f"{refs}/heads/{quoted_path(proposal.branch)}", {"sha": sha, "force": False}
            )
            return

        def landed() -> Any:
            return sha if self._reader.tip(proposal.repository, proposal.branch) == sha else None

        self._github.write("POST", refs, {"ref": f"refs/heads/{proposal.branch}", "sha": sha}, landed=landed)

    def _open(self, root: str, proposal: Proposal) -> PullSeen:
        def landed() -> Any:
            return next(iter(self._github.pulls_of(proposal.repository, proposal.branch, "open")), None)

        body = {
            "title": proposal.title,
            "head": proposal.branch,
            "base": proposal.base,
            "body": merged_body("", proposal.body),
            "draft": proposal.draft,
        }
        made = self._github.write("POST", f"{root}/pulls", body, landed=landed)
        return graphql.seen(made, PullSeen)


def _text(data: bytes) -> str | None:
    """Return a file as text; None where it is none, or empty."""
    try:
        return (data.decode("utf-8") or None) if b"\0" not in data else None
    except UnicodeDecodeError:
        return None


def _has_moved(error: GitHubError) -> bool:
    """Tell whether a refusal means that somebody else changed the branch or opened the pull request."""
    words = ("fast forward", "already exists", "does not exist", "No commits between")
    return error.status == 409 or (error.status == 422 and any(word in error.cause for word in words))
