"""``consdb-actions migrations``: generate, check, preview and lint Alembic migrations."""

from __future__ import annotations

import click

from consdb_actions.commands.options import LazyGroup

__all__ = ["group"]

SUBCOMMANDS = {
    "source": "Say which schema change an event means, and what it asks for.",
    "plan": "Show which sections a schema change touches, as a matrix for jobs.",
    "generate": "Make a verified revision for each section whose schema changes.",
    "publish": "Open or update the draft pull request with generated migrations.",
    "outdated": "List the schema changes whose migration has to be made again.",
    "check": "Verify a revision: up and down on rows, against the schema files.",
    "preview": "Say what a schema change means, without a database.",
    "lint": "Check revisions for data loss, locks, rewrites and other dangers.",
    "apply": "Upgrade a database, with checks before and after.",
}


@click.group(name="migrations", cls=LazyGroup, listed=SUBCOMMANDS, prefix="migrations_")
def group() -> None:
    """Generate, check, preview and lint Alembic migrations."""
