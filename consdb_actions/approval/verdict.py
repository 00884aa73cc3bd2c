"""The verdicts on roles and reviews, with their reasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consdb_actions.approval.facts import Account
from consdb_actions.approval.policy import Role

__all__ = ["Decision", "Node", "Outcome", "ReviewVerdict", "RoleVerdict", "Standing", "State", "explain"]


class Standing(StrEnum):
    """The effect of one review on one role."""

    COUNTS = "counts"
    STALE = "stale"
    BLOCKS = "blocks"
    REJECTED = "rejected"
    DISMISSED = "dismissed"
    SUPERSEDED = "superseded"


class Outcome(StrEnum):
    """The state of one role."""

    APPROVED = "approved"
    BLOCKED = "blocked"
    STALE = "stale"
    MISSING = "missing"
    ERROR = "error"


class State(StrEnum):
    """The state of the pull request, with the values of a commit status."""

    SUCCESS = "success"
    PENDING = "pending"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ReviewVerdict:
    """The verdict on one review for one role."""

    review: int
    author: Account
    standing: Standing
    reason: str
    commit: str | None
    submitted_at: datetime | None
    url: str = ""
    kept: bool = False
    """Whether it is an approval of an older commit that is still valid."""


@dataclass(frozen=True, slots=True)
class RoleVerdict:
    """The verdict on one role."""

    role: Role
    outcome: Outcome
    reason: str
    """A sentence without a period."""
    reviews: tuple[ReviewVerdict, ...] = ()
    """Every review evaluated for the role, oldest first."""
    approver: ReviewVerdict | None = None
    """The approval that counts, if any."""
    eligible: tuple[str, ...] = ()
    """Logins that could approve now and have not."""
    warning: str = ""
    """Why approval may become impossible; empty if it will not."""
    label_word: str = ""
    """Why a label set by hand was removed; empty if none was."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on the pull request."""

    state: State
    description: str
    applicable: bool
    """Whether a schema of the policy changes."""
    roles: tuple[RoleVerdict, ...] = ()
    others: tuple[ReviewVerdict, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def approved(self) -> bool:
        """Whether all approvals are given, also on a draft."""
        return not self.applicable or all(role.outcome is Outcome.APPROVED for role in self.roles)


@dataclass(frozen=True, slots=True)
class Node:
    """One line of an explanation, with the lines that support it."""

    text: str
    outcome: str
    children: tuple[Node, ...] = ()


def explain(decision: Decision) -> Node:
    """Convert a decision to a tree of sentences: roles, and their reviews."""
    children = [
        Node(
            f"{item.role.title}: {item.reason}",
            item.outcome.value,
            (
                *(_review_node(review) for review in item.reviews),
                *(Node(word, "note") for word in (item.label_word, item.warning) if word),
                *([Node(f"can approve: {', '.join(item.eligible)}", "note")] if item.eligible else []),
            ),
        )
        for item in decision.roles
    ]
    if decision.others:
        reviews = tuple(_review_node(review) for review in decision.others)
        children.append(Node("reviews that count for no role", "note", reviews))
    children.extend(Node(note, "note") for note in decision.notes)
    return Node(decision.description, decision.state.value, tuple(children))


def _review_node(review: ReviewVerdict) -> Node:
    when = review.submitted_at.strftime("%Y-%m-%d") if review.submitted_at else "an unknown day"
    return Node(f"review by {review.author.login} of {when}: {review.reason}", review.standing.value)
