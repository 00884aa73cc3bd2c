"""A bare git repository, and the few things that the double asks of it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_READING = ("cat-file", "rev-parse", "for-each-ref", "merge-base", "rev-list", "ls-tree", "diff", "diff-tree")
_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Signature:
    """Name and address as a commit records them."""

    name: str
    email: str
    date: datetime | None = None

    def line(self, fallback: datetime) -> str:
        stamp = self.date or fallback
        return f"{self.name} <{self.email}> {int(stamp.timestamp())} +0000"


@dataclass(frozen=True)
class CommitInfo:
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str


@dataclass(frozen=True)
class TagInfo:
    name: str
    target: str
    type: str
    tagger: Signature
    message: str


@dataclass(frozen=True)
class Entry:
    """One line of a tree."""

    mode: str
    type: str
    sha: str
    size: int | None
    path: str


@dataclass
class GitStore:
    """A bare repository on disk.

    What a SHA names never changes, so answers about it are kept; those about refs are kept until git writes.
    """

    path: Path
    _memory: dict[tuple[str, ...], bytes] = field(default_factory=dict)
    _refs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, path: Path) -> GitStore:
        """Make an empty repository with `main` as its default branch."""
        path.mkdir(parents=True)
        store = cls(path)
        store.git("init", "--quiet", "--bare", "--initial-branch=main", ".")
        return store

    def git(self, *args: str, stdin: bytes = b"", check: bool = True) -> bytes:
        """Run git in the repository, free of the user's own configuration."""
        if args[0] not in _READING:
            self._refs.clear()
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Double",
            "GIT_AUTHOR_EMAIL": "double@example.org",
            "GIT_COMMITTER_NAME": "Double",
            "GIT_COMMITTER_EMAIL": "double@example.org",
        }
        done = subprocess.run(
            ["git", *args], cwd=self.path, input=stdin, capture_output=True, env=env, check=False
        )
        if done.returncode and check:
            raise LookupError(done.stderr.decode())
        return done.stdout if done.returncode == 0 else b""

    def lasting(self, *args: str) -> bytes:
        """Run git for an answer that can never change."""
        if args not in self._memory:
            self._memory[args] = self.git(*args)
        return self._memory[args]

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        *,
        parents: Sequence[str],
        message: str,
        author: Signature,
        committer: Signature,
        at: datetime,
    ) -> str:
        """Write a commit on top of its first parent's tree; None removes a file."""
        text = message.encode()
        stream = [
            b"commit refs/double/scratch\nmark :1\n",
            f"author {author.line(at)}\ncommitter {committer.line(at)}\n".encode(),
            b"data %d\n%s\n" % (len(text), text),
        ]
        for index, parent in enumerate(parents):
            stream.append(f"{'merge' if index else 'from'} {parent}\n".encode())
        for path, content in files.items():
            if content is None:
                stream.append(f"D {path}\n".encode())
                continue
            data = content.encode() if isinstance(content, str) else content
            stream.append(f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n")
        stream.append(b"get-mark :1\n")
        # The scratch branch is reset first, else a commit without parents would continue it.
        sha = self.git(
            "fast-import",
            "--quiet",
            "--force",
            "--done",
            stdin=b"reset refs/double/scratch\n" + b"".join(stream) + b"done\n",
        )
        return sha.decode().strip()

    def commit_tree(
        self,
        tree: str,
        *,
        parents: Sequence[str],
        message: str,
        author: Signature,
        committer: Signature,
        at: datetime,
    ) -> str:
        """Write a commit of a tree that exists."""
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {author.line(at)}", f"committer {committer.line(at)}", "", message]
        data = "\n".join(lines).encode()
        return self.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=data).decode().strip()

    def tag(self, name: str, sha: str, kind: str, message: str, tagger: str) -> str:
        """Write an annotated tag."""
        text = f"object {sha}\ntype {kind}\ntag {name}\ntagger {tagger}\n\n{message}\n"
        return self.git("mktag", stdin=text.encode()).decode().strip()

    def merge(self, base: str, head: str) -> str | None:
        """Merge one commit into another, as git does; None on a conflict."""
        tree = self.git("merge-tree", "--write-tree", base, head, check=False).decode().strip()
        if not tree:
            return None
        who = self.info(head).committer
        assert who.date is not None
        message = f"Merge {head} into {base}"
        return self.commit_tree(
            tree, parents=(base, head), message=message, author=who, committer=who, at=who.date
        )

    def write_tree(self, files: Mapping[str, tuple[str, str]]) -> str:
        """Write a tree of files, given as mode and blob by path."""
        lines: list[str] = []
        folders: dict[str, dict[str, tuple[str, str]]] = {}
        for path, row in files.items():
            first, _, rest = path.partition("/")
            if rest:
                folders.setdefault(first, {})[rest] = row
            else:
                lines.append(f"{row[0]} blob {row[1]}\t{path}")
        lines += [f"040000 tree {self.write_tree(inner)}\t{name}" for name, inner in folders.items()]
        return self.git("mktree", "-z", stdin="\0".join([*lines, ""]).encode()).decode().strip()

    def tag_info(self, sha: str) -> TagInfo:
        """Read an annotated tag."""
        head, _, message = self.lasting("cat-file", "tag", sha).decode().partition("\n\n")
        values = dict(line.split(" ", 1) for line in head.splitlines())
        return TagInfo(
            values["tag"],
            values["object"],
            values["type"],
            _signature(values["tagger"]),
            message.rstrip("\n"),
        )

    def info(self, sha: str) -> CommitInfo:
        """Read a commit."""
        raw = self.lasting("cat-file", "commit", sha).decode()
        head, _, message = raw.partition("\n\n")
        values: dict[str, list[str]] = {}
        for line in head.splitlines():
            key, _, value = line.partition(" ")
            values.setdefault(key, []).append(value)
        return CommitInfo(
            sha=sha,
            tree=values["tree"][0],
            parents=tuple(values.get("parent", ())),
            author=_signature(values["author"][0]),
            committer=_signature(values["committer"][0]),
            message=message.rstrip("\n"),
        )

    def resolve(self, name: str) -> str | None:
        """Return the commit that a SHA or the full name of a ref stands for."""
        args = ("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return self._remembered(args, lasting=bool(_SHA.fullmatch(name))) or None

    def ref(self, name: str) -> tuple[str, str] | None:
        """Return type and SHA of the object that a ref, such as refs/heads/main, points to."""
        args = ("for-each-ref", "--format=%(objecttype) %(objectname)", name)
        kind, _, sha = self._remembered(args, lasting=False).partition(" ")
        return (kind, sha) if sha and "\n" not in sha else None

    def _remembered(self, args: tuple[str, ...], *, lasting: bool) -> str:
        """Run git for an answer that holds until something is written, or for ever when there is one."""
        if args in self._memory:
            return self._memory[args].decode()
        key = "\0".join(args)
        if key not in self._refs:
            self._refs[key] = self.git(*args, check=False).decode().strip()
        if lasting and self._refs[key]:
            self._memory[args] = self._refs[key].encode()
        return self._refs[key]

    def refs(self, prefix: str) -> list[tuple[str, str, str]]:
        """List name, type and SHA of all refs whose name starts so."""
        lines = (
            self.git("for-each-ref", "--format=%(refname) %(objecttype) %(objectname)").decode().splitlines()
        )
        rows = [line.split(" ") for line in lines]
        return [(name, kind, sha) for name, kind, sha in rows if name.startswith(prefix)]

    def set_ref(self, name: str, sha: str) -> None:
        self.git("update-ref", name, sha)

    def delete_ref(self, name: str) -> None:
        self.git("update-ref", "-d", name)

    def type_of(self, sha: str) -> str:
        """Return commit, tree, blob or tag; empty when there is no such object."""
        return self._remembered(("cat-file", "-t", sha), lasting=True)

    def entries(self, tree: str, *, recursive: bool) -> list[Entry]:
        """List a tree, folders included."""
        args = ["ls-tree", "-l", "-z", *(["-r", "-t"] if recursive else []), tree]
        found = []
        for line in self.lasting(*args).decode().split("\0"):
            if line:
                meta, _, path = line.partition("\t")
                mode, kind, sha, size = meta.split()
                found.append(Entry(mode, kind, sha, int(size) if size != "-" else None, path))
        return found

    def blob(self, sha: str) -> bytes:
        return self.lasting("cat-file", "blob", sha)

    def merge_base(self, one: str, other: str) -> str | None:
        return self._remembered(("merge-base", one, other), lasting=True) or None

    def between(self, base: str, head: str) -> list[str]:
        """List the commits of head that base does not have, oldest first."""
        return self.lasting("rev-list", "--reverse", "--topo-order", f"{base}..{head}").decode().split()

    def history(self, head: str, path: str = "") -> list[str]:
        """List head and everything before it, newest first; with a path, what changed it."""
        return self.lasting("rev-list", head, *(["--", path] if path else [])).decode().split()

    def changed(self, base: str, head: str) -> list[tuple[str, str, str]]:
        """List letter, path and the new blob (or the old one, where it is gone) of all changed files."""
        rows = []
        for line in self.lasting("diff-tree", "-r", "--no-renames", base, head).decode().splitlines():
            meta, _, path = line.partition("\t")
            _, _, old, new, letter = meta.split()
            rows.append((letter, path, old if letter == "D" else new))
        return rows

    def patch(self, base: str, head: str, path: str) -> str:
        return self.lasting("diff", base, head, "--", path).decode()


def _signature(text: str) -> Signature:
    name, _, rest = text.partition(" <")
    email, _, stamp = rest.partition("> ")
    return Signature(name, email, datetime.fromtimestamp(int(stamp.split()[0]), UTC))
