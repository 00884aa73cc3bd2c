"""Render the board."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consdb_actions.commands.options import (
    FILE,
    FOLDER,
    examples,
    format_option,
    max_calls_option,
    option,
    parse_moment,
)
from consdb_actions.commands.terminal import present
from consdb_actions.errors import ConsdbActionsError, ExternalError, InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.github import GitHub
    from consdb_actions.deploy.model import DeployPolicy
    from consdb_actions.process.board import Board, Environments, Releases, UnreadablePull
    from consdb_actions.process.facts import ProcessFacts
    from consdb_actions.release.versions import ReleasePolicy

WEB = "https://github.com"


@dataclass(frozen=True, slots=True)
class BoardOptions:
    """Content and sources of the board."""

    repository: str  # ``owner/name`` of the schemas; empty for that of the facts
    now: datetime | None = None  # None: the present, or the time of the newest facts
    config: Path | None = None
    phalanx: Path | None = None  # Clone to read instead of the API
    count: int = 8  # Number of releases shown


@dataclass(frozen=True, slots=True)
class _Settings:
    deploy: DeployPolicy
    release: ReleasePolicy
    tickets: tuple[str, ...]

    @classmethod
    def load(cls, path: Path | None) -> _Settings:
        from consdb_actions.adapters.typed_files import load_config

        config = load_config(path)
        return cls(config.deploy, config.release, config.ticket_patterns)


def board_of_github(github: GitHub, wanted: BoardOptions) -> Board:
    """Read all facts through the API, or what runs where from a clone."""
    folder = wanted.phalanx
    if folder is not None and not folder.is_dir():
        raise InputError("there is no such directory", place=str(folder), remedy="Check the path.")
    with github.moment():
        return _board_of_moment(github, wanted)


def _board_of_moment(github: GitHub, wanted: BoardOptions) -> Board:
    from consdb_actions.adapters.github.process import ProcessReader
    from consdb_actions.adapters.github.pull_requests import open_pulls
    from consdb_actions.commands.pull_requests import configuration
    from consdb_actions.process.board import UnreadablePull, make_board

    settings = _Settings.load(wanted.config)
    now = wanted.now or datetime.now(UTC)
    reader = ProcessReader(github, wanted.repository, configuration(wanted.config))
    numbers = [*open_pulls(github, wanted.repository), *reader.followed(now)]
    known: list[ProcessFacts] = []
    failed: dict[int, ConsdbActionsError] = {}
    for number in numbers:
        try:
            known.append(reader.read(number, now))
        except (ExternalError, InputError) as error:
            failed[number] = error
    if failed and not known:
        first = next(iter(failed.values()))
        # GitHub listed these numbers, nobody gave them: that one is missing is not a wrong input.
        raise first.__cause__ if isinstance(first.__cause__, ExternalError) else first
    web = known[0].html_url if known else f"{WEB}/{wanted.repository}"
    unread = [
        UnreadablePull(f"#{number}", _words(error), url=f"{web}/pull/{number}")
        for number, error in failed.items()
    ]
    releases = _releases(github, wanted, settings)
    environments = _environments(wanted.phalanx or github, settings, now.astimezone(UTC).date(), releases)
    return make_board(wanted.repository, now, known, unread, environments, releases)


def board_of_files(paths: Sequence[Path], wanted: BoardOptions) -> Board:
    """Read facts of ``process status --dump-facts`` and a clone, without network access."""
    from consdb_actions.adapters.typed_files import load_facts
    from consdb_actions.process.board import (
        Environments,
        Releases,
        UnreadablePull,
        drift_of_facts,
        make_board,
        releases_of_facts,
    )
    from consdb_actions.process.facts import ProcessFacts

    settings = _Settings.load(wanted.config)
    known: list[ProcessFacts] = []
    unread: list[UnreadablePull] = []
    first: InputError | None = None
    for path in paths:
        try:
            known.append(load_facts(ProcessFacts, path))
        except InputError as error:
            first = first or error
            unread.append(UnreadablePull(path.name, _words(error)))
    if first is not None and not known:
        raise first
    now = wanted.now or max(facts.now for facts in known)
    today = now.astimezone(UTC).date()
    found = releases_of_facts(known)
    words = "" if found else "the facts name none"
    web = f"{WEB}/{settings.deploy.consdb}"
    releases = Releases(found[: wanted.count], max(len(found) - wanted.count, 0), web, words)
    if wanted.phalanx is not None:
        environments = _environments(wanted.phalanx, settings, today, releases)
    else:
        drift = drift_of_facts(known, settings.deploy, today)
        words = "" if drift else "the facts do not say; --phalanx reads it from a clone"
        environments = Environments(drift, "the facts of the pull requests" if drift else "", trouble=words)
    repository = wanted.repository or known[0].repository
    return make_board(repository, now, known, unread, environments, releases)


def _releases(github: GitHub, wanted: BoardOptions, settings: _Settings) -> Releases:
    from consdb_actions.adapters.github.releases import read_releases
    from consdb_actions.process.board import Releases

    try:
        return read_releases(github, settings.deploy.consdb, settings.release, settings.tickets, wanted.count)
    except (ExternalError, InputError) as error:
        return Releases(web=f"{WEB}/{settings.deploy.consdb}", trouble=_words(error))


def _environments(where: Path | GitHub, settings: _Settings, today: date, releases: Releases) -> Environments:
    from consdb_actions.commands.deploy_run import look
    from consdb_actions.deploy.tags import read_tag
    from consdb_actions.process.board import Environments

    newest = read_tag(releases.items[0].tag) if releases.items else None
    web = f"{WEB}/{settings.deploy.repository}"
    try:
        drift, source = look(where, settings.deploy, None, today, newest)
    except (ExternalError, InputError) as error:
        if isinstance(where, Path):
            raise
        click.echo(f"What runs where could not be read: {error.cause}", err=True)
        return Environments(None, settings.deploy.repository, web, _words(error))
    # Where a clone lies on this machine is nobody's business.
    shown = f"{settings.deploy.repository} at {source.rpartition(' at ')[2]}" if " at " in source else ""
    return Environments(drift, shown or f"a checkout of {settings.deploy.repository}", web)


def _words(error: ConsdbActionsError) -> str:
    return " ".join(error.cause.split())[:300]


PAGE, DATA = "index.html", "board.json"


@click.command(
    "board",
    short_help="Write a page of all changes and environments.",
    epilog=examples(
        "process board --repo lsst/sdm_schemas --output site",
        "process board --facts facts.json --phalanx ../phalanx --output site",
    ),
)
@option("--repo", metavar="OWNER/NAME", help="Repository of the schemas; GITHUB_REPOSITORY by default.")
@option(
    "--facts",
    "facts",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="Facts that process status --dump-facts wrote; may be repeated. Nothing is read over the network.",
)
@option("--phalanx", type=FOLDER, help="Clone of the values files; without it they are read over the API.")
@option("--config", type=FILE, help="Configuration to use instead of the one on the base branch.")
@option(
    "--releases",
    "count",
    type=click.IntRange(min=1, max=100),
    default=8,
    show_default=True,
    help="Number of releases to show.",
)
@option("--now", metavar="ISO", help="Time that the page shows; now, or that of the facts, by default.")
@max_calls_option(4000)
@option("--output", type=FOLDER, required=True, metavar="DIR", help="Folder for index.html and board.json.")
@format_option()
def command(
    repo: str | None,
    facts: tuple[Path, ...],
    phalanx: Path | None,
    config: Path | None,
    count: int,
    now: str | None,
    max_calls: int,
    output: Path,
    output_format: str,
) -> int:
    """Write a page that shows the steps of every open change, what runs where, and the content of releases.

    It is one file without a script, which loads nothing: open it, print it, or put it on GitHub Pages. The
    same is written as data beside it. All open pull requests that change a schema are on it, and merged ones
    that process sync still follows. What cannot be read is reported on the page and on standard error; the
    exit code stays 0 if there is something to show. The same facts give the same bytes.
    """
    from consdb_actions.adapters.files import check_targets, write_all
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands.connection import github_session, repository_name
    from consdb_actions.forms import as_json
    from consdb_actions.report.board import render_html
    from consdb_actions.report.board_text import render_markdown, render_text

    page, data = output / PAGE, output / DATA
    check_targets([page, data], own_folder=True)
    moment = parse_moment(now, "--now")
    if facts:
        name = repository_name(repo) if repo else ""
        board = board_of_files(facts, BoardOptions(name, moment, config, phalanx, count))
    else:
        wanted = BoardOptions(repository_name(repo), moment, config, phalanx, count)
        with github_session(max_calls) as github:
            board = board_of_github(github, wanted)
    rendered = as_json(board)
    write_all(
        {page: render_html(board), data: json.dumps(rendered, indent=1, ensure_ascii=False) + "\n"},
        overwrite=True,
    )
    runner = Runner.from_environ(os.environ)
    for item in board.unread:
        words = f"{item.name} could not be looked at: {item.text}"
        click.echo(f"Warning: {words}", err=True)
        runner.annotation("warning", words)
    present(
        output_format,
        lambda: f"{render_text(board)}\nWritten to {page} and {data}",
        lambda: rendered,
        render_markdown(board),
        {
            "changes": str(len(board.changes)),
            "attention": str(sum(change.needs_attention for change in board.changes)),
            "unread": str(len(board.unread)),
        },
    )
    return 0
