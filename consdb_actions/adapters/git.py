"""What git knows about a checkout; nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from consdb_actions.adapters.shell import Completed, run
from consdb_actions.errors import ExternalError

__all__ = ["edited_since_default_branch", "file_versions"]

_DEFAULTS = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


def _git(directory: Path, *arguments: str) -> Completed | None:
    """Run git; None when it refuses, as it does outside of a checkout."""
    try:
        # A checkout may belong to another user, as on a runner; nothing of its configuration is run here.
        return run(
            ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", directory, *arguments],
            timeout=60,
        )
    except ExternalError:
        return None


def edited_since_default_branch(directory: Path, folders: Sequence[Path]) -> list[str]:
    """Return the files of these folders that stand on the default branch with another content (rule M12).

    New and deleted files do not count. Outside of a git checkout, or without a default branch, there is
    nothing to compare with, and the list is empty.
    """
    if not folders:
        return []
    for branch in _DEFAULTS:
        base = _git(directory, "merge-base", "HEAD", branch)
        if base is not None:
            break
    else:
        return []
    changed = _git(
        directory,
        "diff",
        "--no-ext-diff",
        "--name-only",
        "--diff-filter=M",
        "-z",
        base.stdout.strip(),
        "--",
        *[str(f) for f in folders],
    )
    return [name for name in (changed.stdout.split("\0") if changed else []) if name.endswith(".py")]


def file_versions(path: Path, most: int = 60) -> Iterator[bytes]:
    """Yield the contents that a file had in its git history, newest first; nothing outside of a checkout."""
    path = path.resolve()
    log = _git(path.parent, "log", f"--max-count={most}", "--format=%H", "--", path.name)
    if log is None:
        return
    top = _git(path.parent, "rev-parse", "--show-prefix")
    prefix = top.stdout.strip() if top else ""
    for commit in log.stdout.split():
        blob = _git(path.parent, "show", f"{commit}:{prefix}{path.name}")
        if blob is not None:
            yield blob.stdout_bytes
