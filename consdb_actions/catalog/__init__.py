"""What Postgres says about a schema: one model, its comparison, and the three-way merge."""

from __future__ import annotations

from consdb_actions.catalog.compare import Difference, canonical, compare, fact
from consdb_actions.catalog.snapshot import Column, Constraint, Grant, Index, Relation, Sequence, Snapshot

__all__ = [
    "Column",
    "Constraint",
    "Difference",
    "Grant",
    "Index",
    "Relation",
    "Sequence",
    "Snapshot",
    "canonical",
    "compare",
    "fact",
]
