"""The schema change that is meant, as GitHub shows it now."""

from __future__ import annotations

from typing import Any

from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.contents import ApiContents
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.errors import InputError
from consdb_actions.publication.source import Asked, PullSeen, Source

__all__ = ["base_of", "date_of", "read_source"]


def read_source(github: GitHub, repository: str, asked: Asked) -> Source:
    """Read the change that is asked for.

    Parameters
    ----------
    github
        A connection that may read the repository.
    repository
        ``owner/name`` of the repository of schemas.
    asked
        What is asked for.

    Returns
    -------
    Source
        The change; with a branch that has an open pull request, that one.

    Raises
    ------
    InputError
        There is no such pull request or branch.
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    root = f"/repos/{repository}"
    if asked.number is not None:
        data = _found(github, f"{root}/pulls/{asked.number}", f"pull request {asked.number}", repository)
        pull = _pull(data)
        return Source(repository, pull.branch, pull.head, data["base"]["repo"]["default_branch"], pull)
    path = "/".join(quoted(part) for part in asked.branch.split("/"))
    head = _found(github, f"{root}/git/ref/heads/{path}", f"branch {asked.branch}", repository)
    default = github.get(root)["default_branch"]
    owner = repository.partition("/")[0]
    items = github.items(f"{root}/pulls", {"state": "open", "head": f"{owner}:{asked.branch}"})
    pulls = [_pull(item) for item in items]
    found = next((pull for pull in pulls if pull.branch == asked.branch and not pull.from_fork), None)
    return Source(repository, asked.branch, head["object"]["sha"], default, found)


def base_of(github: GitHub, source: Source) -> str:
    """Return the commit at which the change left the default branch.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    ExternalError
        They have nothing in common.
    """
    root = f"/repos/{source.repository}"
    tip = github.get(f"{root}/git/ref/heads/{'/'.join(map(quoted, source.default.split('/')))}")
    return ApiContents(github, source.repository).fork_point(tip["object"]["sha"], source.commit)


def date_of(github: GitHub, source: Source) -> str:
    """Return the moment of the commit: what is generated for it bears this date, however often it is run.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    data = github.get(f"/repos/{source.repository}/git/commits/{source.commit}", lasting=True)
    return str(data["committer"]["date"])


def _found(github: GitHub, path: str, what: str, repository: str) -> Any:
    """Read what must be there."""
    try:
        return github.get(path)
    except GitHubError as error:
        if error.status != 404:
            raise
        raise InputError(
            f"{repository} has no {what}",
            remedy="Check the number or the name. A branch that was merged may be gone; then all is done.",
        ) from error


def _pull(data: Any) -> PullSeen:
    head, base = data["head"], data["base"]["repo"]
    # A fork that was removed leaves no repository behind.
    name = (head.get("repo") or {}).get("full_name", "")
    return PullSeen(
        number=data["number"],
        url=data["html_url"],
        branch=head["ref"],
        head=head["sha"],
        title=data.get("title") or "",
        body=data.get("body") or "",
        is_open=data["state"] == "open",
        merged=bool(data.get("merged_at")),
        from_fork=name.casefold() != base["full_name"].casefold(),
        labels=tuple(label["name"] for label in data.get("labels") or ()),
    )
