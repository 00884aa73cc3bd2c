"""The schemas of the transformed EFD in both repositories, over the API."""

from __future__ import annotations

import re
from typing import Any

from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.contents import ApiContents
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.errors import InputError
from consdb_actions.process.efd import EfdCopy, EfdSource, plan_copy
from consdb_actions.process.policy import ProcessPolicy

__all__ = ["EfdReader", "default_branch"]


def default_branch(github: GitHub, repository: str) -> tuple[str, str]:
    """Return the name of the default branch of a repository, and its newest commit.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    name = str(github.get(f"/repos/{repository}")["default_branch"])
    path = "/".join(quoted(part) for part in name.split("/"))
    return name, str(github.get(f"/repos/{repository}/git/ref/heads/{path}")["object"]["sha"])


class EfdReader:
    """Reads what a copy of EFD schemas rests on.

    Parameters
    ----------
    github
        The connection.
    policy
        Names consdb and the folders.
    repository
        ``owner/name`` of sdm_schemas.
    """

    def __init__(self, github: GitHub, policy: ProcessPolicy, repository: str) -> None:
        self._github = github
        self._policy = policy
        self._repository = repository
        self._there = ApiContents(github, policy.consdb)

    def source(self, number: int | None, ticket: str) -> tuple[EfdSource, frozenset[str] | None]:
        """Find out what is to be copied.

        Parameters
        ----------
        number
            Pull request in consdb; None for the default branch.
        ticket
            The ticket; empty where the pull request names it, or the one that changed the schemas last.

        Returns
        -------
        tuple
            The source, and the names of the files that the pull request changes while it is open; None where
            all files of the default branch are meant.

        Raises
        ------
        InputError
            There is no such pull request, it is from a fork or closed, or no ticket is named.
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        consdb = self._policy.consdb
        if number is None:
            commit = default_branch(self._github, consdb)[1]
            if ticket or (newest := self._newest(commit)) is None:
                return EfdSource(consdb, commit, ticket), None
            named = self._policy.ticket_in(newest["head"]["ref"], newest.get("title") or "")
            shown = newest["number"], newest.get("title") or "", newest["html_url"]
            return EfdSource(consdb, commit, named, *shown), None
        data = self._pull(number)
        ticket = ticket or self._policy.ticket_in(data["head"]["ref"], data.get("title") or "")
        if not ticket:
            raise InputError(
                "neither its branch nor its title names a ticket",
                place=f"{consdb}#{number}",
                remedy="Give --ticket KEY.",
            )
        is_open = data["state"] == "open"
        commit = data["head"]["sha"] if is_open else default_branch(self._github, consdb)[1]
        source = EfdSource(consdb, commit, ticket, number, data.get("title") or "", data["html_url"])
        if not is_open:
            return source, None
        folder = f"{self._policy.efd.sources}/"
        rows = self._github.items(f"/repos/{consdb}/pulls/{number}/files")
        names = [row["filename"] for row in rows if row["status"] != "removed"]
        return source, frozenset(name.removeprefix(folder) for name in names if name.startswith(folder))

    def copy(self, source: EfdSource, changed: frozenset[str] | None, base: str) -> EfdCopy:
        """Compare both sides.

        Parameters
        ----------
        source
            What is copied.
        changed
            The files that are meant; None for all.
        base
            Newest commit of the default branch of sdm_schemas.

        Raises
        ------
        ExternalError
            GitHub refused, could not be reached within the bounds, or has a commit no longer.
        """
        here = ApiContents(self._github, self._repository)
        return plan_copy(
            self._policy,
            _named(self._there.files(source.commit, _Yaml(self._policy.efd.sources))),
            _named(here.files(base, _Yaml(self._policy.efd.target))),
            changed,
        )

    def bytes_of(self, blob: str) -> bytes:
        """Return the bytes of a file in consdb.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        InputError
            The file is too large for a schema.
        """
        return self._there.blob(blob)

    def _newest(self, commit: str) -> Any:
        """Return the merged pull request that changed the schemas last; None where there is none."""
        root, folder = f"/repos/{self._policy.consdb}", self._policy.efd.sources
        for change in self._github.get(f"{root}/commits", {"sha": commit, "path": folder, "per_page": 1}):
            pulls = self._github.get(f"{root}/commits/{change['sha']}/pulls")
            return next((item for item in pulls if item.get("merged_at")), None)
        return None

    def _pull(self, number: int) -> Any:
        """Read the pull request in consdb, which must be open or merged, and no fork's."""
        consdb = self._policy.consdb
        try:
            data = self._github.get(f"/repos/{consdb}/pulls/{number}")
        except GitHubError as error:
            if error.status != 404:
                raise
            raise InputError(
                f"{consdb} has no pull request {number}", place="--consdb-pr", remedy="Check the number."
            ) from error
        home = (data["head"].get("repo") or {}).get("full_name", consdb)
        if home.casefold() != consdb.casefold() and data["state"] == "open":
            raise InputError(
                "it comes from a fork, and only branches of the repository itself are copied",
                place=f"{consdb}#{number}",
                remedy="Run this again when it is merged.",
            )
        if data["state"] != "open" and not data.get("merged_at"):
            raise InputError(
                "it was closed without a merge",
                place=f"{consdb}#{number}",
                remedy="Reopen it, or name another.",
            )
        return data


class _Yaml:
    """The EFD schemas of a folder."""

    def __init__(self, folder: str) -> None:
        self.schemas = (f"{folder}/efd_*.yaml",)
        self._pattern = re.compile(rf"{re.escape(folder)}/efd_[^/]+\.yaml")

    def matches(self, path: str) -> bool:
        """Tell whether a file is one."""
        return self._pattern.fullmatch(path) is not None


def _named(files: dict[str, str]) -> dict[str, str]:
    """Return the blobs by the name of the file."""
    return {path.rpartition("/")[2]: blob for path, blob in files.items()}
