"""Dates and waivers of deployed tags, from the history of values files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from consdb_actions.deploy.components import Slot, Values

__all__ = ["Since", "Version", "since", "waiver_trailer", "waivers"]

TRAILER = "Consdb-Actions-Waiver"
"""Commit trailer that waives rule R5: environment and last day."""

_WAIVER = re.compile(
    rf"{TRAILER}: (?P<name>[a-z0-9-]+) until (?P<day>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Version:
    """A values file at one commit."""

    commit: str
    message: str
    day: date  # in UTC
    values: Values | None  # None if the commit removed the file or it could not be read


@dataclass(frozen=True, slots=True)
class Since:
    """The commit that deployed a tag."""

    commit: str
    day: date  # in UTC
    waived: Mapping[str, date] = field(default_factory=dict)  # last day of each waiver, by environment


def since(versions: Iterable[Version] | None, slot: Slot) -> Since | None:
    """Find the commit that deployed a component's present tag."""
    first: Version | None = None
    waived: dict[str, date] = {}
    tag = ""
    for version in versions or ():
        there = "" if version.values is None else version.values.tag(slot)
        if first is not None and (version.values is None or there != tag):
            break
        first, tag = version, there
        # A later commit can extend a waiver.
        waived = {**waivers(version.message), **waived}
    return None if first is None else Since(first.commit, first.day, waived)


def waiver_trailer(environments: Iterable[str], until: date) -> str:
    """Return the commit trailers of a waiver."""
    return "\n".join(f"{TRAILER}: {name} until {until}" for name in environments)


def waivers(message: str) -> dict[str, date]:
    """Return the waivers in a commit message: last day by environment."""
    found = {}
    for line in message.splitlines():
        match = _WAIVER.fullmatch(line.strip())
        if match is not None:
            try:
                found[match["name"]] = date.fromisoformat(match["day"])
            except ValueError:
                continue
    return found
