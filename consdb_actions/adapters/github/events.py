"""Read the events that start workflows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consdb_actions.errors import InputError
from consdb_actions.publication.source import RequestedMigration, read_marker

_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")

_WITH_PULL = "pull_request, pull_request_target, pull_request_review, pull_request_review_comment"

_QUEUED = re.compile(r"/pr-(?P<number>[1-9][0-9]{0,8})-[0-9a-f]{40}")

_SUPPORTED = (
    f"{_WITH_PULL}, merge_group, issue_comment, workflow_run, "
    "check_suite, status, schedule, workflow_dispatch"
)


@dataclass(frozen=True, slots=True)
class EventTarget:
    """The pull requests to look at."""

    repository: str = ""  # ``owner/name``; empty when the event does not say
    numbers: tuple[int, ...] = ()
    commit: str = ""  # a head commit whose open pull requests are meant: for forks there are no numbers
    everything: bool = False  # all open pull requests
    # Base and head of a group in the merge queue: its pull requests are meant, and its head gets a status.
    group: tuple[str, str] | None = None


def target_of_event(payload: object, name: str = "", *, place: str = "event") -> EventTarget:
    """Find out from an event's payload which pull requests it is about."""
    if not isinstance(payload, Mapping):
        raise InputError("this is not the payload of an event", place=place, remedy="Give GITHUB_EVENT_PATH.")
    repository = _repository(payload, place)
    if name in ("schedule", "workflow_dispatch", "repository_dispatch") or (
        not name and "schedule" in payload
    ):
        return EventTarget(repository, everything=True)
    pull = payload.get("pull_request")
    if isinstance(pull, Mapping):
        return EventTarget(repository, (_number(pull, place),))
    issue = payload.get("issue")
    if isinstance(issue, Mapping) and isinstance(issue.get("pull_request"), Mapping):
        return EventTarget(repository, (_number(issue, place),))
    if isinstance(group := payload.get("merge_group"), Mapping):
        queued = _QUEUED.search(group["head_ref"]) if isinstance(group.get("head_ref"), str) else None
        ends = _commit(group.get("base_sha"), place), _commit(group.get("head_sha"), place)
        return EventTarget(repository, (int(queued["number"]),) if queued else (), group=ends)
    for key in ("workflow_run", "check_suite", "check_run"):
        if isinstance(run := payload.get(key), Mapping):
            return _of_run(repository, run, place)
    if isinstance(payload.get("sha"), str) and "context" in payload:
        return EventTarget(repository, commit=_commit(payload["sha"], place))
    raise InputError(
        f"the event{f' {name}' if name else ''} is about no pull request",
        place=place,
        remedy=f"Name one with --pr, or start the workflow on one of: {_SUPPORTED}.",
    )


def _of_run(repository: str, run: Mapping[str, Any], place: str) -> EventTarget:
    """Take the pull requests from a workflow run or check; for forks GitHub leaves the list empty."""
    pulls = run.get("pull_requests")
    numbers = [
        _number(pull, place)
        for pull in (pulls if isinstance(pulls, list) else [])
        if isinstance(pull, Mapping) and _is_of(pull, repository)
    ]
    if numbers:
        return EventTarget(repository, tuple(sorted(set(numbers))))
    return EventTarget(repository, commit=_commit(run.get("head_sha"), place))


def _is_of(pull: Mapping[str, Any], repository: str) -> bool:
    """Tell whether a pull request in a list belongs to this repository and not to a fork of it."""
    url = pull.get("url")
    return (
        not isinstance(url, str)
        or not repository
        or f"/repos/{repository}/pulls/".casefold() in url.casefold()
    )


def _repository(payload: Mapping[str, Any], place: str) -> str:
    repository = payload.get("repository")
    name = repository.get("full_name") if isinstance(repository, Mapping) else None
    if name is None:
        return ""
    if not isinstance(name, str) or not _REPOSITORY.fullmatch(name):
        raise InputError("the event's repository has no name like OWNER/NAME", place=place)
    return name


def _number(pull: Mapping[str, Any], place: str) -> int:
    number = pull.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise InputError("the event's pull request has no number", place=place)
    return number


def _commit(value: object, place: str) -> str:
    if not isinstance(value, str) or not _SHA.fullmatch(value):
        raise InputError("the event names no commit of 40 hexadecimal digits", place=place)
    return value


_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*", re.ASCII)

