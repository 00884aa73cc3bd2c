"""Plan status, comment and reactions on GitHub (rules P2 and P3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from consdb_actions.approval.comment import CommentPlan, Part, plan_comment
from consdb_actions.approval.plan import StatusPlan
from consdb_actions.forms import Public
from consdb_actions.process.comment_commands import Command, CommandOutcome, Verb, answers_in
from consdb_actions.process.facts import ProcessFacts
from consdb_actions.process.memory import recall
from consdb_actions.process.states import Progress
from consdb_actions.process.summary import Readiness, readiness

__all__ = [
    "CONTEXT",
    "ProcessPlan",
    "ReactionPlan",
    "CommentRequests",
    "ProcessReport",
    "make_plan",
    "requests_of",
]

CONTEXT = "consdb/ready-to-merge"  # Name of the commit status


@dataclass(frozen=True, slots=True)
class ReactionPlan:
    """A reaction to set on a comment."""

    comment: int
    content: str
    instead_of: str = ""  # our present reaction, to remove


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """The changes to make; an empty plan changes nothing."""

    number: int
    status: StatusPlan | None = None
    reactions: tuple[ReactionPlan, ...] = ()
    comment: CommentPlan | None = None

    @property
    def empty(self) -> bool:
        """Return whether GitHub is up to date."""
        return self == ProcessPlan(self.number)


@dataclass(frozen=True, slots=True)
class CommentRequests:
    """Requests for the next migration."""

    answers: tuple[str, ...] = ()  # from `answers_in`
    regenerate: bool = False  # whether a new comment requests a migration or answers a question


def make_plan(facts: ProcessFacts, progress: Progress, body: str) -> ProcessPlan:
    """Compare GitHub with the status to publish.

    A comment is created for a schema change or an answered command. A pull request that was closed without a
    merge is left alone, and the status of a merged one stays.
    """
    pull = facts.pull
    if pull.state != "open" and pull.merged_at is None:
        return ProcessPlan(pull.number)
    create = progress.applicable or bool(progress.listening.memos)
    return ProcessPlan(
        number=pull.number,
        status=_status(facts, readiness(facts, progress)) if pull.merged_at is None else None,
        reactions=_reactions(facts, progress),
        comment=plan_comment(facts.marked, facts.identity, Part.PROCESS, body, create=create),
    )


def requests_of(facts: ProcessFacts, progress: Progress) -> CommentRequests:
    """Collect the requests for the next migration."""
    known = recall(facts)
    # A comment without a reaction was read before but could not be judged then.
    new = {
        memo.comment
        for memo in progress.listening.memos
        if memo.comment not in known or not known[memo.comment].reaction
    }
    regenerate = any(
        item.outcome is CommandOutcome.ACCEPTED
        and isinstance(item.said, Command)
        and item.said.verb in (Verb.RENAME, Verb.TAKE, Verb.REGENERATE)
        and item.comment.id in new
        for item in progress.listening.heard
    )
    return CommentRequests(answers_in(progress.listening.heard), regenerate)


@dataclass(frozen=True, slots=True)
class ProcessReport(Public):
    """The status of a change, as ``process status`` prints it with ``--format json``."""

    FORMAT: ClassVar[str] = "consdb-actions/process/1"
    PUBLIC: ClassVar[str] = (
        "repository=facts.repository number=facts.pull.number title=facts.pull.title url=facts.pull.url "
        "head=facts.pull.head applicable=progress.applicable routes=progress.scope.routes "
        "state=readiness.state description=readiness.description ready=readiness.ready next=next_steps "
        "steps=progress.steps commands=progress.listening.heard answers=requests.answers "
        "regenerate=requests.regenerate troubles=facts.troubles"
    )

    facts: ProcessFacts
    progress: Progress

    @property
    def readiness(self) -> Readiness:
        """Return the status ``consdb/ready-to-merge``."""
        return readiness(self.facts, self.progress)

    @property
    def requests(self) -> CommentRequests:
        """Return the requests for the next migration."""
        return requests_of(self.facts, self.progress)

    @property
    def next_steps(self) -> tuple[str, ...]:
        """Return the ids of the actionable steps."""
        return tuple(item.step.id for item in self.progress.actionable)


def _status(facts: ProcessFacts, verdict: Readiness) -> StatusPlan | None:
    wanted = StatusPlan(facts.pull.head, verdict.state, verdict.description, facts.pull.url, CONTEXT)
    shown = facts.status
    if (
        shown is not None
        and (shown.creator is None or facts.identity.same_as(shown.creator))
        and (shown.state, shown.description, shown.target_url)
        == (wanted.state, wanted.description, wanted.target_url)
    ):
        return None
    return wanted


def _reactions(facts: ProcessFacts, progress: Progress) -> tuple[ReactionPlan, ...]:
    known = recall(facts)
    planned = []
    for memo in progress.listening.memos:
        before = known[memo.comment].reaction if memo.comment in known else ""
        if memo.reaction and memo.reaction != before:
            planned.append(ReactionPlan(memo.comment, memo.reaction, before))
    return tuple(planned)
