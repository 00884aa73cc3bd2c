"""``consdb-actions process status``: where a schema change stands. Nothing is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from consdb_actions.adapters.files import check_targets, read_json
from consdb_actions.commands.connection import github_session, moment_or_now, repository_name
from consdb_actions.commands.options import examples, option
from consdb_actions.commands.process_options import common
from consdb_actions.commands.process_run import ProcessResult, make_gatherer, show_results, sync_pull
from consdb_actions.errors import InputError
from consdb_actions.process.facts import facts_from_json

__all__ = ["command"]


@click.command(
    "status",
    short_help="Show where a schema change stands.",
    epilog=examples(
        "process status --repo lsst/sdm_schemas --pr 123",
        "process status --facts facts.json",
    ),
)
@option(
    "--facts",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Replay facts that --dump-facts wrote; nothing else is read, and no token is needed.",
)
@common
def command(facts: Path | None, **options: Any) -> int:
    """Show where a schema change stands, step by step, and what is next. Nothing is changed.

    Exit code 1 says that a step is stale, was done out of order, or could not be looked up.
    """
    if facts is not None:
        result = ProcessResult.of(facts_from_json(read_json(facts), place=str(facts)))
    else:
        if options["pr"] is None:
            raise InputError("no pull request is given", remedy="Name one with --pr, or give --facts FILE.")
        check_targets([options["dump_facts"]] if options["dump_facts"] else [])
        repository, now = repository_name(options["repo"]), moment_or_now(options["now"])
        with github_session(options["max_calls"]) as github:
            gatherer = make_gatherer(
                github, repository, config=options["config"], clone=options["sdm_schemas"]
            )
            result = sync_pull(gatherer, None, options["pr"], now)
    show_results([result], options)
    return 1 if result.progress.troubled else 0
