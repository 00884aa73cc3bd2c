"""A Postgres server of our own: started in a scratch directory, gone with it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL

from consdb_actions.adapters.interrupts import shielded
from consdb_actions.adapters.postgres_find import Installation
from consdb_actions.adapters.scratch import remove_tree, scratch_directory
from consdb_actions.adapters.shell import Account, Process, run, start, tail
from consdb_actions.errors import ExternalError, InputError

__all__ = ["SUPERUSER", "OwnServer", "own_server", "unprivileged_account"]

SUPERUSER = "postgres"
_ROOM = 300 * 2**20  # bytes: an empty cluster takes 40 MB, a database 8 MB, write-ahead log up to 100 MB
_LONGEST_SOCKET = 95  # bytes; the system's limit is 104 on macOS and 108 on Linux
_SECONDS_TO_START = 60.0

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "128MB",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "30",
    "shared_buffers": "64MB",
    # In the data directory, so that nothing stays in shared memory when the server is killed.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "datestyle": "ISO, YMD",
    "lc_messages": "C",
}

# Ends the server of a scratch directory and removes the directory. It reads its input to the end first: run
# beside the server with a pipe from its owner, it acts when the owner dies, however that happens.
_DISCARD = r"""
trap '' HUP INT TERM
while read -r _; do :; done
read -r pid < "$1/data/postmaster.pid"
case "$pid" in
    ''|*[!0-9]*) ;;
    *)
        command=$(tr '\0' ' ' < "/proc/$pid/cmdline" || ps -o args= -p "$pid")
        case "$command" in
            *"$1/data"*)
                kill -QUIT "$pid"
                n=0
                while kill -0 "$pid" && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
                kill -KILL "$pid"
                ;;
        esac
        ;;
esac
n=0
while [ -e "$1" ] && [ $n -lt 50 ]; do rm -rf "$1" || sleep 0.1; n=$((n + 1)); done
"""


class OwnServer:
    """A running server of our own.

    Parameters
    ----------
    process
        The server.
    directory
        Its scratch directory, which also holds the socket.
    """

    def __init__(self, process: Process, directory: Path) -> None:
        self._process = process
        self._directory = directory

    def url(self, database: str) -> URL:
        """Return the address of a database, with the superuser's name."""
        return URL.create(
            "postgresql+psycopg",
            username=SUPERUSER,
            port=5432,
            database=database,
            query={"host": str(self._directory)},
        )

    def failure(self) -> ExternalError | None:
        """Return what to say about a server that ended by itself; None while it runs."""
        code = self._process.returncode
        if code is None:
            return None
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return ExternalError(
            f"the scratch Postgres server ended unexpectedly, {how}{_last_words(self._directory)}",
            remedy="Run again; when it happens every time, look for a full disk or too little memory.",
        )


@contextmanager
def own_server(installation: Installation, account: Account | None) -> Iterator[OwnServer]:
    """Run a server until the block ends.

    Parameters
    ----------
    installation
        The programs to run.
    account
        The user to run them as; None for the current one.

    Yields
    ------
    OwnServer
        The server, ready for connections.

    Raises
    ------
    ExternalError
        It cannot be started.
    InputError
        There is no place for its files.
    """
    environment = _environment(os.environ)
    with scratch_directory(_base(account), "consdb-actions-pg-", _discard) as directory:
        owner = os.getpid()
        watchdog = start(
            ["/bin/sh", "-c", _DISCARD, "sh", directory], cwd=Path("/"), env=environment, piped_input=True
        )
        server: Process | None = None
        try:
            data = directory / "data"
            data.mkdir(mode=0o700)
            if account:
                # Others may not even enter: whoever reaches the socket is the superuser.
                os.chown(directory, -1, account.gid)
                directory.chmod(0o770)
                os.chown(data, account.uid, account.gid)
            _initdb(installation, data, environment, account)
            with shielded():
                server = start(
                    [
                        installation.bin_directory / "postgres",
                        "-D",
                        data,
                        "-k",
                        directory,
                        *_options(installation),
                    ],
                    cwd=directory,
                    env=environment,
                    log=directory / "log",
                    account=account,
                )
            own = OwnServer(server, directory)
            _wait_until_ready(own)
            yield own
        finally:
            if os.getpid() == owner:
                with shielded():
                    if server is not None:
                        server.stop(signal.SIGQUIT, patience=10.0)
                    remove_tree(directory)
                    watchdog.close_input()
                    watchdog.stop(0, patience=10.0)


