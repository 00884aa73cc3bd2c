"""One way to GitHub for the whole program: retries, pages, conditional requests and a budget (rule F1).

PyGithub speaks HTTP and signs the requests. Its own retries and its lazily loaded objects are not used: they
would sleep on a real clock and spend calls that nobody counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from github import Auth, Github, GithubException
from github.Requester import Requester
from requests.exceptions import RequestException

from consdb_actions.adapters.github.measures import Budget, Clock, SystemClock
from consdb_actions.adapters.github.problems import GitHubError, Trouble, classify
from consdb_actions.errors import ExternalError, InputError

__all__ = ["GitHub", "connect", "quoted"]

DEFAULT_API = "https://api.github.com"
ATTEMPTS = 5
PATIENCE = 300.0
"""Seconds that one call may spend waiting before it is given up."""
BETWEEN_WRITES = 1.0
"""Seconds between writes, as GitHub asks of its users to stay below the secondary limits."""
PAGE = 100


@dataclass(frozen=True, slots=True)
class _Answer:
    """A remembered answer for conditional requests."""

    etag: str
    headers: Mapping[str, str]
    data: Any


class GitHub:
    """Calls to one GitHub server.

    Parameters
    ----------
    requester
        PyGithub's requester, without retries and pauses of its own.
    clock
        Time for back-off and limits.
    budget
        Where calls are counted.
    """

    def __init__(self, requester: Requester, clock: Clock, budget: Budget) -> None:
        self._requester = requester
        self._clock = clock
        self.budget = budget
        self._answers: dict[str, _Answer] = {}
        self._lasting: dict[str, Any] = {}
        self._last_write = float("-inf")

    def close(self) -> None:
        """Close the connections."""
        self._requester.close()

    def get(self, path: str, params: Mapping[str, str | int] | None = None, *, lasting: bool = False) -> Any:
        """Read one answer.

        Parameters
        ----------
        path
            Path below the API's root; its parts are quoted by the caller with `quoted`.
        params
            Query parameters.
        lasting
            The answer can never change, as with anything named by a commit's SHA: it is asked for once.

        Returns
        -------
        Any
            The parsed JSON.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        url = path + ("?" + urlencode(params) if params else "")
        if lasting and url in self._lasting:
            return self._lasting[url]
        _, data = self._read(url)
        if lasting:
            self._lasting[url] = data
        return data

    def pages(self, path: str, params: Mapping[str, str | int] | None = None) -> Iterator[Any]:
        """Read all pages of a list, a hundred entries each.

        Parameters
        ----------
        path
            Path below the API's root.
        params
            Query parameters besides those of the page.

        Yields
        ------
        Any
            The parsed JSON of each page.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        page = 1
        while True:
            query: dict[str, str | int] = {**(params or {}), "per_page": PAGE, "page": page}
            headers, data = self._read(path + "?" + urlencode(query))
            yield data
            if 'rel="next"' not in headers.get("link", ""):
                return
            page += 1

    def items(self, path: str, params: Mapping[str, str | int] | None = None) -> list[Any]:
        """Read a list whole, over all its pages; see `pages`."""
        return [item for page in self.pages(path, params) for item in page]

    def write(
        self,
        verb: str,
        path: str,
        body: Mapping[str, Any] | list[Any] | None = None,
        *,
        landed: Callable[[], Any] | None = None,
    ) -> Any:
        """Change something.

        Parameters
        ----------
        verb
            POST, PUT, PATCH or DELETE.
        path
            Path below the API's root.
        body
            What is sent as JSON.
        landed
            For a change that must not be made twice: looks whether it has been made, and returns what `write`
            would have returned, or None. It is asked after each failure that leaves this open. Without it the
            change is one that can be repeated without harm.

        Returns
        -------
        Any
            The parsed JSON.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        pause = self._last_write + BETWEEN_WRITES - self._clock.now()
        if pause > 0:
            self._clock.sleep(pause)
        try:
            return self._call(verb, path, body=body, landed=landed)[1]
        finally:
            self._last_write = self._clock.now()

    def viewer(self) -> str:
        """Return the login of the token's own account, which GraphQL tells for every kind of token.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        body = {"query": "query { viewer { login } }"}
        data = self._call("POST", self._requester.graphql_url, body=body)[1]
        login = ((data or {}).get("data") or {}).get("viewer", {}).get("login")
        if not isinstance(login, str):
            raise GitHubError(
                "GitHub does not say whose token this is",
                place="GitHub, POST /graphql",
                remedy="Use the workflow's GITHUB_TOKEN, or the token of an app or of a person.",
            )
        return login

    def _read(self, url: str) -> tuple[Mapping[str, str], Any]:
        """Read one URL, with the condition that it changed since this run read it last."""
        known = self._answers.get(url)
        # A full last page grows a "next" link without changing itself: such a page is read anew.
        if known is not None and isinstance(known.data, list) and len(known.data) >= PAGE:
            known = None
        headers, data = self._call("GET", url, etag=known.etag if known else "")
        if known is not None and data is None:
            self.budget.unchanged += 1
            return known.headers, known.data
        if etag := headers.get("etag"):
            self._answers[url] = _Answer(etag, headers, data)
        return headers, data

    def _call(
        self,
        verb: str,
        url: str,
        *,
        body: Any = None,
        etag: str = "",
        landed: Callable[[], Any] | None = None,
    ) -> tuple[Mapping[str, str], Any]:
        """Make one call, again while that may help and within the bounds."""
        call = f"{verb} {urlsplit(url).path}"
        waited = 0.0
        for attempt in range(1, ATTEMPTS + 1):
            self._spend(call)
            try:
                headers = {"If-None-Match": etag} if etag else {}
                answer_headers, data = self._requester.requestJsonAndCheck(
                    verb, url, headers=headers, input=body
                )
            except (GithubException, RequestException, ValueError) as failure:
                trouble = classify(failure, call, self._clock.now())
            else:
                self.budget.remaining = self._requester.rate_limiting[0]
                return answer_headers, data
            pause = trouble.wait if trouble.wait is not None else 2.0 ** (attempt - 1)
            if not trouble.again or attempt == ATTEMPTS or waited + pause > PATIENCE:
                raise trouble.error
            self._clock.sleep(pause)
            waited += pause
            if landed is not None and _may_have_landed(trouble) and (done := landed()) is not None:
                return {}, done
            self.budget.retries += 1
        raise AssertionError("unreachable")

    def _spend(self, call: str) -> None:
        """Count a call, and stop a run that makes far more of them than any pull request needs."""
        if self.budget.calls >= self.budget.limit:
            raise ExternalError(
                f"the run has made {self.budget.calls} calls to GitHub, which is its limit",
                place=f"GitHub, {call}",
                remedy="Evaluate fewer pull requests at once, or raise the limit with --max-calls.",
            )
        self.budget.calls += 1


def _may_have_landed(trouble: Trouble) -> bool:
    """Tell whether a write may have been made; 409 can be the echo of one whose answer was lost."""
    return trouble.unclear or trouble.error.status == 409


def connect(
    token: str,
    api_url: str = DEFAULT_API,
    *,
    clock: Clock | None = None,
    timeout: int = 30,
    limit: int = 2000,
) -> GitHub:
    """Make a connection; no call is made yet.

    Parameters
    ----------
    token
        The token.
    api_url
        Root of the API.
    clock
        Time for back-off and limits; that of the machine by default.
    timeout
        Whole seconds to wait for an answer.
    limit
        Calls that the run may make.

    Returns
    -------
    GitHub
        The connection.

    Raises
    ------
    InputError
        There is no token, or the address is not one of an API.
    """
    if not token.strip():
        raise InputError(
            "there is no token for GitHub",
            remedy="Set GITHUB_TOKEN; on a runner: env: GITHUB_TOKEN: ${{ github.token }}",
        )
    parts = urlsplit(api_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise InputError(
            "GITHUB_API_URL is not the address of an API, or it holds credentials",
            remedy=f"Set it to an address such as {DEFAULT_API}.",
        )
    github = Github(
        auth=Auth.Token(token.strip()),
        base_url=api_url.rstrip("/"),
        timeout=timeout,
        user_agent="consdb-actions",
        per_page=PAGE,
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    return GitHub(github.requester, clock or SystemClock(), Budget(limit=limit))


def quoted(text: str) -> str:
    """Quote one part of a path: a label, a branch, a login."""
    return quote(text, safe="")
