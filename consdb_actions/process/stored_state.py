"""State stored in our comment: commit and original text of each attestation.

GitHub does not record the commit at which a comment was written. The first run that reads it stores that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from consdb_actions.approval.comment import Part, own_sections
from consdb_actions.approval.facts import CommitChange
from consdb_actions.forms import Form, hidden, read_hidden
from consdb_actions.process.facts import ProcessFacts

# Marks a comment when all steps are done: the pull request need not be read again.
FINISHED = "<!-- consdb-actions:process-finished -->"

ROOM = 14_000  # Maximum size of the stored state in characters; the oldest entries are dropped first

_Digest = Annotated[str, Form(pattern="^[0-9a-f]{0,16}$")]
_Entry = tuple[
    Annotated[str, Form(pattern="^([0-9a-f]{40})?$")],
    _Digest,
    _Digest,
    tuple[tuple[str, str], ...],
    Literal["+1", "confused", ""],
]


@dataclass(frozen=True, slots=True)
class Binding:
    """The state of the change that an attestation refers to."""

    sha: str  # newest commit in sdm_schemas; empty if uncertain
    change: str  # digest of the schema change at that commit
    migration: str  # digest of its migrations


@dataclass(frozen=True, slots=True)
class CommentState:
    """The stored state of one comment."""

    comment: int  # its id
    binding: Binding
    said: tuple[tuple[str, str], ...]  # its original commands: verb, and step or answer
    reaction: str


def recall(facts: ProcessFacts) -> dict[int, CommentState]:
    """Read the stored state from our comment; an invalid block is ignored as a whole."""
    body = own_sections(facts.marked, facts.identity).get(Part.PROCESS, "")
    entries = read_hidden("process-memory", body, dict[int, _Entry], last=True) or {}
    return {
        number: CommentState(number, Binding(*binding), said, reaction)
        for number, (*binding, said, reaction) in entries.items()
    }


def kept(memos: Iterable[CommentState]) -> tuple[CommentState, ...]:
    """Select the entries to store, as far as there is room.

    Entries without effect are dropped first, so that many comments cannot displace an attestation or an
    answer; then the oldest.
    """
    room = ROOM
    chosen = []
    for memo in sorted(memos, key=lambda memo: (not _matters(memo), -memo.comment)):
        room -= len(_block([memo]))
        if room < 0:
            break
        chosen.append(memo)
    return tuple(sorted(chosen, key=lambda memo: memo.comment))


def written(memos: Iterable[CommentState]) -> str:
    """Write the stored state as JSON for an HTML comment."""
    return _block(kept(memos))


def _matters(memo: CommentState) -> bool:
    """Tell whether a comment holds an accepted request, not to be repeated."""
    return memo.reaction == "+1" and any(verb not in ("help", "?", "!") for verb, _ in memo.said)


def _block(memos: Iterable[CommentState]) -> str:
    return hidden(
        "process-memory",
        {
            memo.comment: [
                memo.binding.sha,
                memo.binding.change,
                memo.binding.migration,
                memo.said,
                memo.reaction,
            ]
            for memo in memos
        },
    )


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
