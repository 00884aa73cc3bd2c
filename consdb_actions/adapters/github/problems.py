"""What can go wrong with a call to GitHub, and what the reader can do about it (rules F1 and S4)."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from github import GithubException
from requests.exceptions import RequestException, Timeout

from consdb_actions.adapters.github.measures import Budget
from consdb_actions.errors import ExternalError
from consdb_actions.redaction import redact

__all__ = [
    "GitHubError",
    "MovedError",
    "RateLimitError",
    "TooLargeError",
    "Trouble",
    "answered",
    "classify",
    "expected_form",
]

_SERVER_ERRORS = frozenset({500, 502, 503, 504})
_SECONDARY_WAIT = 60.0
"""Seconds to wait at a secondary limit that names no time; GitHub's documentation asks for a minute.
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api"""


class GitHubError(ExternalError):
    """GitHub refused a call, or could not be reached.

    Parameters
    ----------
    cause, place, remedy
        As for every error.
    status
        The HTTP status; 0 when there was no answer.
    """

    def __init__(self, cause: str, *, place: str = "", remedy: str = "", status: int = 0) -> None:
        super().__init__(cause, place=place, remedy=remedy)
        self.status = status


class RateLimitError(GitHubError):
    """GitHub lets no more calls through for a while."""


class TooLargeError(GitHubError):
    """A query takes GitHub too long, or uses too much; a smaller one may be answered."""


class MovedError(GitHubError):
    """A repository has another name now; a redirection loses queries, and a write is not made."""

    exit_code = 2
    title = "bad input"

    def __init__(self, location: str, old: str = "", new: str = "") -> None:
        super().__init__(
            f"the repository {old} is now called {new or 'otherwise'}",
            remedy=f"Give {new or 'its present name'} instead, as an option or in the configuration.",
            status=301,
        )
        self.location = location


@contextmanager
def expected_form(budget: Budget) -> Iterator[None]:
    """Report an answer that cannot be read as what is wrong with GitHub, not with this program (rule G4)."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        here = Path(__file__).parent
        frames = traceback.extract_tb(error.__traceback__)[1:]
        own = [frame for frame in frames if Path(frame.filename).is_relative_to(here.parents[1])]
        if not own or Path(own[-1].filename).parent != here:
            raise
        raise GitHubError(
            f"GitHub's answer has an unexpected form ({type(error).__name__} in {own[-1].name})",
            place=redact(f"GitHub, {budget.last}"),
            remedy="Run the command again; if it stays, report it with CONSDB_DEBUG=1, which shows more.",
        ) from error


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failed call.

    Attributes
    ----------
    error
        The error to raise when the call is given up.
    again
        Whether the same call may work later.
    wait
        Seconds that GitHub asks to wait; None leaves it to the caller.
    unclear
        Whether a write may have been done although the call failed.
    """

    error: GitHubError
    again: bool
    wait: float | None = None
    unclear: bool = False


def classify(failure: Exception, call: str, now: float) -> Trouble:
    """Say what a failed call means."""
    place = redact(f"GitHub, {call}")
    if isinstance(failure, GithubException):
        return _refused(failure, place, now)
    if isinstance(failure, Timeout):
        cause = "GitHub did not answer in time"
    elif isinstance(failure, RequestException):
        cause = "the connection to GitHub broke off or could not be made"
    else:
        cause = "GitHub's answer broke off in the middle"
    error = GitHubError(
        cause, place=place, remedy="Run the command again; it goes on from the present state."
    )
    return Trouble(error, again=True, unclear=True)


def answered(data: Any, headers: Mapping[str, str], now: float) -> Trouble | None:
    """Say what is wrong with an answer to a GraphQL query, which has its errors in itself, if anything."""
    place = "GitHub, POST /graphql"
    errors = data.get("errors") if isinstance(data, dict) else None
    if isinstance(data, dict) and isinstance(data.get("data"), dict) and not errors:
        return None
    rows = [item for item in errors if isinstance(item, dict)] if isinstance(errors, list) else []
    kinds = {str(item.get("type") or (item.get("extensions") or {}).get("code")) for item in rows}
    message = _message(data) or "it holds no data"
    wait = _limit(200, headers, message, now)
    if kinds & {"RATE_LIMIT", "RATE_LIMITED"} or wait is not None:
        error: GitHubError = RateLimitError(
            "GitHub's rate limit for queries was reached",
            place=place,
            remedy="Run the command again within the hour; it goes on from the present state.",
            status=403,
        )
        return Trouble(error, again=True, wait=_SECONDARY_WAIT if wait is None else wait)
    if kinds & _TOO_LARGE or _GIVEN_UP.search(message):
        return Trouble(_too_large(message, place), again=False)
    for kind, status in (("FORBIDDEN", 403), ("NOT_FOUND", 404)):
        if kind in kinds:
            cause = f"GitHub refused a query: {message}"
            return Trouble(
                GitHubError(cause, place=place, remedy=_REMEDIES[status], status=status), again=False
            )
    # GitHub gives up queries that take it too long, which says nothing about the next one.
    error = GitHubError(
        f"GitHub could not answer a query: {message}",
        place=place,
        remedy="Run the command again; if it keeps failing, see https://www.githubstatus.com.",
        status=502,
    )
    return Trouble(error, again=True)


_TOO_LARGE = {"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED", "NODE_LIMIT_EXCEEDED"}
_GIVEN_UP = re.compile(
    r"\btime-?(?:d |d-)?out\b|respond to your request in time|resource limits", re.IGNORECASE
)


def _too_large(message: str, place: str) -> TooLargeError:
    return TooLargeError(
        f"GitHub could not answer a query: {message}",
        place=place,
        remedy="Run the command again; if it keeps failing, see https://www.githubstatus.com.",
        status=502,
    )


def _refused(failure: GithubException, place: str, now: float) -> Trouble:
    """Read the status, the headers and the message of an answer."""
    status = failure.status
    headers = {key.lower(): str(value) for key, value in (failure.headers or {}).items()}
    message = _message(failure.data)
    if status in (403, 429) and (wait := _limit(status, headers, message, now)) is not None:
        error: GitHubError = RateLimitError(
            f"GitHub's rate limit was reached (HTTP {status}); it asks to wait {wait:.0f} seconds",
            place=place,
            remedy="Run the command again after that time; it goes on from the present state.",
            status=status,
        )
        return Trouble(error, again=True, wait=wait)
    if status in _SERVER_ERRORS and place.endswith("POST /graphql") and _GIVEN_UP.search(message):
        return Trouble(_too_large(message, place), again=False)
    if status in _SERVER_ERRORS:
        error = GitHubError(
            f"GitHub failed with HTTP {status}",
            place=place,
            remedy="Run the command again; if it keeps failing, see https://www.githubstatus.com.",
            status=status,
        )
        return Trouble(error, again=True, unclear=True)
    remedy = _REMEDIES.get(status, "The message is GitHub's own; its documentation of this call explains it.")
    if status == 403 and (wanted := headers.get("x-accepted-github-permissions")):
        remedy = f"The token needs the permission {wanted}."
    cause = f"GitHub refused with HTTP {status}" + (f": {message}" if message else "")
    return Trouble(GitHubError(cause, place=place, remedy=remedy, status=status), again=status == 409)


_REMEDIES = {
    401: "GITHUB_TOKEN is wrong or has expired; give a new one.",
    403: "The token lacks a permission for this call; see the list of permissions in the documentation.",
    404: "Check the name of the repository and the number; a token that may not see something gets 404 too.",
    409: "Something else changed it at the same moment; run the command again.",
}


def _limit(status: int, headers: Mapping[str, str], message: str, now: float) -> float | None:
    """Return the seconds to wait at a rate limit, or None when the answer is about something else."""
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
        return max(float(headers["x-ratelimit-reset"]) - now, 0.0) + 1.0
    if status == 429 or "rate limit" in message.lower():
        return _SECONDARY_WAIT
    return None


def _message(data: Any) -> str:
    """Take GitHub's words from an answer: its message, and the details of a validation error."""
    if not isinstance(data, dict):
        return ""
    words = [str(data.get("message") or "")]
    errors = data.get("errors")
    for item in errors if isinstance(errors, list) else []:
        if isinstance(item, dict):
            parts = [
                item.get("message") or " ".join(str(item[key]) for key in ("field", "code") if key in item)
            ]
            words.extend(str(part) for part in parts if part)
        else:
            words.append(str(item))
    return redact("; ".join(word.strip().rstrip(".") for word in words if word))[:300]
