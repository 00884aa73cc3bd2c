"""Find, read and guard revisions of a tree."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psycopg

from consdb_actions.adapters.git_read import Blob, GitReader
from consdb_actions.errors import ExternalError, InputError
from consdb_actions.lint.sql import same_program

_EVENTS = {
    "socket.connect": "a network connection",
    "socket.bind": "a network connection",
    "socket.sendto": "a network connection",
    "socket.getaddrinfo": "a network connection",
    "socket.gethostbyname": "a network connection",
    "subprocess.Popen": "another program (subprocess)",
    "os.system": "another program (os.system)",
    "os.exec": "another program (os.exec)",
    "os.posix_spawn": "another program (os.posix_spawn)",
    "os.spawn": "another program (os.spawn)",
    "os.fork": "another process (os.fork)",
    "os.forkpty": "another process (os.forkpty)",
    "pty.spawn": "another program (pty.spawn)",
    "sqlite3.connect": "a connection of its own (sqlite3)",
    "os.remove": "to remove a file",
    "os.rename": "to rename a file",
    "os.rmdir": "to remove a folder",
    "os.mkdir": "to make a folder",
    "shutil.rmtree": "to remove a folder",
    "os.kill": "to send a signal",
}

_CONNECTING: tuple[Any, ...] = (psycopg, psycopg.Connection, psycopg.AsyncConnection, psycopg.generators)

Report = Callable[[str], None]

_active: list[Report] = []

_installed = False


class RefusedError(RuntimeError):
    """A revision does something that lint does not allow."""


def _refuse(what: str) -> NoReturn:
    for report in _active:
        report(what)
    raise RefusedError(f"lint refuses {what}")


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _active:
        return
    if event == "open":
        path, mode, _ = arguments
        if isinstance(mode, str) and set(mode) & set("wax+") and isinstance(path, str):
            _refuse("to write a file")
    elif what := _EVENTS.get(event):
        _refuse(what)


@contextmanager
def guarded(report: Report) -> Iterator[None]:
    """Refuse connections, programs and changed files during the block."""
    global _installed  # an audit hook cannot be removed
    if not _installed:
        sys.addaudithook(_audit)
        _installed = True

    def refuse(*_: object, **__: object) -> NoReturn:
        _refuse("a connection of its own (psycopg.connect)")

    # From `vars`, because an attribute of a class would be bound to it.
    places = [(place, vars(place)["connect"]) for place in _CONNECTING]
    try:
        for place, _ in places:
            place.connect = refuse
        _active.append(report)
        yield
    finally:
        _active.remove(report)
        for place, connect in places:
            place.connect = connect


_LIMIT = 4 * 1024 * 1024  # bytes of a revision file that are compared


@dataclass(frozen=True, slots=True)
class Changes:
    """The differences of the revision files from a commit."""

    base: str = ""  # commit; empty if there is none, and `note` says why
    new: frozenset[Path] = frozenset()
    edited: frozenset[Path] = frozenset()  # files with another effect
    removed: Mapping[Path, str] = field(default_factory=dict)  # revision of each removed file
    note: str = ""


def revision_changes(root: Path, folders: Iterable[Path], base: str | None) -> Changes:
    """Compare a tree's revision files with their merge base.

    `folders` are its ``versions`` folders, and `base` is the other branch or commit. None is the default
    branch, and then a tree that is not a git checkout gives no differences but a note.
    """
    try:
        return _compare(root.resolve(), [folder.resolve() for folder in folders], base)
    except (InputError, ExternalError) as error:
        if base is not None:
            raise
        return Changes(note=error.cause)


def _compare(root: Path, folders: list[Path], base: str | None) -> Changes:
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    if top is None:
        raise InputError("the tree is not a git checkout", place=str(root), remedy="Omit --base.")
    git = GitReader(root)
    commit = _base_commit(git, base)
    inside = [folder for folder in folders if folder.is_relative_to(top)]
    if not inside:
        raise InputError("no folder of revisions is in the checkout", place=str(top))
    before = {
        top / path: blob
        for path, blob in git.files(commit, [f.relative_to(top).as_posix() for f in inside]).items()
        if path.endswith(".py") and not blob.is_link
    }
    now = {path for folder in inside for path in folder.glob("*.py")}
    texts = _texts(git, before)
    edited = {path for path in now & set(before) if not same_program(texts[path], _read(path))}
    gone = set(before) - now
    moved = {path for path in now - set(before) if any(same_program(texts[old], _read(path)) for old in gone)}
    new = frozenset(now - set(before) - moved)
    return Changes(commit, new, frozenset(edited), _removed(gone, texts, now))


def _base_commit(git: GitReader, base: str | None) -> str:
    head = git.commit("HEAD")
    commit = git.commit(base) if base is not None else git.default_branch()[1]
    try:
        return git.merge_base(head, commit)
    except InputError:
        # A shallow clone has no common commit; the branch itself is the best substitute.
        return commit


def _texts(git: GitReader, blobs: Mapping[Path, Blob]) -> dict[Path, str]:
    contents = git.read({str(path): blob for path, blob in blobs.items()}, limit=_LIMIT)
    return {Path(path): data.decode("utf-8", "replace") for path, data in contents.items()}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"this revision cannot be read: {error.strerror}", place=str(path)) from error


def _removed(gone: set[Path], texts: Mapping[Path, str], now: set[Path]) -> dict[Path, str]:
    if not gone:
        return {}
    left = {revision_id(_read(path)) for path in now}
    found = {path: revision_id(texts[path]) for path in gone}
    return {path: revision for path, revision in found.items() if revision and revision not in left}


def revision_id(source: str) -> str:
    """Return the revision id in a file; empty for none."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return ""
    for node in body:
        if isinstance(node, ast.AnnAssign):
            targets: list[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        value = node.value
        if (
            isinstance(targets[0], ast.Name)
            and targets[0].id == "revision"
            and isinstance(value, ast.Constant)
        ):
            return str(value.value)
    return ""
