"""Read schema files from disk and from git: both sides of a comparison, or the side before a change.

===========================  ==============================================================================
``file.yaml``                one file
``DIR``                      a checkout of sdm_schemas or consdb, or any directory
``REV``                      the same at a commit of the repository
``REV:path``                 a file or directory at a commit
``A..B``, ``A...B``          both sides; three dots take the merge base; B is HEAD by default
nothing                      the merge base with the default branch, and the work tree
===========================  ==============================================================================

Existing paths win; write ``REV:`` for a branch that is named like a directory.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache, cached_property
from glob import escape
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from consdb_actions.adapters.files import read_bytes
from consdb_actions.adapters.git_read import Blob, GitReader
from consdb_actions.adapters.schema_fields import Beside, beside_path
from consdb_actions.adapters.schema_yaml import (
    CONSDB_FOLDERS,
    SDM_FOLDERS,
    ReadSchema,
    list_schema_files,
    read_yaml,
)
from consdb_actions.adapters.yaml_tree import MAX_BYTES
from consdb_actions.errors import ConsdbActionsError, ExternalError, InputError
from consdb_actions.schema.model import Schema

if TYPE_CHECKING:
    from consdb_actions.catalog import Snapshot

DEFAULT_SCHEMAS = ("cdb_*", "efd_*")  # Patterns of ConsDB's schema files in a directory

_RANGE = re.compile(r"(?P<before>[^:]*?)(?P<dots>\.\.\.?)(?P<after>[^:.][^:]*|)")
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class RawFile:
    """An unread schema file; ``beside`` reads others in its directory."""

    name: str
    source: str
    data: bytes
    beside: Beside | None = field(default=None, repr=False, compare=False)

    def read(self, *, expect_name: str | None = None) -> ReadSchema:
        """Read the schema."""
        return read_yaml(self.data, source=self.source, expect_name=expect_name, beside=self.beside)

    @classmethod
    def on_disk(cls, name: str, path: Path) -> RawFile:
        """Read a file of the work tree."""
        return cls(name, str(path), read_bytes(path, MAX_BYTES), beside_path(path))


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the comparison."""

    label: str
    files: dict[str, RawFile]
    single: bool = False  # Whether one file was named, and not a directory or commit


def read_sides(
    before: str | None, after: str | None, *, repository: Path, schemas: Sequence[str] = DEFAULT_SCHEMAS
) -> tuple[Side, Side]:
    """Read both sides of a comparison.

    Without ``after``, ``before`` is a range or is compared with the work tree. ``repository`` resolves
    revisions, ``schemas`` are patterns of names in directories and commits. Two single files get the same
    key.
    """
    git = GitReader(repository)
    span = _RANGE.fullmatch(before) if before and after is None and not Path(before).exists() else None
    if before is None:
        commit, label = git.fork_point()
        tree = CommitTree(git, commit, commit[:12])
        sides = Side(label, tree.read(tree.find(git.prefix(), schemas))), _side(str(repository), git, schemas)
    elif span and (span["before"] or span["after"]):
        one, two = git.commit(span["before"] or "HEAD"), git.commit(span["after"] or "HEAD")
        if span["dots"] == "...":
            one = git.merge_base(one, two)
        sides = _at(git, one, "", one[:12], schemas), _at(git, two, "", span["after"] or "HEAD", schemas)
    else:
        sides = _side(before, git, schemas), _side(after or str(repository), git, schemas)
    if not any(side.files for side in sides):
        wanted = ", ".join(schemas)
        remedy = "Name a file, a checkout of sdm_schemas or consdb, or a revision of one (with --git)."
        place = " and ".join(dict.fromkeys(side.label for side in sides))
        raise InputError(f"no schema files ({wanted}) were found there", place=place, remedy=remedy)
    return _paired(*sides)


def _paired(before: Side, after: Side) -> tuple[Side, Side]:
    """Give two single files one key, and find a single file's counterpart."""
    if before.single and after.single:
        (old,), (new,) = before.files.values(), after.files.values()
        return Side(before.label, {new.name: old}, True), Side(after.label, {new.name: new}, True)
    if before.single or after.single:
        names = (before if before.single else after).files
        before, after = (
            Side(side.label, {name: file for name, file in side.files.items() if name in names}, side.single)
            for side in (before, after)
        )
    return before, after


def _side(text: str, git: GitReader, schemas: Sequence[str]) -> Side:
    """Read one side: from disk if it exists, else from git."""
    path = Path(text)
    if path.is_dir():
        found = list_schema_files(path, globs=schemas)
        if not found:
            remedy = "Name a file, a checkout of sdm_schemas or consdb, or a folder with schema files."
            raise InputError(f"no schema files ({', '.join(schemas)}) are there", place=text, remedy=remedy)
        files = {name: RawFile.on_disk(name, file) for name, file in sorted(found.items())}
        return Side(text, files)
    if path.exists() or (text.endswith(_SUFFIXES) and ":" not in text):
        return Side(text, {path.stem: RawFile.on_disk(path.stem, path)}, single=True)
    if text.startswith(("/", "./", "../", "~")) and ":" not in text:
        raise InputError(
            "there is no such file or folder",
            place=text,
            remedy="Check the path and how its name is spelled.",
        )
    revision, _, inside = text.partition(":")
    return _at(git, git.commit(revision), inside, text, schemas)


