"""Read a schema file into the model, with the line of every problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from consdb_actions.adapters.files import read_bytes
from consdb_actions.adapters.problems import FileError, Problem, did_you_mean
from consdb_actions.adapters.schema_fields import Fields
from consdb_actions.adapters.schema_resources import Beside, Resources, beside_path
from consdb_actions.adapters.schema_tables import read_tables
from consdb_actions.adapters.yaml_tree import MAX_BYTES, read_tree
from consdb_actions.errors import InputError
from consdb_actions.schema.model import MAX_BYTES as NAME_BYTES
from consdb_actions.schema.model import Schema, cut, is_too_long, primary_key_name


def check_names(
    schema: Schema, lines: dict[tuple[str, ...], int], problems: list[Problem], notes: list[str]
) -> None:
    """Check the identifiers of a schema.

    Tables and indexes, also those of UNIQUE and primary keys, share one namespace; other constraints only
    need a unique name in their table.
    """
    for what, name, key in _names(schema):
        if is_too_long(name):
            size = len(name.encode())
            became = f'it would become "{cut(name)}"'
            cause = f'{what} "{name}" has {size} bytes, Postgres keeps {NAME_BYTES}: {became}'
            problems.append(
                Problem(lines.get(key, 0), 0, cause, f"Shorten the name by {size - NAME_BYTES} bytes.")
            )
    _relations(schema, lines, problems)
    _note_repeated(schema, lines, notes)


def _names(schema: Schema) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield "the schema", schema.name, ("schema",)
    for table in schema:
        yield "table", table.name, ("table", table.name)
        for column in table.columns:
            yield f"column of {table.name}", column.name, ("column", table.name, column.name)
        for constraint in table.constraints:
            yield f"constraint of {table.name}", constraint.name, ("constraint", table.name, constraint.name)
        for index in table.indexes:
            yield f"index of {table.name}", index.name, ("index", table.name, index.name)


def _relations(schema: Schema, lines: dict[tuple[str, ...], int], problems: list[Problem]) -> None:
    taken: dict[str, str] = {}
    named: list[tuple[str, str, tuple[str, ...]]] = [
        (table.name, f'table "{table.name}"', ("table", table.name)) for table in schema
    ]
    for table in schema:
        if table.primary_key:
            name = primary_key_name(table.name)
            named.append((name, f'the primary key of "{table.name}"', ("table", table.name)))
        for constraint in table.constraints:
            if constraint.kind == "unique":
                key = ("constraint", table.name, constraint.name)
                named.append((constraint.name, f'the unique constraint of "{table.name}"', key))
        named.extend(
            (index.name, f'the index of "{table.name}"', ("index", table.name, index.name))
            for index in table.indexes
        )
    for name, what, place in named:
        if name in taken:
            cause = (
                f'{what} is called "{name}", and so is {taken[name]}: Postgres refuses that within a schema'
            )
            remedy = "Rename one; put the table's name into it."
            problems.append(Problem(lines.get(place, 0), 0, cause, remedy))
        else:
            taken[name] = what


def _note_repeated(schema: Schema, lines: dict[tuple[str, ...], int], notes: list[str]) -> None:
    """Note constraint names used in several tables: Postgres accepts them, Felis does not."""
    holders: dict[str, list[str]] = {}
    for table in schema:
        for constraint in table.constraints:
            holders.setdefault(constraint.name, []).append(table.name)
    for name, tables in holders.items():
        if len(tables) > 1:
            line = lines.get(("constraint", tables[0], name), 0)
            notes.append(
                f"line {line}: the constraint name {name} is used in {len(tables)} tables: "
                f"{', '.join(tables)}"
            )


CONSDB_FOLDERS = ("python/lsst/consdb/transformed_efd/schemas/yml",)  # Folders of a consdb tree

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


Lines = Mapping[tuple[str, ...], int]

"""Line of an object; keys are such as ``("column", "exposure", "seeing")`` or ``("version",)``."""


@dataclass(frozen=True, slots=True)
class ReadSchema:
    """A parsed schema file."""

    schema: Schema
    source: str  # Name of the file, for messages
    notes: tuple[str, ...] = ()  # What was accepted although today's Felis would refuse it
    lines: Lines = field(default_factory=dict)


def read_file(path: Path, *, expect_name: str | None = None) -> ReadSchema:
    """Read a schema file, and others that it takes columns from."""
    beside = beside_path(path)
    return read_yaml(read_bytes(path, MAX_BYTES), source=str(path), expect_name=expect_name, beside=beside)


def read_yaml(
    data: str | bytes, *, source: str, expect_name: str | None = None, beside: Beside | None = None
) -> ReadSchema:
    """Read a schema from the content of a file; raise FileError with all problems.

    ``source`` names the file in errors, ``expect_name`` is the required schema name, and ``beside`` reads
    others in its directory for ``columnRefs``; None refuses such files.
    """
    root = read_tree(data, source=source)
    if root.value is None:
        remedy = "A schema starts with name, version, description and a list of tables."
        raise FileError(source, [Problem(0, 0, "the file is empty", remedy)])
    problems: list[Problem] = []
    notes: list[str] = []
    fields = Fields(root, "schema", "the schema", problems)
    if not fields.usable:
        raise FileError(source, problems)
    lines: dict[tuple[str, ...], int] = {("schema",): root.line, ("version",): fields.line("version")}
    schema = _schema(fields, beside, problems, notes, lines)
    if expect_name and schema.name and schema.name != expect_name and not problems:
        at = fields.node("name") or root
        remedy = f'Write "name: {expect_name}", or name the file after its schema.'
        cause = f'the schema is called "{schema.name}", not "{expect_name}"'
        problems.append(Problem(at.line, at.column, cause, remedy))
    if problems:
        raise FileError(source, problems)
    return ReadSchema(schema, source, tuple(dict.fromkeys(notes)), lines)


def _schema(
    fields: Fields,
    beside: Beside | None,
    problems: list[Problem],
    notes: list[str],
    lines: dict[tuple[str, ...], int],
) -> Schema:
    name = fields.name()
    resources = Resources(fields.node("resources"), beside, problems)
    tables = read_tables(fields.items("tables", required=True), resources, problems, notes, lines)
    schema = Schema(
        name=name,
        id=fields.text("@id") or f"#{name}",
        version=_version(fields, notes),
        description=fields.text("description"),
        tables=tables,
        metadata=tuple(fields.annotations("votable:utype")),
    )
    check_names(schema, lines, problems, notes)
    return schema


def _version(fields: Fields, notes: list[str]) -> str | None:
    """Return the version as text, also where YAML reads a date or number."""
    node = fields.node("version")
    if node is not None and isinstance(node.value, dict):
        current = node.value.get("current")
        if current is None:
            fields.problem("version", 'the version has no "current"', 'Write current: "1.0.0" under version.')
        node = current
    if node is None or node.value is None:
        return None
    if isinstance(node.value, (list, dict)):
        fields.problem("version", "the version is not text", 'Write it as current: "1.0.0".')
        return None
    if not isinstance(node.value, str):
        kind = type(node.value).__name__
        notes.append(f"line {node.line}: the version {node.text} is a {kind} in YAML; put it in quotes")
    return node.text.strip()
