"""Git repositories for a test."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from consdb_actions.adapters import shell

_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class Repository:
    """A repository with a work tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def copy(self, path: Path) -> Repository:
        """Return an independent copy, made without git."""
        shutil.copytree(self.path, path, symlinks=True)
        made = Repository.__new__(Repository)
        made.path = path
        return made

    def git(self, *args: str) -> str:
        """Run git and return its output."""
        return shell.run(["git", *args], cwd=self.path, env={**os.environ, **_ENVIRONMENT}).stdout.strip()

    def put(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def commit(self, message: str = "x") -> str:
        """Commit everything and return the commit's id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")
