"""Calendar versions, the policy of releases, and the plan of the next tag."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

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


CheckState = Literal["success", "pending", "failure"]


@dataclass(frozen=True, slots=True)
class GitTag:
    """A tag of the repository."""

    name: str
    commit: str  # after peeling the tag object
    annotated: bool = True
    ours: bool = False  # created by this program, according to its message
    object: str = ""  # SHA of the tag object; empty if lightweight or unknown


@dataclass(frozen=True, slots=True)
class CommitCheck:
    """A check run or a commit status."""

    name: str
    state: CheckState  # its meaning for a release
    text: str  # its own wording, such as ``cancelled`` or ``in progress``


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """The state of the repository at a release."""

    branch: str  # the default branch
    commit: str  # to be tagged
    now: datetime  # the time of tagging
    contained: bool  # whether the default branch contains the commit
    tags: tuple[GitTag, ...]
    checks: tuple[CommitCheck, ...] = ()  # on the commit, without those of the present run
    released: bool = False  # whether the newest release contains the commit
    parted: bool = False  # whether the newest release is neither an ancestor nor a descendant


@dataclass(frozen=True, slots=True)
class ReleaseRefusal:
    """A reason not to tag, with its remedy."""

    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class TagPlan:
    """The decision about a tag."""

    tag: str
    commit: str
    # ``complete`` creates a missing release for a tag of an earlier run
    action: Literal["create", "complete", "nothing"]
    reason: str  # as a sentence
    previous: GitTag | None = None  # None for the first release
    refusals: tuple[ReleaseRefusal, ...] = ()
    remarks: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `CheckFailed` with all refusals, if any."""
        if self.refusals:
            raise CheckFailed(
                f"{self.commit[:12]} is not tagged as {self.tag} (rule R2): "
                + "; ".join(refusal.text for refusal in self.refusals),
                remedy="\n".join(dict.fromkeys(refusal.remedy for refusal in self.refusals)),
            )


def last_release(tags: tuple[GitTag, ...], before: CalendarVersion | None = None) -> GitTag | None:
    """Return the newest release (before a version); None if there is none."""
    versions = [(version, tag) for tag in tags if (version := parse_version(tag.name))]
    found = [pair for pair in versions if before is None or pair[0] < before]
    return max(found, key=lambda pair: (pair[0], pair[1].name))[1] if found else None


def decide(facts: ReleaseFacts, policy: ReleasePolicy, wanted: str | None = None) -> TagPlan:
    """Decide what to do about a tag.

    Without `wanted`, the next version is taken. Raises `InputError` if `wanted` is not a calendar version,
    and `CheckFailed` if the newest version is of a later month (rule R1).
    """
    expected = _expected(wanted)
    versions = {tag: version for tag in facts.tags if (version := parse_version(tag.name))}
    here = [tag for tag in versions if tag.commit == facts.commit]
    if expected is not None:
        same = [tag for tag, version in versions.items() if version == expected]
        if same and not set(same) & set(here):
            other = same[0]
            refusal = ReleaseRefusal(
                f"the tag {other.name} exists, on {other.commit[:12]}",
                "Tags are never moved. Name the commit that it is on with --commit, "
                "or omit --tag for the next version.",
            )
            return TagPlan(other.name, facts.commit, "create", "", refusals=(refusal,))
        here = [tag for tag in same if tag in here] or here
    if here:
        return _existing(facts, max(here, key=lambda tag: versions[tag]), expected)
    following = next_version(
        [tag.name for tag in facts.tags], facts.now, padded=policy.padded, skip=policy.skip
    )
    refusals = list(_refusals(facts, policy))
    if expected is not None and expected != following.version:
        text = f"{wanted} is not the next version, {following.version} is: {following.reason}"
        refusals.append(ReleaseRefusal(text, "Omit --tag, or give the next version."))
    previous = last_release(facts.tags, following.version)
    remarks = []
    if facts.parted and previous is not None:
        remarks.append(
            f"{previous.name} is not in the history of this commit: "
            "its other changes may be missing here, and the notes start at the merge base"
        )
    return TagPlan(
        str(following.version),
        facts.commit,
        "create",
        following.reason,
        previous,
        tuple(refusals),
        tuple(remarks),
    )


def _expected(wanted: str | None) -> CalendarVersion | None:
    if wanted is None:
        return None
    version = parse_version(wanted)
    if version is None:
        raise InputError(
            f'"{wanted[:100]}" is not a calendar version', place="--tag", remedy="Write it as 26.6.2."
        )
    return version


def _existing(facts: ReleaseFacts, tag: GitTag, expected: CalendarVersion | None) -> TagPlan:
    version = parse_version(tag.name)
    remarks = []
    if not tag.annotated:
        remarks.append(
            f"the tag {tag.name} is lightweight, without author, date or message; it is kept, because "
            f"tags are never moved"
        )
    refusals = []
    if expected is not None and version != expected:
        text = f"the commit is tagged already, as {tag.name}"
        refusals.append(ReleaseRefusal(text, "Omit --tag, or name a newer commit with --commit."))
    return TagPlan(
        str(expected) if refusals else tag.name,
        facts.commit,
        "complete" if tag.ours else "nothing",
        f"{tag.name} is on this commit already",
        last_release(facts.tags, version),
        tuple(refusals),
        tuple(remarks),
    )


def _refusals(facts: ReleaseFacts, policy: ReleasePolicy) -> Iterator[ReleaseRefusal]:
    if not facts.contained:
        yield ReleaseRefusal(
            f"the commit is not in the history of {facts.branch}",
            f"Merge it into {facts.branch} first, or name another with --commit.",
        )
    last = last_release(facts.tags)
    if facts.released and last is not None:
        yield ReleaseRefusal(
            f"the newest release, {last.name}, already contains it",
            "A newer version on an older commit would go back. Name a newer commit with --commit.",
        )
    yield from _checks(facts.checks, policy)


def _checks(checks: tuple[CommitCheck, ...], policy: ReleasePolicy) -> Iterator[ReleaseRefusal]:
    counted = [check for check in checks if not policy.ignores(check.name)]
    failed = [check for check in counted if check.state == "failure"]
    pending = [check for check in counted if check.state == "pending"]
    missing = [name for name in policy.checks.required if all(check.name != name for check in counted)]
    if failed:
        yield ReleaseRefusal(
            f"checks have failed: {_named(failed)}",
            "Fix what they found and tag the new commit, or run them again on this one; "
            "a check that does not matter can be named in release.checks.ignored of the configuration.",
        )
    if pending:
        yield ReleaseRefusal(
            f"checks have not finished: {_named(pending)}", "Run the command again when they have finished."
        )
    if missing:
        yield ReleaseRefusal(
            f"required checks have not reported: {', '.join(missing)}",
            "Run the command again when they have; release.checks.required of the configuration names them.",
        )
    if not counted and not missing and not policy.checks.unchecked:
        yield ReleaseRefusal(
            "no check has reported on the commit",
            "Run the command again when the checks have started; if there are none, set "
            "release.checks.unchecked: true in the configuration.",
        )


def _named(checks: list[CommitCheck]) -> str:
    return ", ".join(dict.fromkeys(f"{check.name} ({check.text})" for check in checks))
