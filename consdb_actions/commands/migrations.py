"""``consdb-actions migrations``: generate, check, preview and lint Alembic migrations."""

from __future__ import annotations

import click

from consdb_actions.commands.options import LazyGroup

SUBCOMMANDS = {
    "source": "Determine the schema change of an event, and the requested action.",
    "plan": "List the sections that a schema change affects, as a matrix for jobs.",
    "generate": "Generate a verified revision for each section whose schema changes.",
    "publish": "Open or update the draft pull request with generated migrations.",
    "outdated": "List the schema changes whose migration must be regenerated.",
    "check": "Verify a revision: up and down on rows, against the schema files.",
    "preview": "Describe a schema change, without a database.",
    "lint": "Check revisions for data loss, locks, rewrites and other dangers.",
    "apply": "Upgrade a database, with checks before and after.",
}


@click.group(name="migrations", cls=LazyGroup, listed=SUBCOMMANDS, prefix="migrations_")
def group() -> None:
    """Generate, check, preview and lint Alembic migrations."""
