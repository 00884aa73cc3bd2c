"""States and order of the steps; status, comment and reactions that follow (rules P1 to P3, A9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from consdb_actions.approval.evaluate import fit
from consdb_actions.approval.plan import Part, PullPlan, ReactionPlan, plan_comment, plan_status
from consdb_actions.forms import Public
from consdb_actions.process.comment_commands import (
    Attestation,
    Binding,
    CommandOutcome,
    CommentCommands,
    Verb,
    answers_in,
    recall,
)
from consdb_actions.process.evidence import DERIVED, evaluate_comments, owner_names, present_binding
from consdb_actions.process.facts import Evidence, FactSource, ProcessFacts, StepFinding, listed
from consdb_actions.process.policy import BY_ID, MERGE, STEPS, ProcessStep, Route, Scope


@dataclass(frozen=True, slots=True)
class OrderViolation(Public):
    """A step that was done out of order."""

    PUBLIC: ClassVar[str] = "message=text steps still"

    text: str  # a sentence without full stop
    steps: tuple[str, ...]  # ids of the steps that should have been done before
    still: bool  # whether they are still not done


def order_of(
    step: ProcessStep, findings: Mapping[str, StepFinding], scope: Scope
) -> tuple[OrderViolation, ...]:
    """Find what should have been done before a finished step; steps without a known time do not count."""
    names = scope.before_merge if step.id == MERGE else scope.before(step)
    at = findings[step.id].at
    missing: list[str] = []
    unattested: list[str] = []
    later: dict[str, timedelta] = {}
    for name in names:
        before = findings[name]
        if before.unknown:
            continue
        if not before.done:
            silent = BY_ID[name].attested and not before.stale and not before.evidence
            (unattested if silent else missing).append(name)
        elif at is not None and before.at is not None and at < before.at:
            later[name] = before.at - at
    found = []
    if later:
        words = [f"{_quoted(name)} ({duration(span)} later)" for name, span in later.items()]
        found.append(OrderViolation(f"done before {listed(words)}", tuple(later), still=False))
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        words = [_quoted(name) for name in missing]
        found.append(
            OrderViolation(f"done although {listed(words)} {verb} not done", tuple(missing), still=True)
        )
    if unattested:
        words = [_quoted(name) for name in unattested]
        found.append(
            OrderViolation(
                f"done although nobody has attested to {listed(words)}", tuple(unattested), still=True
            )
        )
    return tuple(found)


def duration(span: timedelta) -> str:
    """Return a rounded duration as text."""
    minutes = int(span.total_seconds() // 60)
    for size, unit in ((60 * 24, "day"), (60, "hour")):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}s"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _quoted(name: str) -> str:
    return f"“{BY_ID[name].title}”"


class StepStatus(StrEnum):
    """The status of a step."""

    DONE = "done"
    NEXT = "next"
    WAITING = "waiting"
    STALE = "stale"
    OUT_OF_ORDER = "out of order"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class StepState(Public):
    """The status of a step, with its evidence."""

    PUBLIC: ClassVar[str] = (
        "id=step.id title=step.title status done attested=step.attested message=text owner "
        "people at by since commit note evidence order"
    )

    step: ProcessStep
    status: StepStatus
    done: bool = False  # for this very change, in any order
    text: str = ""  # a sentence without full stop; may be empty
    order: tuple[OrderViolation, ...] = ()  # violations of the order
    owner: str = ""  # title of the role
    people: tuple[str, ...] = ()  # who can complete the step now
    at: datetime | None = None
    by: str = ""
    since: datetime | None = None  # when it began to wait for its owner, if next or stale
    commit: str = ""  # of the pull request that an attestation refers to
    note: str = ""  # of an attestation
    evidence: tuple[Evidence, ...] = ()

    @property
    def open(self) -> bool:
        """Return whether the step applies and is not done."""
        return not self.done and self.status is not StepStatus.NOT_APPLICABLE


@dataclass(frozen=True, slots=True)
class Progress:
    """The status of a schema change."""

    applicable: bool  # whether a schema changes at all
    scope: Scope  # routes and applicable steps
    steps: tuple[StepState, ...]  # all steps in order
    comments: CommentCommands  # commands from comments

    def state(self, identifier: str) -> StepState:
        """Return the status of a step."""
        return next(item for item in self.steps if item.step.id == identifier)

    @property
    def before_merge(self) -> tuple[StepState, ...]:
        """Return the steps required before the merge in sdm_schemas (rule P3)."""
        return tuple(self.state(name) for name in self.scope.before_merge)

    @property
    def actionable(self) -> tuple[StepState, ...]:
        """Return the actionable steps in order."""
        wanted = (StepStatus.NEXT, StepStatus.STALE)
        return tuple(
            item
            for item in self.steps
            if item.status in wanted
            and not any(self.state(name).open for name in self.scope.all_before(item.step))
        )

    @property
    def needless(self) -> dict[str, str]:
        """Return the titles of the steps that do not apply, by the reason."""
        reasons: dict[str, list[str]] = {}
        for item in self.steps:
            if item.status is StepStatus.NOT_APPLICABLE:
                reasons.setdefault(item.text, []).append(f"“{item.step.title}”")
        return {reason: ", ".join(titles) for reason, titles in reasons.items()}

    @property
    def troubled(self) -> bool:
        """Return whether a step is stale, out of order, or unknown."""
        wrong = (StepStatus.STALE, StepStatus.OUT_OF_ORDER, StepStatus.UNKNOWN)
        return any(item.status in wrong for item in self.steps)


def routes_of(facts: ProcessFacts) -> tuple[Route, ...]:
    """Return the routes of a change: transformed EFD data comes from USDF."""
    found = {Route.USDF if item.schema.startswith("efd_") else Route.SUMMIT for item in facts.schemas}
    return tuple(route for route in Route if route in found)


def progress_of(facts: ProcessFacts) -> Progress:
    """Derive the status of all steps, independent of the facts' order."""
    routes = routes_of(facts)
    reasons = {step.id: _why_not(facts, step, routes) for step in STEPS}
    scope = Scope(routes, frozenset(step.id for step in STEPS if not reasons[step.id]))
    comments = evaluate_comments(facts, scope.ids)
    now = present_binding(facts)
    current = DERIVED["generate"](facts).done
    findings: dict[str, StepFinding] = {}
    chosen: dict[str, Attestation] = {}
    for step in STEPS:
        if step.id not in scope.ids:
            continue
        if not step.attested:
            findings[step.id] = DERIVED[step.id](facts)
            continue
        given = comments.attestations.get(step.id, ())
        valid = [item for item in given if _holds(item.binding, now, current)]
        if given:
            chosen[step.id] = (valid or given[-1:])[0]
        findings[step.id] = _attested(facts, step, comments, chosen.get(step.id), bool(valid), now)
    return Progress(
        bool(facts.schemas),
        scope,
        tuple(_state(facts, step, reasons[step.id], findings, scope, chosen.get(step.id)) for step in STEPS),
        comments,
    )


