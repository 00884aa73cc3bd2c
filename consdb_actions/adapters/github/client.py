"""REST client for GitHub: tokens, retries, rate limits, errors."""

from __future__ import annotations

import base64
import json
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import requests
import urllib3
from github import Auth, Github, GithubException
from github.Requester import HTTPSRequestsConnectionClass, Requester, RequestsResponse
from requests.exceptions import RequestException, Timeout

from consdb_actions.errors import ExternalError, InputError
from consdb_actions.redaction import conceal, redact

# Seconds that one answer may take after its headers have come: a time-out only bounds the pauses in it.
WHOLE = 60.0


class Clock(Protocol):
    """What the module `time` does; tests need not wait."""

    def time(self) -> float:
        """Return seconds since 1970."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


SYSTEM_CLOCK: Clock = time


def read_body(answer: requests.Response, limit: int) -> bytes:
    """Read a streamed answer of at most `limit` bytes; `RequestException` if longer or slow (G4)."""
    end = time.monotonic() + WHOLE
    body = bytearray()
    try:
        while part := answer.raw.read1(65536, decode_content=True):
            body += part
            if len(body) > limit:
                raise requests.exceptions.ContentDecodingError(f"more than {limit:,} bytes")
            if time.monotonic() > end:
                raise requests.exceptions.ReadTimeout(f"more than {WHOLE:.0f} seconds")
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.exceptions.ReadTimeout from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ConnectionError from error
    return bytes(body)


@dataclass(slots=True)
class Budget:
    """The calls that were made."""

    limit: int = 2000  # one call more is an error
    calls: int = 0  # answered or failed, repeated ones included
    unchanged: int = 0  # answered with "not modified", which costs nothing of the hourly limit
    retries: int = 0  # calls that repeated a failed one
    last: str = ""  # the last call
    remaining: int = -1  # of the hourly limit; -1 when GitHub did not say

    def __str__(self) -> str:
        calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
        text = f"{calls} to GitHub, {self.unchanged} of them unchanged, {self.retries} repeated"
        return text + (f"; {self.remaining} left this hour" if self.remaining >= 0 else "")


_SERVER_ERRORS = frozenset({500, 502, 503, 504})

# Seconds to wait at a secondary limit that names no time; GitHub's documentation asks for a minute.
# https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
_SECONDARY_WAIT = 60.0


class GitHubError(ExternalError):
    """GitHub refused a call, with this HTTP status, or could not be reached (0): every call may raise it."""

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
class CallFailure:
    """A failed call."""

    error: GitHubError  # to raise when the call is given up
    again: bool  # whether the same call may work later
    wait: float | None = None  # seconds that GitHub asks to wait; None leaves it to the caller
    unclear: bool = False  # whether a write may have been done although the call failed


def classify(failure: Exception, call: str, now: float) -> CallFailure:
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
    return CallFailure(error, again=True, unclear=True)


def answered(data: Any, headers: Mapping[str, str], now: float) -> CallFailure | None:
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
        return CallFailure(error, again=True, wait=_SECONDARY_WAIT if wait is None else wait)
    if kinds & _TOO_LARGE or _GIVEN_UP.search(message):
        return CallFailure(_too_large(message, place), again=False)
    for kind, status in (("FORBIDDEN", 403), ("NOT_FOUND", 404)):
        if kind in kinds:
            cause = f"GitHub refused a query: {message}"
            return CallFailure(
                GitHubError(cause, place=place, remedy=_REMEDIES[status], status=status), again=False
            )
    # GitHub gives up queries that take it too long, which says nothing about the next one.
    error = GitHubError(
        f"GitHub could not answer a query: {message}",
        place=place,
        remedy="Run the command again; if it keeps failing, see https://www.githubstatus.com.",
        status=502,
    )
    return CallFailure(error, again=True)


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


def _refused(failure: GithubException, place: str, now: float) -> CallFailure:
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
        return CallFailure(error, again=True, wait=wait)
    if status in _SERVER_ERRORS and place.endswith("POST /graphql") and _GIVEN_UP.search(message):
        return CallFailure(_too_large(message, place), again=False)
    if status in _SERVER_ERRORS:
        error = GitHubError(
            f"GitHub failed with HTTP {status}",
            place=place,
            remedy="Run the command again; if it keeps failing, see https://www.githubstatus.com.",
            status=status,
        )
        return CallFailure(error, again=True, unclear=True)
    remedy = _REMEDIES.get(status, "The message is GitHub's own; its documentation of this call explains it.")
    if status == 403 and (wanted := headers.get("x-accepted-github-permissions")):
        remedy = f"The token needs the permission {wanted}."
    cause = f"GitHub refused with HTTP {status}" + (f": {message}" if message else "")
    return CallFailure(GitHubError(cause, place=place, remedy=remedy, status=status), again=status == 409)


_REMEDIES = {
    401: "GITHUB_TOKEN is wrong or has expired; give a new one.",
    403: "The token lacks a permission for this call; see the list of permissions in the documentation.",
    404: "Check the name of the repository and the number; a token that may not see something gets 404 too.",
    409: "Something else changed it at the same moment; run the command again.",
}


def _limit(status: int, headers: Mapping[str, str], message: str, now: float) -> float | None:
    """Return the seconds to wait at a rate limit, or None when the answer is about something else."""
    if (asked := asked_wait(headers.get("retry-after", ""), now)) is not None:
        return asked
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
        return max(float(headers["x-ratelimit-reset"]) - now, 0.0) + 1.0
    if status == 429 or "rate limit" in message.lower():
        return _SECONDARY_WAIT
    return None


def asked_wait(retry_after: str, now: float) -> float | None:
    """Return the seconds in a ``Retry-After`` (number or date); None if invalid."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now, 0.0)


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


