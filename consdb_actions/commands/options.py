"""Options that several commands share, each with its environment variable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from consdb_actions.errors import InputError

__all__ = ["FORMATS", "PullNumber", "format_option", "option", "parse_moment"]

FORMATS = ("text", "json", "markdown")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def option(*names: str, **values: Any) -> Decorator:
    """Declare an option that an environment variable can give as well: ``CONSDB_`` and its name."""
    name = next(name for name in names if name.startswith("--")).removeprefix("--").split("/")[0]
    return click.option(*names, envvar=f"CONSDB_{name.replace('-', '_').upper()}", show_envvar=True, **values)


class PullNumber(click.IntRange):
    """Number of a pull request."""

    name = "number of a pull request"

    def __init__(self) -> None:
        super().__init__(min=1)


def format_option() -> Decorator:
    """Declare ``--format``."""
    return option(
        "--format",
        "output_format",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="What standard output gets: text for people, stable JSON, or Markdown as for a pull request.",
    )


def parse_moment(text: str | None, name: str) -> datetime | None:
    """Read a date or a moment in ISO 8601; without a zone it is UTC."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is no date in ISO 8601", place=name, remedy="Write it like 2026-05-14T16:00:00Z."
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
