"""What is deployed where, and since when, out of the values files of phalanx."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from consdb_actions.adapters.github import reading
from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.contents import read_file
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
        self._now: tuple[Deployment, ...] | None = None
        self._pulls: dict[str, tuple[datetime | None, str]] = {}

    def deployments(self) -> tuple[Deployment, ...]:
        """Read what runs now, without its history.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        InputError
            A values file cannot be read.
        """
        if self._now is None:
            path = "/".join(map(quoted, self._policy.phalanx_branch.split("/")))
            tip = self._github.get(f"{self._root}/git/ref/heads/{path}")["object"]["sha"]
            found = []
            for app, environments in (
                ("consdb", self._policy.shown),
                ("consdbtap", self._policy.tap_environments),
            ):
                for environment in environments:
                    file = values_file(app, environment)
                    url = (
                        f"https://github.com/{self._policy.phalanx}/blob/{self._policy.phalanx_branch}/{file}"
                    )
                    found += [
                        Deployment(app, environment, row.component, (Setting(row.tag),), row.enabled, url)
                        for row in self._rows(app, environment, tip)
                    ]
            self._now = tuple(found)
        return self._now

    def with_history(
        self, deployments: tuple[Deployment, ...], since: datetime, holds: Callable[[str], bool]
    ) -> tuple[Deployment, ...]:
        """Add since when the components have had the tags that matter.

        Parameters
        ----------
        deployments
            What runs now.
        since
            A moment before which none of these tags can have been there.
        holds
            Tells which tags matter; for others no history is read.

        Returns
        -------
        tuple of Deployment
            The same, with the tags since then where a present one matters.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        files = {
            (item.application, item.environment) for item in deployments if item.enabled and holds(item.tag)
        }
        histories = {key: self._history(*key, since) for key in sorted(files)}
        return tuple(
            replace(item, history=_settings(item, histories[item.application, item.environment]))
            if (item.application, item.environment) in files and holds(item.tag)
            else item
            for item in deployments
        )

    def _rows(self, app: str, environment: str, commit: str) -> tuple[_Row, ...]:
        """Read the components of one values file at a commit; none where there is no file."""
        path = values_file(app, environment)
        data = read_file(self._github, self._policy.phalanx, path, commit)
        if data is None:
            return ()
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

    def _history(
        self, app: str, environment: str, since: datetime
    ) -> list[tuple[tuple[_Row, ...], datetime | None, str]]:
        """Read a values file after each change since a moment, oldest first; none where they are too many."""
        query: dict[str, str | int] = {
            "sha": self._policy.phalanx_branch,
            "path": values_file(app, environment),
            "since": (since - EARLIER).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "per_page": MOST,
        }
        items = self._github.get(f"{self._root}/commits", query)
        if len(items) >= MOST:
            return []
        found = [(self._rows(app, environment, item["sha"]), *self._merged(item)) for item in reversed(items)]
        # What was merged later was there later, whenever it was written.
        return sorted(found, key=lambda row: (row[1] is not None, row[1]))

    def _merged(self, item: Any) -> tuple[datetime | None, str]:
        """Say when a commit came to the branch, and with which pull request."""
        sha = item["sha"]
        if sha not in self._pulls:
            pulls = self._github.get(f"{self._root}/commits/{sha}/pulls", lasting=True)
            merged = [
                (moment, pull["html_url"])
                for pull in pulls
                if (moment := reading.moment(pull.get("merged_at"))) is not None
            ]
            self._pulls[sha] = min(
                merged, default=(reading.moment(item["commit"]["committer"]["date"]), item["html_url"])
            )
        return self._pulls[sha]


def _settings(
    item: Deployment, history: list[tuple[tuple[_Row, ...], datetime | None, str]]
) -> tuple[Setting, ...]:
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
