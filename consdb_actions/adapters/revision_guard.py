"""Refuse connections, programs and file writes of a revision during lint.

Python's audit events cover the standard library; psycopg connects in C and is patched. This is not a sandbox:
it keeps an honest revision from reaching a live database.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import psycopg

__all__ = ["RefusedError", "guarded"]

_EVENTS = {
    "socket.connect": "a network connection",
    "socket.bind": "a network connection",
    "socket.sendto": "a network connection",
    "socket.getaddrinfo": "a network connection",
    "socket.gethostbyname": "a network connection",
    "subprocess.Popen": "another program (subprocess)",
    "os.system": "another program (os.system)",
    "os.exec": "another program (os.exec)",
    "os.posix_spawn": "another program (os.posix_spawn)",
    "os.spawn": "another program (os.spawn)",
    "os.fork": "another process (os.fork)",
    "os.forkpty": "another process (os.forkpty)",
    "pty.spawn": "another program (pty.spawn)",
    "sqlite3.connect": "a connection of its own (sqlite3)",
    "os.remove": "to remove a file",
    "os.rename": "to rename a file",
    "os.rmdir": "to remove a folder",
    "os.mkdir": "to make a folder",
    "shutil.rmtree": "to remove a folder",
    "os.kill": "to send a signal",
}

_CONNECTING: tuple[Any, ...] = (psycopg, psycopg.Connection, psycopg.AsyncConnection, psycopg.generators)

Report = Callable[[str], None]

_active: list[Report] = []
_installed = False


class RefusedError(RuntimeError):
    """A revision does something that lint does not allow."""


def _refuse(what: str) -> NoReturn:
    for report in _active:
        report(what)
    raise RefusedError(f"lint refuses {what}")


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _active:
        return
    if event == "open":
        path, mode, _ = arguments
        if isinstance(mode, str) and set(mode) & set("wax+") and isinstance(path, str):
            _refuse("to write a file")
    elif what := _EVENTS.get(event):
        _refuse(what)


@contextmanager
def guarded(report: Report) -> Iterator[None]:
    """Refuse connections, programs and changed files during the block."""
    global _installed  # an audit hook cannot be removed
    if not _installed:
        sys.addaudithook(_audit)
        _installed = True

    def refuse(*_: object, **__: object) -> NoReturn:
        _refuse("a connection of its own (psycopg.connect)")

    # From `vars`, because an attribute of a class would be bound to it.
    places = [(place, vars(place)["connect"]) for place in _CONNECTING]
    try:
        for place, _ in places:
            place.connect = refuse
        _active.append(report)
        yield
    finally:
        _active.remove(report)
        for place, connect in places:
            place.connect = connect