_DISPATCHES = {"workflow_dispatch": "inputs", "repository_dispatch": "client_payload"}

_PULLS = ("pull_request", "pull_request_target")

_REMEDY = (
    "Start the workflow on pull_request, or on workflow_dispatch or repository_dispatch with pr, or with "
    "branch_name and commit_sha."
)


def asked_of_event(payload: object, name: str, *, place: str = "event") -> RequestedMigration:
    """Find out what an event asks for; none of that is an `InputError`."""
    if not isinstance(payload, Mapping):
        raise InputError("this is not the payload of an event", place=place, remedy="Give GITHUB_EVENT_PATH.")
    if name in _DISPATCHES:
        given = payload.get(_DISPATCHES[name])
        values = given if isinstance(given, Mapping) else {}
        return asked(values.get("pr"), values.get("branch_name"), values.get("commit_sha"), place=place)
    pull = payload.get("pull_request")
    if name in _PULLS and isinstance(pull, Mapping):
        label = payload.get("label")
        text = label.get("name") if isinstance(label, Mapping) else ""
        action = payload.get("action")
        return RequestedMigration(
            number=_positive_number(pull.get("number"), place),
            action=action if isinstance(action, str) and action else "changed",
            label=text if isinstance(text, str) else "",
        )
    raise InputError(f"the event {name!r} asks for no migration", place=place, remedy=_REMEDY)


def asked(number: object, branch: object, commit: object, *, place: str) -> RequestedMigration:
    """Read what a person or a dispatch gives: a number, or a branch with its commit."""
    branch, commit = ("" if value is None else value for value in (branch, commit))
    if commit != "" and (not isinstance(commit, str) or not _SHA.fullmatch(commit)):
        raise InputError(
            f"{_shown(commit)} is not a commit",
            place=place,
            remedy="Give all 40 hexadecimal digits of its SHA.",
        )
    if number not in (None, ""):
        return RequestedMigration(_positive_number(number, place), commit=str(commit))
    if branch == "":
        raise InputError("neither a pull request nor a branch is given", place=place, remedy=_REMEDY)
    if (
        not isinstance(branch, str)
        or len(branch) > 200
        or not _BRANCH.fullmatch(branch)
        or ".." in branch
        or branch.endswith((".", ".lock"))
    ):
        raise InputError(
            f"{_shown(branch)} is not a branch",
            place=place,
            remedy="Give its name, such as tickets/DM-12345.",
        )
    if commit == "":
        raise InputError(
            f"no commit is given for the branch {branch}",
            place=place,
            remedy="Give its newest commit as commit_sha: what was looked at is what is migrated.",
        )
    return RequestedMigration(branch=branch, commit=str(commit))


def _positive_number(value: Any, place: str) -> int:
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not re.fullmatch(r"#?[1-9][0-9]{0,8}", text.strip(), re.ASCII):
        raise InputError(
            f"{_shown(value)} is not a number of a pull request", place=place, remedy="Give it like 123."
        )
    return int(text.strip().removeprefix("#"))


def _shown(value: object) -> str:
    return repr(value if len(str(value)) <= 100 else f"{str(value)[:100]}…")


def process_target(payload: object, name: str, repository: str, *, place: str = "event") -> EventTarget:
    """Find out from an event's payload which pull requests it is about.

    The event may come from another repository than that of the schemas: from that of the migrations, where
    a pull request names its schema change, or from that of the deployments. The event decides only which
    pull requests are looked at; all else is read over the API.
    """
    if isinstance(payload, Mapping):
        here = payload.get("repository")
        source = here.get("full_name") if isinstance(here, Mapping) else None
        if repository and isinstance(source, str) and source.casefold() != repository.casefold():
            return _elsewhere(payload, repository)
        if name == "push" or (not name and "pusher" in payload):
            return EventTarget(repository or (source if isinstance(source, str) else ""), everything=True)
    return target_of_event(payload, name, place=place)


def _elsewhere(payload: Mapping[str, Any], repository: str) -> EventTarget:
    """Take the pull request that a migration is for; anything else may be about all of them."""
    pull = payload.get("pull_request")
    body = pull.get("body") if isinstance(pull, Mapping) else None
    marker = read_marker(body) if isinstance(body, str) else None
    if marker is not None:
        source, _, number = marker.source.partition("#")
        if source.casefold() == repository.casefold() and number.isascii() and number.isdigit():
            return EventTarget(repository, (int(number),))
    return EventTarget(repository, everything=True)
