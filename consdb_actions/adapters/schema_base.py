"""Schema files before a change: from a directory, a revision, or the merge base (rule M18)."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from glob import escape
from pathlib import Path

from consdb_actions.adapters.git_read import Blob, GitReader
from consdb_actions.adapters.schema_sources import DEFAULT_SCHEMAS, CommitTree, RawFile
from consdb_actions.adapters.schema_yaml import CONSDB_FOLDERS, SDM_FOLDERS, list_schema_files
from consdb_actions.errors import ConsdbActionsError, InputError

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
    return label, _at(schemas, git, commit, inside if colon else git.prefix())


def _of_merge_base(directory: Path, *, consdb: bool = False) -> tuple[str, Reader]:
    git = GitReader(directory)
    if not git.is_repository():
        # Without the path: a report is the same wherever it is made.
        cause = "the schema files are not in a git checkout"
        raise InputError(cause, remedy=f"Give the files before the change: {_OPTION} DIR.")
    commit, label = git.fork_point()
    return label, _at(directory, git, commit, git.prefix(), consdb=consdb)


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


def _at(directory: Path, git: GitReader, commit: str, root: str, *, consdb: bool = False) -> Reader:
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
