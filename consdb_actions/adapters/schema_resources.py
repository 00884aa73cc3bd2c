"""Read columns from another file in the same directory (``resources``, ``columnRefs``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path

from consdb_actions.adapters.felis_types import KEYS, SIZED
from consdb_actions.adapters.problems import FileError, Problem, did_you_mean, shorten
from consdb_actions.adapters.schema_fields import Fields
from consdb_actions.adapters.yaml_tree import MAX_BYTES, YamlNode, read_tree
from consdb_actions.errors import InputError

Beside = Callable[[str], bytes | None]
"""Returns the content of a file by its path from the schema file's directory; None where it is missing."""

MAX_FILES = 16  # Maximum number of files that a schema file takes columns from, also indirectly

_NAME = re.compile(r"(?:\./)?([A-Za-z0-9_][A-Za-z0-9_.-]*\.ya?ml)")
_NOT_NULL = ("datatype", "length", "nullable")


def uses_resources(data: bytes) -> bool:
    """Return whether a schema file may take columns from others."""
    return b"columnRefs" in data or b"column_refs" in data


def beside_path(path: Path) -> Beside:
    """Return a reader for files beside a schema file; links must not lead out of their directory."""

    def read(name: str) -> bytes | None:
        found = Path(normpath(path.parent.resolve() / name))
        target = found.resolve()
        if target.parent != found.parent:
            raise InputError(f"{name} is a link that leads out of the folder")
        if not target.is_file():
            return None
        try:
            with target.open("rb") as stream:
                return stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}") from error

    return read


@dataclass
class _File:
    tables: dict[str, YamlNode]
    resources: Resources
    columns: dict[str, dict[str, YamlNode]] = field(default_factory=dict)


