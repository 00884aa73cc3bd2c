"""Decide on the merge; plan status, comment and reactions (rules P2, P3, A9)."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import ClassVar

from consdb_actions.approval.comment import Part, plan_comment
from consdb_actions.approval.evaluate import fit
from consdb_actions.approval.plan import PullPlan, ReactionPlan, plan_status
from consdb_actions.forms import Public
from consdb_actions.process.comment_commands import Command, CommandOutcome, Verb, answers_in
from consdb_actions.process.facts import FactSource, ProcessFacts
from consdb_actions.process.states import Progress, StepState, StepStatus
from consdb_actions.process.steps import MERGE
from consdb_actions.process.stored_state import recall

CONTEXT = "consdb/ready-to-merge"  # Name of the commit status


@dataclass(frozen=True, slots=True)
class Readiness:
    """State and description of the commit status."""

    state: str
    description: str

    @property
    def ready(self) -> bool:
        """Return whether the pull request may be merged."""
        return self.state == "success"


def readiness(facts: ProcessFacts, progress: Progress) -> Readiness:
    """Decide whether all steps before the merge are done.

    The state is ``success`` only if nothing before the merge is missing and the pull request is not a draft;
    ``error`` if something is unknown, ``failure`` if something is stale or was done too early, and else
    ``pending``. The description has at most 140 characters.
    """
    if not progress.applicable and facts.trouble(FactSource.SCHEMAS):
        return Readiness("error", "Unknown: the schema change could not be read")
    if not progress.applicable:
        return Readiness("success", "Not applicable: no ConsDB schema is changed")
    waiting = [item for item in progress.before_merge if item.open]
    unknown = [item for item in waiting if item.standing is StepStatus.UNKNOWN]
    if unknown:
        return Readiness("error", _line("Unknown", unknown))
    if not waiting:
        if facts.pull.draft:
            return Readiness("pending", "Draft; all steps before the merge are done")
        return Readiness("success", "All steps before the merge are done")
    stale = [item for item in waiting if item.standing is StepStatus.STALE]
    if stale:
        return Readiness("failure", _line("Stale", stale))
    early = [
        item
        for item in progress.steps
        if item.step.id != MERGE and any(disorder.still for disorder in item.order)
    ]
    if early:
        return Readiness("failure", _line("Done too early", early))
    first = next(iter(progress.actionable), waiting[0])
    count = len(waiting)
    many = f"{count} step{'' if count == 1 else 's'} before the merge missing"
    return Readiness(
        "pending",
        fit((f"Next: {first.step.todo} ({first.owner}); {many}", f"Next: {first.step.todo}; {many}", many)),
    )


def _line(what: str, items: list[StepState]) -> str:
    titles = ", ".join(item.step.title for item in items)
    ids = ", ".join(item.step.id for item in items)
    return fit((f"{what}: {titles}", f"{what}: {ids}", f"{what}: {len(items)} steps"))


@dataclass(frozen=True, slots=True)
class CommentRequests:
    """Requests for the next migration."""

    answers: tuple[str, ...] = ()  # from `answers_in`
    regenerate: bool = False  # whether a new comment requests a migration or answers a question


def make_plan(facts: ProcessFacts, progress: Progress, body: str) -> PullPlan:
    """Compare GitHub with the status to publish.

    A comment is created for a schema change or an answered command. A pull request that was closed without a
    merge is left alone, and the status of a merged one stays.
    """
    pull = facts.pull
    if pull.state != "open" and pull.merged_at is None:
        return PullPlan(pull.number)
    create = progress.applicable or bool(progress.listening.memos)
    verdict = astuple(readiness(facts, progress))
    return PullPlan(
        number=pull.number,
        status=None if pull.merged_at is not None else plan_status(facts, CONTEXT, *verdict),
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
    regenerate = facts.pull.state == "open" and any(
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


def _reactions(facts: ProcessFacts, progress: Progress) -> tuple[ReactionPlan, ...]:
    known = recall(facts)
    planned = []
    for memo in progress.listening.memos:
        before = known[memo.comment].reaction if memo.comment in known else ""
        if memo.reaction and memo.reaction != before:
            planned.append(ReactionPlan(memo.comment, memo.reaction, before))
    return tuple(planned)
