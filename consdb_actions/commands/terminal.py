"""Output on a terminal: width, colours, progress and verbosity."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from consdb_actions.report.markdown import printable

_COLOURS: Mapping[str, Mapping[str, Any]] = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow"},
    "info": {},
    "ok": {"fg": "green"},
    "name": {"bold": True},
    "dim": {"dim": True},
}
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
    """Tell whether ``--quiet`` or ``--verbose`` is given."""
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
    text: Callable[[], str],
    data: Callable[[], Any],
    markdown: str,
    outputs: Mapping[str, str],
) -> None:
    """Print a report in the requested format, if any; give the runner the outputs and its summary."""
    from consdb_actions.adapters.runner import Runner

    runner = Runner.from_environ(os.environ)
    if output_format == "json":
        click.echo(json.dumps(data(), indent=2, ensure_ascii=False))
    elif output_format == "markdown":
        click.echo(markdown.removesuffix("\n"))
    elif output_format:
        show(runner.inert(text()))
    for name, value in outputs.items():
        runner.output(name, value)
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
def progress_display(*, quiet: bool) -> Iterator[Callable[[str, str], None]]:
    """Return a function that shows a section and its step on standard error, in one transient line."""
    start = time.monotonic()
    if _is("verbose"):

        def tell(section: str, step: str) -> None:
            seconds = time.monotonic() - start
            click.echo(f"{seconds:7.1f} s  {f'{section}: ' if section else ''}{step}", err=True)

        yield tell
        return
    if quiet or _is("quiet") or not sys.stderr.isatty():
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
