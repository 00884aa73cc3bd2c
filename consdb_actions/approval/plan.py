"""What to change on GitHub so that it shows the decision."""

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
    """A comment to write: a new one, or a new body for the comment `id`."""

    body: str
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes to make; an empty plan changes nothing.

    `labels_add` holds roles, because a label that the repository does not have yet is made with their colour.
    """

    number: int
    labels_add: tuple[Role, ...] = ()
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
    """Compare what GitHub shows with what it should show.

    Parameters
    ----------
    facts
        The facts.
    decision
        The decision that they led to.
    body
        The comment's text for this decision.

    Returns
    -------
    Plan
        The changes to make. Where nothing needs approval no comment is started, but one that exists is kept
        up to date.
    """
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
    """Plan the status; None when ours says the same already.

    A status of the same name that somebody else set is replaced, whatever it says.
    """
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
