"""``consdb-actions migrations outdated``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from consdb_actions.commands.migrations_source import LABEL, SOURCE, target_option
from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.commands.terminal import present
from consdb_actions.errors import InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.github import GitHub
    from consdb_actions.adapters.github.migration_source import OutdatedMigration
    from consdb_actions.publication.source import SchemaSource

MOST = 50  # Migrations that one run makes again; the next run makes the rest


@click.command(
    name="outdated",
    epilog=examples(
        "migrations outdated",
        "migrations outdated --format json",
    ),
)
@option("--repo", metavar="OWNER/NAME", default=SOURCE, show_default=True, help="Repository of the schemas.")
@option("--label", default=LABEL, show_default=True, metavar="NAME", help="Label that requests a migration.")
@target_option
@format_option()
def command(repo: str | None, label: str, target: str, output_format: str) -> int:
    """List the schema changes whose migration must be regenerated. Nothing is changed.

    That is the case when the default branch of the migrations has another revision of its sections, when
    another change of its schemas was merged, when it has newer commits, or when it can be merged again. On a
    runner the outputs of the step are count, and outdated: a JSON list of pr, branch and commit.
    """
    from consdb_actions.adapters.github.migration_source import TargetRepository, find_outdated
    from consdb_actions.commands.connection import github_session, repository_name
    from consdb_actions.report.publication import render_outdated_markdown

    with github_session(variable="CONSDB_SOURCE_TOKEN") as github:
        name = repository_name(repo)
        found = find_outdated(
            github, name, TargetRepository(github, repository_name(target, option="--target")), label
        )
        found = _named(github, found)[:MOST]
    data = [
        {
            "pr": str(item.source.pull.number) if item.source.pull else "",
            "branch": "" if item.source.pull else item.source.branch,
            "commit": item.source.commit,
        }
        for item in found
    ]
    lines = [f"{item.source.reference}: {item.reason}" for item in found]
    present(
        output_format,
        lambda: "\n".join(lines or ["All migrations are up to date."]),
        lambda: data,
        render_outdated_markdown([(item.source, item.reason) for item in found]),
        {"count": str(len(data)), "outdated": json.dumps(data)},
    )
    return 0


def _named(github: GitHub, found: Sequence[OutdatedMigration]) -> list[OutdatedMigration]:
    """Leave out changes without a ticket: their own run reports that."""
    from consdb_actions.adapters.github.migration_source import config_of
    from consdb_actions.publication.source import name_migration

    kept = []
    patterns: tuple[str, ...] | None = None
    for item in found:
        source: SchemaSource = item.source
        if patterns is None:
            patterns = tuple(config_of(github, source).ticket_patterns)
        try:
            name_migration(source.branch, source.pull.title if source.pull else "", patterns)
        except InputError:
            continue
        kept.append(item)
    return kept
