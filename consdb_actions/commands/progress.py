"""Progress for people on a terminal; nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from consdb_actions.report.markdown import printable

__all__ = ["progress_display"]


@contextmanager
def progress_display(*, quiet: bool) -> Iterator[Callable[[str, str], None]]:
    """Give a function that shows a section and its step on standard error, in one line that goes away."""
    if quiet or not sys.stderr.isatty():
        yield lambda _section, _step: None
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(file=getattr(sys.stderr, "unquoted", sys.stderr))
    with console.status("starting") as status:

        def show(section: str, step: str) -> None:
            name = f"[bold]{escape(printable(section))}[/bold]: " if section else ""
            status.update(f"{name}{escape(printable(step))}")

        yield show
