"""Directories that live as long as the run that made them, and no longer (rule F2).

Each holds a lock file that its owner keeps locked. The lock ends with the owner, however it dies, so that a
later run can tell an abandoned directory from one in use without guessing about process ids, which are used
again and mean nothing in another container.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
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


LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is named on the command line."""


def read_bytes(path: Path, limit: int = LARGEST) -> bytes:
    """Read a regular file, at most one byte beyond the limit."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise InputError(
                    "this is not a regular file", place=str(path), remedy="Save its content in a file."
                )
            return stream.read(limit + 1)
    except FileNotFoundError:
        remedy = "Check the path and how its name is spelled."
        raise InputError("there is no such file", place=str(path), remedy=remedy) from None
    except IsADirectoryError:
        raise InputError(
            "this is a folder, not a file", place=str(path), remedy="Name the file in it."
        ) from None
    except OSError as error:
        remedy = "Check the file's permissions."
        raise InputError(f"cannot be read: {error.strerror}", place=str(path), remedy=remedy) from error


def read_text(path: Path) -> str:
    """Read a text file."""
    data = read_bytes(path)
    if len(data) > LARGEST:
        raise InputError(f"this file has more than {LARGEST:,} bytes", place=str(path))
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError("this is not UTF-8", place=str(path), remedy="Save it as UTF-8.") from error


def read_json(path: Path) -> object:
    """Read a JSON file."""
    try:
        data: object = json.loads(read_text(path), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"this is not JSON: {str(error)[:200]}", place=str(path), remedy="Give a JSON file."
        ) from error
    return data


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)[:100]!r} is defined twice")
    return values


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """Create a private directory that is removed on every exit, signals included."""
    try:
        base = temporary_base()
    except OSError as error:
        raise InputError(
            "no directory for temporary files can be written",
            remedy="Set TMPDIR to one that can, or free some space.",
        ) from error
    with scratch_directory(base, "consdb-actions-tmp-") as directory:
        yield directory


def check_targets(paths: Iterable[Path], *, own_folder: bool = False) -> None:
    """Check early that files can be written; with `own_folder`, their last directories may be missing."""
    seen: set[Path] = set()
    for given in paths:
        path = given.resolve()
        if path in seen:
            raise InputError(
                "this file would be written twice", place=str(given), remedy="Give each its own name."
            )
        seen.add(path)
        if path.exists() and not path.is_file():
            raise InputError("this exists and is not a regular file", place=str(given), remedy="Name a file.")
        folder = path.parent.parent if own_folder and not path.parent.exists() else path.parent
        if not folder.is_dir():
            existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
            reason = "there is no such directory" if existing.is_dir() else f"{existing} is not a directory"
            raise InputError(
                f"this file cannot be written: {reason}",
                place=str(given),
                remedy="Create the directory first, or name a file in an existing one.",
            )
        check_folder(folder)


def check_folder(folder: Path) -> None:
    """Check that files can be created in an existing directory."""
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise InputError(
            "this folder cannot be written",
            place=str(folder),
            remedy="Check who owns it, its permissions, and whether its disk is mounted read-only.",
        )


def write_all(files: Mapping[Path, str | bytes], *, overwrite: bool | Collection[Path] = False) -> None:
    """Write several files, all or none of them.

    They are written to temporary names first and renamed at the end; after a failure every target has its old
    content. Signals are deferred meanwhile. Text is written as UTF-8 with unchanged line ends, missing
    directories are created, symbolic links are followed, and replaced files keep their mode. `overwrite`
    allows all or some existing files; raises `InputError` for others, and for files that are named twice or
    not writable.
    """
    contents: dict[Path, bytes] = {}
    existing = []
    for given, text in files.items():
        path = given.resolve()
        replaceable = overwrite if isinstance(overwrite, bool) else given in overwrite
        if path.exists() and not replaceable:
            existing.append(path)
        if path in contents:
            raise InputError(
                "this file would be written twice",
                place=str(path),
                remedy="Check for links between directories.",
            )
        contents[path] = text.encode() if isinstance(text, str) else text
    if existing:
        raise InputError(
            "this file exists and is not replaced"
            if len(existing) == 1
            else "these files exist and are not replaced",
            place=", ".join(map(str, existing)),
            remedy="Move it away, or choose another name.",
        )
    with shielded(), ExitStack() as undo:
        staged = []
        for path, data in contents.items():
            with _naming(path):
                _make_missing(path.parent, undo)
                staged.append((_stage(path, data, undo), path))
        backups = []
        for temporary, path in staged:
            with _naming(path):
                if path.exists():
                    backups.append(_keep(path, undo))
                else:
                    undo.callback(_quietly, path.unlink)
                temporary.replace(path)
        for directory in {path.parent for path in contents}:
            with _naming(directory):
                _sync_directory(directory)
        undo.pop_all()
        for backup in backups:
            _quietly(backup.unlink)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = f"this file cannot be written: {error.strerror}; nothing was changed"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ExternalError(cause, place=str(path), remedy="Free some space and run again.") from error
        remedy = "Check who owns the directory and whether it may be written."
        raise InputError(cause, place=str(path), remedy=remedy) from error


def _make_missing(directory: Path, undo: ExitStack) -> None:
    if not directory.exists():
        _make_missing(directory.parent, undo)
        directory.mkdir()
        undo.callback(_quietly, directory.rmdir)


def _stage(path: Path, data: bytes, undo: ExitStack) -> Path:
    temporary = _sibling(path)
    # Created with the mode of a new file; mkstemp would make it private.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    undo.callback(_quietly, temporary.unlink)
    with os.fdopen(descriptor, "wb") as stream:
        if path.exists():
            status = path.stat()
            os.fchmod(stream.fileno(), status.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):
                os.fchown(stream.fileno(), status.st_uid, status.st_gid)
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return temporary


def _keep(path: Path, undo: ExitStack) -> Path:
    backup = _sibling(path)
    undo.callback(_quietly, backup.unlink)
    try:
        backup.hardlink_to(path)
    except OSError:  # not every file system has hard links
        shutil.copy2(path, backup)
    undo.callback(_quietly, backup.replace, path)
    return backup


def _sibling(path: Path) -> Path:
    # Alembic loads every ".py" of a directory, and must not see an unfinished file.
    return path.parent / f".consdb-actions-{secrets.token_hex(8)}.tmp"


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(descriptor)


def _quietly(act: Callable[..., object], *arguments: object) -> None:
    with contextlib.suppress(OSError):
        act(*arguments)
