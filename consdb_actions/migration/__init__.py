"""Decide, rewrite and verify migrations; pure, over Alembic operations and catalog snapshots."""
