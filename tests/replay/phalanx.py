"""Replay the history of the values files: what each commit wanted, written by the editor.

    python tests/replay/phalanx.py --phalanx GITDIR [--day YYYY-MM-DD]...

For every commit that changed a tag in ``applications/consdb*/values-*.yaml``, the tags, pull policies and
datalink addresses that it wanted are written into the files as they were before. Each of these lines must
come out with the commit's own bytes, and no other line may change. Then the drift report is made for some
days, on which known cases must be named. The exit code is 1 where one of this does not hold.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from consdb_actions.adapters.shell import run
from consdb_actions.adapters.values_files import CloneFiles, read_history, read_values
from consdb_actions.deploy.drift import ComponentTag, component_tags, find_drift
from consdb_actions.deploy.model import APPS, DeployPolicy, Values, slots, values_file
from consdb_actions.deploy.values import Path as Keys
from consdb_actions.deploy.values import insert_scalar, parse_values, remove_scalar, set_scalar
from consdb_actions.errors import InputError

KNOWN = (
    (
        date(2024, 10, 15),
        "summit",
        "hinfo",
        "on the ticket image tickets-DM-44551 since 2024-06-18 (119 days)",
    ),
    (date(2026, 5, 20), "usdfprod", "pq", "environment 25.11.2 since 2025-11-28 (173 days)"),
    (date(2026, 6, 1), "base", "pq", "on main since 2024-06-18 (713 days)"),
    (
        date(2026, 8, 21),
        "usdfprod",
        "tap-schema",
        "on the ticket image tickets-OSW-1617 since 2026-06-02 (80 days)",
    ),
    (date(2026, 8, 21), "tucson-teststand", "hinfo", "at 25.11.2 since 2025-11-28 (266 days)"),
)
"""Day, environment, component, and what the report says; found by hand in the history."""


@dataclass(frozen=True)
class Step:
    """One file of one commit: as it was, and as the commit left it."""

    commit: str
    app: str
    environment: str
    before: str
    after: str


def git(folder: Path, *arguments: str) -> str:
    return run(["git", "-C", folder, *arguments], timeout=600).stdout


def steps(folder: Path, tip: str) -> Iterator[Step]:
    """Yield the changes of values files, the oldest first, without files that a commit makes or removes."""
    for app in APPS:
        for environment in DeployPolicy().environments:
            path = values_file(app, environment)
            log = git(folder, "log", "--reverse", "--no-merges", "--format=%H %P", tip, "--", path)
            for line in log.splitlines():
                commit, parent = line.split()[:2]
                there = [
                    git(folder, "ls-tree", sha, "--", path) and git(folder, "show", f"{sha}:{path}")
                    for sha in (parent, commit)
                ]
                if all(there):
                    yield Step(commit, app, environment, *there)


def wanted(step: Step) -> dict[Keys, str | None]:
    """Return the tags, addresses and pull policies that a commit changed; None for one that it took out."""
    old, new = (
        Values(step.environment, parse_values(text, place="values"), text)
        for text in (step.before, step.after)
    )
    found: dict[Keys, str | None] = {}
    for values in (new, old):
        for slot in slots(step.app, values):
            for path in filter(None, (slot.path, slot.pull_policy)):
                if old.own_value(path) != new.own_value(path):
                    found[path] = new.own_value(path)
    return found


def replayed(step: Step, values: dict[Keys, str | None]) -> str:
    """Write the wanted values into the file as it was."""
    text = step.before
    for path, value in values.items():
        old = Values(step.environment, parse_values(text, place="values"), text).own_value(path)
        if value is None:
            text = remove_scalar(text, path, place="values")
        elif old is None:
            text = insert_scalar(text, path, value, after="tag", place="values")
        else:
            text = set_scalar(text, path, value, place="values")
    return text


def lines_of(text: str, values: dict[Keys, str | None]) -> list[str]:
    """Return the lines on which these values stand, without what is a matter of their neighbours."""
    lines = text.splitlines(keepends=True)
    return sorted(line for line in lines for value in values.values() if value and value in line)


def edits(folder: Path, tip: str) -> tuple[Counter[str], list[str]]:
    """Replay all changes; return counts, and what is wrong."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    commits: set[str] = set()
    for step in steps(folder, tip):
        values = wanted(step)
        if not values:
            continue
        commits.add(step.commit)
        counts["files of commits"] += 1
        name = f"{step.commit[:9]} {values_file(step.app, step.environment)}"
        present = Values(step.environment, parse_values(step.before, place="values"))
        old = {path: present.own_value(path) for path in values}
        try:
            text = replayed(step, values)
        except InputError as error:
            counts["whose place the commit made itself (not for the editor)"] += 1
            if not error.cause.startswith("there is no "):
                wrong.append(f"{name}: {error.cause}")
            continue
        counts["values"] += len(values)
        if text == step.after:
            counts["files that come out with the commit's bytes, whole"] += 1
        before, after = step.before.splitlines(keepends=True), text.splitlines(keepends=True)
        changed = [line[1:] for line in difflib.unified_diff(before, after, n=0) if line[0] in "+-"][2:]
        known = set(lines_of(step.before, old)) | set(lines_of(text, values))
        if lines_of(text, values) != lines_of(step.after, values):
            wrong.append(f"{name}: a line has other bytes")
        elif not set(changed) <= known:
            wrong.append(f"{name}: another line changed")
        else:
            counts["files whose lines of tags have the commit's bytes, and no other line changed"] += 1
    counts["commits"] = len(commits)
    return counts, wrong


def drifts(folder: Path, tip: str, days: list[date]) -> list[str]:
    """Make the report for each day, and return the known cases that it does not name."""
    policy, missing = DeployPolicy(), []
    for day in sorted({*days, *(known[0] for known in KNOWN)}):
        revision = git(folder, "rev-list", "-1", "--first-parent", f"--before={day}T23:59:59Z", tip).strip()
        source = CloneFiles(folder, revision)
        seen: list[ComponentTag] = []
        for app in APPS:
            values = read_values(source, app, policy)
            seen += component_tags(app, values, read_history(source, app, values))
        drift = find_drift(policy, seen, day)
        counts = Counter(finding.severity.word for finding in drift.findings)
        print(f"{day}: " + ", ".join(f"{count} {word}" for word, count in counts.items()))
        for known_day, environment, component, text in KNOWN:
            if known_day != day:
                continue
            named = [
                finding
                for finding in drift.findings
                if finding.environment == environment
                and text in finding.text
                and any(part.startswith(component) for part in finding.components)
            ]
            for finding in named:
                parts = ", ".join(finding.components)
                print(f"  {finding.severity.word}: {environment}: {parts} {finding.text}")
            if not named:
                missing.append(f"{day}: nothing says that {component} at {environment} is {text}")
    return missing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phalanx", type=Path, required=True, help="clone of lsst-sqre/phalanx, bare or not")
    parser.add_argument("--tip", default="HEAD", help="commit up to which the history is replayed")
    parser.add_argument("--day", type=date.fromisoformat, action="append", default=[])
    options = parser.parse_args()
    counts, wrong = edits(options.phalanx, options.tip)
    for what, count in counts.items():
        print(f"{count:5} {what}")
    wrong += drifts(options.phalanx, options.tip, options.day)
    for line in wrong:
        print(f"WRONG {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
