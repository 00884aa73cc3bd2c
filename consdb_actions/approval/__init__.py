"""Who has approved a schema change, for which role, and what is still missing.

Pure: facts go in, a tree of verdicts and a plan come out. Nothing here touches the network, the clock or the
environment.
"""

from __future__ import annotations

from consdb_actions.approval.codec import facts_from_json, facts_to_json
from consdb_actions.approval.evaluate import evaluate
from consdb_actions.approval.plan import make_plan
from consdb_actions.approval.policy import DEFAULT_POLICY, policy_from_mapping
from consdb_actions.approval.verdict import explain

__all__ = [
    "DEFAULT_POLICY",
    "evaluate",
    "explain",
    "facts_from_json",
    "facts_to_json",
    "make_plan",
    "policy_from_mapping",
]
