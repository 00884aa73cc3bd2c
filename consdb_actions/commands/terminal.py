"""Output on a terminal: reports, progress, and errors with cause, place and remedy (rules F3, U3)."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.errors import ConsdbActionsError
from consdb_actions.redaction import redact
from consdb_actions.report.markdown import fence, printable

if TYPE_CHECKING:
    from consdb_actions.adapters.runner import Runner

_COLOURS: Mapping[str, Mapping[str, Any]] = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow"},
    "info": {},
    "ok": {"fg": "green"},
    "name": {"bold": True},
    "dim": {"dim": True},
}
_FRAMES = 6  # of a traceback
_WORDS = re.compile(r"\s*\S+")


def paint(text: str, kind: str) -> str:
    """Colour a text; click removes colours without a terminal."""
    return click.style(text, **_COLOURS[kind])


def verbosity_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--verbose`` and ``--quiet``, which `show` and `progress_display` look up."""
    for flags, meaning in (
        (("-q", "--quiet"), "Print only errors and the result."),
        (("-v", "--verbose"), "Print each step on its own line, with the seconds since the start."),
    ):
        name = flags[1].removeprefix("--")
        command = click.option(
            *flags,
            is_flag=True,
            expose_value=False,
            callback=_remember,
            envvar=f"CONSDB_{name.upper()}",
            show_envvar=True,
            help=meaning,
        )(command)
    return command


def _remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[f"{__name__}.{parameter.name}"] = value


def _is(name: str) -> bool:
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(f"{__name__}.{name}"))


def show(text: str, result: str = "") -> None:
    """Print a report at the terminal's width; with ``--quiet`` only its result."""
    if _is("quiet"):
        text = result or text.rstrip().rpartition("\n")[2]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    click.echo("\n".join(fold(line, width) for line in text.split("\n")) if width else text)


def present(
    output_format: str,
    value: Any,
    text: Callable[[], str],
    markdown: str,
    outputs: Mapping[str, str] | None = None,
    result: str = "",
) -> None:
    """Print a report in the requested format, if any; give the runner the outputs and its summary.

    `value` is its dataclass, or JSON values; `result` is what is left of `text` with ``--quiet``.
    """
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.forms import as_json

    runner = Runner.from_environ(os.environ)
    if output_format == "json":
        data = value if isinstance(value, dict | list) else as_json(value)
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    elif output_format == "markdown":
        click.echo(runner.inert(markdown.removesuffix("\n")))
    elif output_format:
        show(runner.inert(text()), result)
    for name, message in (outputs or {}).items():
        runner.output(name, message)
    runner.summary(markdown)


def show_note(text: str) -> None:
    """Print a remark on standard error, unless ``--quiet`` is given."""
    if not _is("quiet"):
        click.echo(text, err=True)


def fold(line: str, width: int) -> str:
    """Break a long line between words, with further indentation."""
    if len(click.unstyle(line)) <= width:
        return line
    bare = click.unstyle(line)
    indent = " " * min(len(bare) - len(bare.lstrip()) + 4, width // 2)
    lines = [""]
    for word in _WORDS.findall(line):
        if lines[-1].strip() and len(click.unstyle(lines[-1] + word)) > width:
            lines.append(indent + word.lstrip())
        else:
            lines[-1] += word
    return "\n".join(lines)


@contextmanager
def progress_display(output_format: str) -> Iterator[Callable[[str, str], None]]:
    """Return a function that shows a section and its step on standard error, in one transient line."""
    start = time.monotonic()
    if _is("verbose"):

        def tell(section: str, step: str) -> None:
            seconds = time.monotonic() - start
            click.echo(f"{seconds:7.1f} s  {f'{section}: ' if section else ''}{step}", err=True)

        yield tell
        return
    if output_format == "json" or _is("quiet") or not sys.stderr.isatty():
        yield lambda _section, _step: None
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(file=getattr(sys.stderr, "unquoted", sys.stderr))
    with console.status("starting") as status:

        def update(section: str, step: str) -> None:
            name = f"[bold]{escape(printable(section))}[/bold]: " if section else ""
            status.update(f"{name}{escape(printable(step))}")

        yield update


def show_error(error: ConsdbActionsError, runner: Runner | None = None) -> None:
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


def show_bug(error: Exception, issues_url: str, runner: Runner | None = None) -> None:
    """Show an unexpected error, with everything that a bug report needs."""
    from consdb_actions import __version__

    name = type(error).__name__
    text = redact("".join(traceback.format_exception_only(error)).strip())
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    details = [
        f"consdb-actions {__version__}, Python {platform.python_version()}, {platform.system()}",
        *(f"{_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames),
        text,
    ]
    advice = (
        f"This is a bug of consdb-actions, not a mistake of yours. Please report it at\n{issues_url}\n"
        "with these lines and the command that you ran. CONSDB_DEBUG=1 shows the whole traceback."
    )
    body = "\n".join([advice, "", *(_hanging("  ", line) for line in details)])
    _print("Unexpected error: ", f"{name}\n{body}", runner)
    if runner is not None:
        message = f"{text}\nPlease report it at {issues_url}"
        runner.annotation("error", message, title="Unexpected error in consdb-actions")
        runner.summary(_block("Unexpected error", body))


def _print(label: str, body: str, runner: Runner | None) -> None:
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
