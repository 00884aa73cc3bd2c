"""A connection to one GitHub server, with PyGithub's own retries and pauses turned off."""

from __future__ import annotations

from urllib.parse import urlsplit

from github import Auth, Github

from consdb_actions.adapters.github.client import PAGE, GitHub
from consdb_actions.adapters.github.measures import Budget, Clock, SystemClock
from consdb_actions.errors import InputError

__all__ = ["DEFAULT_API", "connect"]

DEFAULT_API = "https://api.github.com"


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
    return GitHub(github.requester, clock or SystemClock(), Budget(limit=limit), refusal)
