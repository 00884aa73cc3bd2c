"""Pull requests that the program itself makes, over the API alone: no clone, and no credentials for pushing.

One way for all of them: deployments, generated migrations, copies of schemas. ::

    proposal = Proposal(
        repository="lsst-sqre/phalanx", base="main", branch="deploy/DM-1/summit",
        files={"a/b.yaml": b"...", "gone.txt": None}, message="DM-1: ...", title="DM-1: ...", body="...",
        draft=False, labels=("consdb",), keep=(), reopen=False,
    )
    outcome = Proposals(github).publish(proposal)  # Outcome(action, number, url, commit, kept)

* One branch has at most one open pull request. `Outcome.action` is ``opened``, ``updated``, ``unchanged``, or
  ``nothing`` where the base already has what is wanted.
* Running again, after success or after a failure at any call, ends in the same state, with nothing twice.
* A branch only goes forward, so no commit is ever lost. Where the branch is ours alone, its content is made
  anew on the newest base; it is left alone while it proposes just what is wanted and the base has not touched
  the same files.
* A commit is ours when its author is the token's account, its committer that account or GitHub itself, and
  its message has our trailer for this branch. Changes by others stop the run with a `CheckFailed` that shows
  them, unless `Proposal.keep` names the files: these stay as they are, and the rest is renewed.
* A pull request that was closed without merging is a `CheckFailed` too, unless `Proposal.reopen` is set;
  after a merge the next difference opens a new one.
* Files that were read from the base before belong to `Proposal.base_commit`, so that what others merge
  meanwhile is not undone.
* Author and committer are left to GitHub: the commits of an app are then signed by it.

The token needs ``contents: write`` and ``pull_requests: write``.
"""

from __future__ import annotations

import base64
from typing import Any

from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.objects import Objects
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.adapters.github.proposal_facts import ProposalReader, path_of, read_pull
from consdb_actions.errors import CheckFailed
from consdb_actions.proposal import (
    Facts,
    Foreign,
    Outcome,
    Plan,
    Proposal,
    Pull,
    Write,
    blob_sha,
    decide,
    foreign_error,
    merged_body,
    signed_message,
)

__all__ = ["Outcome", "Proposal", "Proposals"]

ATTEMPTS = 3
"""How often everything is looked at again when the branch moved meanwhile."""
WITHIN = 1_000_000
"""Bytes of files that go into the call that makes the tree."""


class Proposals:
    """Opens pull requests and keeps them up to date.

    Parameters
    ----------
    github
        The connection.
    """

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._reader = ProposalReader(github)

    def plan(self, proposal: Proposal) -> Plan:
        """Say what `publish` would do; nothing is changed.

        Raises
        ------
        CheckFailed
            Other people's work stands in the way.
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        return self._plan(proposal, self._reader.facts(proposal))

    def publish(self, proposal: Proposal) -> Outcome:
        """Make the branch and its pull request propose what is wanted.

        Parameters
        ----------
        proposal
            What is wanted.

        Returns
        -------
        Outcome
            What was done.

        Raises
        ------
        CheckFailed
            Other people's work stands in the way: their commits on the branch, a pull request that they
            closed or turned to another base.
        GitHubError
            GitHub refused, or could not be reached within the bounds. Running again goes on from there.
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

    def _plan(self, proposal: Proposal, facts: Facts) -> Plan:
        """Decide; where people's work stands in the way, read it to show it."""
        plan = decide(proposal, facts)
        if isinstance(plan, Plan):
            return plan
        raise self._refusal(proposal, facts, plan)

    def _refusal(self, proposal: Proposal, facts: Facts, foreign: Foreign) -> CheckFailed:
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

    # Deeds

    def _carry_out(self, proposal: Proposal, facts: Facts, plan: Plan) -> Outcome:
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
            return Outcome(plan.action, commit=head, kept=plan.kept)
        return Outcome(plan.action, pull.number, pull.url, head, plan.kept)

    def _write_commit(self, root: str, proposal: Proposal, write: Write) -> str:
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
                    entry["sha"] = self._write_blob(root, data)
                else:
                    # The tree takes texts as they are, without a call for each.
                    room -= len(data)
                    del entry["sha"]
                    entry["content"] = text
            entries.append(entry)
        base_tree = self._github.get(f"{root}/git/commits/{write.tree_of}", lasting=True)["tree"]["sha"]
        tree = self._github.write("POST", f"{root}/git/trees", {"base_tree": base_tree, "tree": entries})
        body = {"message": signed_message(proposal), "tree": tree["sha"], "parents": list(write.parents)}
        return str(self._github.write("POST", f"{root}/git/commits", body)["sha"])

    def _write_blob(self, root: str, data: bytes) -> str:
        """Make a blob of its own."""
        body = {"content": base64.b64encode(data).decode(), "encoding": "base64"}
        return str(self._github.write("POST", f"{root}/git/blobs", body)["sha"])

    def _move(self, proposal: Proposal, sha: str, *, new: bool) -> None:
        """Make the branch, or move it forward; GitHub refuses when somebody else moved it meanwhile."""
        refs = f"/repos/{proposal.repository}/git/refs"
        if not new:
            self._github.write(
                "PATCH", f"{refs}/heads/{path_of(proposal.branch)}", {"sha": sha, "force": False}
            )
            return

        def landed() -> Any:
            return sha if self._reader.tip(proposal.repository, proposal.branch) == sha else None

        self._github.write("POST", refs, {"ref": f"refs/heads/{proposal.branch}", "sha": sha}, landed=landed)

    def _open(self, root: str, proposal: Proposal) -> Pull:
        """Open the pull request, once."""

        def landed() -> Any:
            items = self._github.items(
                f"{root}/pulls", {"head": f"{proposal.repository.partition('/')[0]}:{proposal.branch}"}
            )
            return next((item for item in items if item["state"] == "open"), None)

        body = {
            "title": proposal.title,
            "head": proposal.branch,
            "base": proposal.base,
            "body": merged_body("", proposal.body),
            "draft": proposal.draft,
        }
        return read_pull(self._github.write("POST", f"{root}/pulls", body, landed=landed))


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
