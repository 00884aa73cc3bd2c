"""Since when a component has its tag, and for how long it may."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from consdb_actions.deploy.components import Slot, Values

__all__ = ["Since", "Version", "since", "waiver_trailer", "waivers"]

TRAILER = "Consdb-Actions-Waiver"
"""Trailer of a commit that puts a tag where it may not stay: environment, and the last day."""

_WAIVER = re.compile(
    rf"{TRAILER}: (?P<name>[a-z0-9-]+) until (?P<day>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Version:
    """A values file as one commit left it.

    Attributes
    ----------
    commit, message
        The commit.
    day
        Its day in UTC.
    values
        The environment's values then; None where the commit removed the file, or it could not be read.
    """

    commit: str
    message: str
    day: date
    values: Values | None


@dataclass(frozen=True, slots=True)
class Since:
    """The commit that brought a tag.

    Attributes
    ----------
    commit, day
        The commit and its day in UTC.
    waived
        Until when the commit says that the tag may stay, by environment.
    """

    commit: str
    day: date
    waived: Mapping[str, date] = field(default_factory=dict)


def since(versions: Iterable[Version] | None, slot: Slot) -> Since | None:
    """Find the commit since which a component has the tag that it has."""
    first: Version | None = None
    waived: dict[str, date] = {}
    tag = ""
    for version in versions or ():
        there = "" if version.values is None else version.values.tag(slot)
        if first is not None and (version.values is None or there != tag):
            break
        first, tag = version, there
        # A later commit can prolong a waiver.
        waived = {**waivers(version.message), **waived}
    return None if first is None else Since(first.commit, first.day, waived)


def waiver_trailer(environments: Iterable[str], until: date) -> str:
    """Return the lines of a commit's message that say until when a tag may stay."""
    return "\n".join(f"{TRAILER}: {name} until {until}" for name in environments)


def waivers(message: str) -> dict[str, date]:
    """Return until when a commit's message lets a tag stay, by environment."""
    found = {}
    for line in message.splitlines():
        match = _WAIVER.fullmatch(line.strip())
        if match is not None:
            try:
                found[match["name"]] = date.fromisoformat(match["day"])
            except ValueError:
                continue
    return found
