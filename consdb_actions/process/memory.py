"""State stored in our comment: commit and original text of each attestation.

GitHub does not record the commit at which a comment was written. The first run that reads it stores that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from consdb_actions.approval.comment import Part, own_sections
from consdb_actions.approval.facts import CommitChange
from consdb_actions.process.facts import ProcessFacts

__all__ = [
    "FINISHED",
    "Binding",
    "Memo",
    "change_digest",
    "kept",
    "migration_digest",
    "recall",
    "written",
]

# Marks a comment when all steps are done: the pull request need not be read again.
FINISHED = "<!-- consdb-actions:process-finished -->"

ROOM = 14_000  # Maximum size of the stored state in characters; the oldest entries are dropped first

_BLOCK = re.compile(r"<!-- consdb-actions:process-memory (?P<json>\{.*\}) -->\s*\Z")
_SHA = re.compile(r"(?:[0-9a-f]{40})?")
_DIGEST = re.compile(r"[0-9a-f]{0,16}")


@dataclass(frozen=True, slots=True)
class Binding:
    """The state of the change that an attestation refers to."""

    sha: str  # newest commit in sdm_schemas; empty if uncertain
    change: str  # digest of the schema change at that commit
    migration: str  # digest of its migrations


@dataclass(frozen=True, slots=True)
class Memo:
    """The stored state of one comment."""

    comment: int  # its id
    binding: Binding
    said: tuple[tuple[str, str], ...]  # its original commands: verb, and step or answer
    reaction: str


def recall(facts: ProcessFacts) -> dict[int, Memo]:
    """Read the stored state from our comment; an invalid block is ignored as a whole."""
    match = _BLOCK.search(own_sections(facts.marked, facts.identity).get(Part.PROCESS, ""))
    if match is None:
        return {}
    try:
        entries = json.loads(match["json"])
        return {int(number): _memo(int(number), entry) for number, entry in entries.items()}
    except (ValueError, TypeError, RecursionError):
        return {}


def kept(memos: Iterable[Memo]) -> tuple[Memo, ...]:
    """Select the entries to store, as far as there is room.

    Entries without effect are dropped first, so that many comments cannot displace an attestation or an
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
    """Write the stored state as JSON for an HTML comment."""
    return f"<!-- consdb-actions:process-memory {_json(kept(memos))} -->"


def _matters(memo: Memo) -> bool:
    """Tell whether a comment holds an accepted request, not to be repeated."""
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
    """Return the digest of a schema change; empty if unknown."""
    if change is None or change.problem:
        return ""
    return _digest(
        [item.path, item.structure, item.text, "" if item.structure else item.verbatim]
        for item in sorted(change.changes, key=lambda item: item.path)
    )


def migration_digest(facts: ProcessFacts) -> str:
    """Return one digest of all migrations of the change; empty for none."""
    live = sorted(item.digest for item in facts.migrations if item.live and item.digest)
    return _digest(live) if live else ""


def _digest(values: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:16]


def _memo(number: int, entry: object) -> Memo:
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
