"""What is deployed where, and since when, out of the values files of phalanx."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.objects import Objects
from consdb_actions.deploy.components import Values, slots, values_file
from consdb_actions.deploy.reading import parse_values
from consdb_actions.errors import InputError
from consdb_actions.process.facts import Deployment, Setting
from consdb_actions.process.policy import ProcessPolicy

__all__ = ["PhalanxReader"]

MOST = 30
"""Commits of a file that are looked at to find out since when it says something."""

EARLIER = timedelta(days=14)
"""How long a commit may have waited on its branch: GitHub looks for commits by their own date."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A component in a values file."""

    component: str
    tag: str
    enabled: bool


class PhalanxReader:
    """Reads the values files; what runs now is read once in a run.

    Parameters
    ----------
    github
        The connection.
    policy
        Names the repository, its branch, and the environments.
    """

    def __init__(self, github: GitHub, policy: ProcessPolicy) -> None:
        self._github = github
        self._policy = policy
        self._root = f"/repos/{policy.phalanx}"
        self._objects = Objects(github, policy.phalanx)
        self._tip = ""
        self._now: tuple[Deployment, ...] | None = None

    def deployments(self) -> tuple[Deployment, ...]:
        """Read what runs now, without its history."""
        if self._now is None:
            path = "/".join(map(quoted, self._policy.phalanx_branch.split("/")))
            self._tip = self._github.get(f"{self._root}/git/ref/heads/{path}")["object"]["sha"]
            wanted = [("consdb", name) for name in self._policy.shown]
            wanted += [("consdbtap", name) for name in self._policy.tap_environments]
            there = self._objects.files((self._tip, values_file(*item)) for item in wanted)
            found = []
            for app, environment in wanted:
                file = values_file(app, environment)
                url = f"https://github.com/{self._policy.phalanx}/blob/{self._policy.phalanx_branch}/{file}"
                found += [
                    Deployment(app, environment, row.component, (Setting(row.tag),), row.enabled, url)
                    for row in _rows(app, environment, there[self._tip, file])
                ]
            self._now = tuple(found)
        return self._now

    def with_history(
        self, deployments: tuple[Deployment, ...], since: datetime, holds: Callable[[str], bool]
    ) -> tuple[Deployment, ...]:
        """Add since when the components have had the tags that matter."""
        files = {
            (item.application, item.environment) for item in deployments if item.enabled and holds(item.tag)
        }
        histories = self._histories(files, since)
        return tuple(
            replace(item, history=_settings(item, histories[item.application, item.environment]))
            if (item.application, item.environment) in files and holds(item.tag)
            else item
            for item in deployments
        )

    def _histories(
        self, files: Collection[tuple[str, str]], since: datetime
    ) -> dict[tuple[str, str], list[_Then]]:
        """Read values files after each change since a moment, oldest first; none where they are too many."""
        paths = {key: values_file(*key) for key in sorted(files)}
        changes = self._objects.histories(self._tip, paths.values(), MOST, since - EARLIER)
        some = {key: items for key, path in paths.items() if len(items := changes[path]) < MOST}
        texts = self._objects.files((item.sha, paths[key]) for key, items in some.items() for item in items)
        merges = self._objects.merges(item.sha for items in some.values() for item in items)
        found: dict[tuple[str, str], list[_Then]] = {key: [] for key in paths}
        for key, items in some.items():
            then = [
                (
                    _rows(*key, texts[item.sha, paths[key]]),
                    *min(merges[item.sha], default=(item.at, item.url)),
                )
                for item in reversed(items)
            ]
            # What was merged later was there later, whenever it was written.
            found[key] = sorted(then, key=lambda row: row[1])
        return found


_Then = tuple[tuple[_Row, ...], datetime, str]
"""What a values file said, since when, and where that is shown."""


def _rows(app: str, environment: str, data: bytes | None) -> tuple[_Row, ...]:
    """Read the components of one values file; none where there is no file."""
    if data is None:
        return ()
    path = values_file(app, environment)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("this is not UTF-8", place=path) from error
    values = Values(environment, parse_values(text, place=path), text)
    return tuple(
        _Row(slot.component, values.tag(slot), values.is_enabled(slot))
        for slot in slots(app, values)
        if values.own_value(slot.path) is not None
    )


def _settings(item: Deployment, history: list[_Then]) -> tuple[Setting, ...]:
    """Return the tags that a component had, each once as long as it stayed; the present one is the last."""
    found: list[Setting] = []
    for rows, at, url in history:
        row = next((row for row in rows if row.component == item.component), None)
        tag = row.tag if row is not None and row.enabled else ""
        if not found or found[-1].tag != tag:
            found.append(Setting(tag, at, url))
    if not found or found[-1].tag != item.tag:
        return item.history
    return tuple(found)
