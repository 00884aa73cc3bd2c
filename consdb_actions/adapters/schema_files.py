"""Find schema files in a checkout or directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from consdb_actions.adapters.problems import did_you_mean
from consdb_actions.errors import InputError

__all__ = ["CONSDB_FOLDERS", "SDM_FOLDERS", "candidates", "find_schema_file", "list_schema_files"]

CONSDB_FOLDERS = ("python/lsst/consdb/transformed_efd/schemas/yml",)
"""Folders of a consdb tree."""

SDM_FOLDERS = ("python/lsst/sdm/schemas", "yml", "python/lsst/sdm_schemas/schemas", ".", *CONSDB_FOLDERS)
"""Folders of a tree of schemas: sdm_schemas today and before, a plain folder, or consdb for the EFD."""

_SUFFIXES = (".yaml", ".yml")


def candidates(name: str, *, consdb: bool = False) -> Iterator[PurePosixPath]:
    """Yield possible paths of a schema's file, most likely first."""
    for folder in CONSDB_FOLDERS if consdb else SDM_FOLDERS:
        for suffix in _SUFFIXES:
            yield PurePosixPath(folder) / f"{name}{suffix}"


def find_schema_file(name: str, *, sdm_schemas: Path, consdb: Path | None = None) -> Path:
    """Return the file of a schema, links followed within the tree; ``consdb`` is a tree with EFD schemas."""
    looked: list[str] = []
    trees: list[tuple[Path, bool]] = [(sdm_schemas, False)]
    if consdb is not None:
        trees.append((consdb, True))
    for tree, is_consdb in trees:
        if not tree.is_dir():
            cause = "there is no such directory" if not tree.exists() else "this is not a directory"
            raise InputError(
                cause,
                place=str(tree),
                remedy="Give the path of a checkout, or of a folder with the YAML files.",
            )
        for relative in candidates(name, consdb=is_consdb):
            path = tree / relative
            if path.is_file():
                return _checked(path, tree)
            if relative.suffix == _SUFFIXES[0]:
                looked.append(str(path))
    known = [found for tree, is_consdb in trees for found in list_schema_files(tree, consdb=is_consdb)]
    remedy = (
        did_you_mean(name, known)
        or "Give a checkout of sdm_schemas, or the folder that holds the YAML files."
    )
    where = "\n".join(f"  {path}" for path in looked)
    raise InputError(f"no file of the schema {name} was found; looked for\n{where}", remedy=remedy)


def list_schema_files(
    tree: Path, *, consdb: bool = False, globs: Sequence[str] = ("cdb_*", "efd_*")
) -> dict[str, Path]:
    """Return the schema files of a tree by name; the first folder wins."""
    found: dict[str, Path] = {}
    for folder in CONSDB_FOLDERS if consdb else SDM_FOLDERS:
        for glob in globs:
            for suffix in _SUFFIXES:
                for path in sorted((tree / folder).glob(f"{glob}{suffix}")):
                    if path.is_file():
                        found.setdefault(path.stem, _checked(path, tree))
    return dict(sorted(found.items()))


def _checked(path: Path, tree: Path) -> Path:
    """Refuse a link that leads out of the checkout, or out of a folder that is in none (rule S2)."""
    root, real = tree.resolve(), path.resolve()
    checkout = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    if not real.is_relative_to(checkout) or ".git" in real.relative_to(checkout).parts:
        raise InputError(
            f"this is a link that leads out of {checkout}",
            place=str(path),
            remedy="Put the file itself there.",
        )
    return path
