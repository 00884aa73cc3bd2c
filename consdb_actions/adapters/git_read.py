"""Read files at a commit of a git repository, without its work tree.

``git rev-parse`` turns revisions into commit ids, so that none can be taken for an option. Only plumbing
commands run; they start no hooks and no filters.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from consdb_actions.adapters import shell
from consdb_actions.errors import ExternalError, InputError

_LINK = "120000"
_HOPS = 5
_DEFAULTS = {
    "origin/HEAD": "refs/remotes/origin/HEAD",
    "origin/main": "refs/remotes/origin/main",
    "origin/master": "refs/remotes/origin/master",
    "main": "refs/heads/main",
    "master": "refs/heads/master",
}
_OF_A_REPOSITORY = frozenset(
    f"GIT_{name}"
    for name in ("DIR", "WORK_TREE", "COMMON_DIR", "INDEX_FILE", "PREFIX", "OBJECT_DIRECTORY", "NAMESPACE")
)
_UNSHALLOW = "Fetch the history: git fetch --unshallow, or fetch-depth: 0 of actions/checkout."


@dataclass(frozen=True, slots=True)
class Blob:
    """A file or symbolic link of a tree."""

    path: str
    mode: str
    sha: str

    @property
    def is_link(self) -> bool:
        """Return whether it is a symbolic link."""
        return self.mode == _LINK


class GitReader:
    """Reads commits of the repository that contains a directory (work tree or bare)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def commit(self, revision: str) -> str:
        """Return the commit id of a revision, or raise `InputError`."""
        done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if done.returncode == 0:
            return done.stdout.strip()
        if not self.is_repository():
            said = done.stderr.strip().splitlines()
            cause = f"this is not a git repository ({said[-1]})" if said else "this is not a git repository"
            raise InputError(cause, place=str(self._directory), remedy="Name the folder of a clone.")
        if revision == "HEAD":
            cause = "this repository has no commit yet"
            raise InputError(cause, place=str(self._directory), remedy="Commit something first.")
        cause, remedy = f'git has no commit "{revision}"', "Check its spelling."
        if self.is_shallow():
            cause, remedy = f"{cause}; this clone is shallow", f"{remedy} {_UNSHALLOW}"
        raise InputError(cause, place=str(self._directory), remedy=remedy)

    def is_repository(self) -> bool:
        """Tell whether the directory is in a git repository."""
        return self._git("rev-parse", "--git-dir").returncode == 0

    def prefix(self) -> str:
        """Return the directory's path in its repository; empty for the root."""
        return self._git("rev-parse", "--show-prefix", check=True).stdout.strip().rstrip("/")

    def is_shallow(self) -> bool:
        """Tell whether commits are missing, as after ``git clone --depth``."""
        return self._git("rev-parse", "--is-shallow-repository").stdout.strip() == "true"

    def default_branch(self) -> tuple[str, str]:
        """Return name and commit of the default branch, or raise `InputError`."""
        fields = "%(refname) %(symref) %(objectname)"
        listed = self._git("for-each-ref", f"--format={fields}", *_DEFAULTS.values()).stdout.splitlines()
        found = {line.split(" ")[0]: line.split(" ")[1:] for line in listed}
        for name, ref in _DEFAULTS.items():
            if ref in found:
                target, commit = found[ref]
                return target.removeprefix("refs/remotes/") or name, commit
        remedy = _UNSHALLOW if self.is_shallow() else "Name a branch or commit to compare with."
        raise InputError(f"git has none of {', '.join(_DEFAULTS)}", place=str(self._directory), remedy=remedy)

    def fork_point(self) -> tuple[str, str]:
        """Return the merge base with the default branch, and its name."""
        head = self.commit("HEAD")
        name, tip = self.default_branch()
        base = self.merge_base(head, tip)
        if base == head:
            return base, f"HEAD ({base[:7]}, on {name})"
        return base, f"merge base {base[:7]} with {name}"

    def merge_base(self, one: str, two: str) -> str:
        """Return the merge base of two commits, or raise `InputError`."""
        done = self._git("merge-base", one, two)
        if done.returncode:
            if self.is_shallow():
                cause = f"this clone is shallow: it lacks the commit that {one[:12]} and {two[:12]} share"
                raise InputError(cause, place=str(self._directory), remedy=_UNSHALLOW)
            cause = f"{one[:12]} and {two[:12]} have no commit in common"
            raise InputError(cause, place=str(self._directory), remedy="Name the commit to compare with.")
        return done.stdout.split()[0]

    def tags(self) -> list[str]:
        """Return the names of all tags; raise `InputError` for a shallow clone."""
        if self.is_shallow():
            cause = "this clone is shallow, so that tags may be missing"
            remedy = "Fetch them first: git fetch --unshallow --tags."
            raise InputError(cause, place=str(self._directory), remedy=remedy)
        return self._git(
            "for-each-ref", "--format=%(refname:strip=2)", "refs/tags", check=True
        ).stdout.split()

    def files(self, commit: str, folders: Sequence[str] = ()) -> dict[str, Blob]:
        """Return files and links of a commit, below some folders if given."""
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
        """Return the content of files, of each at most `limit` bytes."""
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

    def versions(self, name: str, most: int = 60) -> Iterator[bytes]:
        """Yield the old contents of a file, newest first."""
        log = self._git("log", f"--max-count={most}", "--format=%H", "--", name)
        for commit in log.stdout.split():
            blob = self._git("cat-file", "blob", f"{commit}:./{name}")
            if blob.returncode == 0:
                yield blob.stdout_bytes

    def follow(self, path: str, files: Mapping[str, Blob]) -> str:
        """Return the target of links within the tree; it may be missing."""
        for _ in range(_HOPS):
            if path not in files or not files[path].is_link:
                return path
            target = self.read({path: files[path]}, limit=4096)[path].decode("utf-8", "replace")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        return ""

    def ask(self, *args: str) -> shell.CommandResult | None:
        """Return what a command of git prints; None where it fails."""
        try:
            done = self._git(*args)
        except ExternalError:
            return None
        return None if done.returncode else done

    def _git(self, *args: str, input: str | None = None, check: bool = False) -> shell.CommandResult:  # noqa: A002
        if not self._directory.is_dir():
            raise InputError(
                "there is no such directory", place=str(self._directory), remedy="Check the path."
            )
        # A checkout may belong to another user, as on a runner; nothing of its configuration is executed.
        safe = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
        # In a hook, git sets the repository in the environment; here it is that of the directory.
        env = {name: value for name, value in os.environ.items() if name not in _OF_A_REPOSITORY}
        command = ["git", *safe, *args]
        done = shell.run(command, cwd=self._directory, env=env, input=input, timeout=120, check=False)
        if check and done.returncode:
            said = done.stderr.strip() or f"exit code {done.returncode}"
            raise ExternalError(f"git {args[0]} failed: {said}", place=str(self._directory))
        return done
