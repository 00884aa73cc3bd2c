"""The options that ``process status`` and ``process sync`` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from consdb_actions.commands.options import PullNumber, format_option, option

__all__ = ["common"]


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that both commands have."""
    for decorate in reversed(
        (
            option(
                "--repo",
                metavar="OWNER/NAME",
                help="Repository of the schemas; GITHUB_REPOSITORY by default.",
            ),
            option("--pr", type=PullNumber(), metavar="N", help="Number of the pull request."),
            option(
                "--config",
                type=click.Path(path_type=Path, dir_okay=False),
                help="Configuration to use instead of the one on the base branch.",
            ),
            option(
                "--now", metavar="ISO", help="Moment for which designations are looked at; now by default."
            ),
            option(
                "--sdm-schemas",
                type=click.Path(path_type=Path, file_okay=False),
                help="Clone to read schema files from; without it they are read over the API.",
            ),
            option(
                "--dump-facts",
                type=click.Path(path_type=Path, dir_okay=False),
                help="Write what was seen to this file, to replay it with status --facts.",
            ),
            option(
                "--max-calls",
                type=click.IntRange(min=1),
                default=2000,
                show_default=True,
                help="Calls to GitHub that the run may make.",
            ),
            format_option(),
        )
    ):
        command = decorate(command)
    return command
