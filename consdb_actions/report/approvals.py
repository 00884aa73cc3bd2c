"""Reports of an approval decision: text and JSON."""

from __future__ import annotations

from typing import Any

from consdb_actions.approval.facts import Facts
from consdb_actions.approval.plan import Plan
from consdb_actions.approval.verdict import (
    Decision,
    Node,
    Outcome,
    ReviewVerdict,
    RoleVerdict,
    Standing,
    explain,
)

__all__ = ["FORMAT", "render_json", "render_plan", "render_text", "render_tree"]

FORMAT = "consdb-actions/approvals/1"


def render_text(facts: Facts, decision: Decision) -> str:
    """Render a decision for a terminal."""
    lines = [
        f"{facts.repository}#{facts.pull.number}: {facts.pull.title}",
        f"{decision.state}: {decision.description}",
    ]
    width = max((len(item.role.title) for item in decision.roles), default=0)
    for item in decision.roles:
        lines.append(f"  {item.outcome:<9} {item.role.title:<{width}}  {_plain(item)}")
        if item.outcome is Outcome.MISSING:
            lines.extend(
                f"            the review by {review.author.login} {review.reason}"
                for review in item.reviews
                if review.standing is Standing.REJECTED
            )
        lines += [f"            {item.warning}"] if item.warning else []
        lines += [f"            {item.label_word}"] if item.label_word else []
    lines.extend(f"  note: {note}" for note in decision.notes)
    return "\n".join(lines)


def _plain(item: RoleVerdict) -> str:
    """Render the verdict on a role in one line."""
    if item.approver is not None:
        review = item.approver
        day = review.submitted_at.strftime("%Y-%m-%d") if review.submitted_at else "unknown day"
        return f"{review.author.login}, {day}, {review.reason.removeprefix('counts, ')}"
    able = f"; can approve: {', '.join(item.eligible)}" if item.eligible else ""
    return item.reason + able


def render_tree(decision: Decision) -> str:
    """Render the tree of verdicts, one line per node."""
    lines: list[str] = []

    def walk(node: Node, depth: int) -> None:
        lines.append(f"{'  ' * depth}[{node.outcome}] {node.text}")
        for child in node.children:
            walk(child, depth + 1)

    walk(explain(decision), 0)
    return "\n".join(lines)


def render_plan(plan: Plan) -> str:
    """List the changes of a plan, one line each."""
    lines = [f"add the label {role.label}" for role in plan.labels_add]
    lines += [f"take off the label {label}" for label in plan.labels_remove]
    lines += [f"ask {name} for a review" for name in (*plan.ask_people, *plan.ask_teams)]
    if plan.status is not None:
        status = plan.status
        lines.append(
            f"set the status {status.context} on {status.sha[:8]} to {status.state}: {status.description}"
        )
    if plan.comment is not None:
        lines.append(
            "write the comment" if plan.comment.id is None else f"change the comment {plan.comment.id}"
        )
    lines += [f"remove the comment {number}" for number in plan.comments_delete]
    return "\n".join(f"would {line}" for line in lines) or "nothing would change"


def render_json(facts: Facts, decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON data, described by ``approvals.schema.json``."""
    return {
        "format": FORMAT,
        "repository": facts.repository,
        "number": facts.pull.number,
        "head": facts.pull.head,
        "state": decision.state.value,
        "description": decision.description,
        "applicable": decision.applicable,
        "approved": decision.approved,
        "roles": [
            {
                "id": item.role.id,
                "title": item.role.title,
                "outcome": item.outcome.value,
                "reason": item.reason,
                "approver": item.approver.author.login if item.approver else None,
                "eligible": list(item.eligible),
                "warning": item.warning,
                "reviews": [_review_json(review) for review in item.reviews],
            }
            for item in decision.roles
        ],
        "others": [_review_json(review) for review in decision.others],
        "notes": list(decision.notes),
    }


def _review_json(review: ReviewVerdict) -> dict[str, Any]:
    return {
        "id": review.review,
        "author": review.author.login,
        "standing": review.standing.value,
        "reason": review.reason,
        "commit": review.commit,
        "submitted_at": review.submitted_at.isoformat() if review.submitted_at else None,
        "kept": review.kept,
    }
