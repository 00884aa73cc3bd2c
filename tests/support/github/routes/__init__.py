"""The routes, a module per area; importing them fills the table."""

from __future__ import annotations

from tests.support.github.routes import (
    accounts,
    apps,
    gitdata,
    gitwrite,
    issues,
    pulls,
    queries,
    reactions,
    releases,
    settings,
    statuses,
)

__all__ = ["LOADED"]

LOADED = (accounts, apps, gitdata, gitwrite, issues, pulls, queries, reactions, releases, settings, statuses)
