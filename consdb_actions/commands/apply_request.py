"""From the options of ``migrations apply`` to what is asked for."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from consdb_actions.adapters.apply_facts import address
from consdb_actions.adapters.apply_run import Direction, Timeouts
from consdb_actions.adapters.revision_path import Way, parse_way
from consdb_actions.adapters.tree import read_tree
from consdb_actions.commands.apply_plan import Request
from consdb_actions.commands.runbook_make import load_sites
from consdb_actions.errors import InputError
from consdb_actions.process.sites import Site, Sites

__all__ = ["make_request"]


def make_request(
    *,
    database_url: str | None,
    site: str | None,
    consdb: Path,
    schemas: Path | None,
    config: Path | None,
    sections: tuple[str, ...],
    to: str | None,
    direction: Direction,
    lock_timeout: str | None,
    statement_timeout: str | None,
    retries: int,
    accepted: frozenset[str],
    replay: bool,
    ahead: bool = False,
) -> Request:
    """Put the options together.

    Raises
    ------
    InputError
        They do not fit each other, or name what is not there.
    """
    settings, sites = load_sites(config)
    ways = _ways(sections, to, direction)
    timeouts = Timeouts(
        _time(lock_timeout or sites.lock_timeout, "--lock-timeout"),
        _time(statement_timeout or sites.statement_timeout, "--statement-timeout"),
        retries,
    )
    url, known = _database(database_url, site, sites)
    return Request(
        tree=read_tree(consdb),
        url=url,
        ways=ways,
        direction=direction,
        settings=settings,
        replication=sites.replication,
        site=known,
        when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        timeouts=timeouts,
        schemas=schemas,
        accepted=accepted,
        replay=replay,
        ahead=ahead,
    )


def _database(given: str | None, name: str | None, sites: Sites) -> tuple[sa.URL, Site | None]:
    """Return the address of the database, and which site it is."""
    site = sites.site(name) if name else None
    text = given or (site.url if site else "") or os.environ.get("CONSDB_URL", "")
    if not text:
        cause = f"the address of {site.title} is not known here" if site else "no database is named"
        raise InputError(
            cause,
            place="--database-url",
            remedy="Give its address with --database-url or in CONSDB_URL"
            + (", or write its host into the configuration." if site else ", or name a --site."),
        )
    place = "--database-url" if given else "sites.databases" if site and site.url else "CONSDB_URL"
    url = address(text, place=place)
    if site is None:
        here = (url.host, url.database)
        site = next((s for s in sites.databases if s.host and (_host(s), s.database) == here), None)
    return url, site


def _host(site: Site) -> str:
    return site.host.partition(":")[0]


def _ways(sections: tuple[str, ...], to: str | None, direction: Direction) -> tuple[Way, ...]:
    ways = [parse_way(text) for text in sections]
    names = [way.section for way in ways]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"section {twice[0]} is named twice", place="--section", remedy="Name each section once."
        )
    if to is not None:
        if len(ways) != 1 or ways[0].end:
            raise InputError(
                "a revision belongs to one section",
                place="--to",
                remedy="Give one --section without a way, or --section NAME:FROM..TO for each.",
            )
        ways = [Way(ways[0].section, "", to)]
    if direction == "downgrade" and not all(way.end for way in ways):
        raise InputError(
            "it is not said where to go back to",
            place="--downgrade",
            remedy="Give --to REV with one --section, or --section NAME:FROM..TO for each.",
        )
    return tuple(ways)


def _time(text: str, place: str) -> str:
    # Nought would be no limit at all.
    if not re.fullmatch(r"0*[1-9]\d{0,6}(ms|s|min|h)", text, re.ASCII):
        raise InputError(
            f'"{text[:30]}" is no time as Postgres writes it',
            place=place,
            remedy="Write it like 5s or 15min.",
        )
    return text
