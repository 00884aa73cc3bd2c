"""Directories that live as long as the run that made them, and no longer (rule F2).

Each holds a lock file that its owner keeps locked. The lock ends with the owner, however it dies, so that a
later run can tell an abandoned directory from one in use without guessing about process ids, which are used
again and mean nothing in another container.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from consdb_actions.adapters.shell import shielded, unwinding_on_signals
from consdb_actions.errors import ExternalError, InputError

_LOCK = "lock"


def temporary_base() -> Path:
    """Return the directory for temporary files."""
    # Python tries each place with a file of its own, which an interrupt would leave there.
    with shielded():
        return Path(tempfile.gettempdir())


def remove_tree(directory: Path) -> None:
    """Remove a directory with all it holds, also while a dying program still writes there."""
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.05)


@contextmanager
def scratch_directory(
    base: Path, prefix: str, discard: Callable[[Path], None] = remove_tree
) -> Iterator[Path]:
    """Make a directory in another one, after removing there what dead runs left."""
    _remove_abandoned(base, prefix, discard)
    owner = os.getpid()
    with unwinding_on_signals(), contextlib.ExitStack() as stack:
        with shielded():
            try:
                directory = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
                stack.callback(_remove_own, directory, owner)
                lock = _take_lock(directory)
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                raise (ExternalError if full else InputError)(
                    f"no temporary directory can be made: {error.strerror}",
                    place=str(base),
                    remedy="Set TMPDIR to a directory that can be written and has room.",
                ) from error
            stack.callback(os.close, lock)
        yield directory


def _remove_own(directory: Path, owner: int) -> None:
    # A forked child that unwinds the same stack must leave its parent's directory alone.
    if os.getpid() == owner:
        with shielded():
            remove_tree(directory)


def _take_lock(directory: Path) -> int:
    # The lock gets its name when it is held, so that nobody can find it unlocked while its owner lives.
    unnamed = directory / "lock.new"
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        # A file system without locks: the lock gets no name, and nobody takes the directory for abandoned.
        return descriptor
    unnamed.rename(directory / _LOCK)
    return descriptor


def _remove_abandoned(base: Path, prefix: str, discard: Callable[[Path], None]) -> None:
    for directory in base.glob(f"{prefix}*"):
        # What cannot be opened or locked belongs to somebody else, is in use, or went away meanwhile.
        with contextlib.suppress(OSError):
            if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
                continue
            descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                discard(directory)
            finally:
                os.close(descriptor)
