"""Decide who approved a schema change for which role; pure, without network or clock."""

from __future__ import annotations

from consdb_actions.approval.evaluate import evaluate, explain
from consdb_actions.approval.facts import facts_from_json, facts_to_json
from consdb_actions.approval.plan import make_plan
from consdb_actions.approval.policy import DEFAULT_POLICY, policy_from_mapping

__all__ = [
    "DEFAULT_POLICY",
    "evaluate",
    "explain",
    "facts_from_json",
    "facts_to_json",
    "make_plan",
    "policy_from_mapping",
]
