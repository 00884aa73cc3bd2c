"""``consdb-actions process``: where schema changes stand, and what to do next."""

from __future__ import annotations

import importlib
import importlib.util

import click

__all__ = ["group"]

SUBCOMMANDS = {
    "status": "Show where a schema change stands.",
    "sync": "Publish where schema changes stand: comment, status, reactions.",
    "runbook": "Write the runbook of one migration.",
    "rehearse": "Carry out a runbook on two real, replicating databases.",
    "board": "Make a page of all changes and all environments.",
    "efd-sync": "Copy changed EFD schemas from consdb into a pull request.",
}
"""Those whose module is not there are not listed."""


class LazyProcess(click.Group):
    """Imports a subcommand's module when it is first needed: ``status`` needs no database code."""

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
    return f"consdb_actions.commands.process_{name.replace('-', '_')}"


@click.group(name="process", cls=LazyProcess)
def group() -> None:
    """Show where schema changes stand, and what to do next.

    The policy is the section "process" of .github/consdb-actions.yaml on the pull request's base branch. The
    token is taken from GITHUB_TOKEN, the server from GITHUB_API_URL.
    """
