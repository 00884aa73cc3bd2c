"""Run commands, and handle signals."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from consdb_actions.errors import ExternalError
from consdb_actions.redaction import redact

_ENDING = (signal.SIGTERM, signal.SIGHUP)

_HELD_OFF = (signal.SIGINT, *_ENDING)


class TerminationSignal(SystemExit):
    """A signal terminated the process; the exit code is 128 plus its number."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


def raise_terminated(signum: int, _frame: FrameType | None) -> NoReturn:
    """Unwind the stack: a handler for termination signals."""
    raise TerminationSignal(signum)


@contextmanager
def unwinding_on_signals() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM and SIGHUP, so that ``finally`` blocks run.

    Ignored signals (``nohup``) and existing handlers stay. It has no effect outside of the main thread, where
    Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    changed = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, raise_terminated)
    try:
        yield
    finally:
        for number in changed:
            if signal.getsignal(number) is raise_terminated:
                signal.signal(number, signal.SIG_DFL)


@contextmanager
def shielded() -> Iterator[None]:
    """Defer SIGINT, SIGTERM and SIGHUP until the end of the block.

    Handlers are replaced rather than signals blocked: a blocked signal would reach another thread, and Python
    then reports it in the main thread all the same. It has no effect outside of the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda signum, _frame: came.append(signum))
        for number in _HELD_OFF
        # None is a handler that was not set from Python and could not be restored.
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came_number in came:
            signal.raise_signal(came_number)


_TAIL_LINES = 15

_GRACE = 2.0  # seconds between terminating a program and killing it


@dataclass(frozen=True)
class UserAccount:
    """A user to run a program as; requires root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class CommandResult:
    """The result of a finished program."""

    args: tuple[str, ...]
    returncode: int
    stdout_bytes: bytes
    stderr_bytes: bytes

    @property
    def stdout(self) -> str:
        """Return standard output as text, with invalid UTF-8 replaced."""
        return self.stdout_bytes.decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """Return standard error as text, with invalid UTF-8 replaced."""
        return self.stderr_bytes.decode("utf-8", "replace")


def run(
    args: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str | bytes | None = None,  # noqa: A002  (the name that subprocess.run has)
    timeout: float = 600.0,
    check: bool = True,
    account: UserAccount | None = None,
    secrets: Iterable[str] = (),
    started: Callable[[int], None] | None = None,
) -> CommandResult:
    """Run a program to its end.

    After `timeout` seconds or an interrupt it is terminated, and killed if it does not end. `env` replaces
    the whole environment; `check` makes an exit code other than 0 an error; `secrets` are removed from
    messages; `started` gets the process id.
    """
    command = tuple(os.fspath(part) for part in args)
    data = input.encode() if isinstance(input, str) else input
    process: subprocess.Popen[bytes] | None = None
    try:
        # An interrupt between start and assignment would leave an unknown program.
        with shielded():
            stdin, pipe = subprocess.DEVNULL if data is None else subprocess.PIPE, subprocess.PIPE
            process = _popen(
                command, account, secrets, cwd=cwd, env=env, stdin=stdin, stdout=pipe, stderr=pipe
            )
        if started is not None:
            started(process.pid)
        stdout, stderr = process.communicate(data, timeout)
    except BaseException as error:
        if process is not None:
            with shielded():
                _end_session(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise ExternalError(
                f"`{_shown(command, secrets)}` did not end within {timeout:g} seconds and was stopped",
                remedy="Run it by hand to see what it waits for.",
            ) from None
        raise
    completed = CommandResult(command, process.returncode, stdout, stderr)
    if check and completed.returncode != 0:
        last = tail(completed.stderr or completed.stdout, secrets)
        code = completed.returncode
        ending = f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        raise ExternalError(f"`{_shown(command, secrets)}` {ending}" + (f":\n{last}" if last else ""))
    return completed


class Process:
    """A running program in its own session."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._process.poll()

    def tell(self, text: str) -> None:
        """Write to its standard input, a pipe; ignored if it is closed."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()

    def close_input(self) -> None:
        """Close the pipe to its standard input."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def wait(self, timeout: float) -> None:
        """Wait for its end, up to `timeout` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)

    def stop(self, signum: int, *, patience: float) -> None:
        """Send a signal twice a second until the program ends; kill it after `patience` seconds."""
        deadline = time.monotonic() + patience
        while self._process.poll() is None and (left := deadline - time.monotonic()) > 0:
            # One is not enough: a program that has just begun ignores what its parent ignored, as SIGQUIT in
            # the background of a shell.
            if signum:
                self._process.send_signal(signum)
            self.wait(min(left, 0.5))
        if self._process.poll() is None:
            _end_session(self._process)


def start(
    args: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path | None = None,
    account: UserAccount | None = None,
    piped_input: bool = False,
) -> Process:
    """Start a program and return at once."""
    command = tuple(os.fspath(part) for part in args)
    with contextlib.ExitStack() as stack:
        output = subprocess.DEVNULL if log is None else stack.enter_context(log.open("ab")).fileno()
        stdin = subprocess.PIPE if piped_input else subprocess.DEVNULL
        return Process(_popen(command, account, cwd=cwd, env=env, stdin=stdin, stdout=output, stderr=output))


def tail(text: str, secrets: Iterable[str] = (), lines: int = _TAIL_LINES) -> str:
    """Return the last lines of an output, without blank ones and secrets."""
    kept = [line.rstrip() for line in text.splitlines() if line.strip()]
    return redact("\n".join(kept[-lines:]), secrets)


def _popen(
    command: tuple[str, ...], account: UserAccount | None, secrets: Iterable[str] = (), **options: Any
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603  (a list of arguments, never a shell line)
            command,
            **options,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        whose = f" as user {account.name}" if account else ""
        raise ExternalError(f"`{_shown(command, secrets)}` cannot be started{whose}: {reason}") from error


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Terminate a program and its session, with time to clean up: git would leave locks."""
    if process.poll() is None:
        for signum, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signum)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _shown(command: tuple[str, ...], secrets: Iterable[str]) -> str:
    return redact(shlex.join(command), secrets)
