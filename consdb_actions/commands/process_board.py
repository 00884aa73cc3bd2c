"""``consdb-actions process board``: a page of all changes, all environments and all releases."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from consdb_actions.commands.options import examples, format_option, option, parse_moment
from consdb_actions.commands.terminal import show

__all__ = ["command"]

_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)

PAGE, DATA = "index.html", "board.json"


@click.command(
    "board",
    short_help="Make a page of all changes and all environments.",
    epilog=examples(
        "process board --repo lsst/sdm_schemas --output site",
        "process board --facts facts.json --phalanx ../phalanx --consdb ../consdb --output site",
    ),
)
@option("--repo", metavar="OWNER/NAME", help="Repository of the schemas; GITHUB_REPOSITORY by default.")
@option(
    "--facts",
    "facts",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="Facts that process status --dump-facts wrote; may be repeated. Nothing is read over the network.",
)
@option(
    "--phalanx", type=_DIRECTORY, help="Clone of the values files; without it they are read over the API."
)
@option("--consdb", type=_DIRECTORY, help="Clone of consdb for the releases; else they are read likewise.")
@option("--sdm-schemas", "schemas", type=_DIRECTORY, help="Clone to read schema files from.")
@option("--config", type=_FILE, help="Configuration to use instead of the one on the base branch.")
@option(
    "--releases",
    "count",
    type=click.IntRange(min=1, max=100),
    default=8,
    show_default=True,
    help="How many releases are shown.",
)
@option("--now", metavar="ISO", help="Moment that the page shows; now, or that of the facts, by default.")
@option(
    "--max-calls",
    type=click.IntRange(min=1),
    default=4000,
    show_default=True,
    help="Calls to GitHub that the run may make.",
)
@option(
    "--output", type=_DIRECTORY, required=True, metavar="DIR", help="Folder for index.html and board.json."
)
@format_option()
def command(
    repo: str | None,
    facts: tuple[Path, ...],
    phalanx: Path | None,
    consdb: Path | None,
    schemas: Path | None,
    config: Path | None,
    count: int,
    now: str | None,
    max_calls: int,
    output: Path,
    output_format: str,
) -> int:
    """Make a page that shows where every open change stands, what runs where, and what is in which release.

    It is one file without a script, which loads nothing: open it, print it, or put it on GitHub Pages. The
    same is written as data beside it. All open pull requests that change a schema are on it, and merged ones
    that process sync still follows. What cannot be read is told on the page and on standard error; the exit
    code stays 0 as long as there is something to show. The same facts give the same bytes.
    """
    from consdb_actions.adapters.files import check_targets, write_all
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands.board_run import Wanted, board_of_files, board_of_github
    from consdb_actions.commands.connection import github_session, repository_name
    from consdb_actions.report.board import render_html
    from consdb_actions.report.board_json import render_json
    from consdb_actions.report.board_text import render_markdown, render_text

    page, data = output / PAGE, output / DATA
    check_targets([page, data], own_folder=True)
    moment = parse_moment(now, "--now")
    if facts:
        name = repository_name(repo) if repo else ""
        board = board_of_files(facts, Wanted(name, moment, config, phalanx, consdb, count=count))
    else:
        wanted = Wanted(repository_name(repo), moment, config, phalanx, consdb, schemas, count)
        with github_session(max_calls) as github:
            board = board_of_github(github, wanted)
    rendered = render_json(board)
    write_all(
        {page: render_html(board), data: json.dumps(rendered, indent=1, ensure_ascii=False) + "\n"},
        overwrite=True,
    )
    runner = Runner.from_environ(os.environ)
    for item in board.unread:
        words = f"{item.name} could not be looked at: {item.words}"
        click.echo(f"Warning: {words}", err=True)
        runner.annotation("warning", words)
    if output_format == "json":
        click.echo(json.dumps(rendered, indent=2))
    elif output_format == "markdown":
        click.echo(render_markdown(board), nl=False)
    else:
        show(runner.inert(f"{render_text(board)}\nWritten to {page} and {data}"))
    runner.output("changes", str(len(board.changes)))
    runner.output("attention", str(sum(change.needs_attention for change in board.changes)))
    runner.output("unread", str(len(board.unread)))
    runner.summary(render_markdown(board))
    return 0
