"""Refuse forbidden tags and skipped stages (rules R5 and R6)."""

from __future__ import annotations

from datetime import date

from consdb_actions.deploy.model import Plan, Refusal, Request
from consdb_actions.deploy.order import Waiting, waiting_words
from consdb_actions.deploy.policy import DeployPolicy, Stage
from consdb_actions.deploy.tags import Kind

__all__ = ["refused_order", "refused_tag", "waiver_problem"]


def refused_tag(policy: DeployPolicy, plan: Plan) -> tuple[tuple[str, ...], list[Refusal]]:
    """Refuse a mutable tag in environments for releases only, unless waived (rule R5)."""
    request = plan.request
    strict = tuple(
        name for name in dict.fromkeys(change.environment for change in plan.changes) if name in policy.strict
    )
    if request.tag.is_fixed or not strict:
        return (), []
    where, until = " and ".join(strict), request.waive_until
    what = "main" if request.tag.kind is Kind.MAIN else f"{request.tag.text}, a tag that can move"
    if until is None:
        return (), [
            Refusal(
                "R5",
                f"{where} runs releases only, and this is {what}",
                "Deploy a release; or say until when it may stay, with --waive-until YYYY-MM-DD.",
            )
        ]
    if problem := waiver_problem(policy, until, request.today):
        return (), [
            Refusal(
                "R5",
                f"the waiver for {where} ends on {until}, which is {problem}",
                "Give --waive-until a day within that time.",
            )
        ]
    return strict, []


def waiver_problem(policy: DeployPolicy, until: date, today: date) -> str:
    """Return why the end of a waiver is invalid; empty if valid."""
    days = (until - today).days
    if days < 0:
        return "past"
    return f"more than {policy.longest_waiver} days away" if days > policy.longest_waiver else ""


def refused_order(request: Request, stage: Stage, waiting: tuple[Waiting, ...]) -> list[Refusal]:
    """Refuse to skip an unfinished stage, unless forced (rule R6)."""
    if not waiting or request.force_order:
        return []
    first = waiting[0]
    return [
        Refusal(
            "R6",
            f"{stage.name} comes after {first.stage}, and {first.stage} is not finished: "
            + waiting_words(item for item in waiting if item.stage == first.stage),
            f"Deploy {first.stage} first (--stage {first.stage}); or go past it with --force-order, which is "
            "written into the pull request.",
        )
    ]
