"""A connection to one GitHub server, with PyGithub's own retries and pauses turned off."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from github import Auth, Github
from github.Requester import HTTPSRequestsConnectionClass, RequestsResponse

from consdb_actions.adapters.github.client import PAGE, GitHub
from consdb_actions.adapters.github.measures import Budget, Clock, SystemClock, read_body
from consdb_actions.adapters.github.problems import MovedError
from consdb_actions.errors import InputError

__all__ = ["DEFAULT_API", "connect"]

DEFAULT_API = "https://api.github.com"
LIMIT = 64 * 1024 * 1024
"""Bytes of one answer; the largest that is asked for is a file of 1 MB, or a page of a hundred things."""


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
    return GitHub(github.requester, connection, clock or SystemClock(), Budget(limit=limit), refusal)
