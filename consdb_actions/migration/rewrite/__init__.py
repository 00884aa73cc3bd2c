"""Rewrite rules that complete a script's operations, in the order in which they run."""

from __future__ import annotations

from consdb_actions.migration.rewrite.compare import compare
from consdb_actions.migration.rewrite.copies import copies
from consdb_actions.migration.rewrite.foreign_keys import foreign_keys
from consdb_actions.migration.rewrite.grants import grants
from consdb_actions.migration.rewrite.identity import identity
from consdb_actions.migration.rewrite.losses import losses
from consdb_actions.migration.rewrite.not_null import not_null
from consdb_actions.migration.rewrite.order import order
from consdb_actions.migration.rewrite.plan import Facts, Plan
from consdb_actions.migration.rewrite.retype import retype
from consdb_actions.migration.rewrite.sequences import sequences
from consdb_actions.migration.rewrite.stand_ins import stand_in_rows
from consdb_actions.migration.rewrite.views import views

__all__ = ["RULES", "rewrite"]

RULES = (
    compare,
    foreign_keys,
    retype,
    not_null,
    stand_in_rows,
    copies,
    sequences,
    grants,
    losses,
    views,
    identity,
    order,
)


def rewrite(plan: Plan, facts: Facts) -> Plan:
    """Apply all rules in order."""
    for rule in RULES:
        plan = rule(plan, facts)
    return plan
