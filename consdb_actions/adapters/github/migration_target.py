"""The repository of migrations, over the API: its sections, and the pull requests that hold migrations."""

from __future__ import annotations

import base64
import configparser
import posixpath
from collections.abc import Mapping
from typing import Any

from consdb_actions.adapters.github import graphql
from consdb_actions.adapters.github.client import GitHub, GitHubError, quoted_path
from consdb_actions.adapters.github.contents import ApiContents, read_file
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.publication.outdated import newest_revision
from consdb_actions.publication.plan import WITHDRAWN, Present, TargetPull
from consdb_actions.publication.result import TargetSection

__all__ = ["TargetRepository"]

INI = "alembic.ini"
MOST_FILES = 300  # Changed files that GitHub shows of two commits; beyond, a comparison would not be whole


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
        return self._pulls({"state": "open"})

    def closed_pulls(self, branch: str) -> list[TargetPull]:
        """Read the closed pull requests of a branch, newest first."""
        owner = self.repository.partition("/")[0]
        pulls = self._pulls({"state": "closed", "head": f"{owner}:{branch}"})
        return sorted((pull for pull in pulls if pull.branch == branch), key=lambda pull: -pull.number)

    def present(self, base: str, branch: str, theirs: tuple[str, ...] = ()) -> Present | None:
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
        return Present(files, theirs)

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

    def _pulls(self, query: dict[str, str | int]) -> list[TargetPull]:
        items = self._github.items(f"{self._root}/pulls", query)
        return [_pull(item) for item in items if graphql.is_own(item)]

    def _blob(self, sha: str) -> bytes:
        data = self._github.get(f"{self._root}/git/blobs/{sha}", lasting=True)
        return base64.b64decode(data["content"])


def _pull(data: Any) -> TargetPull:
    return TargetPull(
        number=data["number"],
        url=data["html_url"],
        branch=data["head"]["ref"],
        author=(data.get("user") or {}).get("login") or "",
        body=data.get("body") or "",
        is_open=data["state"] == "open",
        merged=bool(data.get("merged_at")),
    )
