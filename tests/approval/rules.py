"""Short words for what the tests of the rules ask."""

from __future__ import annotations

from typing import Any

from consdb_actions.approval.evaluate import Decision, RoleOutcome, RoleVerdict, evaluate
from consdb_actions.approval.facts import (
    ApprovalFacts,
)
from tests.support.facts import (
    facts,
    policy,
    review,
)

__all__ = ["LABELED", "LABELS", "everybody", "outcome", "role", "several"]

LABELED = "labeled"
LABELS = {
    "de": "approved: data-engineering",
    "po": "approved: product-owner",
    "consdb": "approved: consdb",
}


def role(decision: Decision, identifier: str) -> RoleVerdict:
    return next(item for item in decision.roles if item.role.id == identifier)


def outcome(known: ApprovalFacts, identifier: str) -> RoleOutcome:
    return role(evaluate(known), identifier).outcome


def everybody(**values: Any) -> ApprovalFacts:
    return facts(review("dan"), review("olga"), review("carl"), **values)


def several(**values: Any) -> Any:
    """A policy in which olga holds two roles."""
    roles = [
        {"id": "de", "teams": ["lsst/data-engineering"]},
        {"id": "po", "people": ["olga"]},
        {"id": "consdb", "people": ["olga", "carl"]},
    ]
    return policy(roles=roles, **values)
