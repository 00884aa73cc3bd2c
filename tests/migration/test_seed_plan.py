"""The rows that are made up for a proof."""

from __future__ import annotations

from consdb_actions.catalog import Column, Relation, Snapshot
from consdb_actions.migration.seed import Demands, plan_rows
from consdb_actions.migration.seed.shape import Reference


def test_m15_a_column_tied_to_a_table_that_is_left_out_gets_values() -> None:
    """A table that must be empty takes no part, though a foreign key to come names it."""
    columns = {"key": Column("key", 0, "bigint", nullable=False)}
    snapshot = Snapshot("cdb_latiss", {"child": Relation("child", "table", columns)})
    reference = Reference("fk", "gone", ("key",), "child", ("key",), wanted=True)
    seeding = plan_rows(snapshot, demands=Demands(references=(reference,)))
    (child,) = seeding.tables
    assert child.rows
