"""``consdb-actions process runbook``."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.commands.terminal import progress_display, show

__all__ = ["command"]

_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    name="runbook",
    epilog=examples(
        "process runbook --consdb . --ticket DM-12345 --since 26.6.1 --tag 26.6.2 --output runbook.md",
        "process runbook --consdb . --ticket DM-12345 --section latiss:0123abc..4567def",
    ),
)
@option(
    "--consdb", type=_DIRECTORY, required=True, help="Checkout of lsst-dm/consdb, or a tree of that shape."
)
@option("--ticket", metavar="KEY", required=True, help="The ticket, such as DM-12345.")
@option(
    "--section",
    "sections",
    multiple=True,
    metavar="NAME[:FROM..TO]",
    help="Section, with the revisions from which and to which it goes; may be repeated.",
)
@option(
    "--revision",
    "revisions",
    multiple=True,
    metavar="ID|FILE",
    help="A revision to apply; may be repeated.",
)
@option(
    "--since",
    metavar="GITREV",
    help="Apply what is new against this branch, tag or commit; the default branch by default.",
)
@option("--tag", metavar="TAG", default="", help="The release of consdb that holds the revisions.")
@option("--when", metavar="WORDS", default="", help="When it is planned, for the texts to send.")
@option("--config", type=_FILE, help="Configuration; .github/consdb-actions.yaml by default.")
@option("--output", type=_FILE, metavar="FILE.md", help="Write the runbook to this file, as Markdown.")
@format_option()
def command(
    consdb: Path,
    ticket: str,
    sections: tuple[str, ...],
    revisions: tuple[str, ...],
    since: str | None,
    tag: str,
    when: str,
    config: Path | None,
    output: Path | None,
    output_format: str,
) -> int:
    """Write the runbook of a migration, made from what its revisions do and from the sites.

    It holds the exact commands and SQL in their order, with checks, what to do when a step fails, the way
    back, and the texts for the IT ticket, the announcements and the truncate list. The text on standard
    output is an overview; --output and --format markdown give the whole. `process rehearse` carries it out
    on two servers of its own. Exit code 1 when something speaks against the migration as it is.
    """
    from consdb_actions.adapters.files import check_targets, write_all
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.adapters.tree import read_tree
    from consdb_actions.commands.runbook_make import load_sites, prepare_runbook
    from consdb_actions.report.runbook import render_json, render_markdown, render_text

    check_targets([output] if output else [])
    runner = Runner.from_environ(os.environ)
    settings, sites = load_sites(config)
    with progress_display(quiet=output_format == "json" or runner.on_runner) as progress:
        runbook = prepare_runbook(
            read_tree(consdb),
            settings,
            sites,
            sections=sections,
            revisions=revisions,
            since=since,
            ticket=ticket,
            release=tag,
            when=when,
            today=datetime.now(UTC).date(),
            progress=progress,
        )
    markdown = render_markdown(runbook)
    if output is not None:
        write_all({output: markdown}, overwrite=True)
    if output_format == "json":
        click.echo(json.dumps(render_json(runbook), indent=2, ensure_ascii=False))
    elif output_format == "markdown":
        click.echo(runner.inert(markdown), nl=False)
    else:
        result = f"Written to {output}" if output else "The whole of it: --output FILE.md"
        show(runner.inert(f"{render_text(runbook)}\n\n{result}"))
    return 1 if runbook.warnings else 0
