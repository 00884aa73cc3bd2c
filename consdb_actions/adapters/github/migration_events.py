"""Which schema change an event asks a migration for (rule S1: by anchored patterns).

The event says only that. Everything else is read anew over the API, so that nothing else in it counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from consdb_actions.errors import InputError
from consdb_actions.publication.source import Asked

__all__ = ["asked", "asked_of_event"]

_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*", re.ASCII)
_DISPATCHES = {"workflow_dispatch": "inputs", "repository_dispatch": "client_payload"}
_PULLS = ("pull_request", "pull_request_target")
_REMEDY = (
    "Start the workflow on pull_request, or on workflow_dispatch or repository_dispatch with pr, or with "
    "branch_name and commit_sha."
)


def asked_of_event(payload: object, name: str, *, place: str = "event") -> Asked:
    """Find out what an event asks for.

    Parameters
    ----------
    payload
        Parsed JSON of the event.
    name
        Name of the event.
    place
        The file's name, for messages.

    Returns
    -------
    Asked
        What it asks for.

    Raises
    ------
    InputError
        The payload is none, or the event asks for no migration.
    """
    if not isinstance(payload, Mapping):
        raise InputError("this is not the payload of an event", place=place, remedy="Give GITHUB_EVENT_PATH.")
    if name in _DISPATCHES:
        given = payload.get(_DISPATCHES[name])
        values = given if isinstance(given, Mapping) else {}
        return asked(values.get("pr"), values.get("branch_name"), values.get("commit_sha"), place=place)
    pull = payload.get("pull_request")
    if name in _PULLS and isinstance(pull, Mapping):
        label = payload.get("label")
        words = label.get("name") if isinstance(label, Mapping) else ""
        deed = payload.get("action")
        return Asked(
            number=_number(pull.get("number"), place),
            deed=deed if isinstance(deed, str) and deed else "changed",
            label=words if isinstance(words, str) else "",
        )
    raise InputError(f"the event {name!r} asks for no migration", place=place, remedy=_REMEDY)


def asked(number: object, branch: object, commit: object, *, place: str) -> Asked:
    """Read what a person or a dispatch gives: a number, or a branch with its commit.

    Raises
    ------
    InputError
        Something is of another form, or there is neither a number nor a branch.
    """
    branch = "" if branch is None else branch
    commit = "" if commit is None else commit
    if commit != "" and (not isinstance(commit, str) or not _SHA.fullmatch(commit)):
        raise InputError(
            f"{_shown(commit)} is no commit", place=place, remedy="Give all 40 hexadecimal digits of its SHA."
        )
    if number not in (None, ""):
        return Asked(_number(number, place), commit=str(commit))
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
            f"{_shown(branch)} is no branch", place=place, remedy="Give its name, such as tickets/DM-12345."
        )
    if commit == "":
        raise InputError(
            f"no commit is given for the branch {branch}",
            place=place,
            remedy="Give its newest commit as commit_sha: what was looked at is what is migrated.",
        )
    return Asked(branch=branch, commit=str(commit))


def _number(value: Any, place: str) -> int:
    """Read a number, which a dispatch gives as text."""
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not re.fullmatch(r"#?[1-9][0-9]{0,8}", text.strip(), re.ASCII):
        raise InputError(
            f"{_shown(value)} is no number of a pull request", place=place, remedy="Give it like 123."
        )
    return int(text.strip().removeprefix("#"))


def _shown(value: object) -> str:
    return repr(value if len(str(value)) <= 100 else f"{str(value)[:100]}…")
