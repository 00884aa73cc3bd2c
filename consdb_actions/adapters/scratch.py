"""Directories that live as long as the run that made them, and no longer (rule F2).

Each holds a lock file that its owner keeps locked. The lock ends with the owner, however it dies, so that a
later run can tell an abandoned directory from one in use without guessing about process ids.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from consdb_actions.adapters.interrupts import shielded, unwinding_on_signals
from consdb_actions.errors import InputError

__all__ = ["PREFIX", "remove_tree", "scratch_directory", "temporary_directory"]

PREFIX = "consdb-actions-"
_LOCK = "lock"


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """Give a new private directory that is removed on every exit, an error or a signal included.

    Yields
    ------
    Path
        The directory, empty but for its lock file.

    Raises
    ------
    InputError
        There is no place where a directory can be made.
    """
    try:
        base = Path(tempfile.gettempdir())
    except OSError as error:
        raise InputError(
            "no directory for temporary files can be written",
            remedy="Set TMPDIR to a directory that can, or free some space.",
        ) from error
    with scratch_directory(base) as directory:
        yield directory


@contextmanager
def scratch_directory(base: Path, discard: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Make a directory in another one, after removing there what dead runs left.

    Parameters
    ----------
    base
        Where to make it.
    discard
        How to remove an abandoned directory; :func:`remove_tree` by default.

    Yields
    ------
    Path
        The directory, private to this user, empty but for its lock file.

    Raises
    ------
    InputError
        It cannot be made.
    """
    _remove_abandoned(base, discard or remove_tree)
    owner = os.getpid()
    with unwinding_on_signals():
        with shielded():
            try:
                directory, lock = _make(base)
            except OSError as error:
                raise InputError(
                    f"no temporary directory can be made: {error.strerror}",
                    place=str(base),
                    remedy="Set TMPDIR to a directory that can be written and has room.",
                ) from error
        try:
            yield directory
        finally:
            # A forked child that unwinds the same stack must leave its parent's directory alone.
            if os.getpid() == owner:
                with shielded():
                    remove_tree(directory)
                    os.close(lock)


def remove_tree(directory: Path) -> None:
    """Remove a directory with all it holds, also while a dying program still writes there.

    Parameters
    ----------
    directory
        What to remove; nothing happens when it is not there.
    """
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.05)


def _make(base: Path) -> tuple[Path, int]:
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    try:
        return directory, _take_lock(directory)
    except OSError:
        remove_tree(directory)
        raise


def _take_lock(directory: Path) -> int:
    # The lock gets its name when it is held, so that nobody can find it unlocked while its owner lives.
    unnamed = directory / "lock.new"
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(directory / _LOCK)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_abandoned(base: Path, discard: Callable[[Path], None]) -> None:
    for directory in base.glob(f"{PREFIX}*"):
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
