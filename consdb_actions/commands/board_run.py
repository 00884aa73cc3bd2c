"""What the board is made of: over the API, or from files and clones without a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from consdb_actions.adapters.config_file import load_config
from consdb_actions.adapters.github import GitHub
from consdb_actions.adapters.github.gathering import open_pulls
from consdb_actions.adapters.github.process_events import followed_pulls
from consdb_actions.adapters.github.release_shelf import read_releases
from consdb_actions.adapters.release_clone import clone_releases
from consdb_actions.commands.deploy_drift import look
from consdb_actions.commands.process_options import read_json
from consdb_actions.commands.process_run import make_gatherer
from consdb_actions.deploy.policy import DeployPolicy
from consdb_actions.deploy.policy import policy_from_mapping as deploy_policy
from consdb_actions.deploy.tags import read_tag
from consdb_actions.errors import ConsdbActionsError, ExternalError, InputError
from consdb_actions.process.board import (
    Board,
    Environments,
    Releases,
    Unread,
    make_board,
)
from consdb_actions.process.board_sources import drift_of_facts, releases_of_facts
from consdb_actions.process.codec import facts_from_json
from consdb_actions.process.facts import Facts
from consdb_actions.release.policy import ReleasePolicy
from consdb_actions.release.policy import policy_from_mapping as release_policy

__all__ = ["Wanted", "board_of_files", "board_of_github"]

WEB = "https://github.com"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the board is to show, and where things are read from.

    Attributes
    ----------
    repository
        ``owner/name`` of the schemas; empty for that of the facts.
    now
        The moment that it shows; None for now, or for that of the newest facts.
    config
        Configuration to use instead of the one that is found.
    phalanx, consdb, schemas
        Clones to read values files, releases and schema files from; None for the API.
    count
        How many releases are shown.
    """

    repository: str
    now: datetime | None = None
    config: Path | None = None
    phalanx: Path | None = None
    consdb: Path | None = None
    schemas: Path | None = None
    count: int = 8


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the configuration says about deployments and releases."""

    deploy: DeployPolicy
    release: ReleasePolicy
    tickets: tuple[str, ...]

    @classmethod
    def load(cls, path: Path | None) -> _Settings:
        config = load_config(path)
        return cls(deploy_policy(config.deploy), release_policy(config.release), config.ticket_patterns)


def board_of_github(github: GitHub, wanted: Wanted) -> Board:
    """Read everything over the API, or from the clones that are given."""
    for folder in (wanted.phalanx, wanted.consdb):
        if folder is not None and not folder.is_dir():
            raise InputError("there is no such directory", place=str(folder), remedy="Check the path.")
    with github.moment():
        return _board_of_moment(github, wanted)


def _board_of_moment(github: GitHub, wanted: Wanted) -> Board:
    """Read everything, and nothing twice."""
    settings = _Settings.load(wanted.config)
    now = wanted.now or datetime.now(UTC)
    gatherer = make_gatherer(github, wanted.repository, config=wanted.config, clone=wanted.schemas)
    since = now - timedelta(days=gatherer.follow_days())
    numbers = [
        *open_pulls(github, wanted.repository),
        *followed_pulls(github, wanted.repository, since),
    ]
    known: list[Facts] = []
    failed: dict[int, ConsdbActionsError] = {}
    for number in numbers:
        try:
            known.append(gatherer.gather(number, now))
        except (ExternalError, InputError) as error:
            failed[number] = error
    if failed and not known:
        raise next(iter(failed.values()))
    web = known[0].html_url if known else f"{WEB}/{wanted.repository}"
    unread = [
        Unread(f"#{number}", _words(error), url=f"{web}/pull/{number}") for number, error in failed.items()
    ]
    releases = _releases(github, wanted, settings)
    environments = _environments(wanted.phalanx or github, settings, now.astimezone(UTC).date(), releases)
    return make_board(wanted.repository, now, known, unread, environments, releases)


def board_of_files(paths: Sequence[Path], wanted: Wanted) -> Board:
    """Read facts that ``process status --dump-facts`` wrote, and clones; nothing over the network."""
    settings = _Settings.load(wanted.config)
    known: list[Facts] = []
    unread: list[Unread] = []
    first: InputError | None = None
    for path in paths:
        try:
            known.append(facts_from_json(read_json(path), place=str(path)))
        except InputError as error:
            first = first or error
            where = error.place.removeprefix(str(path)).lstrip(": ")
            unread.append(Unread(path.name, f"{where}: {_words(error)}" if where else _words(error)))
    if first is not None and not known:
        raise first
    now = wanted.now or max(facts.now for facts in known)
    today = now.astimezone(UTC).date()
    if wanted.consdb is not None:
        releases = _cloned(wanted.consdb, wanted, settings)
    else:
        found = releases_of_facts(known)
        words = "" if found else "the facts name none; --consdb reads them from a clone"
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


def _releases(github: GitHub, wanted: Wanted, settings: _Settings) -> Releases:
    """Read the releases; that they cannot be had does not hide the rest."""
    if wanted.consdb is not None:
        return _cloned(wanted.consdb, wanted, settings)
    try:
        return read_releases(github, settings.deploy.consdb, settings.release, settings.tickets, wanted.count)
    except (ExternalError, InputError) as error:
        return Releases(web=f"{WEB}/{settings.deploy.consdb}", trouble=_words(error))


def _cloned(folder: Path, wanted: Wanted, settings: _Settings) -> Releases:
    """Read the releases from a clone."""
    web = f"{WEB}/{settings.deploy.consdb}"
    return clone_releases(folder, web, settings.release, settings.tickets, wanted.count)


def _environments(where: Path | GitHub, settings: _Settings, today: date, releases: Releases) -> Environments:
    """Find out what runs where; that the API does not tell does not hide the rest."""
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
    """Say what is wrong on one line."""
    return " ".join(error.cause.split())[:300]
