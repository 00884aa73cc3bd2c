"""What a comment remembers for later runs: the digests of commits that may become unreachable (rule A2)."""

from __future__ import annotations

import json
import re

from consdb_actions.approval.facts import Account, Change, CommitChange, Facts, MarkedComment

__all__ = ["MARKER", "other_bots", "own_comments", "recall", "remember"]

MARKER = "<!-- consdb-actions:approvals -->"
"""The first line of our comment."""

KEPT = 20
"""How many commits a comment remembers at most."""

ROOM = 15_000
"""Characters that the memory may take of a comment; the oldest commits are forgotten first."""

_BLOCK = re.compile(r"<!-- consdb-actions:digests (?P<json>\{.*?\}) -->")
_DIGEST = re.compile(r"[0-9A-Za-z:._-]{0,80}")


def own_comments(comments: tuple[MarkedComment, ...], facts: Facts) -> list[MarkedComment]:
    """List the comments with our marker that our own identity wrote, oldest first (rule A10)."""
    own = [comment for comment in comments if facts.identity.same_as(comment.author)]
    return sorted(own, key=lambda comment: (comment.created_at, comment.id))


def other_bots(comments: tuple[MarkedComment, ...], identity: Account) -> list[MarkedComment]:
    """List the comments with our marker that another bot wrote: this program with another token (rule P2).

    Nothing in them counts, and they go once there is one of ours.
    """
    return [
        comment
        for comment in comments
        if comment.author is not None and comment.author.bot and not identity.same_as(comment.author)
    ]


def recall(body: str) -> tuple[CommitChange, ...]:
    """Read the digests from the body of a comment of our own.

    A block that does not have the expected form (a person with write access can edit the comment) is
    no memory at all: the approvals that needed it are then stale.
    """
    match = _BLOCK.search(body)
    if match is None:
        return ()
    try:
        data = json.loads(match["json"])
        return tuple(
            CommitChange(sha, tuple(_change(entry) for entry in entries), remembered=True)
            for sha, entries in data.items()
        )
    except (ValueError, TypeError, AttributeError):
        return ()


def remember(facts: Facts) -> str:
    """Write the digests of all commits that matter now, and of earlier ones as far as there is room."""
    earlier = [
        change for comment in own_comments(facts.comments, facts)[:1] for change in recall(comment.body)
    ]
    known = [change for change in facts.changes if not change.problem]
    shas = {change.sha for change in known}
    kept = [*(change for change in earlier if change.sha not in shas), *known][-KEPT:]
    while True:
        text = _written(kept)
        if len(text) <= ROOM or not kept:
            return f"<!-- consdb-actions:digests {text} -->"
        kept = kept[1:]


def _written(changes: list[CommitChange]) -> str:
    """Write digests as JSON that ends no HTML comment and mentions nobody, whatever a path holds."""
    data = {
        change.sha: [[item.path, item.structure, item.text, item.verbatim] for item in change.changes]
        for change in changes
    }
    text = json.dumps(data, separators=(",", ":"))
    return re.sub(r"[-<>@&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _change(entry: object) -> Change:
    """Read one file's digests, with their types checked."""
    if not isinstance(entry, list) or len(entry) != 4 or not all(isinstance(item, str) for item in entry):
        raise TypeError(entry)
    if not all(_DIGEST.fullmatch(item) for item in entry[1:]):
        raise ValueError(entry)
    return Change(*entry)
