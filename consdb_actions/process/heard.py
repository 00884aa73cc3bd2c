"""What was said in comments, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consdb_actions.approval.facts import Account
from consdb_actions.process.facts import Comment
from consdb_actions.process.language import Command, Mistake
from consdb_actions.process.memory import Binding, Memo

__all__ = ["Attestation", "Heard", "Listening", "Outcome"]


class Outcome(StrEnum):
    """What became of a command."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Heard:
    """One command of one comment.

    Attributes
    ----------
    comment
        The comment.
    actor
        Who wrote it.
    said
        The command, or the mistake.
    outcome
        What became of it.
    answer
        Why it was rejected, or what else is to be said about it; may be empty.
    binding
        What it is about; None where that does not matter.
    """

    comment: Comment
    actor: Account
    said: Command | Mistake
    outcome: Outcome
    answer: str = ""
    binding: Binding | None = None

    @property
    def step(self) -> str:
        """The step that it is about; empty for none."""
        return self.said.step if isinstance(self.said, Command) else ""


@dataclass(frozen=True, slots=True)
class Attestation:
    """Somebody says that a step is done: who, when, at which commit."""

    step: str
    by: str
    at: datetime
    note: str
    url: str
    binding: Binding


@dataclass(frozen=True, slots=True)
class Listening:
    """All that was said.

    Attributes
    ----------
    heard
        Every command, oldest first.
    attestations
        Those that stand, by step, oldest first: accepted, and not undone.
    undone
        The last word on a step, where that is ``undo``.
    memos
        What is to be remembered of the comments that were read, as far as there is room for it.
    """

    heard: tuple[Heard, ...]
    attestations: dict[str, tuple[Attestation, ...]]
    undone: dict[str, Heard]
    memos: tuple[Memo, ...]
