"""Decide whether an approval of an older commit is still valid (rule A2)."""

from __future__ import annotations

from dataclasses import dataclass

from consdb_actions.approval.facts import UNCHANGED, Change, CommitChange, Facts
from consdb_actions.approval.policy import Concern, Role

__all__ = ["Stickiness", "differences", "stickiness"]


@dataclass(frozen=True, slots=True)
class Stickiness:
    """Whether an approval is valid, and why; `kept`: for an older commit."""

    holds: bool
    reason: str
    kept: bool = False


def stickiness(facts: Facts, role: Role, sha: str | None) -> Stickiness:
    """Compare the schema change at a commit with the one at head.

    Only parts that concern the role count. Unreadable files are compared by their changed lines; unknown
    changes count as different.
    """
    head = facts.pull.head
    if sha is None:
        return Stickiness(False, "GitHub no longer says for which commit the approval was")
    if sha == head:
        return Stickiness(True, f"for the newest commit {head[:8]}")
    now, then = facts.change_at(head), facts.change_at(sha)
    if now is None or now.problem:
        return Stickiness(False, f"the newest commit {head[:8]} could not be read: {_problem(now)}")
    if then is None or then.problem:
        return Stickiness(False, f"commit {sha[:8]} can no longer be read: {_problem(then)}")
    differing = differences(role, then, now)
    if differing:
        return Stickiness(False, f"since commit {sha[:8]} the change differs in {', '.join(differing)}")
    what = "schema change" if Concern.TEXT in role.concerns else "structure of the schema change"
    where = f"{sha[:8]}, as recorded by an earlier run," if then.remembered else sha[:8]
    return Stickiness(True, f"for commit {where} with the same {what}", kept=True)


def differences(role: Role, then: CommitChange, now: CommitChange) -> list[str]:
    """Name the files and parts that differ for a role."""
    before = {change.path: change for change in then.changes}
    after = {change.path: change for change in now.changes}
    found = []
    for path in sorted(before.keys() | after.keys()):
        unchanged = Change(path, UNCHANGED, UNCHANGED, UNCHANGED)
        parts = _parts(role, before.get(path, unchanged), after.get(path, unchanged))
        if parts:
            found.append(f"{path.rpartition('/')[2]} ({' and '.join(parts)})")
    return found


def _parts(role: Role, one: Change, other: Change) -> list[str]:
    """Name a file's parts that differ for a role."""
    if not (one.structure and other.structure):
        return [] if one.verbatim == other.verbatim else ["changed lines"]
    parts = []
    if Concern.STRUCTURE in role.concerns and one.structure != other.structure:
        parts.append("structure")
    if Concern.TEXT in role.concerns and one.text != other.text:
        parts.append("text")
    return parts


def _problem(change: CommitChange | None) -> str:
    return change.problem if change is not None and change.problem else "it was not looked at"
