"""Plan status, comment and reactions on GitHub (rules P2 and P3)."""

from __future__ import annotations

from dataclasses import dataclass

from consdb_actions.approval.comment import CommentPlan, Part, plan_comment
from consdb_actions.approval.plan import StatusPlan
from consdb_actions.process.comment_commands import Command, CommandOutcome, Verb, answers_in
from consdb_actions.process.facts import ProcessFacts
from consdb_actions.process.memory import recall
from consdb_actions.process.states import Progress
from consdb_actions.process.summary import Readiness, readiness

__all__ = ["CONTEXT", "ProcessPlan", "ReactionPlan", "CommentRequests", "make_plan", "requests_of"]

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
