"""Calls to container registries, with retries and limits (rule F1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

import requests
from requests.exceptions import RequestException, Timeout

from consdb_actions.adapters.github.measures import Clock, read_body
from consdb_actions.errors import ExternalError

__all__ = ["Answer", "Caller", "RegistryError"]

ATTEMPTS = 5
PATIENCE = 120.0
"""Maximum total wait of a call in seconds."""
LIMIT = 4 * 1024 * 1024
"""Maximum size of an answer in bytes; registries should accept manifests up to this size."""
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class RegistryError(ExternalError):
    """A registry refused a call, or is unreachable.

    `denied` means that the repository is private or missing; without credentials the two look the same.
    """

    def __init__(self, cause: str, *, place: str = "", remedy: str = "", denied: bool = False) -> None:
        super().__init__(cause, place=place, remedy=remedy)
        self.denied = denied


@dataclass(frozen=True, slots=True)
class Answer:
    """A registry's answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Caller:
    """Makes calls without stored credentials; `timeout` is in seconds."""

    def __init__(self, clock: Clock, timeout: float) -> None:
        self._clock = clock
        self._timeout = timeout
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "consdb-actions"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def call(
        self,
        verb: str,
        url: str,
        *,
        accept: str,
        token: str = "",
        params: Mapping[str, str] | None = None,
        place: str,
    ) -> Answer:
        """Make one call, with retries within the limits."""
        headers = {"Accept": accept} | ({"Authorization": f"Bearer {token}"} if token else {})
        waited = 0.0
        for attempt in range(1, ATTEMPTS + 1):
            pause = 2.0 ** (attempt - 1)
            try:
                answer = self._once(verb, url, headers, params)
            except Timeout:
                cause = "the registry did not answer in time"
            except RequestException:
                cause = "the connection to the registry broke off or could not be made"
            else:
                if answer.status not in _AGAIN:
                    return answer
                limited = answer.status == 429
                cause = (
                    "the registry's rate limit was reached (HTTP 429)"
                    if limited
                    else f"the registry failed with HTTP {answer.status}"
                )
                asked = _asked_wait(answer.headers.get("Retry-After", ""), self._clock.now())
                pause = asked if asked is not None else pause
            if attempt == ATTEMPTS or waited + pause > PATIENCE:
                break
            self._clock.sleep(pause)
            waited += pause
        raise RegistryError(cause, place=place, remedy="Run the command again later.")

    def _once(
        self, verb: str, url: str, headers: Mapping[str, str], params: Mapping[str, str] | None
    ) -> Answer:
        """Make one call and read its answer, which has no business to be long."""
        # An `auth` of our own keeps requests from sending what a .netrc holds for this host.
        with self._session.request(
            verb,
            url,
            headers=headers,
            params=params,
            timeout=self._timeout,
            auth=_unchanged,
            stream=True,
            allow_redirects=False,
        ) as answer:
            return Answer(answer.status_code, answer.headers, read_body(answer, LIMIT))


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _asked_wait(text: str, now: float) -> float | None:
    """Return the seconds in a ``Retry-After`` (number or date); None if invalid."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now, 0.0)
