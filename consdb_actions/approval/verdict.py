"""The tree of verdicts: what was decided, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consdb_actions.approval.facts import Account
from consdb_actions.approval.policy import Role

__all__ = ["Decision", "Node", "Outcome", "ReviewVerdict", "RoleVerdict", "Standing", "State", "explain"]


class Standing(StrEnum):
    """What one review means for one role."""

    COUNTS = "counts"
    STALE = "stale"
    BLOCKS = "blocks"
    REJECTED = "rejected"
    DISMISSED = "dismissed"
    SUPERSEDED = "superseded"


class Outcome(StrEnum):
    """What is true of one role."""

    APPROVED = "approved"
    BLOCKED = "blocked"
    STALE = "stale"
    MISSING = "missing"
    ERROR = "error"


class State(StrEnum):
    """What is true of the pull request; the values are those of a commit status."""

    SUCCESS = "success"
    PENDING = "pending"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ReviewVerdict:
    """One review, seen by one role. `kept` is true for an approval that holds over a later push."""

    review: int
    author: Account
    standing: Standing
    reason: str
    commit: str | None
    submitted_at: datetime | None
    url: str = ""
    kept: bool = False


@dataclass(frozen=True, slots=True)
class RoleVerdict:
    """The verdict on one role.

    Attributes
    ----------
    role
        The role.
    outcome
        What is true of it.
    reason
        Why, in a sentence without a final stop.
    reviews
        Every review that was looked at for the role, oldest first.
    approver
        The approval that fills the role, when it is approved.
    eligible
        Logins that could approve now and have not.
    warning
        Why approval may become hard to get; empty when it will not.
    label_word
        Why a label that was set by hand was taken off; empty when there was none.
    """

    role: Role
    outcome: Outcome
    reason: str
    reviews: tuple[ReviewVerdict, ...] = ()
    approver: ReviewVerdict | None = None
    eligible: tuple[str, ...] = ()
    warning: str = ""
    label_word: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on the pull request.

    `applicable` is false when no schema that the policy looks after is changed. `others` holds reviews that
    count for no role at all.
    """

    state: State
    description: str
    applicable: bool
    roles: tuple[RoleVerdict, ...] = ()
    others: tuple[ReviewVerdict, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def approved(self) -> bool:
        """Whether nothing is missing; a draft can have all approvals and still not be a success."""
        return not self.applicable or all(role.outcome is Outcome.APPROVED for role in self.roles)


@dataclass(frozen=True, slots=True)
class Node:
    """One line of an explanation with the lines that support it."""

    text: str
    outcome: str
    children: tuple[Node, ...] = ()


def explain(decision: Decision) -> Node:
    """Turn a decision into a tree of sentences.

    Parameters
    ----------
    decision
        The decision.

    Returns
    -------
    Node
        The root; a role's node holds the reviews that were looked at for it.
    """
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
    """Write one review as a line."""
    when = review.submitted_at.strftime("%Y-%m-%d") if review.submitted_at else "an unknown day"
    return Node(f"review by {review.author.login} of {when}: {review.reason}", review.standing.value)
