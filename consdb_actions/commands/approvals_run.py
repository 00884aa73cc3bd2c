"""One pull request from facts to what GitHub shows, until both agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from consdb_actions.adapters.github.approvals import ApprovalPublisher, Gatherer
from consdb_actions.approval.evaluate import Decision, evaluate
from consdb_actions.approval.facts import ApprovalFacts
from consdb_actions.approval.plan import ApprovalPlan, make_plan
from consdb_actions.report.approvals import render_comment

__all__ = ["ApprovalsResult", "sync_pull"]

PASSES = 4
"""How often a run looks again whether something changed while it wrote."""


@dataclass(frozen=True, slots=True)
class ApprovalsResult:
    """What was found, decided and done for one pull request.

    Attributes
    ----------
    facts, decision
        As they were when the run ended.
    plan
        What the first look asked to be changed.
    warnings
        What could not be done and does not matter enough to fail.
    """

    facts: ApprovalFacts
    decision: Decision
    plan: ApprovalPlan
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: ApprovalFacts, decision: Decision) -> ApprovalsResult:
        """Return the result of looking at facts, with the plan that follows."""
        return cls(facts, decision, make_plan(facts, decision, render_comment(facts, decision)))


def sync_pull(
    gatherer: Gatherer, publisher: ApprovalPublisher | None, number: int, now: datetime
) -> ApprovalsResult:
    """Gather, decide and publish, and look again until there is nothing left to change (rule A10).

    Whoever of two runs at once looks last makes the end state; looking again is cheap, because GitHub answers
    what did not change without cost.
    """
    warnings: list[str] = []
    first: ApprovalPlan | None = None
    for _ in range(PASSES):
        facts = gatherer.gather(number, now)
        decision = evaluate(facts)
        plan = make_plan(facts, decision, render_comment(facts, decision))
        if publisher is not None and not publisher.asking:
            plan = replace(plan, ask_people=(), ask_teams=())
        if publisher is not None and publisher.silent:
            plan = replace(plan, comment=None)
        first = first or plan
        if facts.pull.state != "open":
            first = ApprovalPlan(number)
            warnings.append(f"pull request {number} is closed; nothing is published")
            break
        if publisher is None or plan.empty:
            break
        publisher.publish(plan, facts.identity)
        gatherer.identity = publisher.identity
    else:
        warnings.append(
            f"pull request {number} kept changing while it was looked at; the next run goes on from there"
        )
    warnings.extend(publisher.warnings if publisher is not None else ())
    return ApprovalsResult(facts, decision, first or plan, tuple(dict.fromkeys(warnings)))
