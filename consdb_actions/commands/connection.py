"""Options that every command with GitHub access shares: repository, time, token."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import click

from consdb_actions.adapters.github import GitHub, GitHubError, connect
from consdb_actions.adapters.github.client import DEFAULT_API, RateLimitError, expected_form
from consdb_actions.adapters.runner import Runner
from consdb_actions.commands.options import parse_moment
from consdb_actions.errors import ConsdbActionsError, ExternalError, InputError

__all__ = ["account_name", "github_session", "look_at_each", "moment_or_now", "repository_name"]

T = TypeVar("T")

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", re.ASCII)


def repository_name(name: str | None, *, option: str = "--repo") -> str:
    """Check a repository's name, which becomes part of addresses; None: GITHUB_REPOSITORY."""
    name = name or os.environ.get("GITHUB_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(name) or name.partition("/")[2] in (".", ".."):
        raise InputError(
            f'"{name[:150]}" is not a repository' if name else "no repository is given",
            place=option,
            remedy=f"Give {option} OWNER/NAME, such as lsst/sdm_schemas.",
        )
    return name


def account_name(name: str, option: str) -> str:
    """Check the name of an organization or an app, which becomes part of addresses."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,98}", name, re.ASCII):
        raise InputError(
            f'"{name[:150]}" is not a name on GitHub',
            place=option,
            remedy="Give it as it stands in addresses, with letters, digits and dashes.",
        )
    return name


def moment_or_now(text: str | None, name: str = "--now") -> datetime:
    """Parse a time in ISO 8601, in UTC without a zone; None: now."""
    return parse_moment(text, name) or datetime.now(UTC)


@contextmanager
def github_session(limit: int = 2000, variable: str = "GITHUB_TOKEN") -> Iterator[GitHub]:
    """Connect with GITHUB_TOKEN to GITHUB_API_URL, and print the number of calls at the end."""
    token = os.environ.get(variable, "").strip() or os.environ.get("GITHUB_TOKEN", "")
    github = connect(token, os.environ.get("GITHUB_API_URL") or DEFAULT_API, limit=limit)
    try:
        with expected_form(github.budget):
            yield github
    finally:
        if github.budget.calls:
            click.echo(str(github.budget), err=True)
        github.close()


def look_at_each(
    github: GitHub, numbers: Sequence[int], look: Callable[[int], T]
) -> tuple[list[T], list[ConsdbActionsError]]:
    """Process pull requests; return the errors of those that failed, worst first (rule A10)."""
    runner = Runner.from_environ(os.environ)
    results: list[T] = []
    failures: list[ConsdbActionsError] = []
    for number in numbers:
        try:
            with expected_form(github.budget):
                results.append(look(number))
        except ConsdbActionsError as raised:
            error = raised
            if len(numbers) > 1:
                # Nobody gave these numbers: that one is missing is not a wrong input.
                error = raised.__cause__ if isinstance(raised.__cause__, GitHubError) else raised
                words = f"Pull request {number} could not be processed: {error.cause}"
                click.echo(runner.inert(words), err=True)
                runner.annotation("error", words)
            failures.append(error)
            if _concerns_all(error):
                break
    return results, sorted(failures, key=lambda error: error.exit_code, reverse=True)


def _concerns_all(error: ConsdbActionsError) -> bool:
    """Tell whether no further call can succeed: the token is refused, or the rate limit is reached."""
    if isinstance(error, GitHubError):
        return error.status == 401 or isinstance(error, RateLimitError)
    return isinstance(error, ExternalError)
