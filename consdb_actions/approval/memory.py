"""Store digests of commits in our comment: commits can become unreachable (rule A2)."""

from __future__ import annotations

import json
import re

from consdb_actions.approval.facts import Account, Change, CommitChange, Facts, MarkedComment

__all__ = ["MARKER", "other_bots", "own_comments", "recall", "remember"]

MARKER = "<!-- consdb-actions:approvals -->"
"""The first line of our comment."""

KEPT = 20
"""Maximum number of commits stored in a comment."""

ROOM = 15_000
"""Maximum size of the digests in a comment, in characters; the oldest commits are dropped first."""

_BLOCK = re.compile(r"<!-- consdb-actions:digests (?P<json>\{.*?\}) -->")
_DIGEST = re.compile(r"[0-9A-Za-z:._-]{0,80}")


def own_comments(comments: tuple[MarkedComment, ...], facts: Facts) -> list[MarkedComment]:
    """Return our own comments with the marker, oldest first (rule A10)."""
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
    """Read the digests from our comment; a malformed block gives none."""
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
    """Write the digests of the relevant commits, and of earlier ones if space remains."""
    earlier = [
        change for comment in own_comments(facts.comments, facts)[:1] for change in recall(comment.body)
    ]
    known = [change for change in facts.changes if not change.problem]
    shas = {change.sha for change in known}
    kept = [*(change for change in earlier if change.sha not in shas), *known][-KEPT:]
    while True:
        text = _to_json(kept)
        if len(text) <= ROOM or not kept:
            return f"<!-- consdb-actions:digests {text} -->"
        kept = kept[1:]


def _to_json(changes: list[CommitChange]) -> str:
    """Write digests as JSON, safe within an HTML comment."""
    data = {
        change.sha: [[item.path, item.structure, item.text, item.verbatim] for item in change.changes]
        for change in changes
    }
    text = json.dumps(data, separators=(",", ":"))
    return re.sub(r"[-<>@&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _change(entry: object) -> Change:
    if not isinstance(entry, list) or len(entry) != 4 or not all(isinstance(item, str) for item in entry):
        raise TypeError(entry)
    if not all(_DIGEST.fullmatch(item) for item in entry[1:]):
        raise ValueError(entry)
    return Change(*entry)
