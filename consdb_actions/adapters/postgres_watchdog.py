"""Remove a scratch server when its owner ends, however it ends (rule F2)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from consdb_actions.adapters.shell import Process, run, start

__all__ = ["discard", "server_environment", "start_watchdog"]

# Stops the server in a scratch directory ($1) and removes the directory once its input has ended. Lines of
# the input name processes: `setup PID` is waited for, since killing it would leave shared memory; `server
# PID` is stopped. A server that is not named is found through its pid file. The command line is compared,
# since an id may belong to another process by then.
_SCRIPT = r"""
trap '' HUP INT TERM
ours() {
    case "$1" in ''|*[!0-9]*) return 1 ;; esac
    command=$(tr '\0' ' ' < "/proc/$1/cmdline" || ps -o args= -p "$1")
    case "$command " in *"-D $directory/data "*) return 0 ;; *) return 1 ;; esac
}
patiently() {
    n=0
    while "$@" && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
}
directory=$1 setup='' server=''
while read -r kind pid; do
    case "$kind" in setup) setup=$pid ;; server) server=$pid ;; esac
done
patiently ours "$setup"
[ -n "$server" ] || read -r server < "$directory/data/postmaster.pid"
if ours "$server"; then
    kill -QUIT "$server"
    patiently kill -0 "$server"
    ours "$server" && kill -KILL "$server"
fi
remove() { rm -rf "$directory"; [ -e "$directory" ]; }
patiently remove
"""


def start_watchdog(directory: Path) -> Process:
    """Start a process that waits for the end of this one."""
    return start(_command(directory), cwd=Path("/"), env=server_environment(os.environ), piped_input=True)


def discard(directory: Path) -> None:
    """Stop the server of a dead run, if it is running, and remove its directory."""
    run(_command(directory), cwd=Path("/"), env=server_environment(os.environ), check=False)


def server_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without Postgres's variables and secrets."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "RUNNER_TRACKING_ID")
    return {"LC_ALL": "C", "TZ": "UTC"} | {name: environ[name] for name in kept if name in environ}


def _command(directory: Path) -> list[str | Path]:
    return ["/bin/sh", "-c", _SCRIPT, "sh", directory]
