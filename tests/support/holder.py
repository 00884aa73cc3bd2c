"""A program that runs a scratch server, for tests that kill it.

It keeps the server's files below TMPDIR, never in shared memory, and prints ``ready`` with the server's
address.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

from consdb_actions.adapters import postgres_server
from consdb_actions.adapters.postgres import ScratchServer, scratch_server
from consdb_actions.adapters.postgres_server import prestarted_server
from consdb_actions.errors import ConsdbActionsError

postgres_server._MEMORY = Path("/nonexistent")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def idle() -> None:
    """Sleep for ten minutes, in short pieces.

    A signal that comes between Python's check and the start of a sleep does not interrupt that sleep.
    """
    for _ in range(12_000):
        time.sleep(0.05)


def hold(how: str, server: ScratchServer) -> None:
    """Do with a running server what the test requests."""
    say(f"ready {server.url('postgres').query['host']}")
    if how == "wait":
        idle()
    elif how == "fail":
        raise ZeroDivisionError
    elif how == "fork":
        if os.fork() == 0:
            sys.exit(0)  # unwinds the same stack as the parent will
        os.wait()
        server.execute("postgres", "SELECT 1")
    elif how == "fill":
        server.execute(
            "postgres", "CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"
        )
    elif how == "query":
        server.execute("postgres", "SELECT pg_sleep(600)")


def main(how: str, prefer: str) -> int:
    """Run, and exit as the command line does."""
    if how == "small-files":
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    try:
        if how == "ahead":
            with prestarted_server():
                say("begun")
                idle()
        with scratch_server(prefer=prefer) as server:  # type: ignore[arg-type]
            hold(how, server)
    except ConsdbActionsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        say("no children")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
