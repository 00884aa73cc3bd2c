"""Run a Postgres server of our own in a scratch directory, without a driver (rule F2)."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from consdb_actions.adapters.interrupts import shielded
from consdb_actions.adapters.postgres_find import Installation, Preference, find_installation
from consdb_actions.adapters.postgres_place import PREFIX, SOCKETS, scratch_base, unprivileged_account
from consdb_actions.adapters.postgres_watchdog import discard, server_environment, start_watchdog
from consdb_actions.adapters.scratch import remove_tree, scratch_directory
from consdb_actions.adapters.shell import Account, Process, run, start, tail
from consdb_actions.errors import ExternalError

__all__ = ["SUPERUSER", "ServerProcess", "server_process"]

SUPERUSER = "postgres"
_SECONDS_TO_START = 60.0
_SECONDS_TO_STOP = 10.0

_SHARED, _ROOM = Path("/dev/shm"), 8 * 1024 * 1024  # noqa: S108  (that of Postgres)

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
    "max_locks_per_transaction": "256",  # a whole history of a section is replayed in one transaction
    "shared_buffers": "64MB",
    # In the data directory, so that no shared memory is left when the server is killed.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class ServerProcess:
    """A started server, which may not answer yet."""

    def __init__(self, process: Process, directory: Path, installation: Installation) -> None:
        self._process = process
        self._directory = directory
        self.installation = installation

    @property
    def sockets(self) -> Path:
        """The directory of its socket."""
        return self._directory / SOCKETS

    def wait(self, timeout: float) -> None:
        """Wait for its end, for at most ``timeout`` seconds."""
        self._process.wait(timeout)

    def log(self) -> str:
        """Return the server's log so far."""
        try:
            return (self._directory / "log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def ending(self) -> ExternalError | None:
        """Return an error for a server that exited; None while it runs."""
        code = self._process.returncode
        if code is None:
            return None
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return ExternalError(
            f"the scratch Postgres server ended unexpectedly, {how}{_log_end(self._directory)}",
            remedy="Run again; when it happens every time, look for a full disk or too little memory.",
        )


@contextmanager
def server_process(
    prefer: Preference = "auto", settings: Mapping[str, str] | None = None
) -> Iterator[ServerProcess]:
    """Run a server until the block ends."""
    account = unprivileged_account()
    installation = find_installation(prefer, account, os.environ)
    base = scratch_base(account, for_programs=installation.private)
    with scratch_directory(base, PREFIX, discard) as directory:
        owner = os.getpid()
        server: Process | None = None
        with shielded():
            watchdog = start_watchdog(directory)
        try:
            data = _prepare(directory, account)
            programs = (
                _copied(installation, directory) if installation.private else installation.bin_directory
            )
            with shielded():
                # Not interrupted, as it would leave shared memory; it takes a third of a second.
                _initdb(programs, data, account, watchdog)
            with shielded():
                server = start(
                    [
                        programs / "postgres",
                        "-D",
                        data,
                        "-k",
                        directory / SOCKETS,
                        *_options(installation.major, settings or {}),
                    ],
                    cwd=directory,
                    env=server_environment(os.environ),
                    log=directory / "log",
                    account=account,
                )
                watchdog.tell(f"server {server.pid}\n")
            yield ServerProcess(server, directory, installation)
        finally:
            # A forked child that unwinds the same stack must not stop its parent's server.
            if os.getpid() == owner:
                with shielded():
                    if server is not None:
                        server.stop(signal.SIGQUIT, patience=_SECONDS_TO_STOP)
                    remove_tree(directory)
                    watchdog.close_input()
                    watchdog.stop(0, patience=_SECONDS_TO_STOP)


def _prepare(directory: Path, account: Account | None) -> Path:
    """Make directories for the server's user only: the socket gives superuser rights."""
    for name in ("data", SOCKETS):
        (directory / name).mkdir(mode=0o700)
        if account is not None:
            os.chown(directory / name, account.uid, account.gid)
    if account is not None:
        os.chown(directory, -1, account.gid)
        directory.chmod(0o710)
    return directory / "data"


def _copied(installation: Installation, directory: Path) -> Path:
    home = installation.bin_directory.parent
    package = home.parent
    copy = directory / "programs"
    wanted = [home / part for part in ("bin", "lib", "share")]
    # Wheels keep shared libraries beside the package on Linux and inside of it on macOS.
    libraries = (package.with_name(f"{package.name}.libs"), package / ".dylibs")
    wanted += [place for place in libraries if place.is_dir()]
    for source in wanted:
        shutil.copytree(source, copy / source.relative_to(package.parent), symlinks=True)
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return copy / installation.bin_directory.relative_to(package.parent)


def _options(major: int, more: Mapping[str, str]) -> list[str]:
    settings = _SETTINGS | ({"io_method": "sync"} if major >= 18 else {}) | dict(more)
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _initdb(programs: Path, data: Path, account: Account | None, watchdog: Process) -> None:
    if _SHARED.is_dir() and (free := shutil.disk_usage(_SHARED).free) < _ROOM:
        # Where it is full, initdb crashes and leaves there what it began.
        raise ExternalError(
            f"a scratch Postgres server cannot be set up: shared memory has only {free // 1024:,} KiB left",
            place=str(_SHARED),
            remedy="Free some space there; a container gets more with --shm-size.",
        )
    done = run(
        [
            programs / "initdb",
            "--auth=trust",
            f"--username={SUPERUSER}",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
            "-D",
            data,
        ],
        cwd=data,
        env=server_environment(os.environ),
        account=account,
        check=False,
        timeout=_SECONDS_TO_START,
        started=lambda pid: watchdog.tell(f"setup {pid}\n"),
    )
    if done.returncode != 0:
        raise ExternalError(
            f"a scratch Postgres server cannot be set up; {programs / 'initdb'} says:\n"
            + tail(done.stderr or done.stdout),
            place=str(data),
            remedy="If it speaks of room or of writing: free some space, or set TMPDIR to another directory.",
        )


def _log_end(directory: Path) -> str:
    try:
        with (directory / "log").open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 16_000))
            words = tail(stream.read().decode("utf-8", "replace"))
    except OSError:
        return ""
    return f"; the end of its log:\n{words}" if words else ""