def _why_not(facts: ProcessFacts, step: ProcessStep, routes: tuple[Route, ...]) -> str:
    """Return why a step does not apply; empty if it does."""
    if not routes:
        return "no schema is changed"
    if not set(step.routes) & set(routes):
        return "the data come from USDF" if Route.USDF in routes else "the data come from the Summit"
    if step.id == "publication" and not _new_tables(facts) and not facts.trouble(FactSource.SCHEMAS):
        return "there is no new table"
    return ""


def _new_tables(facts: ProcessFacts) -> list[str]:
    return [
        f"{item.schema}.{table}"
        for item in facts.schemas
        if not item.schema.startswith("efd_")
        for table in item.new_tables
    ]


def _holds(binding: Binding, now: Binding, current: bool) -> bool:
    """Tell whether an attestation refers to the present state, or to the same up-to-date migration."""
    if binding.migration != now.migration:
        return False
    same = binding.sha == now.sha or (binding.change != "" and binding.change == now.change)
    return same or (current and now.migration != "")


def _attested(
    facts: ProcessFacts,
    step: ProcessStep,
    comments: CommentCommands,
    attestation: Attestation | None,
    valid: bool,
    now: Binding,
) -> StepFinding:
    if attestation is None:
        undone = comments.undone.get(step.id)
        if undone is None:
            tables = _new_tables(facts) if step.id == "publication" else []
            return StepFinding(False, f"new: {', '.join(tables)}" if tables else "")
        note = undone.command.note
        text = f"undone by {undone.actor.login} on {undone.comment.created_at:%Y-%m-%d}"
        return StepFinding(
            False,
            f"{text}: {note}" if note else text,
            evidence=(Evidence("comment", undone.comment.url),),
        )
    evidence = (Evidence("comment", attestation.url),)
    if valid:
        return StepFinding(True, attestation.note, attestation.at, attestation.by, evidence)
    if attestation.binding.change == now.change or attestation.binding.sha == now.sha:
        what = "the migration has changed since"
    else:
        what = f"the schema change is different since ({facts.pull.head[:8]})"
    return StepFinding(False, what, attestation.at, attestation.by, evidence, stale=True)


