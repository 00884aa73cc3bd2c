"""Plan the changes on GitHub that publish the decision."""

from __future__ import annotations

from dataclasses import dataclass

from consdb_actions.approval.asking import reviewers_to_ask
from consdb_actions.approval.facts import Facts
from consdb_actions.approval.labels import label_changes
from consdb_actions.approval.memory import other_bots, own_comments
from consdb_actions.approval.policy import Role
from consdb_actions.approval.summary import fit
from consdb_actions.approval.verdict import Decision

__all__ = ["CONTEXT", "CommentPlan", "Plan", "StatusPlan", "make_plan"]

CONTEXT = "consdb/approvals"
"""The name of the commit status."""


@dataclass(frozen=True, slots=True)
class StatusPlan:
    """A commit status to set on the head commit."""

    sha: str
    state: str
    description: str
    target_url: str
    context: str = CONTEXT


@dataclass(frozen=True, slots=True)
class CommentPlan:
    """A comment to create, or the new body of comment `id`."""

    body: str
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes to make; an empty plan changes nothing."""

    number: int
    labels_add: tuple[Role, ...] = ()
    """Roles, since a missing label is created with the role's color."""
    labels_remove: tuple[str, ...] = ()
    ask_people: tuple[str, ...] = ()
    ask_teams: tuple[str, ...] = ()
    comment: CommentPlan | None = None
    comments_delete: tuple[int, ...] = ()
    status: StatusPlan | None = None

    @property
    def empty(self) -> bool:
        """Whether GitHub shows the decision already."""
        return self == Plan(self.number)


def make_plan(facts: Facts, decision: Decision, body: str) -> Plan:
    """Compare GitHub with the decision; a comment is created only if approval is needed."""
    add, remove = label_changes(facts, decision)
    own = own_comments(facts.comments, facts)
    people, teams = reviewers_to_ask(facts, decision)
    comment = None
    if own and own[0].body.replace("\r\n", "\n").strip() != body.strip():
        comment = CommentPlan(body, own[0].id)
    elif not own and (decision.applicable or remove):
        comment = CommentPlan(body)
    others = other_bots(facts.comments, facts.identity) if own or comment else []
    return Plan(
        number=facts.pull.number,
        labels_add=tuple(role for role in facts.policy.roles if role.label in add),
        labels_remove=remove,
        ask_people=people,
        ask_teams=teams,
        comment=comment,
        comments_delete=tuple(item.id for item in (*own[1:], *others)),
        status=_status(facts, decision),
    )


def _status(facts: Facts, decision: Decision) -> StatusPlan | None:
    """Plan the status, replacing another creator's; None when ours is up to date."""
    wanted = StatusPlan(facts.pull.head, decision.state.value, fit((decision.description,)), facts.pull.url)
    shown = facts.status
    if (
        shown is not None
        and (shown.creator is None or facts.identity.same_as(shown.creator))
        and (shown.state, shown.description, shown.target_url)
        == (wanted.state, wanted.description, wanted.target_url)
    ):
        return None
    return wanted
