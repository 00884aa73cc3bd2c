"""``consdb-actions process``: where schema changes stand, and what to do next."""

from __future__ import annotations

import click

from consdb_actions.commands.options import LazyGroup

__all__ = ["group"]

SUBCOMMANDS = {
    "status": "Show where a schema change stands.",
    "sync": "Publish where schema changes stand: comment, status, reactions.",
    "runbook": "Write the runbook of one migration.",
    "rehearse": "Carry out a runbook on two real, replicating databases.",
    "board": "Make a page of all changes and all environments.",
    "efd-sync": "Copy changed EFD schemas from consdb into a pull request.",
}


@click.group(name="process", cls=LazyGroup, listed=SUBCOMMANDS, prefix="process_")
def group() -> None:
    """Show where schema changes stand, and what to do next.

    The policy is the section "process" of .github/consdb-actions.yaml on the pull request's base branch. The
    token is taken from GITHUB_TOKEN, the server from GITHUB_API_URL.
    """
