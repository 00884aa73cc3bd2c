"""Diagram of one schema's change, with renamed columns under their new names."""

from __future__ import annotations

from consdb_actions.migration.preview import SchemaPreview
from consdb_actions.report.mermaid import er_diagram

__all__ = ["picture_of"]


def picture_of(schema: SchemaPreview) -> str:
    """Draw the tables that a change touches; empty if it touches none."""
    return er_diagram(schema.before, schema.after, schema.delta, schema.renamed)
