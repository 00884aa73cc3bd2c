"""Replay ConsDB's releases: what ``release next`` would have said when each tag was made.

    python tests/replay/releases.py --consdb GITDIR

A tag is made at its own date; a lightweight one has none, and the date of its commit stands in for it, before
which it cannot have been made. The exit code is 1 when a tag went another way and the reason is not known.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from consdb_actions.adapters.shell import run
from consdb_actions.errors import CheckFailed
from consdb_actions.release.versions import CalendarVersion, next_version, parse_version

FIRST = "24.10.1"
FORMAT = "%(refname:strip=2)%09%(objecttype)%09%(creatordate:iso-strict)"


@dataclass(frozen=True, slots=True)
class Made:
    """A tag, and when it was made as far as that is known."""

    name: str
    annotated: bool
    moment: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """A release, what would have been said, and how the two stand to each other."""

    made: Made
    said: str
    verdict: str
    reason: str = ""


def read_tags(directory: Path) -> list[Made]:
    """Read the tags of a repository in the order in which they were made."""
    lines = run(["git", "-C", directory, "for-each-ref", f"--format={FORMAT}", "refs/tags"]).stdout
    found = []
    for line in lines.splitlines():
        name, kind, moment = line.split("\t")
        found.append(Made(name, kind == "tag", datetime.fromisoformat(moment).astimezone(UTC)))
    return sorted(found, key=lambda made: (made.moment, made.name))


def replay(tags: Sequence[Made]) -> list[Case]:
    """Work out for each release after the first what would have been said."""
    first = parse_version(FIRST)
    cases = []
    for number, made in enumerate(tags):
        version = parse_version(made.name)
        if version is None or first is None or version <= first:
            continue
        before = [other.name for other in tags[:number]]
        try:
            said = str(next_version(before, made.moment).version)
        except CheckFailed as refusal:
            said = f"refused: {refusal.cause}"
        if said == made.name:
            cases.append(Case(made, said, "same"))
        else:
            cases.append(_other(made, version, said, before, tags[number + 1 :]))
    return cases


def _other(made: Made, version: CalendarVersion, said: str, before: list[str], after: Sequence[Made]) -> Case:
    """Say why a tag went another way."""
    month, now = (version.year, version.month), (made.moment.year, made.moment.month)
    day = f"{made.moment:%Y-%m-%d}"
    if month > now and not made.annotated:
        start = datetime(version.year, version.month, 1, tzinfo=UTC)
        until = after[0].moment if after else None
        if (until is None or start < until) and str(next_version(before, start).version) == made.name:
            reason = (
                f"its commit is of {day}; the tag has no date, and would be right from {start:%Y-%m-%d} on"
            )
            return Case(made, said, "no date", reason)
    if month > now:
        return Case(made, said, "other", f"named for {version.month_name} already on {day} (UTC)")
    if month < now:
        return Case(made, said, "other", f"named for {version.month_name} still on {day} (UTC)")
    return Case(made, said, "unknown")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--consdb", type=Path, required=True, metavar="GITDIR")
    tags = read_tags(parser.parse_args(arguments).consdb)
    cases = replay(tags)
    for case in cases:
        kind = "annotated" if case.made.annotated else "lightweight"
        mark = {"same": "=", "no date": "~"}.get(case.verdict, "≠")
        when = f"{case.made.moment:%Y-%m-%d %H:%M} UTC"
        print(f"{mark} {case.made.name:<8} {kind:<11} {when}  {case.said:<8} {case.reason}".rstrip())  # noqa: T201
    count = Counter(case.verdict for case in cases)
    light = sum(not case.made.annotated for case in cases)
    print(  # noqa: T201
        f"\n{len(cases)} releases after {FIRST}, {light} of them lightweight tags: "
        f"{count['same']} as it would have been said, "
        f"{count['no date']} without a date of their own that fit a later one, "
        f"{count['other'] + count['unknown']} another way ({count['unknown']} of them for no known reason)"
    )
    return 1 if count["unknown"] else 0


if __name__ == "__main__":
    sys.exit(main())