Answer = tuple[Mapping[str, str], Any]  # Headers and parsed JSON


ATTEMPTS = 5

PATIENCE = 300.0  # Seconds that one call may spend waiting before it is given up

BETWEEN_WRITES = 1.0  # Seconds between writes, as GitHub asks of its users to stay below the secondary limits

PAGE = 100

MOST_FILES = 300  # Changed files that GitHub shows of two commits; beyond, a comparison would not be whole


class GitHub:
    """Calls to one GitHub server.

    The requester has no retries and pauses of its own. A `refusal` is raised by the first call, so that local
    mistakes are reported before.
    """

    def __init__(
        self,
        requester: Requester,
        connection: HTTPSRequestsConnectionClass,
        clock: Clock,
        budget: Budget,
        refusal: InputError | None = None,
    ) -> None:
        self._requester = requester
        self._connection = connection
        self._refusal = refusal
        self._clock = clock
        self.budget = budget
        self.lasting: dict[str, Any] = {}  # answers that can never change, by what was asked
        self._moment: dict[str, Answer] | None = None  # answers that are not asked for again
        self._conditional: dict[str, Answer] = {}  # last answers, to be compared with the present ones
        self._viewer = ""
        self._last_write = float("-inf")

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
        self._requester.close()

    def get(self, path: str, params: Mapping[str, str | int] | None = None, *, lasting: bool = False) -> Any:
        """Read one answer."""
        return self._read(path + ("?" + urlencode(params) if params else ""), lasting)[1]

    def find(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        lasting: bool = False,
        missing: tuple[int, ...] = (404,),
    ) -> Any:
        """Read one answer; None where the status says that there is nothing, or nothing to see."""
        try:
            return self.get(path, params, lasting=lasting)
        except GitHubError as error:
            if error.status not in missing:
                raise
            return None

    def contains(self, repository: str, newer: str, commit: str, missing: tuple[int, ...] = ()) -> bool:
        """Tell whether a commit or tag has a commit in its history; not where one is `missing`."""
        path = f"/repos/{repository}/compare/{commit}...{quoted(newer)}"
        if (key := f"contains {path}") not in self.lasting:
            data = self.find(path, {"per_page": 1, "page": 2}, missing=missing)
            self.lasting[key] = data is not None and data["status"] in ("ahead", "identical")
        return bool(self.lasting[key])

    def tip(self, repository: str, branch: str = "") -> str:
        """Return the newest commit of a branch, or of the default branch."""
        branch = branch or self.default_branch(repository)
        return str(self.get(f"/repos/{repository}/git/ref/heads/{quoted_path(branch)}")["object"]["sha"])

    def default_branch(self, repository: str) -> str:
        """Return the name of the default branch of a repository."""
        return str(self.get(f"/repos/{repository}")["default_branch"])

    def blob(self, repository: str, sha: str, limit: int | None = None) -> bytes:
        """Return the bytes of a blob; raise `InputError` for more than a limit."""
        data = self.get(f"/repos/{repository}/git/blobs/{sha}", lasting=True)
        if limit is not None and (data.get("size") or 0) > limit:
            raise InputError(f"a schema file has more than {limit:,} bytes", place=f"blob {sha[:8]}")
        return base64.b64decode(data["content"])

    def pulls_of(self, repository: str, branch: str, state: str = "all") -> list[Any]:
        """Read the pull requests of a branch of the repository itself."""
        owner = repository.partition("/")[0]
        return self.items(f"/repos/{repository}/pulls", {"head": f"{owner}:{branch}", "state": state})

    def pages(
        self, path: str, params: Mapping[str, str | int] | None = None, *, lasting: bool = False
    ) -> Iterator[Any]:
        """Read all pages of a list, a hundred entries each."""
        page = 1
        while True:
            query: dict[str, str | int] = {**(params or {}), "per_page": PAGE, "page": page}
            headers, data = self._read(path + "?" + urlencode(query), lasting)
            yield data
            if 'rel="next"' not in headers.get("link", ""):
                return
            page += 1

    def items(self, path: str, params: Mapping[str, str | int] | None = None) -> list[Any]:
        """Read a list whole, over all its pages; see `pages`."""
        pages = list(self.pages(path, params))
        if not all(isinstance(page, list) for page in pages):
            raise TypeError(f"{path} is not a list")
        return [item for page in pages for item in page]

    def write(
        self,
        verb: str,
        path: str,
        body: Mapping[str, Any] | list[Any] | None = None,
        *,
        landed: Callable[[], Any] | None = None,
    ) -> Any:
        """Change something; no secret of this process gets into it."""
        body = json.loads(conceal(json.dumps(body)))
        self._moment = None
        pause = self._last_write + BETWEEN_WRITES - self._clock.time()
        if pause > 0:
            self._clock.sleep(pause)
        try:
            return self._call(verb, path, body=body, landed=landed)[1]
        finally:
            self._last_write = self._clock.time()

    def pause(self, seconds: float) -> None:
        """Wait for something that GitHub does meanwhile."""
        if seconds:
            self._clock.sleep(seconds)

    def query(self, text: str, variables: Mapping[str, Any]) -> Any:
        """Ask a question in GraphQL, which answers for many things at once."""
        body = {"query": text, "variables": dict(variables)}
        return self._call("POST", self._requester.graphql_url, body=body, check=answered)[1]["data"]

    def viewer(self) -> str:
        """Return the login of the token's own account, which GraphQL tells for every kind of token."""
        if not self._viewer:
            login = (self.query("query { viewer { login } }", {}).get("viewer") or {}).get("login")
            if not isinstance(login, str):
                raise GitHubError(
                    "GitHub does not say whose token this is",
                    place="GitHub, POST /graphql",
                    remedy="Use the workflow's GITHUB_TOKEN, or the token of an app or of a person.",
                )
            self._viewer = login
        return self._viewer

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Look at GitHub as it is at one moment: what was read is not asked for again until this ends.

        A change that is made within ends it.
        """
        if self._moment is not None:
            yield
            return
        self._moment = {}
        try:
            yield
        finally:
            self._moment = None

    def _read(self, url: str, lasting: bool) -> Answer:
        """Read one URL: from memory where that is right, else if it changed since this run read it last."""
        if lasting and url in self.lasting:
            found: Answer = self.lasting[url]
            return found
        answer = self._moment.get(url) if self._moment is not None else None
        if answer is None:
            known = self._conditional.get(url)
            # A full last page grows a "next" link without changing itself: such a page is read again.
            if known is not None and isinstance(known[1], list) and len(known[1]) >= PAGE:
                known = None
            answer = self._call("GET", url, etag=known[0]["etag"] if known is not None else "")
            if known is not None and answer[1] is None:
                self.budget.unchanged += 1
                answer = known
            if lasting:
                self.lasting[url] = answer
            if self._moment is not None:
                self._moment[url] = answer
            if "etag" in answer[0]:
                self._conditional[url] = answer
        return answer

    def _call(
        self,
        verb: str,
        url: str,
        *,
        body: Any = None,
        etag: str = "",
        landed: Callable[[], Any] | None = None,
        check: Callable[[Any, Mapping[str, str], float], CallFailure | None] | None = None,
    ) -> Answer:
        """Make one call, again while that may help and within the bounds."""
        if self._refusal is not None:
            raise self._refusal
        call = f"{verb} {urlsplit(url).path}"
        waited = 0.0
        for attempt in range(1, ATTEMPTS + 1):
            self._spend(call)
            try:
                answer_headers, data = self._answer(verb, url, {"If-None-Match": etag} if etag else {}, body)
            except MovedError as moved:
                raise self._renamed(url, moved.location) from None
            except (GithubException, RequestException, ValueError, RecursionError) as failure:
                trouble = classify(failure, call, self._clock.time())
            else:
                if check is None:
                    self.budget.remaining = self._requester.rate_limiting[0]
                    return answer_headers, data
                found = check(data, answer_headers, self._clock.time())
                if found is None:
                    return answer_headers, data
                trouble = found
            pause = trouble.wait if trouble.wait is not None else 2.0 ** (attempt - 1)
            if not trouble.again or attempt == ATTEMPTS or waited + pause > PATIENCE:
                raise trouble.error
            self._clock.sleep(pause)
            waited += pause
            # A 409 can be the echo of a write whose answer was lost.
            unclear = trouble.unclear or trouble.error.status == 409
            if landed is not None and unclear and (done := landed()) is not None:
                return {}, done
            self.budget.retries += 1
        raise AssertionError("unreachable")

    def _renamed(self, url: str, location: str) -> MovedError:
        old = "/".join(urlsplit(url).path.split("/repos/")[-1].split("/")[:2])
        new = ""
        if match := re.search(r"/repositories/(\d+)(?:/|$)", location):
            with suppress(GithubException, MovedError, RequestException, ValueError, LookupError):
                new = str(self._answer("GET", f"/repositories/{match[1]}", {}, None)[1]["full_name"])
        return MovedError(location, old, new)

    def _answer(self, verb: str, url: str, headers: Mapping[str, str], body: Any) -> Answer:
        """Make one call; an answer without JSON where there has to be some is a ValueError."""
        status, answer_headers, text = self._requester.requestJson(
            verb, url, headers=dict(headers), input=body, cnx=self._connection
        )
        try:
            data = json.loads(text) if text.strip() else None
        except (ValueError, RecursionError):
            if status < 400:
                raise
            data = None
        if status >= 400:
            raise GithubException(status, data, answer_headers)
        if not isinstance(data, (dict, list)) and (data is not None or status not in (204, 205, 304)):
            raise ValueError("this is not the JSON that GitHub promises")
        return answer_headers, data

    def _spend(self, call: str) -> None:
        """Count a call, and stop a run that makes far more of them than any pull request needs."""
        if self.budget.calls >= self.budget.limit:
            raise ExternalError(
                f"the run has made {self.budget.calls} calls to GitHub, which is its limit",
                place=f"GitHub, {call}",
                remedy="Evaluate fewer pull requests at once, or raise the limit with --max-calls.",
            )
        self.budget.calls += 1
        self.budget.last = call


def quoted(text: str) -> str:
    """Quote one part of a path: a label, a branch, a login."""
    return quote(text, safe="")


def quoted_path(name: str) -> str:
    """Quote a path, or the name of a branch, for an address."""
    return "/".join(map(quoted, name.split("/")))


DEFAULT_API = "https://api.github.com"

# Bytes of one answer; the largest that is asked for is a file of 1 MB, or a page of a hundred things.
LIMIT = 64 * 1024 * 1024


class Connection(HTTPSRequestsConnectionClass):
    """What PyGithub's requester talks through: answers are bounded, and no redirection is followed.

    PyGithub would follow one without the query, and take another for a success.
    """

    verb: str
    url: str
    headers: Any
    input: Any

    def getresponse(self) -> RequestsResponse:
        """Make the call that was described last."""
        with self.session.request(
            self.verb,
            f"{self.protocol}://{self.host}:{self.port}{self.url}",
            headers=self.headers,
            data=self.input,
            timeout=self.timeout,
            allow_redirects=False,
            stream=True,
        ) as answer:
            body = read_body(answer, LIMIT)
        if answer.status_code in (301, 302, 303, 307, 308):
            raise MovedError(answer.headers.get("Location", ""))
        if answer.status_code == 202 and self.verb == "GET":  # PyGithub would ask again without end.
            raise requests.exceptions.ConnectionError
        answer._content = body
        answer.encoding = "utf-8"
        return RequestsResponse(answer)


def connect(
    token: str,
    api_url: str = DEFAULT_API,
    *,
    clock: Clock | None = None,
    timeout: int = 30,
    limit: int = 2000,
) -> GitHub:
    """Make a connection; no call is made yet. Without a token, the first call is refused."""
    refusal = None
    if not token.strip():
        refusal = InputError(
            "there is no token for GitHub",
            remedy="Set GITHUB_TOKEN; on a runner: env: GITHUB_TOKEN: ${{ github.token }}",
        )
    elif not (token.strip().isascii() and token.strip().isprintable()):
        refusal = InputError(
            "the token for GitHub holds characters that no token has",
            remedy="Set GITHUB_TOKEN again, without quotation marks or line breaks in it.",
        )
    parts = urlsplit(api_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise InputError(
            "GITHUB_API_URL is not the address of an API, or it holds credentials",
            remedy=f"Set it to an address such as {DEFAULT_API}.",
        )
    github = Github(
        auth=Auth.Token(token.strip()) if token.strip() else None,
        base_url=api_url.rstrip("/"),
        timeout=timeout,
        user_agent="consdb-actions",
        per_page=PAGE,
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = Connection(parts.hostname, port, timeout=timeout)
    connection.protocol = parts.scheme
    return GitHub(github.requester, connection, clock or SYSTEM_CLOCK, Budget(limit=limit), refusal)
