"""``consdb-actions migrations``: generate, check, preview and lint Alembic migrations."""

from __future__ import annotations

import importlib

import click

__all__ = ["group"]

SUBCOMMANDS = {
    "generate": "Make a proven revision for each section whose schema changes.",
}


class LazyMigrations(click.Group):
    """Imports a subcommand's module when it is first needed: ``preview`` needs no database code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand, or None when there is none of that name."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module = importlib.import_module(f"consdb_actions.commands.migrations_{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group(name="migrations", cls=LazyMigrations)
def group() -> None:
    """Generate, check, preview and lint Alembic migrations."""
