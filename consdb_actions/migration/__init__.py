"""Migrations: deciding, rewriting and judging them. Pure, over Alembic operations and catalog snapshots."""
