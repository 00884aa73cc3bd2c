"""``consdb-actions migrations source``."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import click

from consdb_actions.adapters.github.migration_source import base_of, date_of, read_source
from consdb_actions.adapters.runner import Runner
from consdb_actions.commands.connection import github_session, repository_name
from consdb_actions.commands.migration_options import asked_for, source_options
from consdb_actions.commands.options import format_option
from consdb_actions.commands.publish_run import config_of
from consdb_actions.publication.naming import name_migration
from consdb_actions.publication.source import decide_wish
from consdb_actions.report.publication import render_wish_markdown

__all__ = ["command"]

_DIRECTIVE = re.compile(r"[^\n]*\bconsdb:[^\n]{0,500}", re.IGNORECASE)
MAX_DIRECTIVES = 200


@click.command(name="source")
@source_options
@format_option()
def command(
    repo: str | None,
    pr: str | None,
    branch: str | None,
    commit: str | None,
    event: Path | None,
    event_name: str | None,
    label: str,
    output_format: str,
) -> int:
    """Say which schema change an event means, and what it asks for. Nothing is changed.

    On a runner these are outputs of the step: deed (generate, withdraw or nothing), publish, repository,
    commit, base, message, date and directives.
    """
    asked = asked_for(pr, branch, commit, event, event_name)
    with github_session(variable="CONSDB_SOURCE_TOKEN") as github:
        source = read_source(github, repository_name(repo), asked)
        wish = decide_wish(asked, source, label)
        title = source.pull.title if source.pull else ""
        values: dict[str, Any] = {
            "deed": wish.deed,
            "reason": wish.reason,
            "publish": wish.publish,
            "repository": source.repository,
            "source": source.reference,
            "commit": source.commit,
        }
        if wish.deed == "generate":
            patterns = config_of(github, source).ticket_patterns
            names = name_migration(source.branch, title, patterns, place=source.reference)
            values |= {
                "ticket": names.ticket,
                "message": names.message,
                "base": base_of(github, source),
                "date": date_of(github, source),
                "directives": _directives(source.pull.body if source.pull else ""),
            }
    runner = Runner.from_environ(os.environ)
    if output_format == "json":
        click.echo(json.dumps(values, indent=2))
    elif output_format == "markdown":
        click.echo(render_wish_markdown(wish.reason), nl=False)
    else:
        click.echo(runner.inert(f"{source.reference} at {source.commit[:12]}: {wish.deed}. {wish.reason}"))
    runner.summary(render_wish_markdown(wish.reason))
    runner.annotation("notice", wish.reason, title=f"Migration: {wish.deed}")
    for name, value in values.items():
        runner.output(name, str(value).lower() if isinstance(value, bool) else value)
    return 0


def _directives(body: str) -> str:
    """Return the lines of a text that speak to this program; the rest of it stays where it is."""
    return "\n".join(line.strip() for line in _DIRECTIVE.findall(body)[:MAX_DIRECTIVES])