def _at(git: GitReader, commit: str, path: str, label: str, schemas: Sequence[str]) -> Side:
    tree = CommitTree(git, commit, label.partition(":")[0])
    root = tree.follow(path)
    if root in tree.paths:
        name = PurePosixPath(path).stem
        data = git.read({name: tree.paths[root]}, limit=MAX_BYTES + 1)[name]
        return Side(label, {name: RawFile(name, label, data, tree.beside(root))}, single=True)
    if path and not tree.has_folder(root):
        remedy = "Paths are those of the repository's root."
        raise InputError(f'the commit has no file or folder "{path}"', place=label, remedy=remedy)
    return Side(label, tree.read(tree.find(root, schemas)))


class CommitTree:
    """Schema files of a commit, with links followed within it."""

    def __init__(self, git: GitReader, commit: str, label: str) -> None:
        self._git, self._commit, self._label = git, commit, label

    @cached_property
    def _folders(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.paths:
            if path.endswith(_SUFFIXES):
                found.setdefault(posixpath.dirname(path) or ".", []).append(path)
        return found

    @cached_property
    def paths(self) -> dict[str, Blob]:
        """All files and links of the commit by path."""
        return self._git.files(self._commit)

    def follow(self, path: str) -> str:
        """Resolve links at the end of a path; ``.`` is the root."""
        return self._git.follow(posixpath.normpath(path), self.paths) if path else "."

    def has_folder(self, path: str) -> bool:
        """Return whether the folder exists."""
        return path == "." or any(known.startswith(f"{path}/") for known in self.paths)

    def find(self, root: str, globs: Sequence[str], folders: Sequence[str] = SDM_FOLDERS) -> dict[str, Blob]:
        """Find the schema files of a tree by name; where a name is in several folders, the first counts."""
        found: dict[str, Blob] = {}
        for folder in folders:
            for path in self._folders.get(self.follow(posixpath.join(root, folder)), []):
                name = PurePosixPath(path).stem
                target = self.paths.get(self.follow(path))
                if name not in found and target is not None and any(fnmatchcase(name, g) for g in globs):
                    # As on disk, other files are found relative to the link.
                    found[name] = replace(target, path=path)
        return found

    def beside(self, path: str) -> Beside:
        """Return a reader for files beside a file; links must not lead out of their directory."""
        folder = posixpath.dirname(path)

        def read(name: str) -> bytes | None:
            named = posixpath.normpath(posixpath.join(folder, name))
            target = self.follow(named)
            if posixpath.dirname(target) != posixpath.dirname(named):
                raise InputError(f"{name} is a link that leads out of the folder")
            blob = self.paths.get(target)
            return None if blob is None else self._git.read({name: blob}, limit=MAX_BYTES + 1)[name]

        return read

    def read(self, found: Mapping[str, Blob]) -> dict[str, RawFile]:
        """Read schema files."""
        contents = self._git.read(found, limit=MAX_BYTES + 1)
        return {
            name: RawFile(name, f"{self._label}:{blob.path}", contents[name], self.beside(blob.path))
            for name, blob in sorted(found.items())
        }


_OPTION = "--sdm-schemas-base"

Reader = Callable[[str], RawFile | None]


@dataclass(frozen=True, slots=True)
class SchemaBase:
    """The schema files before a change."""

    label: str = ""  # Name in reports, such as ``merge base 1a2b3c4 with origin/main``; empty without a base
    problem: str = ""  # Why there is no base; empty where there is one
    remedy: str = ""
    _readers: tuple[Reader, ...] = field(default=(), repr=False)

    def read(self, name: str) -> RawFile | None:
        """Return a schema's file; None where it or the whole base is missing."""
        return next((found for reader in self._readers if (found := reader(name)) is not None), None)


def resolve_base(schemas: Path, given: str | None, *, consdb: Path | None = None) -> SchemaBase:
    """Find the schema files before a change.

    `given` is a directory, or a revision (``REV`` or ``REV:path``) of the checkout; the default is the merge
    base of HEAD and the default branch, or a base that tells in ``problem`` why it has no files. `consdb` is
    a tree with the schemas that sdm_schemas lacks, compared with its own merge base.
    """
    if not schemas.is_dir():
        remedy = "Give a checkout of sdm_schemas, or a folder with the YAML files."
        raise InputError("there is no such directory", place=str(schemas), remedy=remedy)
    behind = () if consdb is None else (_of_consdb(consdb),)
    if given is not None:
        if given and Path(given).is_dir():
            return SchemaBase(given, _readers=(_folder(Path(given)), *behind))
        label, reader = _of_revision(schemas, given)
        return SchemaBase(label, _readers=(reader, *behind))
    try:
        label, reader = _of_merge_base(schemas)
    except ConsdbActionsError as error:
        return SchemaBase(problem=error.cause, remedy=error.remedy)
    return SchemaBase(label, _readers=(reader, *behind))


def _of_revision(schemas: Path, given: str) -> tuple[str, Reader]:
    git = GitReader(schemas)
    revision, colon, inside = given.partition(":")
    neither = f'"{given}" is neither a directory nor a revision'
    if not git.is_repository():
        cause = f"{neither}: {schemas} is not in a git checkout"
        raise InputError(cause, place=_OPTION, remedy="Give a directory that exists.")
    try:
        if not revision.strip() or not revision.isprintable():
            raise InputError("this is not a valid revision", remedy="Check its spelling.")
        commit = git.commit(revision)
    except InputError as error:
        cause = f"{neither} of the checkout of {schemas} ({error.cause})"
        raise InputError(cause, place=_OPTION, remedy=error.remedy) from None
    label = given[:12] if commit.startswith(given) else f"{given} ({commit[:7]})"
    return label, _reader_at(schemas, git, commit, inside if colon else git.prefix())


def _of_merge_base(directory: Path, *, consdb: bool = False) -> tuple[str, Reader]:
    git = GitReader(directory)
    if not git.is_repository():
        # Without the path: a report is the same wherever it is made.
        cause = "the schema files are not in a git checkout"
        raise InputError(cause, remedy=f"Give the files before the change: {_OPTION} DIR.")
    commit, label = git.fork_point()
    return label, _reader_at(directory, git, commit, git.prefix(), consdb=consdb)


def _of_consdb(consdb: Path) -> Reader:
    """Read schemas of a consdb tree; without git, it is taken as unchanged."""

    @cache
    def reader() -> Reader:
        try:
            return _of_merge_base(consdb, consdb=True)[1]
        except ConsdbActionsError:
            return _folder(consdb, consdb=True)

    return lambda name: reader()(name)


def _folder(directory: Path, *, consdb: bool = False) -> Reader:
    def read(name: str) -> RawFile | None:
        path = list_schema_files(directory, consdb=consdb, globs=[escape(name)]).get(name)
        return None if path is None else RawFile.on_disk(name, path)

    return read


def _reader_at(directory: Path, git: GitReader, commit: str, root: str, *, consdb: bool = False) -> Reader:
    """Read schemas of a commit; ``root`` is where the tree starts, or one of its folders."""
    root, folders = posixpath.normpath(root), CONSDB_FOLDERS if consdb else SDM_FOLDERS
    # Older commits have another layout below the same root.
    above = [root.removesuffix(folder) for folder in folders if f"/{root}".endswith(f"/{folder}")]
    roots = [*(posixpath.normpath(path) for path in above), root]

    def find(tree: CommitTree, *globs: str) -> dict[str, Blob]:
        found: dict[str, Blob] = {}
        for path in roots:
            found.update(tree.find(path, globs, folders))
        return found

    tree, head = (CommitTree(git, sha, sha[:12]) for sha in (commit, git.commit("HEAD")))
    ours = find(tree, *DEFAULT_SCHEMAS)
    untracked = not ours and list_schema_files(directory, consdb=consdb)
    if untracked and not find(head, *DEFAULT_SCHEMAS):
        cause = f'git has no schema files in "{root}", neither at {commit[:7]} nor at HEAD'
        raise InputError(cause, remedy=f"Give a directory with the files before the change: {_OPTION} DIR.")

    @cache
    def files() -> dict[str, RawFile]:
        return tree.read(ours)

    def read(name: str) -> RawFile | None:
        return files().get(name) or tree.read(find(tree, escape(name))).get(name)

    return read


def described_before(before: Snapshot, after: Snapshot, path: Path) -> Schema | None:
    """Find the newest version in git that the database agrees with.

    Its ids, units and descriptions are evidence for renames, so it is searched only where a column is dropped
    and another added. None outside of a git checkout.
    """
    then, now = before.tables, after.tables
    gone = {(t, c) for t in then for c in then[t].columns} - {(t, c) for t in now for c in now[t].columns}
    come = {(t, c) for t in now for c in now[t].columns} - {(t, c) for t in then for c in then[t].columns}
    if not gone or not come:
        return None
    shape = {name: frozenset(table.columns) - {"pgs_region"} for name, table in then.items()}
    for text in _versions(path.resolve()):
        try:
            schema = read_yaml(text, source=str(path)).schema
        except ConsdbActionsError:
            continue
        tables = {t.name: frozenset(c.name for c in t.columns) for t in schema.tables}
        if all(tables.get(name) == columns for name, columns in shape.items()):
            return schema
    return None


def _versions(path: Path) -> Iterator[bytes]:
    try:
        yield from GitReader(path.parent).versions(path.name)
    except ExternalError:  # git is missing or too slow: only evidence is lost
        return