class Resources:
    """The files that a schema file takes columns from; without ``beside`` none is allowed."""

    def __init__(
        self,
        node: YamlNode | None,
        beside: Beside | None,
        problems: list[Problem],
        *,
        _files: dict[str, _File | str] | None = None,
        _chain: tuple[str, ...] = (),
    ) -> None:
        self._named = node.value if node is not None and isinstance(node.value, dict) else {}
        self._beside, self._problems = beside, problems
        self._files = {} if _files is None else _files
        self._chain = _chain
        if node is not None and node.value is not None and not isinstance(node.value, dict):
            cause = '"resources" must be a mapping of names to files'
            self._problem(node, cause, "Write name: {uri: file.yaml}.")

    def columns(self, fields: Fields, identity: str) -> Iterator[YamlNode]:
        """Yield the columns of a table's ``columnRefs``."""
        place = fields.node("columnRefs")
        if place is None or place.value is None:
            return
        for resource, tables, at in self._entries(place, place, f"columnRefs of {fields.what}"):
            file = self._resource(resource, at, fields.what)
            if file is None:
                continue
            for name, columns, here in self._entries(tables, at, f"columnRefs of {fields.what}"):
                known = self._columns_of(file, name, here, fields.what)
                if known is None:
                    continue
                for column, reference, spot in self._entries(columns, here, f"columnRefs of {fields.what}"):
                    made = self._column(known, column, reference, spot, f"{identity}.{column}", name)
                    if made is not None:
                        yield made

    def _entries(self, node: YamlNode, at: YamlNode, what: str) -> Iterator[tuple[str, YamlNode, YamlNode]]:
        if not isinstance(node.value, dict):
            self._problem(at, f"{what} must map resources to tables to columns", "See Felis's documentation.")
            return
        for key, value in node.value.items():
            line, column = node.keys.get(key, (node.line, node.column))
            yield key, value, YamlNode(None, line, column)

    def _resource(self, name: str, at: YamlNode, what: str) -> _File | None:
        """Return the file of a resource; None adds a problem."""
        label = f"{what} takes columns from {shorten(name)} (columnRefs)"
        node = self._named.get(name)
        if node is None:
            remedy = did_you_mean(name, self._named) or "Add it under resources:, with the uri of its file."
            self._problem(at, f"{label}, which resources: does not have", remedy)
            return None
        if not isinstance(node.value, dict):
            self._problem(node, f"the resource {shorten(name)} must be a mapping", "Write uri: file.yaml.")
            return None
        entry = Fields(node, "resource", f"the resource {shorten(name)}", self._problems)
        uri = entry.text("uri")
        match = _NAME.fullmatch(uri)
        if match is None:
            cause = f"{label}, and the uri {shorten(uri)} is not the name of a file in the same folder"
            entry.problem("uri", cause, "Nothing is fetched: put the file beside, or write the columns out.")
            return None
        found = self._load(match[1])
        if isinstance(found, str):
            entry.problem("uri", f"{label}, but {found}", "Correct that file, or write the columns out here.")
            return None
        return found

    def _load(self, name: str) -> _File | str:
        if name in self._chain:
            return f"{name} takes columns from itself through {' and '.join(self._chain)}"
        if name not in self._files:
            if len(self._files) >= MAX_FILES:
                return f"more than {MAX_FILES} files are needed"
            self._files[name] = self._read(name)
        return self._files[name]

    def _read(self, name: str) -> _File | str:
        if self._beside is None:
            return f"{name} cannot be read here, where only one file is at hand"
        try:
            data = self._beside(name)
            if data is None:
                return f"there is no file {name} in the folder"
            root = read_tree(data, source=name)
        except FileError as error:
            first = error.problems[0]
            return f"{name} cannot be read: {first.place + ': ' if first.line else ''}{first.cause}"
        except InputError as error:
            return error.cause
        tables = root.value.get("tables") if isinstance(root.value, dict) else None
        if not isinstance(root.value, dict) or tables is None or not isinstance(tables.value, list):
            return f"{name} is not a schema file: it has no list of tables"
        found = {}
        for node in tables.value:
            named = node.value.get("name") if isinstance(node.value, dict) else None
            if named is not None and isinstance(named.value, str):
                found[named.value.strip()] = node
        below = Resources(
            root.value.get("resources"), self._beside, [], _files=self._files, _chain=(*self._chain, name)
        )
        return _File(found, below)

    def _columns_of(self, file: _File, table: str, at: YamlNode, what: str) -> dict[str, YamlNode] | None:
        node = file.tables.get(table)
        label = f"{what} takes columns from table {shorten(table)}"
        if node is None:
            remedy = did_you_mean(table, file.tables) or "Name a table of that file."
            self._problem(at, f"{label}, which the other file does not have", remedy)
            return None
        if table not in file.columns:
            problems = file.resources._problems
            fields = Fields(node, "table", f'table "{table}"', problems)
            own = fields.items("columns")
            brought = list(file.resources.columns(fields, f"#{table}"))
            found = {}
            for column in (*own, *brought):
                named = column.value.get("name") if isinstance(column.value, dict) else None
                if named is not None and isinstance(named.value, str):
                    found[named.value.strip()] = column
            if problems:
                first = problems[0]
                self._problem(at, f"{label}, where {first.cause} ({first.place})", first.remedy)
                problems.clear()
                return None
            file.columns[table] = found
        return file.columns[table]

    def _column(
        self,
        known: dict[str, YamlNode],
        name: str,
        reference: YamlNode,
        at: YamlNode,
        identity: str,
        table: str,
    ) -> YamlNode | None:
        """Return a column under its name here, with the overrides of the reference."""
        what = f"the reference to column {shorten(name)}"
        source, changes = name, None
        if reference.value is not None:
            fields = Fields(reference, "column reference", what, self._problems)
            if not fields.usable:
                return None
            source = fields.text("ref_name") or name
            changes = fields.node("overrides")
        column = known.get(source)
        if column is None or not isinstance(column.value, dict):
            cause = f"{what} names {shorten(source)}, which table {shorten(table)} of the other file has not"
            remedy = did_you_mean(source, known) or "Write ref_name: and the column's name there."
            self._problem(at, cause, remedy)
            return None
        value = {KEYS["column"].get(key, key): node for key, node in column.value.items()}
        if changes is not None and changes.value is not None:
            self._change(value, Fields(changes, "column overrides", f"overrides of {what}", self._problems))
        value["name"] = YamlNode(name, at.line, at.column, text=name)
        value["@id"] = YamlNode(identity, at.line, at.column, text=identity)
        # Its problems are reported at the reference: the other file is not the one being read.
        return YamlNode(value, at.line, at.column, keys=dict.fromkeys(value, (at.line, at.column)))

    def _change(self, value: dict[str, YamlNode], fields: Fields) -> None:
        for key in dict.fromkeys(KEYS["column overrides"].values()):
            node = fields.node(key)
            if node is None:
                continue
            if node.value is None and key in _NOT_NULL:
                fields.problem(key, f'"{key}" in the {fields.what} is empty', "Write a value, or remove it.")
                continue
            value[key] = node
        datatype = fields.text("datatype")
        # Felis ignores what the new type does not use.
        if datatype and datatype not in SIZED and fields.node("length") is None:
            value.pop("length", None)
        if datatype and datatype != "timestamp":
            value.pop("precision", None)

    def _problem(self, at: YamlNode, cause: str, remedy: str) -> None:
        self._problems.append(Problem(at.line, at.column, cause, remedy))
