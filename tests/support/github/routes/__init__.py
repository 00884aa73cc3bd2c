"""The routes; importing them fills the table."""

from __future__ import annotations

from tests.support.github.routes import git, pulls, queries, repositories

__all__ = ["LOADED"]

LOADED = (git, pulls, queries, repositories)