def unprivileged_account() -> Account | None:
    """Return the user to run the server as: None is the current one, who must not be root for Postgres.

    Raises
    ------
    InputError
        This is root and there is no other user.
    """
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in reversed(pwd.getpwall()) if entry.pw_uid != 0}
    for name in ("nobody", SUPERUSER, "daemon", *known):
        if name in known:
            return Account(name, known[name].pw_uid, known[name].pw_gid)
    raise InputError(
        "Postgres does not run as root, and this system has no other user",
        remedy="Add one (`useradd --system nobody`), run as another user, or use --database-url.",
    )


def _base(account: Account | None) -> Path:
    """Return the directory for the scratch directory: in memory when there is room, else on disk."""
    candidates = [Path("/dev/shm")]  # noqa: S108  (a private directory is made there)
    try:
        candidates.append(Path(tempfile.gettempdir()))
    except OSError:
        pass
    candidates += [Path("/tmp"), Path("/var/tmp")]  # noqa: S108
    for place in dict.fromkeys(candidates):
        if os.access(place, os.W_OK | os.X_OK) and shutil.disk_usage(place).free > _ROOM:
            return place
    raise InputError(
        "no place for a scratch database", remedy="Set TMPDIR to a directory with 300 MB of room."
    )


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    # No PG* variable may reach the server, and no secret. TZ spares initdb its search for the time zone's name.
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "RUNNER_TRACKING_ID")
    return {"LC_ALL": "C", "TZ": "UTC"} | {name: environ[name] for name in kept if name in environ}


def _options(installation: Installation) -> list[str]:
    settings = dict(_SETTINGS)
    if installation.major >= 18:
        settings["io_method"] = "sync"
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _initdb(
    installation: Installation, data: Path, environment: Mapping[str, str], account: Account | None
) -> None:
    arguments = ["--auth=trust", f"--username={SUPERUSER}", "--encoding=UTF8", "--no-locale", "--no-sync"]
    done = run(
        [installation.bin_directory / "initdb", *arguments, "-D", data],
        cwd=data,
        env=environment,
        account=account,
        check=False,
        timeout=_SECONDS_TO_START,
    )
    if done.returncode != 0:
        raise ExternalError(
            f"a scratch Postgres data directory could not be made by {installation.bin_directory / 'initdb'}:\n"
            + tail(done.stderr or done.stdout),
            place=str(data),
            remedy="Often the disk is full or the place is not writable: free some space or set TMPDIR.",
        )


def _wait_until_ready(server: OwnServer) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    address = server.url("postgres")
    while True:
        try:
            psycopg.connect(
                host=str(address.query["host"]), port=5432, user=SUPERUSER, dbname="postgres"
            ).close()
        except psycopg.OperationalError as error:
            if failure := server.failure():
                raise failure from error
            if time.monotonic() > deadline:
                raise ExternalError(f"the scratch Postgres server does not answer: {error}") from error
            time.sleep(0.005)
        else:
            return


def _last_words(directory: Path) -> str:
    try:
        words = tail((directory / "log").read_text("utf-8", "replace"))
    except OSError:
        words = ""
    return f"; the end of its log:\n{words}" if words else ""


def _discard(directory: Path) -> None:
    """Stop the server that a dead run left, and remove its directory."""
    run(
        ["/bin/sh", "-c", _DISCARD, "sh", directory], cwd=Path("/"), env=_environment(os.environ), check=False
    )
