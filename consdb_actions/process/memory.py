"""What our comment remembers: for which commit each attestation was, and what it said when it was first read.

GitHub does not say at which commit a comment was written. The first run that reads one notes it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from consdb_actions.approval.facts import CommitChange, MarkedComment
from consdb_actions.process.facts import Facts

__all__ = [
    "FINISHED",
    "MARKER",
    "Binding",
    "Memo",
    "change_digest",
    "kept",
    "migration_digest",
    "own_comments",
    "recall",
    "written",
]

MARKER = "<!-- consdb-actions:process -->"
"""The first line of our comment."""

FINISHED = "<!-- consdb-actions:process-finished -->"
"""Stands in our comment when all steps are done: the pull request need not be looked at again."""

ROOM = 20_000
"""Characters that the memory may take of a comment; the oldest entries are forgotten first."""

_BLOCK = re.compile(r"<!-- consdb-actions:process-memory (?P<json>\{.*\}) -->\s*\Z")
_SHA = re.compile(r"(?:[0-9a-f]{40})?")
_DIGEST = re.compile(r"[0-9a-f]{0,16}")


@dataclass(frozen=True, slots=True)
class Binding:
    """The state of things that an attestation is about.

    Attributes
    ----------
    sha
        The newest commit of the pull request in sdm_schemas; empty when it is not certain which it was.
    change
        Digest of the schema change at that commit.
    migration
        Digest of the migrations that belonged to it.
    """

    sha: str
    change: str
    migration: str


@dataclass(frozen=True, slots=True)
class Memo:
    """What is remembered of one comment.

    Attributes
    ----------
    comment
        Its id.
    binding
        What it was about.
    said
        Its commands when it was first read, each with its verb and its step or answer.
    reaction
        How it was acknowledged.
    """

    comment: int
    binding: Binding
    said: tuple[tuple[str, str], ...]
    reaction: str


def own_comments(facts: Facts) -> list[MarkedComment]:
    """List the comments with our marker that our own identity wrote, oldest first (rule P2)."""
    own = [comment for comment in facts.marked if facts.identity.same_as(comment.author)]
    return sorted(own, key=lambda comment: (comment.created_at, comment.id))


def recall(facts: Facts) -> dict[int, Memo]:
    """Read the memory of the oldest comment of our own.

    A block that does not have the expected form (a person with write access can edit the comment) is no
    memory at all: the attestations that needed it have to be said again.
    """
    own = own_comments(facts)
    match = _BLOCK.search(own[0].body.replace("\r\n", "\n")) if own else None
    if match is None:
        return {}
    try:
        entries = json.loads(match["json"])
        return {int(number): _memo(int(number), entry) for number, entry in entries.items()}
    except (ValueError, TypeError, RecursionError):
        return {}


def kept(memos: Iterable[Memo]) -> tuple[Memo, ...]:
    """Choose what there is room for.

    What has no effect is forgotten first, so that no crowd of comments makes us forget an attestation or an
    answer; then the oldest.
    """
    room = ROOM
    chosen = []
    for memo in sorted(memos, key=lambda memo: (not _matters(memo), -memo.comment)):
        room -= len(_json([memo]))
        if room < 0:
            break
        chosen.append(memo)
    return tuple(sorted(chosen, key=lambda memo: memo.comment))


def written(memos: Iterable[Memo]) -> str:
    """Write the memory, as far as there is room, as JSON that ends no HTML comment and mentions nobody."""
    return f"<!-- consdb-actions:process-memory {_json(kept(memos))} -->"


def _matters(memo: Memo) -> bool:
    """Tell whether a comment holds a request that was accepted: forgotten, it would be acted on again."""
    return memo.reaction == "+1" and any(verb not in ("help", "?", "!") for verb, _ in memo.said)


def _json(memos: Iterable[Memo]) -> str:
    data = {
        str(memo.comment): [
            memo.binding.sha,
            memo.binding.change,
            memo.binding.migration,
            [list(pair) for pair in memo.said],
            memo.reaction,
        ]
        for memo in memos
    }
    text = json.dumps(data, separators=(",", ":"))
    return re.sub(r"[-<>@&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def change_digest(change: CommitChange | None) -> str:
    """Return one digest of a schema change; empty when the change is not known."""
    if change is None or change.problem:
        return ""
    return _digest(
        [item.path, item.structure, item.text, "" if item.structure else item.verbatim]
        for item in sorted(change.changes, key=lambda item: item.path)
    )


def migration_digest(facts: Facts) -> str:
    """Return one digest of all migrations that belong to the change; empty when there is none."""
    live = sorted(item.digest for item in facts.migrations if item.live and item.digest)
    return _digest(live) if live else ""


def _digest(values: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:16]


def _memo(number: int, entry: object) -> Memo:
    """Read one entry, with the types of all that is in it checked."""
    if not isinstance(entry, list) or len(entry) != 5:
        raise TypeError(entry)
    sha, change, migration, said, reaction = entry
    if not all(isinstance(item, str) for item in (sha, change, migration, reaction)):
        raise TypeError(entry)
    if not (_SHA.fullmatch(sha) and _DIGEST.fullmatch(change) and _DIGEST.fullmatch(migration)):
        raise ValueError(entry)
    if reaction not in ("+1", "confused", ""):
        raise ValueError(entry)
    pairs = []
    for pair in said if isinstance(said, list) else [None]:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(item, str) for item in pair):
            raise TypeError(entry)
        pairs.append((pair[0], pair[1]))
    return Memo(number, Binding(sha, change, migration), tuple(pairs), reaction)
