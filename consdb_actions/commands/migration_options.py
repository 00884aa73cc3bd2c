"""Options that select a schema change."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.commands.options import option
from consdb_actions.errors import InputError

if TYPE_CHECKING:
    from consdb_actions.publication.source import RequestedMigration

__all__ = ["LABEL", "SOURCE", "TARGET", "asked_for", "source_options", "target_option"]

LABEL = "consdb: migrate"
SOURCE = "lsst/sdm_schemas"
TARGET = "lsst-dm/consdb"


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select a schema change."""
    options = (
        option(
            "--repo",
            metavar="OWNER/NAME",
            default=SOURCE,
            show_default=True,
            help="Repository of the schemas.",
        ),
        option("--pr", metavar="N", help="Number of its pull request."),
        option("--branch", metavar="NAME", help="Branch of it, where there is no pull request."),
        option("--commit", metavar="SHA", help="Newest commit of that branch or pull request."),
        option(
            "--event",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Payload of the event that started the workflow (GITHUB_EVENT_PATH), instead of these.",
        ),
        option("--event-name", metavar="NAME", help="Name of that event; GITHUB_EVENT_NAME by default."),
        option(
            "--label",
            default=LABEL,
            show_default=True,
            metavar="NAME",
            help="Label that requests a migration.",
        ),
        option(
            "--regenerate",
            is_flag=True,
            help="Regenerate it because its inputs changed; closed pull requests stay closed.",
        ),
    )
    for add in reversed(options):
        command = add(command)
    return command


def target_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that names the repository of migrations."""
    return option(
        "--target",
        default=TARGET,
        show_default=True,
        metavar="OWNER/NAME",
        help="Repository of the migrations.",
    )(command)


def asked_for(
    number: str | None,
    branch: str | None,
    commit: str | None,
    event: Path | None,
    event_name: str | None,
    *,
    regenerate: bool = False,
) -> RequestedMigration:
    """Read the request from options, or else from an event."""
    from consdb_actions.adapters.files import read_json
    from consdb_actions.adapters.github.events import asked, asked_of_event
    from consdb_actions.publication.source import REGENERATE

    if number or branch:
        found = asked(number, branch, commit, place="--pr" if number else "--branch")
        return replace(found, action=REGENERATE) if regenerate else found
    if event is None:
        raise InputError(
            "no schema change is given",
            remedy="Give --pr, or --branch with --commit, or --event.",
        )
    name = event_name or os.environ.get("GITHUB_EVENT_NAME", "")
    payload = read_json(event)
    return asked_of_event(payload, name, place=str(event))
