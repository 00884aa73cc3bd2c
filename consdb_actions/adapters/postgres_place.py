"""The directory of a scratch server's files, and the user that runs it."""

from __future__ import annotations

import os
import pwd
import shutil
from contextlib import suppress
from pathlib import Path

from consdb_actions.adapters.scratch import temporary_base
from consdb_actions.adapters.shell import Account
from consdb_actions.errors import InputError

__all__ = ["PREFIX", "SOCKETS", "scratch_base", "unprivileged_account"]

PREFIX = "consdb-actions-pg-"
SOCKETS = "s"  # short, as the length of a socket's path is limited

_MEMORY = Path("/dev/shm")  # noqa: S108  (only a private directory is made there)
_ROOM_IN_MEMORY = 512 * 2**20  # bytes; a container often has no more than 64 MB there
_LONGEST_SOCKET = 100  # bytes; the system's limit is 104 on macOS and 108 on Linux


def unprivileged_account() -> Account | None:
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
            return Account(name, known[name].pw_uid, known[name].pw_gid)
    raise InputError(
        "Postgres does not run as root, and this system has no other user",
        remedy="Add one (`useradd --system nobody`), run as another user, or use --database-url.",
    )


def scratch_base(account: Account | None, *, for_programs: bool) -> Path:
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


def _reason_against(place: Path, account: Account | None, for_programs: bool) -> str | None:
    if not place.is_dir():
        return "is no directory"
    if not os.access(place, os.W_OK | os.X_OK):
        return "cannot be written"
    if account is not None and not all(
        _may_enter(account, part) for part in (place, *place.resolve().parents)
    ):
        return f"user {account.name}, who has to run the server, cannot get there"
    if len(os.fsencode(place / f"{PREFIX}12345678" / SOCKETS / ".s.PGSQL.5432")) > _LONGEST_SOCKET:
        return "the path is too long for a socket"
    if place == _MEMORY and shutil.disk_usage(place).free < _ROOM_IN_MEMORY:
        return "there is too little room"
    if for_programs and os.statvfs(place).f_flag & getattr(os, "ST_NOEXEC", 0):
        return "programs must not run from there"
    return None


def _may_enter(account: Account, directory: Path) -> bool:
    status = directory.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == account.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)
