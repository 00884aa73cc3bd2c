"""Files as they stand at a commit of a git repository, without touching its work tree.

Revisions are checked by ``git rev-parse`` and used as commit ids from then on, so that none can be taken for
an option. Only plumbing commands run; they start no hooks and no filters.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from consdb_actions.adapters import shell
from consdb_actions.errors import ExternalError, InputError

__all__ = ["Blob", "GitReader"]

_LINK = "120000"
_HOPS = 5


@dataclass(frozen=True, slots=True)
class Blob:
    """A file or link of a tree."""

    path: str
    mode: str
    sha: str

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return self.mode == _LINK


class GitReader:
    """Reads commits of one repository.

    Parameters
    ----------
    directory
        A work tree, a folder in one, or a bare repository.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def commit(self, revision: str) -> str:
        """Return the id of the commit that a revision names.

        Raises
        ------
        InputError
            When there is no such repository or revision.
        """
        done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if done.returncode == 0:
            return done.stdout.strip()
        if self._git("rev-parse", "--git-dir").returncode:
            said = done.stderr.strip().splitlines()
            cause = f"this is no git repository ({said[-1]})" if said else "this is no git repository"
            raise InputError(cause, place=str(self._directory), remedy="Name one with --repo.")
        remedy = "Check its spelling; in a shallow clone, fetch it first (git fetch --unshallow)."
        raise InputError(f'git knows no commit "{revision}"', place=str(self._directory), remedy=remedy)

    def merge_base(self, one: str, two: str) -> str:
        """Return the commit where two commits parted.

        Raises
        ------
        InputError
            When they have none in common.
        """
        done = self._git("merge-base", one, two)
        if done.returncode:
            remedy = "In a shallow clone, fetch the history first (git fetch --unshallow)."
            raise InputError(f"{one[:12]} and {two[:12]} have no commit in common", remedy=remedy)
        return done.stdout.split()[0]

    def tags(self) -> list[str]:
        """Return the names of all tags.

        Raises
        ------
        InputError
            The clone is shallow, and tags may be missing.
        """
        if self._git("rev-parse", "--is-shallow-repository", check=True).stdout.strip() == "true":
            cause = "this clone is shallow, so that tags may be missing"
            remedy = "Fetch them first: git fetch --unshallow --tags."
            raise InputError(cause, place=str(self._directory), remedy=remedy)
        return self._git(
            "for-each-ref", "--format=%(refname:strip=2)", "refs/tags", check=True
        ).stdout.split()

    def files(self, commit: str, folders: Sequence[str] = ()) -> dict[str, Blob]:
        """Return the files and links of a commit below some folders; of the whole tree when none is given."""
        paths = [folder for folder in folders if folder not in ("", ".")]
        done = self._git("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths, check=True)
        found = {}
        for entry in done.stdout.split("\0"):
            facts, _, path = entry.partition("\t")
            if path:
                mode, kind, sha = facts.split()
                if kind == "blob":
                    found[path] = Blob(path, mode, sha)
        return found

    def read(self, blobs: Mapping[str, Blob], *, limit: int) -> dict[str, bytes]:
        """Return the content of files.

        Parameters
        ----------
        blobs
            Which files.
        limit
            Bytes of a file that are returned at most.
        """
        if not blobs:
            return {}
        wanted = list(dict.fromkeys(blob.sha for blob in blobs.values()))
        feed = "".join(f"{sha}\n" for sha in wanted)
        output = self._git("cat-file", "--batch", input=feed, check=True).stdout_bytes
        contents: dict[str, bytes] = {}
        position = 0
        for sha in wanted:
            end = output.index(b"\n", position)
            facts = output[position:end].split()
            if len(facts) != 3:
                cause = f"git has no content for {sha[:12]}"
                remedy = "The clone is incomplete: fetch it again."
                raise ExternalError(cause, place=str(self._directory), remedy=remedy)
            size = int(facts[2])
            contents[sha] = output[end + 1 : end + 1 + min(size, limit)]
            position = end + 1 + size + 1
        return {path: contents[blob.sha] for path, blob in blobs.items()}

    def follow(self, path: str, files: Mapping[str, Blob]) -> str:
        """Return the path to which links lead within the tree; it need not exist."""
        for _ in range(_HOPS):
            if path not in files or not files[path].is_link:
                return path
            target = self.read({path: files[path]}, limit=4096)[path].decode("utf-8", "replace")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        return ""

    def _git(self, *args: str, input: str | None = None, check: bool = False) -> shell.Completed:  # noqa: A002
        """Run git in the directory."""
        if not self._directory.is_dir():
            raise InputError("there is no such directory", place=str(self._directory), remedy="Check --repo.")
        # A checkout may belong to another user, as on a runner; nothing of its configuration is run here.
        safe = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
        done = shell.run(["git", *safe, *args], cwd=self._directory, input=input, timeout=120, check=False)
        if check and done.returncode:
            said = done.stderr.strip() or f"exit code {done.returncode}"
            raise ExternalError(f"git {args[0]} failed: {said}", place=str(self._directory))
        return done
