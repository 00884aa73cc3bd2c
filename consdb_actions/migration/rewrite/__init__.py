"""Rewrite rules that complete a script's operations, in the order in which they run."""

from __future__ import annotations

from consdb_actions.migration.rewrite.compare import compare
from consdb_actions.migration.rewrite.constraints import foreign_keys
from consdb_actions.migration.rewrite.copies import copies
from consdb_actions.migration.rewrite.identity import identity, sequences
from consdb_actions.migration.rewrite.not_null import not_null, stand_in_rows
from consdb_actions.migration.rewrite.plan import DirectionFacts, MigrationPlan, losses, order
from consdb_actions.migration.rewrite.retype import retype
from consdb_actions.migration.rewrite.views import grants, views

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


def rewrite(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
    """Apply all rules in order."""
    for rule in RULES:
        plan = rule(plan, facts)
    return plan
