"""Which pull requests a run of the process is about: by the event that started it, or those in progress."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consdb_actions.adapters.github import reading
from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.events import Target, target_of_event
from consdb_actions.process.memory import FINISHED, MARKER
from consdb_actions.publication.marker import read_marker

__all__ = ["followed_pulls", "process_target"]


def process_target(payload: object, name: str, repository: str, *, place: str = "event") -> Target:
    """Find out from an event's payload which pull requests it is about.

    The event may come from another repository than that of the schemas: from that of the migrations, where
    a pull request names its schema change, or from that of the deployments. The event decides only which
    pull requests are looked at; all else is read over the API.

    Parameters
    ----------
    payload
        Parsed JSON of the event.
    name
        Name of the event; recognized by what the payload holds when it is empty.
    repository
        The repository of the schemas, where it is known; else it is that of the event.
    place
        The file's name, for messages.

    Returns
    -------
    Target
        The pull requests.

    Raises
    ------
    InputError
        The payload is none, or the event is about no pull request.
    """
    if isinstance(payload, Mapping):
        here = payload.get("repository")
        source = here.get("full_name") if isinstance(here, Mapping) else None
        if repository and isinstance(source, str) and source.casefold() != repository.casefold():
            return _elsewhere(payload, repository)
        if name == "push" or (not name and "pusher" in payload):
            return Target(repository or (source if isinstance(source, str) else ""), everything=True)
    return target_of_event(payload, name, place=place)


def _elsewhere(payload: Mapping[str, Any], repository: str) -> Target:
    """Take the pull request that a migration is for; anything else may be about all of them."""
    pull = payload.get("pull_request")
    body = pull.get("body") if isinstance(pull, Mapping) else None
    marker = read_marker(body) if isinstance(body, str) else None
    if marker is not None:
        source, _, number = marker.source.partition("#")
        if source.casefold() == repository.casefold() and number.isascii() and number.isdigit():
            return Target(repository, (int(number),))
    return Target(repository, everything=True)


def followed_pulls(github: GitHub, repository: str, since: datetime) -> list[int]:
    """List the merged pull requests whose steps are not all done yet.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name`` of the schemas.
    since
        What was merged before is not looked at any more.

    Returns
    -------
    list of int
        Those with a comment of ours that does not say that all steps are done, oldest first.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    query: dict[str, str | int] = {"state": "closed", "sort": "updated", "direction": "desc"}
    merged: list[int] = []
    for page in github.pages(f"/repos/{repository}/pulls", query):
        for item in page:
            moment = reading.moment(item.get("merged_at"))
            if moment is not None and moment >= since:
                merged.append(item["number"])
        oldest = reading.moment(page[-1].get("updated_at")) if page else None
        if oldest is None or oldest < since:
            break  # Whatever was merged after that was updated after that.
    identity = github.viewer() if merged else ""
    return [number for number in sorted(merged) if _goes_on(github, repository, number, identity)]


def _goes_on(github: GitHub, repository: str, number: int, identity: str) -> bool:
    """Tell whether a comment of ours is there and does not say that all is done."""
    bodies = [
        item.get("body") or ""
        for item in github.items(f"/repos/{repository}/issues/{number}/comments")
        if (item.get("user") or {}).get("login", "").casefold() == identity.casefold()
        or (item.get("user") or {}).get("type") == "Bot"
    ]
    ours = [body for body in bodies if body.lstrip().startswith(MARKER)]
    return bool(ours) and FINISHED not in ours[0]
