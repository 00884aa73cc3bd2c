"""Decide what to do with a pull request that we open."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from consdb_actions.errors import CheckFailed
from consdb_actions.proposal.model import (
    BranchFacts,
    BranchPull,
    CommitWrite,
    Foreign,
    Proposal,
    ProposalPlan,
    is_ours,
)
from consdb_actions.redaction import redact

__all__ = ["decide", "difference", "foreign_error", "merged_body"]

BEGIN = "<!-- consdb-actions: this part is regenerated on each run -->"

END = "<!-- consdb-actions: end -->"

_TICK = re.compile(r"^(\s*[-*] \[)[xX](?=\])", re.MULTILINE)


def merged_body(present: str, wanted: str) -> str:
    """Return the body with our part replaced."""
    present = present.replace("\r\n", "\n")
    part = f"{BEGIN}\n{wanted.strip()}\n{END}"
    before, begin, rest = present.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end:
        return f"{part}\n\n{present.strip()}" if present.strip() else part
    if _TICK.sub(r"\1 ", inside).strip() == wanted.strip():
        return present
    return f"{before}{part}{after}"


_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")

LINES = 200  # Maximum number of lines of a difference in an error


def difference(theirs: Mapping[str, bytes | None], ours: Mapping[str, bytes | None]) -> str:
    """Return a unified diff without credentials."""
    lines: list[str] = []
    for path in sorted(theirs):
        old, new = _lines(ours.get(path)), _lines(theirs[path])
        if old is None or new is None:
            lines.append(f"{path}: binary, not shown")
            continue
        lines += difflib.unified_diff(
            old, new, f"{path} (would be written)", f"{path} (on the branch)", lineterm=""
        )
    if len(lines) > LINES:
        lines = [*lines[:LINES], f"… and {len(lines) - LINES} more lines"]
    return redact("\n".join(lines))


def _lines(data: bytes | None) -> list[str] | None:
    """Return the lines of a text file with control characters escaped; None if binary."""
    try:
        text = (data or b"").decode("utf-8")
    except UnicodeDecodeError:
        return None
    return [_CONTROL_CHARACTERS.sub("\ufffd", line) for line in text.split("\n")]


def foreign_error(
    proposal: Proposal,
    foreign: Foreign,
    theirs: Mapping[str, bytes | None],
    ours: Mapping[str, bytes | None],
) -> CheckFailed:
    """Return the error that prevents overwriting people's work."""
    commits = "\n".join(
        f"  {commit.sha[:8]} by {commit.author or 'an unknown account'}:"
        f" {next(iter(commit.message.splitlines()), '')[:100]}"
        for commit in foreign.commits
    )
    shown = difference(theirs, ours)
    return CheckFailed(
        redact(
            f"the branch {proposal.branch} holds commits that this program did not create:\n{commits}\n"
            f"They differ from what would be written in {', '.join(foreign.paths)}:\n{shown}"
        ),
        place=f"{proposal.repository}, branch {proposal.branch}",
        remedy="Merge the branch as it is; or revert these commits, and run this again.",
    )


def decide(proposal: Proposal, facts: BranchFacts) -> ProposalPlan | Foreign:
    """Plan the update of the branch and its pull request."""
    wanted = {path: sha for path, sha in proposal.blobs.items() if facts.on_base.get(path) != sha}
    pull = next((item for item in facts.pulls if item.is_open), None)
    if not wanted:
        return ProposalPlan((), pull=pull)
    if pull is not None and pull.base != proposal.base:
        raise CheckFailed(
            f"pull request {pull.number} goes to {pull.base}, not to {proposal.base}",
            place=pull.url,
            remedy=f"Change its base to {proposal.base}, or close it.",
        )
    last = facts.pulls[0] if facts.pulls else None
    if pull is None and last is not None and not last.merged and not proposal.reopen:
        raise CheckFailed(
            f"pull request {last.number} for this was closed without merging",
            place=last.url,
            remedy="Reopen it, and run this again; or open a new one with --reopen.",
        )
    title, body, labels = _text_changes(proposal, pull)
    write = _own_commit(wanted, facts)
    if write is None or _is_done(facts, last):
        return ProposalPlan(tuple(sorted(wanted)), write, pull, title, body, labels)
    people = tuple(
        commit for commit in facts.commits if commit.changed and not is_ours(commit, proposal, facts.viewer)
    )
    theirs = {path for commit in people for path in commit.changed}
    if lost := tuple(sorted(path for path in theirs if not proposal.keeps(path))):
        return Foreign(people, lost)
    if theirs:
        write = _mixed_commit(wanted, facts, theirs)
    return ProposalPlan(tuple(sorted(wanted)), write, pull, title, body, labels, tuple(sorted(theirs)))


def _is_done(facts: BranchFacts, last: BranchPull | None) -> bool:
    return last is not None and last.merged and last.head == facts.head


def _own_commit(wanted: dict[str, str | None], facts: BranchFacts) -> CommitWrite | None:
    """Plan the commit for a branch with our commits only: base and wanted files."""
    if facts.head is None:
        return CommitWrite(facts.base, (facts.base,), wanted)
    behind = any(facts.on_base.get(path) != facts.on_fork.get(path) for path in wanted)
    if facts.on_branch == wanted and not behind:
        return None
    if facts.fork == facts.head:
        parents: tuple[str, ...] = (facts.base,)
    else:
        parents = (facts.head,) if facts.fork == facts.base else (facts.head, facts.base)
    return CommitWrite(facts.base, parents, wanted)


def _mixed_commit(wanted: dict[str, str | None], facts: BranchFacts, theirs: set[str]) -> CommitWrite | None:
    """Plan the commit for a branch with people's changes to keep."""
    assert facts.head is not None
    there = {path: facts.on_branch.get(path, facts.on_fork.get(path)) for path in wanted}
    blobs = {path: sha for path, sha in wanted.items() if path not in theirs and there[path] != sha}
    for path, sha in facts.on_branch.items():
        if path not in wanted and path not in theirs and facts.on_base.get(path) != sha:
            blobs[path] = facts.on_base.get(path)
    return CommitWrite(facts.head, (facts.head,), blobs) if blobs else None


def _text_changes(
    proposal: Proposal, pull: BranchPull | None
) -> tuple[str | None, str | None, tuple[str, ...]]:
    if pull is None:
        return None, None, proposal.labels
    body = merged_body(pull.body, proposal.body)
    had = {label.casefold() for label in pull.labels}
    return (
        proposal.title if pull.title != proposal.title else None,
        body if body != pull.body.replace("\r\n", "\n") else None,
        tuple(label for label in proposal.labels if label.casefold() not in had),
    )
