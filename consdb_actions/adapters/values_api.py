"""Values files and their histories over the API, fetched together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.objects import Change, Objects
from consdb_actions.adapters.values_files import MOST_VERSIONS, History, Past

__all__ = ["ApiFiles"]

AT_ONCE = 8
"""Versions of each file per request; most tags are found within them."""


class ApiFiles:
    """Files of a commit over the API."""

    def __init__(self, github: GitHub, repository: str, commit: str) -> None:
        self._objects = Objects(github, repository)
        self.commit = commit
        self.history: History | None = self

    def read(self, paths: Sequence[str]) -> dict[str, bytes | None]:
        """Return files; None for a missing one."""
        found = self._objects.files((self.commit, path) for path in paths)
        return {path: found[self.commit, path] for path in paths}

    def versions(self, paths: Sequence[str]) -> dict[str, Iterator[Past]]:
        """Return the versions of files, newest first; old ones are fetched on demand."""
        changes = self._objects.histories(self.commit, paths, MOST_VERSIONS)
        self._objects.files((item.sha, path) for path in paths for item in changes[path][:AT_ONCE])
        return {path: self._versions(path, changes[path]) for path in paths}

    def _versions(self, path: str, changes: Sequence[Change]) -> Iterator[Past]:
        for start in range(0, len(changes), AT_ONCE):
            some = changes[start : start + AT_ONCE]
            files = self._objects.files((item.sha, path) for item in some)
            for item in some:
                yield item.sha, item.message, item.at, files[item.sha, path]
