"""The schema changes for which a migration was asked, with what was made for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.contents import ApiContents, UnreachableError
from consdb_actions.adapters.github.migration_source import (
    is_trusted,
    read_pull,
    read_source,
    read_stack,
    read_tip,
)
from consdb_actions.adapters.github.migration_target import Target
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.errors import InputError
from consdb_actions.publication.marker import COMMENT_MARKER, Marker, read_marker
from consdb_actions.publication.outdated import Candidate, reason_to_regenerate
from consdb_actions.publication.plan import TargetPull
from consdb_actions.publication.source import Asked, Source

__all__ = ["Outdated", "find_outdated"]


@dataclass(frozen=True, slots=True)
class Outdated:
    """A schema change whose migration has to be made again, and why."""

    source: Source
    reason: str


class _Schemas:
    """The files that may be schemas."""

    schemas = ("*.yaml", "*/*.yaml", "*/*/*.yaml", "*/*/*/*.yaml", "*/*/*/*/*.yaml")

    def matches(self, path: str) -> bool:
        return path.endswith(".yaml")


def find_outdated(github: GitHub, repository: str, target: Target, label: str) -> list[Outdated]:
    """Find the changes whose migrations have to be made again.

    Looked at are the open pull requests with the label, and those changes for which the target has an open
    generated pull request.

    Parameters
    ----------
    github
        A connection that may read the repository of schemas.
    repository
        That repository, as ``owner/name``.
    target
        The repository of migrations.
    label
        The label that asks for a migration.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    return _Finder(github, repository, target, label).find()


@dataclass
class _Finder:
    github: GitHub
    repository: str
    target: Target
    label: str
    _revisions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _schemas: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def find(self) -> list[Outdated]:
        root = f"/repos/{self.repository}"
        default = self.github.get(root)["default_branch"]
        tip = self.target.tip(self.target.default_branch())
        sections = self.target.sections(tip)
        self._revisions[""] = self.target.revisions(tip)
        self._schemas[""] = self._files(read_tip(self.github, self.repository, default))
        generated = {
            pull.marker.source.casefold(): pull
            for pull in self.target.open_pulls()
            if pull.marker is not None
        }
        found = []
        for source in self._sources(default, generated):
            try:
                candidate = self._candidate(source, generated)
            except GitHubError as error:
                if error.status not in (404, 422):
                    raise
                continue  # it went away meanwhile
            for marker in (candidate.marker, candidate.told):
                if marker is not None:
                    self._read_then(marker)
            reason = reason_to_regenerate(candidate, sections, self._revisions, self._schemas)
            if reason:
                found.append(Outdated(source, reason))
        return found

    def _sources(self, default: str, generated: Mapping[str, TargetPull]) -> list[Source]:
        """List the changes, those with a pull request first."""
        items = self.github.items(f"/repos/{self.repository}/pulls", {"state": "open"})
        pulls = [pull for pull in map(read_pull, items) if pull.has_label(self.label)]
        sources = {
            source.reference.casefold(): source
            for pull in sorted(pulls, key=lambda pull: pull.number)
            for source in [Source(self.repository, pull.branch, pull.head, default, pull)]
        }
        branches = {f"{self.repository}@{source.branch}".casefold() for source in sources.values()}
        for reference in sorted(set(generated) - sources.keys() - branches):
            asked = self._asked(reference, generated[reference])
            if asked is None:
                continue
            try:
                source = read_source(self.github, self.repository, asked)
            except InputError:
                continue  # the branch is gone
            if source.pull is None or source.pull.is_open:
                sources.setdefault(source.reference.casefold(), source)
        return list(sources.values())

    def _asked(self, reference: str, pull: TargetPull) -> Asked | None:
        """Read what a marker calls a change; None for one of another repository."""
        if pull.marker is None or not reference.startswith(self.repository.casefold()):
            return None
        rest = pull.marker.source[len(self.repository) :]
        if rest[:1] == "#" and rest[1:].isascii() and rest[1:].isdigit():
            return Asked(int(rest[1:]))
        return Asked(branch=rest[1:]) if rest[:1] == "@" else None

    def _candidate(self, source: Source, generated: Mapping[str, TargetPull]) -> Candidate:
        names = (source.reference.casefold(), f"{self.repository}@{source.branch}".casefold())
        pull = next((generated[name] for name in names if name in generated), None)
        told = self._told(source)
        conflicts = False
        if source.pull is not None:
            data = self.github.get(f"/repos/{self.repository}/pulls/{source.pull.number}")
            conflicts = data["mergeable"] is False
        marker = pull.marker if pull is not None else told
        # A newer run may have ended in a question: its answer is waited for.
        if told is not None and marker is not None and told.sha == source.commit and told.target:
            is_same = marker.sha == told.sha
            marker = replace(told, files=marker.files if is_same else {})
        return Candidate(
            source,
            marker,
            told,
            has_pull=pull is not None,
            is_held=read_stack(self.github, source, self.label).holder is not None,
            conflicts=conflicts,
        )

    def _told(self, source: Source) -> Marker | None:
        """Read what our comment remembers; of several by different accounts the newest counts."""
        if source.pull is None:
            return None
        items = self.github.items(f"/repos/{self.repository}/issues/{source.pull.number}/comments")
        ours = [item for item in items if is_trusted(item) and _is_ours(item)]
        return read_marker(max(ours, key=lambda item: item["updated_at"])["body"]) if ours else None

    def _read_then(self, marker: Marker) -> None:
        """Read the files of the commits that a migration was made from; of a lost one there are none."""
        if marker.target and marker.target not in self._revisions:
            try:
                self._revisions[marker.target] = self.target.revisions(marker.target)
            except UnreachableError:
                self._revisions[marker.target] = {}
        if marker.base and marker.base not in self._schemas:
            self._schemas[marker.base] = self._files(marker.base)

    def _files(self, commit: str) -> Mapping[str, str]:
        try:
            return ApiContents(self.github, self.repository).files(commit, _Schemas())
        except UnreachableError:
            return {}


def _is_ours(comment: Any) -> bool:
    return (comment.get("body") or "").startswith(COMMENT_MARKER)
