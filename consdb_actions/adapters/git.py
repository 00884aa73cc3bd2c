"""What git knows about a checkout; nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from consdb_actions.adapters.shell import Completed, run
from consdb_actions.errors import ExternalError

__all__ = ["file_versions"]


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
