"""Read the pull request and the repository of a migration, and find outdated migrations."""

from __future__ import annotations

import configparser
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from consdb_actions.adapters.github import graphql
from consdb_actions.adapters.github.client import MOST_FILES, GitHub, GitHubError, quoted_path
from consdb_actions.adapters.github.contents import ApiContents, UnreachableError, read_config, read_file
from consdb_actions.adapters.github.pull_requests import read_sections
from consdb_actions.approval.plan import Part
from consdb_actions.config import Config
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.process.comment_commands import read_answers
from consdb_actions.proposal import PullSeen
from consdb_actions.publication.plan import (
    WITHDRAWN,
    BranchFiles,
    RequestedChange,
    Stack,
    TargetPull,
    newest_revision,
    reason_to_regenerate,
    stack_of,
)
from consdb_actions.publication.result import TargetSection
from consdb_actions.publication.source import Inputs, Marker, RequestedMigration, SchemaSource, read_marker

INI = "alembic.ini"


class TargetRepository:
    """A repository of migrations."""

    def __init__(self, github: GitHub, repository: str) -> None:
        self._github = github
        self.repository = repository
        self._root = f"/repos/{repository}"

    def default_branch(self) -> str:
        """Return the name of the default branch, for which migrations are made."""
        return self._github.default_branch(self.repository)

    def tip(self, branch: str) -> str:
        """Return the newest commit of a branch."""
        return self._github.tip(self.repository, branch)

    def sections(self, commit: str) -> tuple[TargetSection, ...]:
        """Read the sections of ``alembic.ini`` at a commit; raise `InputError` if there are none."""
        data = read_file(self._github, self.repository, INI, commit)
        parser = configparser.RawConfigParser()
        try:
            parser.read_string((data or b"").decode("utf-8"))
        except (configparser.Error, UnicodeDecodeError) as error:
            raise InputError(
                f"this is not an ini file that can be read: {str(error).splitlines()[0]}",
                place=f"{INI} of {self.repository}",
            ) from error
        found = []
        for name in parser.sections():
            schema = parser.get(name, "consdb.schema_name", fallback="")
            location = parser.get(name, "script_location", fallback="").removeprefix("%(here)s/")
            if schema and location:
                found.append(TargetSection(name, schema, posixpath.normpath(location)))
        if not found:
            raise InputError(
                "this is not a repository of migrations: its alembic.ini names no sections",
                place=self.repository,
                remedy="Give --target the name of the repository, such as lsst-dm/consdb.",
            )
        return tuple(found)

    def revisions(self, commit: str) -> dict[str, str]:
        """Return the blob of each revision file at a commit, by its path."""
        return ApiContents(self._github, self.repository).files(commit, ("alembic/*/versions/*.py",))

    def merged_since(self, commit: str, now: Mapping[str, str], folders: tuple[str, ...]) -> str:
        """Name a revision of some folders that was merged since a commit; empty for none, or no commit.

        `now` is what `revisions` gives at present.
        """
        then = self.revisions(commit) if commit else now
        changed = {path for path in now.keys() | then.keys() if now.get(path) != then.get(path)}
        return min((path for path in changed if path.startswith(folders)), default="")

    def newest(self, revisions: Mapping[str, str], folder: str) -> str:
        """Return the newest revision of a folder, out of what `revisions` gives; empty for several."""
        inside = f"{folder}/versions/"
        return newest_revision(self._blob(sha) for path, sha in revisions.items() if path.startswith(inside))

    def open_pulls(self) -> list[TargetPull]:
        """Read all open pull requests from branches of this repository."""
        return self._own(self._github.items(f"{self._root}/pulls", {"state": "open"}))

    def closed_pulls(self, branch: str) -> list[TargetPull]:
        """Read the closed pull requests of a branch, newest first."""
        pulls = self._own(self._github.pulls_of(self.repository, branch, "closed"))
        return sorted((pull for pull in pulls if pull.branch == branch), key=lambda pull: -pull.number)

    def present(self, base: str, branch: str, theirs: tuple[str, ...] = ()) -> BranchFiles | None:
        """Read the files that a branch changes since it left a base branch; None without a branch.

        Too many to be looked at are a `CheckFailed`.
        """
        data = self._github.find(f"{self._root}/compare/{quoted_path(base)}...{quoted_path(branch)}")
        if data is None:
            return None
        items = data.get("files") or []
        if len(items) >= MOST_FILES:
            raise CheckFailed(
                f"the branch {branch} changes {MOST_FILES} files or more",
                place=self.repository,
                remedy="Look at the branch; no migration is that large.",
            )
        files: dict[str, bytes | None] = {}
        for item in items:
            if item["status"] == "renamed":
                files[item["previous_filename"]] = None
            files[item["filename"]] = None if item["status"] == "removed" else self._blob(item["sha"])
        return BranchFiles(files, theirs)

    def close(self, pull: TargetPull) -> None:
        """Close a pull request in the name of this program, and remove its branch, unless that is done."""
        if pull.is_open:
            body = pull.body if WITHDRAWN in pull.body else f"{pull.body.rstrip()}\n\n{WITHDRAWN}"
            changes = {"state": "closed", "body": body}
            self._github.write("PATCH", f"{self._root}/pulls/{pull.number}", changes)
        try:
            self.tip(pull.branch)
            self._github.write("DELETE", f"{self._root}/git/refs/heads/{quoted_path(pull.branch)}")
        except GitHubError as error:
            if error.status not in (404, 422):  # it is gone already
                raise

    def _own(self, items: list[Any]) -> list[TargetPull]:
        return [graphql.seen(item, TargetPull) for item in items if graphql.is_own(item)]

    def _blob(self, sha: str) -> bytes:
        return self._github.blob(self.repository, sha)


