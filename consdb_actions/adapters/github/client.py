"""One way to GitHub for the whole program: retries, pages, conditional requests and a budget (rule F1).

PyGithub speaks HTTP and signs the requests. Its own retries and its lazily loaded objects are not used: they
would sleep on a real clock and spend calls that nobody counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from github import GithubException
from github.Requester import HTTPSRequestsConnectionClass, Requester
from requests.exceptions import RequestException

from consdb_actions.adapters.github.answers import Answer, Answers
from consdb_actions.adapters.github.measures import Budget, Clock
from consdb_actions.adapters.github.problems import GitHubError, MovedError, Trouble, answered, classify
from consdb_actions.errors import ExternalError, InputError

__all__ = ["PAGE", "GitHub", "quoted"]

ATTEMPTS = 5
PATIENCE = 300.0
"""Seconds that one call may spend waiting before it is given up."""
BETWEEN_WRITES = 1.0
"""Seconds between writes, as GitHub asks of its users to stay below the secondary limits."""
PAGE = 100


class GitHub:
    """Calls to one GitHub server.

    Parameters
    ----------
    requester
        PyGithub's requester, without retries and pauses of its own.
    connection
        What it is to talk through.
    clock
        Time for back-off and limits.
    budget
        Where calls are counted.
    refusal
        Why no call can be made; raised by the first one, so that local mistakes are reported before.
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
        self._answers = Answers(PAGE)
        self._viewer = ""
        self._last_write = float("-inf")

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
        self._requester.close()

    def get(self, path: str, params: Mapping[str, str | int] | None = None, *, lasting: bool = False) -> Any:
        """Read one answer."""
        return self._read(path + ("?" + urlencode(params) if params else ""), lasting)[1]

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
            raise TypeError(f"{path} is no list")
        return [item for page in pages for item in page]

    def write(
        self,
        verb: str,
        path: str,
        body: Mapping[str, Any] | list[Any] | None = None,
        *,
        landed: Callable[[], Any] | None = None,
    ) -> Any:
        """Change something."""
        self._answers.end_moment()
        pause = self._last_write + BETWEEN_WRITES - self._clock.now()
        if pause > 0:
            self._clock.sleep(pause)
        try:
            return self._call(verb, path, body=body, landed=landed)[1]
        finally:
            self._last_write = self._clock.now()

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

    @property
    def lasting(self) -> dict[str, Any]:
        """Answers that can never change, by what was asked; kept as long as the connection."""
        return self._answers.lasting

    def moment(self) -> AbstractContextManager[None]:
        """Look at GitHub as it is at one moment: what was read is not asked for again until this ends.

        A change that is made within ends it.
        """
        return self._answers.moment()

    def _read(self, url: str, lasting: bool) -> Answer:
        """Read one URL: from memory where that is right, else if it changed since this run read it last."""
        answer = self._answers.find(url, lasting=lasting)
        if answer is None:
            known = self._answers.known(url)
            answer = self._call("GET", url, etag=known[0]["etag"] if known is not None else "")
            if known is not None and answer[1] is None:
                self.budget.unchanged += 1
                answer = known
            self._answers.keep(url, answer, lasting=lasting)
        return answer

    def _call(
        self,
        verb: str,
        url: str,
        *,
        body: Any = None,
        etag: str = "",
        landed: Callable[[], Any] | None = None,
        check: Callable[[Any, Mapping[str, str], float], Trouble | None] | None = None,
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
                trouble = classify(failure, call, self._clock.now())
            else:
                if check is None:
                    self.budget.remaining = self._requester.rate_limiting[0]
                    return answer_headers, data
                found = check(data, answer_headers, self._clock.now())
                if found is None:
                    return answer_headers, data
                trouble = found
            pause = trouble.wait if trouble.wait is not None else 2.0 ** (attempt - 1)
            if not trouble.again or attempt == ATTEMPTS or waited + pause > PATIENCE:
                raise trouble.error
            self._clock.sleep(pause)
            waited += pause
            if landed is not None and _may_have_landed(trouble) and (done := landed()) is not None:
                return {}, done
            self.budget.retries += 1
        raise AssertionError("unreachable")

    def _renamed(self, url: str, location: str) -> MovedError:
        """Find the name that a repository has now."""
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


def _may_have_landed(trouble: Trouble) -> bool:
    """Tell whether a write may have been made; 409 can be the echo of one whose answer was lost."""
    return trouble.unclear or trouble.error.status == 409


def quoted(text: str) -> str:
    """Quote one part of a path: a label, a branch, a login."""
    return quote(text, safe="")
