"""Describe a revision's file without running it."""

from __future__ import annotations

from consdb_actions.migration.summary.script import Revision, read_revision

__all__ = ["Revision", "read_revision"]
