"""Options that every command with GitHub access shares: repository, time, token."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from consdb_actions.adapters.github import GitHub, connect
from consdb_actions.adapters.github.client import DEFAULT_API, expected_form
from consdb_actions.commands.options import parse_moment
from consdb_actions.errors import InputError

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


def commit_id(text: str, option: str) -> str:
    """Check the full id of a commit."""
    if not re.fullmatch(r"[0-9a-f]{40}", text, re.ASCII):
        raise InputError(
            f'"{text[:100]}" is not a full commit id',
            place=option,
            remedy="Give all of its 40 hexadecimal digits, in lower case.",
        )
    return text


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
