"""What the event that started a workflow says about which pull requests to look at.

The event decides only that. All else is read over the API, so that nothing written into an event counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consdb_actions.errors import InputError

__all__ = ["Target", "target_of_event"]

_SHA = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_WITH_PULL = "pull_request, pull_request_target, pull_request_review, pull_request_review_comment"
_QUEUED = re.compile(r"/pr-(?P<number>[1-9][0-9]{0,8})-[0-9a-f]{40}")
_SUPPORTED = (
    f"{_WITH_PULL}, merge_group, issue_comment, workflow_run, "
    "check_suite, status, schedule, workflow_dispatch"
)


@dataclass(frozen=True, slots=True)
class Target:
    """The pull requests to look at.

    Attributes
    ----------
    repository
        ``owner/name``; empty when the event does not say.
    numbers
        Numbers of pull requests.
    commit
        A head commit whose open pull requests are meant, where the event gives no numbers, as it does for
        pull requests from forks.
    everything
        All open pull requests are meant.
    group
        Base and head of a group in the merge queue: meant are the pull requests in it, with `numbers` in any
        case, and its head gets a status, too.
    """

    repository: str = ""
    numbers: tuple[int, ...] = ()
    commit: str = ""
    everything: bool = False
    group: tuple[str, str] | None = None


def target_of_event(payload: object, name: str = "", *, place: str = "event") -> Target:
    """Find out from an event's payload which pull requests it is about."""
    if not isinstance(payload, Mapping):
        raise InputError("this is not the payload of an event", place=place, remedy="Give GITHUB_EVENT_PATH.")
    repository = _repository(payload, place)
    if name in ("schedule", "workflow_dispatch", "repository_dispatch") or (
        not name and "schedule" in payload
    ):
        return Target(repository, everything=True)
    pull = payload.get("pull_request")
    if isinstance(pull, Mapping):
        return Target(repository, (_number(pull, place),))
    issue = payload.get("issue")
    if isinstance(issue, Mapping) and isinstance(issue.get("pull_request"), Mapping):
        return Target(repository, (_number(issue, place),))
    if isinstance(group := payload.get("merge_group"), Mapping):
        queued = _QUEUED.search(group["head_ref"]) if isinstance(group.get("head_ref"), str) else None
        ends = _commit(group.get("base_sha"), place), _commit(group.get("head_sha"), place)
        return Target(repository, (int(queued["number"]),) if queued else (), group=ends)
    for key in ("workflow_run", "check_suite", "check_run"):
        if isinstance(run := payload.get(key), Mapping):
            return _of_run(repository, run, place)
    if isinstance(payload.get("sha"), str) and "context" in payload:
        return Target(repository, commit=_commit(payload["sha"], place))
    raise InputError(
        f"the event{f' {name}' if name else ''} is about no pull request",
        place=place,
        remedy=f"Name one with --pr, or start the workflow on one of: {_SUPPORTED}.",
    )


def _of_run(repository: str, run: Mapping[str, Any], place: str) -> Target:
    """Take the pull requests from a workflow run or check; for forks GitHub leaves the list empty."""
    pulls = run.get("pull_requests")
    numbers = [
        _number(pull, place)
        for pull in (pulls if isinstance(pulls, list) else [])
        if isinstance(pull, Mapping) and _is_of(pull, repository)
    ]
    if numbers:
        return Target(repository, tuple(sorted(set(numbers))))
    return Target(repository, commit=_commit(run.get("head_sha"), place))


def _is_of(pull: Mapping[str, Any], repository: str) -> bool:
    """Tell whether a pull request in a list belongs to this repository and not to a fork of it."""
    url = pull.get("url")
    return (
        not isinstance(url, str)
        or not repository
        or f"/repos/{repository}/pulls/".casefold() in url.casefold()
    )


def _repository(payload: Mapping[str, Any], place: str) -> str:
    """Read the repository's name."""
    repository = payload.get("repository")
    name = repository.get("full_name") if isinstance(repository, Mapping) else None
    if name is None:
        return ""
    if not isinstance(name, str) or not _REPOSITORY.fullmatch(name):
        raise InputError("the event's repository has no name like OWNER/NAME", place=place)
    return name


def _number(pull: Mapping[str, Any], place: str) -> int:
    """Read a pull request's number."""
    number = pull.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise InputError("the event's pull request has no number", place=place)
    return number


def _commit(value: object, place: str) -> str:
    """Read a commit's SHA."""
    if not isinstance(value, str) or not _SHA.fullmatch(value):
        raise InputError("the event names no commit of 40 hexadecimal digits", place=place)
    return value
