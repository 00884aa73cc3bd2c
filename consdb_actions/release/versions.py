"""Calendar versions, and the policy of releases."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar

from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.forms import Form, Public, matches_path, unique

_CALENDAR = re.compile(r"(?P<year>[0-9]{2})\.(?P<month>0?[1-9]|1[0-2])\.(?P<number>[0-9]{1,6})", re.ASCII)

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True, order=True)
class CalendarVersion:
    """A calendar version, ordered by its numbers; padding does not matter."""

    year: int  # with four digits
    month: int
    number: int  # of the release in the month
    text: str = field(default="", compare=False)  # the tag as written

    def __str__(self) -> str:
        return self.text or f"{self.year % 100:02}.{self.month}.{self.number}"

    @property
    def month_name(self) -> str:
        """Return the month in words, such as ``June 2026``."""
        return f"{_MONTHS[self.month - 1]} {self.year}"


@dataclass(frozen=True, slots=True)
class NextVersion(Public):
    """The next version and its reason."""

    FORMAT: ClassVar[str] = "consdb-actions/release-next/1"
    PUBLIC: ClassVar[str] = "source moment version=version.text newest=newest.text reason"

    version: CalendarVersion
    newest: CalendarVersion | None  # existing version; None before the first
    reason: str  # as a sentence
    moment: datetime  # of tagging, in UTC
    source: str = ""  # repository or clone of the tags


def parse_version(tag: str) -> CalendarVersion | None:
    """Parse a tag; None for other tags, like the legacy ``3.0.0``.

    Examples
    --------
    >>> parse_version("26.06.2") == parse_version("26.6.2")
    True
    """
    match = _CALENDAR.fullmatch(tag)
    if match is None:
        return None
    return CalendarVersion(2000 + int(match["year"]), int(match["month"]), int(match["number"]), tag)


def newest(tags: Iterable[str]) -> CalendarVersion | None:
    """Return the newest calendar version among tags."""
    versions = [version for tag in tags if (version := parse_version(tag))]
    return max(versions, key=lambda version: (version, version.text), default=None)


def next_version(
    tags: Iterable[str], now: datetime, *, padded: bool = False, skip: Iterable[str] = ()
) -> NextVersion:
    """Return the next version in the UTC month of `now` that is not in `skip`."""
    moment = now.astimezone(UTC)
    if not 2000 <= moment.year <= 2099:
        raise InputError(
            f"the year {moment.year} has no calendar version",
            place="--now",
            remedy="Versions use the last two digits of the years 2000 to 2099.",
        )
    last = newest(tags)
    if last is not None and (last.year, last.month) > (moment.year, moment.month):
        raise CheckFailed(
            f"the newest tag, {last}, is of {last.month_name}, and it is {_name(moment)} (rule R1)",
            remedy="A version of an earlier month would come before it. If the tag is a mistake, remove it; "
            "if the clock or --now is wrong, correct it.",
        )
    same_month = last is not None and (last.year, last.month) == (moment.year, moment.month)
    number = last.number + 1 if last is not None and same_month else 1
    passed_over = ""
    for name in sorted(name for text in skip if (name := parse_version(text))):
        if (name.year, name.month, name.number) == (moment.year, moment.month, number):
            passed_over += f"; {name} is skipped"
            number += 1
    month = f"{moment.month:02}" if padded else str(moment.month)
    version = CalendarVersion(moment.year, moment.month, number, f"{moment.year % 100:02}.{month}.{number}")
    now_words = f"it is {_name(moment)} in UTC ({moment:%Y-%m-%d %H:%M})"
    if last is None:
        reason = f"there is no calendar version yet, and {now_words}"
    elif same_month:
        reason = f"the newest is {last}, and {now_words}: number {number} of the month"
    else:
        reason = f"the newest is {last}, and {now_words}: the first of the month"
    return NextVersion(version, last, reason + passed_over, moment)


def _name(moment: datetime) -> str:
    return f"{_MONTHS[moment.month - 1]} {moment.year}"


_Check = Annotated[str, Form(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class CheckRules:
    """Which checks of a commit count."""

    required: Annotated[
        tuple[_Check, ...],
        Form("Names of checks that must have reported success; others must not have failed.", then=unique),
    ] = ()
    ignored: Annotated[
        tuple[_Check, ...], Form("Patterns of names of checks that do not matter.", then=unique)
    ] = ()
    unchecked: Annotated[bool, Form("Whether a commit on which no check has reported may be tagged.")] = False


@dataclass(frozen=True, slots=True)
class ReleasePolicy:
    """The configuration of releases."""

    padded: Annotated[bool, Form("Whether the month of a version has two digits, as in 26.06.2.")] = False
    images: Annotated[
        tuple[Annotated[str, Form(min_length=1, max_length=255)], ...],
        Form(
            "Images that are built for each tag, without the tag; release tag --wait-images waits for them.",
            then=unique,
        ),
    ] = (
        "ghcr.io/lsst-dm/consdb-hinfo",
        "ghcr.io/lsst-dm/consdb-pq",
        "ghcr.io/lsst-dm/consdb-transformed-efd",
    )
    skip: Annotated[
        tuple[
            Annotated[str, Form("A version such as 26.6.2.", pattern=r"^[0-9]{2}\.[0-9]{1,2}\.[0-9]{1,6}$")],
            ...,
        ],
        Form(
            "Versions that GitHub refuses for good, such as those of a deleted immutable release.",
            then=unique,
        ),
    ] = ()
    migrations: Annotated[
        tuple[
            Annotated[
                str,
                Form(
                    "Paths of Python files from the root of the repository, such as alembic/*/versions/*.py.",
                    min_length=1,
                    max_length=300,
                    pattern=r"^[^/].*\.py$",
                ),
            ],
            ...,
        ],
        Form(
            "Patterns of the migrations' files, for the notes; * does not match a slash. The folder above "
            "versions names the section.",
            then=unique,
        ),
    ] = ("alembic/*/versions/*.py",)
    checks: Annotated[
        CheckRules, Form("Checks and commit statuses that decide whether a commit may be tagged.")
    ] = CheckRules()

    def is_migration(self, path: str) -> bool:
        """Tell whether a path is a migration."""
        return matches_path(path, self.migrations)

    def ignores(self, check: str) -> bool:
        """Tell whether a check is ignored; a required one never is."""
        return check not in self.checks.required and any(
            fnmatchcase(check, pattern) for pattern in self.checks.ignored
        )
