"""Process one pull request until GitHub shows what its facts require."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from consdb_actions.adapters.github.approvals import ApprovalPublisher, Gatherer
from consdb_actions.approval.evaluate import Decision, evaluate
from consdb_actions.approval.facts import ApprovalFacts
from consdb_actions.approval.plan import ApprovalPlan, make_plan
from consdb_actions.report.approvals import render_comment

__all__ = ["ApprovalsResult", "sync_pull"]

PASSES = 4  # How often a run looks again whether something changed while it wrote


@dataclass(frozen=True, slots=True)
class ApprovalsResult:
    """Facts and decision at the end of a run, and what was published for one pull request."""

    facts: ApprovalFacts
    decision: Decision
    plan: ApprovalPlan  # From the first pass
    warnings: tuple[str, ...] = ()  # Failures that do not fail the run

    @classmethod
    def of(cls, facts: ApprovalFacts, decision: Decision) -> ApprovalsResult:
        """Evaluate facts, and plan."""
        return cls(facts, decision, make_plan(facts, decision, render_comment(facts, decision)))


def sync_pull(
    gatherer: Gatherer, publisher: ApprovalPublisher | None, number: int, now: datetime
) -> ApprovalsResult:
    """Gather, decide and publish, until nothing is left to change (rule A10)."""
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
        warnings.append(f"pull request {number} kept changing during the run; the next run continues")
    warnings.extend(publisher.warnings if publisher is not None else ())
    return ApprovalsResult(facts, decision, first or plan, tuple(dict.fromkeys(warnings)))
