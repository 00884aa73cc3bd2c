"""Lint revisions by replay and by squawk."""
