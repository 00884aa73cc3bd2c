"""Show errors to the user: cause, place, remedy (rule F3)."""

from __future__ import annotations

import platform
import re
import sys
import traceback
from pathlib import Path
from typing import Literal, Protocol

import click

from consdb_actions import __version__
from consdb_actions.errors import ConsdbActionsError
from consdb_actions.redaction import redact
from consdb_actions.report.markdown import fence

_FRAMES = 6


class Announcer(Protocol):
    """A further output for errors: a CI runner."""

    def annotation(
        self,
        level: Literal["notice", "warning", "error"],
        message: str,
        file: str | Path | None = None,
        line: int | None = None,
        title: str | None = None,
    ) -> None:
        """Show a message on the run or on a file."""

    def summary(self, markdown: str) -> None:
        """Append to the summary of the run."""

    def inert(self, text: str) -> str:
        """Neutralize text of others before it is printed."""


def show_error(error: ConsdbActionsError, runner: Announcer | None = None) -> None:
    """Show an expected error on standard error and the runner."""
    cause, place, remedy = (redact(part) for part in (error.cause, error.place, error.remedy))
    title = error.title.capitalize()
    lines = [_hanging("", cause)]
    if place:
        lines.append(_hanging("  where:      ", place))
    if remedy:
        lines.append(_hanging("  what to do: ", remedy))
    body = "\n".join(lines)
    _print(f"{title}: ", body, runner)
    if runner is not None:
        file, line = _file_and_line(place)
        words = [cause, "" if file else place, remedy]
        runner.annotation("error", "\n".join(filter(None, words)), file=file, line=line, title=title)
        runner.summary(_block(title, body))


def show_bug(error: Exception, issues_url: str, runner: Announcer | None = None) -> None:
    """Show an unexpected error, with everything that a bug report needs."""
    name = type(error).__name__
    words = redact("".join(traceback.format_exception_only(error)).strip())
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    details = [
        f"consdb-actions {__version__}, Python {platform.python_version()}, {platform.system()}",
        *(f"{_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames),
        words,
    ]
    advice = (
        f"This is a bug of consdb-actions, not a mistake of yours. Please report it at\n{issues_url}\n"
        "with these lines and the command that you ran. CONSDB_DEBUG=1 shows the whole traceback."
    )
    body = "\n".join([advice, "", *(_hanging("  ", line) for line in details)])
    _print("Unexpected error: ", f"{name}\n{body}", runner)
    if runner is not None:
        message = f"{words}\nPlease report it at {issues_url}"
        runner.annotation("error", message, title="Unexpected error in consdb-actions")
        runner.summary(_block("Unexpected error", body))


def _print(label: str, body: str, runner: Announcer | None) -> None:
    click.secho(label, fg="red", bold=True, nl=False, err=True)
    click.echo(body if runner is None else runner.inert(body), err=True)
    sys.stderr.flush()


def _hanging(label: str, text: str) -> str:
    return label + text.replace("\n", "\n" + " " * (len(label) or 2))


def _block(title: str, body: str) -> str:
    """Return Markdown in which nothing of the body is Markdown (rule S5)."""
    return f"### {title}\n\n{fence(body, 'text')}\n"


def _file_and_line(place: str) -> tuple[str | None, int | None]:
    found = re.fullmatch(r"(?P<file>[^\s:]+\.\w+)(?::(?P<line>\d+))?(?::\d+)?", place)
    if found is None:
        return None, None
    return found["file"], int(found["line"]) if found["line"] else None


def _short(filename: str) -> str:
    """Return a file's path from its package on, without the private part."""
    parts = Path(filename).parts
    start = max(
        (i for i, part in enumerate(parts) if part in ("consdb_actions", "site-packages")),
        default=len(parts) - 2,
    )
    return "/".join(parts[max(start, 0) :])
