"""Commands from comments and their outcomes."""

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
    """The outcome of a command."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Heard:
    """A command of a comment, with its outcome."""

    comment: Comment
    actor: Account
    said: Command | Mistake
    outcome: Outcome
    answer: str = ""  # reason of a rejection, or a remark; may be empty
    binding: Binding | None = None  # None if it does not depend on the state

    @property
    def step(self) -> str:
        """Return the step of the command; empty for none."""
        return self.said.step if isinstance(self.said, Command) else ""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A statement that a step is done, bound to a state."""

    step: str
    by: str
    at: datetime
    note: str
    url: str
    binding: Binding


@dataclass(frozen=True, slots=True)
class Listening:
    """All commands and their effects."""

    heard: tuple[Heard, ...]  # oldest first
    # valid ones by step, oldest first: accepted and not undone
    attestations: dict[str, tuple[Attestation, ...]]
    undone: dict[str, Heard]  # the last command on a step, if that is ``undo``
    memos: tuple[Memo, ...]  # entries to store, as far as there is room
