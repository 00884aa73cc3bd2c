"""A bare git repository, and the few things that the double asks of it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import threading
import zlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

_SHA = re.compile(r"[0-9a-f]{40}")
_PLAIN_REF = re.compile(r"refs(/(?!\w+\.lock)[\w-]+(\.[\w-]+)*)+")


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

    Plain work is done here, on loose objects and refs: git itself, a process for each call, took most of the
    time of the tests. What a SHA names never changes, so answers about it are kept.
    """

    path: Path
    _objects: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    _memory: dict[tuple[str, ...], bytes] = field(default_factory=dict)

    @classmethod
    def create(cls, path: Path) -> GitStore:
        """Make an empty repository with `main` as its default branch."""
        for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
            (path / folder).mkdir(parents=True)
        (path / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
        config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
        (path / "config").write_text(config, encoding="utf-8")
        return cls(path)

    def copy(self, path: Path) -> GitStore:
        """Return an independent copy."""
        shutil.copytree(self.path, path)
        return GitStore(path, dict(self._objects))

    def git(self, *args: str, stdin: bytes = b"", check: bool = True) -> bytes:
        """Run git in the repository, free of the user's own configuration."""
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

    def write(self, kind: str, data: bytes) -> str:
        """Write an object, and return its SHA."""
        body = f"{kind} {len(data)}\0".encode() + data
        sha = hashlib.sha1(body, usedforsecurity=False).hexdigest()
        if sha not in self._objects:
            self._replace(f"objects/{sha[:2]}/{sha[2:]}", zlib.compress(body, 1))
            self._objects[sha] = (kind, data)
        return sha

    def read(self, sha: str) -> tuple[str, bytes]:
        """Return type and content of an object; LookupError where there is none."""
        if sha not in self._objects and _SHA.fullmatch(sha):
            try:
                body = zlib.decompress((self.path / "objects" / sha[:2] / sha[2:]).read_bytes())
            except FileNotFoundError:  # in a pack, or nowhere
                body = self.git("cat-file", "--batch", stdin=sha.encode()).removeprefix(sha.encode() + b" ")
                head, _, data = body.partition(b"\n")
                if not data:
                    raise LookupError(f"no object {sha}") from None
                body = head + b"\0" + data[:-1]
            head, _, data = body.partition(b"\0")
            self._objects[sha] = (head.split()[0].decode(), data)
        try:
            return self._objects[sha]
        except KeyError:
            raise LookupError(f"no object {sha}") from None

    def _peeled(self, sha: str, wanted: str) -> tuple[str, bytes]:
        """Return SHA and content of the object of a type that a tag or a commit leads to."""
        kind, data = self.read(sha)
        if kind == wanted:
            return sha, data
        if kind == "tag" or (kind, wanted) == ("commit", "tree"):
            return self._peeled(data.split(b"\n", 1)[0].split()[1].decode(), wanted)
        raise LookupError(f"{sha} is a {kind}, no {wanted}")

    def _replace(self, name: str, content: bytes) -> None:
        """Write a file so that nobody sees a part of it."""
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f"tmp_{threading.get_ident()}")
        part.write_bytes(content)
        part.replace(place)

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
        rows = self.entries(parents[0], recursive=True) if parents else []
        kept = {row.path: (row.mode, row.sha) for row in rows if row.type != "tree"}
        for path, content in files.items():
            if content is None:
                for gone in [name for name in kept if name == path or name.startswith(f"{path}/")]:
                    del kept[gone]
            else:
                data = content.encode() if isinstance(content, str) else content
                kept[path] = ("100644", self.write("blob", data))
        return self.commit_tree(
            self.write_tree(kept), parents=parents, message=message, author=author, committer=committer, at=at
        )

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
        return self.write("commit", "\n".join(lines).encode())

    def tag(self, name: str, sha: str, kind: str, message: str, tagger: str) -> str:
        """Write an annotated tag."""
        text = f"object {sha}\ntype {kind}\ntag {name}\ntagger {tagger}\n\n{message}\n"
        return self.git("mktag", stdin=text.encode()).decode().strip()

    def merge(self, base: str, head: str) -> str | None:
        """Merge one commit into another, as git does; None on a conflict."""
        tree = self._plain_merge(base, head) or (
            self.git("merge-tree", "--write-tree", base, head, check=False).decode().strip()
        )
        if not tree:
            return None
        who = self.info(head).committer
        assert who.date is not None
        message = f"Merge {head} into {base}"
        return self.commit_tree(
            tree, parents=(base, head), message=message, author=who, committer=who, at=who.date
        )

    def _plain_merge(self, base: str, head: str) -> str | None:
        """Return the tree of a merge in which no file goes or is changed on both sides."""
        fork = self._fork(base, head)
        if fork is None:
            return None
        ours, theirs = self.changed(fork, base), self.changed(fork, head)
        paths = [path for _, path, _ in (*ours, *theirs)]
        if len(set(paths)) < len(paths) or any(letter not in "AM" for letter, _, _ in (*ours, *theirs)):
            return None
        rows = {row.path: row for at in (base, head) for row in self.entries(at, recursive=True)}
        if any(
            str(parent) in rows and rows[str(parent)].type != "tree"
            for path in paths
            for parent in Path(path).parents
        ):
            return None
        changed = {path for _, path, _ in ours}
        both = {row.path: row for row in self.entries(base, recursive=True)}
        both |= {path: rows[path] for path in paths if path not in changed}
        return self.write_tree(
            {path: (row.mode, row.sha) for path, row in both.items() if row.type != "tree"}
        )

    def write_tree(self, files: Mapping[str, tuple[str, str]]) -> str:
        """Write a tree of files, given as mode and blob by path."""
        rows: list[tuple[bytes, bytes]] = []
        folders: dict[str, dict[str, tuple[str, str]]] = {}
        for path, (mode, sha) in files.items():
            first, _, rest = path.partition("/")
            if rest:
                folders.setdefault(first, {})[rest] = (mode, sha)
            else:
                rows.append((first.encode(), f"{mode} {first}\0".encode() + bytes.fromhex(sha)))
        for name, inner in folders.items():
            tree = bytes.fromhex(self.write_tree(inner))
            rows.append((f"{name}/".encode(), f"40000 {name}\0".encode() + tree))
        return self.write("tree", b"".join(row for _, row in sorted(rows)))

    def tag_info(self, sha: str) -> TagInfo:
        """Read an annotated tag."""
        head, _, message = self._peeled(sha, "tag")[1].decode().partition("\n\n")
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
        raw = self._peeled(sha, "commit")[1].decode()
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
        """Return the commit that a SHA, also its beginning, or the full name of a ref stands for."""
        sha = name if _SHA.fullmatch(name) else self._target(name)
        if re.fullmatch("[0-9a-f]{4,39}", name):
            sha = (
                self.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False)
                .decode()
                .strip()
            )
        try:
            return self._peeled(sha, "commit")[0]
        except LookupError:
            return None

    def ref(self, name: str) -> tuple[str, str] | None:
        """Return type and SHA of the object that a ref, such as refs/heads/main, points to."""
        sha = self._target(name)
        return (self.type_of(sha), sha) if sha else None

    def _target(self, name: str) -> str:
        if not name.startswith("refs/") or ".." in name:
            return ""
        try:
            # No Path, which would take a slash at the end away.
            with open(f"{self.path}/{name}", encoding="utf-8") as file:  # noqa: PTH123
                return file.read().strip()
        except (OSError, ValueError):
            return ""

    def refs(self, prefix: str) -> list[tuple[str, str, str]]:
        """List name, type and SHA of all refs whose name starts so."""
        names = (str(p.relative_to(self.path)) for p in (self.path / "refs").rglob("*") if p.is_file())
        found = {name: self._target(name) for name in sorted(names) if name.startswith(prefix)}
        return [(name, self.type_of(sha), sha) for name, sha in found.items()]

    def set_ref(self, name: str, sha: str) -> None:
        if not _PLAIN_REF.fullmatch(name) or not self.type_of(sha):
            self.git("update-ref", name, sha)
            return
        try:
            self._replace(name, f"{sha}\n".encode())
        except OSError:  # beside a ref that is a folder of this one's name, or that has been
            self.git("update-ref", name, sha)

    def delete_ref(self, name: str) -> None:
        self.git("update-ref", "-d", name)

    def type_of(self, sha: str) -> str:
        """Return commit, tree, blob or tag; empty when there is no such object."""
        try:
            return self.read(sha)[0]
        except LookupError:
            return ""

    def entries(self, tree: str, *, recursive: bool) -> list[Entry]:
        """List a tree, folders included."""
        data, found = self._peeled(tree, "tree")[1], []
        while data:
            head, _, data = data.partition(b"\0")
            mode, _, name = head.decode().partition(" ")
            sha, data = data[:20].hex(), data[20:]
            kind = {"40000": "tree", "160000": "commit"}.get(mode, "blob")
            size = len(self.read(sha)[1]) if kind == "blob" else None
            found.append(Entry(mode.zfill(6), kind, sha, size, name))
            if recursive and kind == "tree":
                inner = self.entries(sha, recursive=True)
                found += [replace(entry, path=f"{name}/{entry.path}") for entry in inner]
        return found

    def blob(self, sha: str) -> bytes:
        return self._peeled(sha, "blob")[1]

    def _parents(self, sha: str) -> list[str]:
        lines = self._peeled(sha, "commit")[1].partition(b"\n\n")[0].splitlines()
        return [line[7:].decode() for line in lines if line.startswith(b"parent ")]

    def _line(self, head: str, until: Container[str]) -> tuple[list[str], str] | None:
        """Return head and what is before it, and the first in ``until``; None where there is a merge."""
        line: list[str] = []
        while head and head not in until:
            line.append(head)
            parents = self._parents(head)
            if len(parents) > 1:
                return None
            head = parents[0] if parents else ""
        return line, head

    def _before(self, head: str) -> set[str]:
        """Return head and all that is before it."""
        found, open_ = {head}, [head]
        while open_:
            new = [sha for sha in self._parents(open_.pop()) if sha not in found]
            found.update(new)
            open_ += new
        return found

    def _fork(self, one: str, other: str) -> str | None:
        """Return the merge base where the way to it has no merges on one side."""
        if not self.type_of(one) == self.type_of(other) == "commit":
            return None
        line = self._line(one, self._before(other)) or self._line(other, self._before(one))
        return (line and line[1]) or None

    def merge_base(self, one: str, other: str) -> str | None:
        return (
            self._fork(one, other) or self.git("merge-base", one, other, check=False).decode().strip() or None
        )

    def between(self, base: str, head: str) -> list[str]:
        """List the commits of head that base does not have, oldest first."""
        if self.type_of(base) == self.type_of(head) == "commit" and (
            line := self._line(head, self._before(base))
        ):
            return line[0][::-1]
        return self.lasting("rev-list", "--reverse", "--topo-order", f"{base}..{head}").decode().split()

    def history(self, head: str, path: str = "") -> list[str]:
        """List head and everything before it, newest first; with a path, what changed it."""
        if not path and self.type_of(head) == "commit" and (line := self._line(head, ())):
            return line[0]
        return self.lasting("rev-list", head, *(["--", path] if path else [])).decode().split()

    def changed(self, base: str, head: str) -> list[tuple[str, str, str]]:
        """List letter, path and the new blob (or the old one, where it is gone) of all changed files."""
        old, new = (
            {e.path: e for e in self.entries(at, recursive=True) if e.type != "tree"} for at in (base, head)
        )
        rows = []
        for path in sorted({*old, *new}):
            before, after = old.get(path), new.get(path)
            if before is None and after is not None:
                rows.append(("A", path, after.sha))
            elif after is None and before is not None:
                rows.append(("D", path, before.sha))
            elif before and after and (before.sha, before.mode) != (after.sha, after.mode):
                rows.append(("M" if before.mode[:3] == after.mode[:3] else "T", path, after.sha))
        return rows

    def patch(self, base: str, head: str, path: str) -> str:
        return self.lasting("diff", base, head, "--", path).decode()


def _signature(text: str) -> Signature:
    name, _, rest = text.partition(" <")
    email, _, stamp = rest.partition("> ")
    return Signature(name, email, datetime.fromtimestamp(int(stamp.split()[0]), UTC))
