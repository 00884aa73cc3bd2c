"""Parse a Felis file strictly into a :class:`~consdb_actions.schema.model.Schema`, without Felis.

All problems are raised as one error with lines. Shapes of other Felis versions are accepted with a note where
their meaning is clear.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from consdb_actions.adapters.problems import FileError, Problem
from consdb_actions.adapters.schema_checks import check_names
from consdb_actions.adapters.schema_fields import Fields
from consdb_actions.adapters.schema_resources import Beside, Resources, beside_path
from consdb_actions.adapters.schema_tables import read_tables
from consdb_actions.adapters.yaml_text import MAX_BYTES
from consdb_actions.adapters.yaml_tree import read_tree
from consdb_actions.errors import InputError
from consdb_actions.schema.model import Schema

__all__ = ["Lines", "ReadSchema", "read_bytes", "read_file", "read_yaml"]

Lines = Mapping[tuple[str, ...], int]
"""Line of an object; keys are such as ``("column", "exposure", "seeing")`` or ``("version",)``."""


@dataclass(frozen=True, slots=True)
class ReadSchema:
    """A parsed schema file."""

    schema: Schema
    source: str
    """Name of the file, for messages."""
    notes: tuple[str, ...] = ()
    """What was accepted although today's Felis would refuse it."""
    lines: Lines = field(default_factory=dict)


def read_bytes(path: Path) -> bytes:
    """Read a file, at most slightly beyond the size limit."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise InputError(
                    "this is no regular file", place=str(path), remedy="Save its content in a file."
                )
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        remedy = "Check the path and how its name is spelled."
        raise InputError("there is no such file", place=str(path), remedy=remedy) from None
    except IsADirectoryError:
        raise InputError(
            "this is a folder, not a file", place=str(path), remedy="Name the file in it."
        ) from None
    except OSError as error:
        remedy = "Check the file's permissions."
        raise InputError(f"cannot be read: {error.strerror}", place=str(path), remedy=remedy) from error


def read_file(path: Path, *, expect_name: str | None = None) -> ReadSchema:
    """Read a schema file, and others that it takes columns from."""
    beside = beside_path(path)
    return read_yaml(read_bytes(path), source=str(path), expect_name=expect_name, beside=beside)


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
        fields.problem("version", "the version is no text", 'Write it as current: "1.0.0".')
        return None
    if not isinstance(node.value, str):
        kind = type(node.value).__name__
        notes.append(f"line {node.line}: the version {node.text} is a {kind} in YAML; put it in quotes")
    return node.text.strip()
