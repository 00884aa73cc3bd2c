"""Plan labels, statuses and review requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from consdb_actions.approval.comment import CommentPlan, Part, own_sections, plan_comment
from consdb_actions.approval.evaluate import Decision, fit, label_changes, reviewers_to_ask
from consdb_actions.approval.facts import ApprovalFacts, CommitChange, FileChange, PullFacts
from consdb_actions.approval.policy import Role
from consdb_actions.forms import Form, hidden, read_hidden

KEPT = 20  # Maximum number of commits stored in a comment

ROOM = 8_000  # Maximum size of the digests in a comment, in characters; the oldest commits are dropped first

_Digest = Annotated[str, Form(pattern="^[0-9A-Za-z:._-]{0,80}$")]
_Digests = dict[str, tuple[tuple[str, _Digest, _Digest, _Digest], ...]]  # of the files, by commit


def recall(body: str) -> tuple[CommitChange, ...]:
    """Read the digests from our comment; a malformed block gives none."""
    return tuple(
        CommitChange(sha, tuple(FileChange(*entry) for entry in entries), remembered=True)
        for sha, entries in (read_hidden("digests", body, _Digests) or {}).items()
    )


def remember(facts: ApprovalFacts) -> str:
    """Write the digests of the relevant commits, and of earlier ones if space remains."""
    earlier = recall(own_sections(facts.marked, facts.identity).get(Part.APPROVALS, ""))
    known = [change for change in facts.changes if not change.problem]
    shas = {change.sha for change in known}
    kept = [*(change for change in earlier if change.sha not in shas), *known][-KEPT:]
    while True:
        data = {
            change.sha: [[item.path, item.structure, item.text, item.verbatim] for item in change.changes]
            for change in kept
        }
        text = hidden("digests", data)
        if len(text) <= ROOM or not kept:
            return text
        kept = kept[1:]


CONTEXT = "consdb/approvals"  # The name of the commit status


@dataclass(frozen=True, slots=True)
class StatusPlan:
    """A commit status to set on the head commit."""

    sha: str
    state: str
    description: str
    target_url: str
    context: str

    @property
    def line(self) -> str:
        """Say what would be done."""
        return f"set the status {self.context} on {self.sha[:8]} to {self.state}: {self.description}"


@dataclass(frozen=True, slots=True)
class ReactionPlan:
    """A reaction to set on a comment."""

    comment: int
    content: str
    instead_of: str = ""  # our present reaction, to remove


@dataclass(frozen=True, slots=True)
class PullPlan:
    """The changes to make to a pull request; an empty plan changes nothing."""

    number: int
    status: StatusPlan | None = None
    labels_add: tuple[Role, ...] = ()  # Roles, since a missing label is created with the role's color
    labels_remove: tuple[str, ...] = ()
    ask_people: tuple[str, ...] = ()
    ask_teams: tuple[str, ...] = ()
    reactions: tuple[ReactionPlan, ...] = ()
    comment: CommentPlan | None = None

    @property
    def empty(self) -> bool:
        """Whether GitHub shows the decision already."""
        return self == PullPlan(self.number)

    @property
    def lines(self) -> tuple[str, ...]:
        """Say what would be done."""
        return (
            *(f"add the label {role.label}" for role in self.labels_add),
            *(f"remove the label {label}" for label in self.labels_remove),
            *(f"ask {name} for a review" for name in (*self.ask_people, *self.ask_teams)),
            *(() if self.status is None else (self.status.line,)),
            *(f"react to the comment {item.comment} with {item.content}" for item in self.reactions),
            *(() if self.comment is None else self.comment.lines),
        )


def make_plan(facts: ApprovalFacts, decision: Decision, body: str) -> PullPlan:
    """Compare GitHub with the decision; a comment is created only if approval is needed."""
    add, remove = label_changes(facts, decision)
    people, teams = reviewers_to_ask(facts, decision)
    create = decision.applicable or bool(remove)
    return PullPlan(
        number=facts.pull.number,
        status=plan_status(facts, CONTEXT, decision.state.value, fit((decision.description,))),
        labels_add=tuple(role for role in facts.policy.roles if role.label in add),
        labels_remove=remove,
        ask_people=people,
        ask_teams=teams,
        comment=plan_comment(facts.marked, facts.identity, Part.APPROVALS, body, create=create),
    )


def plan_status(facts: PullFacts, context: str, state: str, description: str) -> StatusPlan | None:
    """Plan a status, replacing another creator's; None when ours is up to date."""
    wanted = StatusPlan(facts.pull.head, state, description, facts.pull.url, context)
    shown = facts.status
    if (
        shown is not None
        and (shown.creator is None or facts.identity.same_as(shown.creator))
        and (shown.state, shown.description, shown.target_url)
        == (wanted.state, wanted.description, wanted.target_url)
    ):
        return None
    return wanted
