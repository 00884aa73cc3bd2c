"""``consdb-actions migrations``: generate, check, preview and lint Alembic migrations."""

from __future__ import annotations

import importlib
import importlib.util

import click

__all__ = ["group"]

SUBCOMMANDS = {
    "source": "Say which schema change an event means, and what it asks for.",
    "plan": "Show which sections a schema change touches, as a matrix for jobs.",
    "generate": "Make a verified revision for each section whose schema changes.",
    "publish": "Open or update the draft pull request with generated migrations.",
    "outdated": "List the schema changes whose migration has to be made again.",
    "check": "Prove a revision: there and back on seeded data, equal to the YAML.",
    "preview": "Say what a schema change means, without a database.",
    "lint": "Check revisions for data loss, locks, rewrites and other dangers.",
    "apply": "Upgrade a database, with checks before and after.",
}
"""Those whose module is not there are not listed."""


class LazyMigrations(click.Group):
    """Imports a subcommand's module when it is first needed: ``preview`` needs no database code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands."""
        return [name for name in SUBCOMMANDS if importlib.util.find_spec(_module(name))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand, or None when there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(_module(cmd_name)).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUBCOMMANDS[name]) for name in self.list_commands(ctx)])


def _module(name: str) -> str:
    return f"consdb_actions.commands.migrations_{name}"


@click.group(name="migrations", cls=LazyMigrations)
def group() -> None:
    """Generate, check, preview and lint Alembic migrations."""