# Seconds before each look whether GitHub knows by now if a pull request can be merged.
WAITS = (0, 1, 2, 4, 8, 16, 30)

SCHEMAS = tuple("*/" * depth + "*.yaml" for depth in range(8))  # the files that may be schemas


def read_source(github: GitHub, repository: str, asked: RequestedMigration) -> SchemaSource:
    """Read the change that is asked for; of a branch with an open pull request, that one."""
    root = f"/repos/{repository}"
    if asked.number is not None:
        data = _found(github, f"{root}/pulls/{asked.number}", f"pull request {asked.number}", repository)
        pull = graphql.seen(data, PullSeen)
        return SchemaSource(repository, pull.branch, pull.head, data["base"]["repo"]["default_branch"], pull)
    head = _found(
        github, f"{root}/git/ref/heads/{quoted_path(asked.branch)}", f"branch {asked.branch}", repository
    )
    default = github.default_branch(repository)
    pulls = [graphql.seen(item, PullSeen) for item in github.pulls_of(repository, asked.branch, "open")]
    found = next((pull for pull in pulls if pull.branch == asked.branch and not pull.from_fork), None)
    return SchemaSource(repository, asked.branch, head["object"]["sha"], default, found)


def read_inputs(github: GitHub, source: SchemaSource) -> Inputs:
    """Find the two commits whose difference is the change (rule M18).

    Of a pull request to the default branch these are the merge that GitHub makes of the two for a test, and
    the commit of the default branch in it: whatever else the default branch has is in both. Of a branch, and
    of a pull request that is stacked on another's branch, these are the newest commit and the one at which it
    left the default branch.
    """
    pull = source.pull
    if pull is not None and pull.is_open and pull.base == source.default:
        return _test_merge(github, source, pull.number)
    tip = github.tip(source.repository, source.default)
    base = ApiContents(github, source.repository).fork_point(tip, source.commit)
    return Inputs(source.commit, source.commit, base)


def _test_merge(github: GitHub, source: SchemaSource, number: int) -> Inputs:
    """Read the test merge of a pull request, which GitHub starts to make when it is asked."""
    root = f"/repos/{source.repository}"
    for pause in WAITS:
        github.pause(pause)
        data = github.get(f"{root}/pulls/{number}")
        if data["mergeable"] is False:
            why = (
                f"{source.reference} has a conflict with its base branch {data['base']['ref']}. Merge that "
                "branch into it, or rebase it, and resolve the conflict."
            )
            return Inputs(source.commit, conflict=why)
        merge = data.get("merge_commit_sha")
        if data["mergeable"] and merge:
            parents = [
                item["sha"] for item in github.get(f"{root}/git/commits/{merge}", lasting=True)["parents"]
            ]
            # GitHub may show an older merge for a while.
            if parents[1:] == [source.commit]:
                return Inputs(source.commit, merge, parents[0])
    why = f"GitHub does not say yet whether {source.reference} can be merged into its base branch."
    return Inputs(source.commit, conflict=why)