def _state(
    facts: ProcessFacts,
    step: ProcessStep,
    reason: str,
    findings: dict[str, StepFinding],
    scope: Scope,
    attestation: Attestation | None,
) -> StepState:
    """Compare the finding on a step with earlier steps."""
    if reason:
        return StepState(step, StepStatus.NOT_APPLICABLE, text=reason)
    finding = findings[step.id]
    owner, people = owner_names(facts, step)
    waits = any(not findings[item].done for item in scope.all_before(step))
    order: tuple[OrderViolation, ...] = ()
    since = None
    if finding.unknown:
        status = StepStatus.UNKNOWN
    elif finding.done:
        order = order_of(step, findings, scope)
        status = StepStatus.OUT_OF_ORDER if order else StepStatus.DONE
    elif finding.stale:
        status = StepStatus.STALE
        since = facts.pull.pushed_at or facts.pull.committed_at
    elif waits:
        status = StepStatus.WAITING
    else:
        status = StepStatus.NEXT
        since = _since(facts, step, findings, scope)
    # A waiting step shows nothing, unless it has evidence already.
    silent = status is StepStatus.WAITING and not step.attested and not finding.evidence
    return StepState(
        step=step,
        status=status,
        done=finding.done,
        text="" if silent else finding.text,
        order=order,
        owner=owner,
        people=people,
        at=finding.at,
        by=finding.by,
        since=since,
        commit=attestation.binding.sha if attestation else "",
        note=attestation.note if attestation else "",
        evidence=finding.evidence,
    )


def _since(
    facts: ProcessFacts, step: ProcessStep, findings: dict[str, StepFinding], scope: Scope
) -> datetime:
    known = [findings[item].at for item in scope.before(step)]
    return max((moment for moment in known if moment is not None), default=facts.pull.created_at)


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
    unknown = [item for item in waiting if item.status is StepStatus.UNKNOWN]
    if unknown:
        return Readiness("error", _line("Unknown", unknown))
    if not waiting:
        if facts.pull.draft:
            return Readiness("pending", "Draft; all steps before the merge are done")
        return Readiness("success", "All steps before the merge are done")
    stale = [item for item in waiting if item.status is StepStatus.STALE]
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
    create = progress.applicable or bool(progress.comments.states)
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
        state.comment
        for state in progress.comments.states
        if state.comment not in known or not known[state.comment].reaction
    }
    regenerate = facts.pull.state == "open" and any(
        item.outcome is CommandOutcome.ACCEPTED
        and item.command.verb in (Verb.RENAME, Verb.TAKE, Verb.REGENERATE)
        and item.comment.id in new
        for item in progress.comments.commands
    )
    return CommentRequests(answers_in(progress.comments.commands), regenerate)


@dataclass(frozen=True, slots=True)
class ProcessReport(Public):
    """The status of a change, as ``process status`` prints it with ``--format json``."""

    FORMAT: ClassVar[str] = "consdb-actions/process/1"
    PUBLIC: ClassVar[str] = (
        "repository=facts.repository number=facts.pull.number title=facts.pull.title url=facts.pull.url "
        "head=facts.pull.head applicable=progress.applicable routes=progress.scope.routes "
        "state=readiness.state description=readiness.description ready=readiness.ready next=next_steps "
        "steps=progress.steps commands=progress.comments.commands answers=requests.answers "
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
    for state in progress.comments.states:
        before = known[state.comment].reaction if state.comment in known else ""
        if state.reaction and state.reaction != before:
            planned.append(ReactionPlan(state.comment, state.reaction, before))
    return tuple(planned)
