"""Rows for every table of a schema, so that a migration can be tried on data (rule M15)."""

from consdb_actions.migration.seed.demands import Demands, demands_of
from consdb_actions.migration.seed.plan import Seeding, plan_rows

__all__ = ["Demands", "Seeding", "demands_of", "plan_rows"]