def read_stack(github: GitHub, source: SchemaSource, label: str) -> Stack:
    """Find out which open pull requests contain the commits of a change, or are contained in it."""
    pull = source.pull
    if pull is None or not pull.is_open or pull.from_fork:
        return Stack()
    items = github.items(f"/repos/{source.repository}/pulls", {"state": "open"})
    others = [
        other
        for other in (graphql.seen(item, PullSeen) for item in items)
        if other.number != pull.number and not other.from_fork
    ]
    if not others:
        return Stack()
    tip = github.tip(source.repository, source.default)
    commits = {
        one.number: _commits(github, source.repository, tip, one.head)
        for one in (pull, *(other for other in others if other.has_label(label)))
    }
    return stack_of(pull, others, commits, label)


def read_answers_on(github: GitHub, source: SchemaSource) -> tuple[str, ...]:
    """Read the answers to questions that people gave in comments, out of our comment that keeps them."""
    if source.pull is None:
        return ()
    sections = read_sections(github, source.repository, source.pull.number)
    return read_answers(sections.get(Part.PROCESS, ""))


def _commits(github: GitHub, repository: str, tip: str, head: str) -> frozenset[str]:
    pages = github.pages(f"/repos/{repository}/compare/{tip}...{head}", lasting=True)
    return frozenset(commit["sha"] for page in pages for commit in page["commits"])


def config_of(github: GitHub, source: SchemaSource) -> Config:
    """Read the configuration on the default branch of the schemas; what the change says does not count."""
    return read_config(github, source.repository, source.default, source.default)


def date_of(github: GitHub, source: SchemaSource) -> str:
    """Return the moment of the commit: what is generated for it bears this date, however often it is run."""
    data = github.get(f"/repos/{source.repository}/git/commits/{source.commit}", lasting=True)
    return str(data["committer"]["date"])


def _found(github: GitHub, path: str, what: str, repository: str) -> Any:
    found = github.find(path)
    if found is None:
        raise InputError(
            f"{repository} has no {what}",
            remedy="Check the number or the name. A branch that was merged may be gone; then all is done.",
        )
    return found


@dataclass(frozen=True, slots=True)
class OutdatedMigration:
    """A schema change whose migration has to be made again, and why."""

    source: SchemaSource
    reason: str


def find_outdated(
    github: GitHub, repository: str, target: TargetRepository, label: str
) -> list[OutdatedMigration]:
    """Find the changes whose migrations have to be made again.

    Looked at are the open pull requests with the label, and those changes for which the target has an open
    generated pull request.
    """
    return _Finder(github, repository, target, label).find()


@dataclass
class _Finder:
    github: GitHub
    repository: str
    target: TargetRepository
    label: str
    _revisions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _schemas: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def find(self) -> list[OutdatedMigration]:
        default = self.github.default_branch(self.repository)
        tip = self.target.tip(self.target.default_branch())
        sections = self.target.sections(tip)
        self._revisions[""] = self.target.revisions(tip)
        self._schemas[""] = self._files(self.github.tip(self.repository, default))
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
                found.append(OutdatedMigration(source, reason))
        return found

    def _sources(self, default: str, generated: Mapping[str, TargetPull]) -> list[SchemaSource]:
        """List the changes, those with a pull request first."""
        items = self.github.items(f"/repos/{self.repository}/pulls", {"state": "open"})
        pulls = [
            pull for pull in (graphql.seen(item, PullSeen) for item in items) if pull.has_label(self.label)
        ]
        sources = {
            source.reference.casefold(): source
            for pull in sorted(pulls, key=lambda pull: pull.number)
            for source in [SchemaSource(self.repository, pull.branch, pull.head, default, pull)]
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

    def _asked(self, reference: str, pull: TargetPull) -> RequestedMigration | None:
        """Read what a marker calls a change; None for one of another repository."""
        if pull.marker is None or not reference.startswith(self.repository.casefold()):
            return None
        rest = pull.marker.source[len(self.repository) :]
        if rest[:1] == "#" and rest[1:].isascii() and rest[1:].isdigit():
            return RequestedMigration(int(rest[1:]))
        return RequestedMigration(branch=rest[1:]) if rest[:1] == "@" else None

    def _candidate(self, source: SchemaSource, generated: Mapping[str, TargetPull]) -> RequestedChange:
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
        return RequestedChange(
            source,
            marker,
            told,
            has_pull=pull is not None,
            is_held=read_stack(self.github, source, self.label).holder is not None,
            conflicts=conflicts,
        )

    def _told(self, source: SchemaSource) -> Marker | None:
        if source.pull is None:
            return None
        sections = read_sections(self.github, self.repository, source.pull.number)
        return read_marker(sections.get(Part.MIGRATION, ""))

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
            return ApiContents(self.github, self.repository).files(commit, SCHEMAS)
        except UnreachableError:
            return {}
