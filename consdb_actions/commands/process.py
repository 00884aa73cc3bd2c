"""``consdb-actions process``: steps of schema changes, and what to do next."""

from __future__ import annotations

import click

from consdb_actions.commands.options import LazyGroup

__all__ = ["group"]

SUBCOMMANDS = {
    "status": "Show the steps of a schema change.",
    "sync": "Publish the steps of schema changes: comment, status, reactions.",
    "runbook": "Write the runbook of one migration.",
    "rehearse": "Execute a runbook on two replicating databases.",
    "board": "Write a page of all changes and environments.",
    "efd-sync": "Copy changed EFD schemas from consdb into a pull request.",
}


@click.group(name="process", cls=LazyGroup, listed=SUBCOMMANDS, prefix="process_")
def group() -> None:
    """Show the steps of schema changes, and what to do next.

    The policy is the section "process" of .github/consdb-actions.yaml on the pull request's base branch. The
    token is taken from GITHUB_TOKEN, the server from GITHUB_API_URL.
    """
