"""What Postgres says about a schema: one model, its comparison, and the three-way merge."""

from __future__ import annotations

from consdb_actions.catalog.compare import Difference, canonical, compare, fact
from consdb_actions.catalog.snapshot import (
    CatalogColumn,
    CatalogConstraint,
    CatalogIndex,
    CatalogRelation,
    Grant,
    Sequence,
    Snapshot,
)

__all__ = [
    "CatalogColumn",
    "CatalogConstraint",
    "Difference",
    "Grant",
    "CatalogIndex",
    "CatalogRelation",
    "Sequence",
    "Snapshot",
    "canonical",
    "compare",
    "fact",
]
