"""Show how a changed branch differs from the wanted files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from consdb_actions.errors import CheckFailed
from consdb_actions.proposal.model import Foreign, Proposal
from consdb_actions.redaction import redact

__all__ = ["difference", "foreign_error"]

_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")

LINES = 200
"""Maximum number of lines of a difference in an error."""


def difference(theirs: Mapping[str, bytes | None], ours: Mapping[str, bytes | None]) -> str:
    """Return a unified diff without credentials."""
    lines: list[str] = []
    for path in sorted(theirs):
        old, new = _lines(ours.get(path)), _lines(theirs[path])
        if old is None or new is None:
            lines.append(f"{path}: no text, not shown")
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
            f"the branch {proposal.branch} holds commits that this program did not make:\n{commits}\n"
            f"They differ from what would be written in {', '.join(foreign.paths)}:\n{shown}"
        ),
        place=f"{proposal.repository}, branch {proposal.branch}",
        remedy="Merge the branch as it is; or take these commits back from it, and run this again.",
    )
