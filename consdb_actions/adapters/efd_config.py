"""The configuration that consdb generates the schema of a transformed EFD from, held against that schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consdb_actions.adapters.schema_yaml import CONSDB_FOLDERS
from consdb_actions.adapters.yaml_tree import FileError, Problem, YamlNode, read_tree
from consdb_actions.errors import InputError
from consdb_actions.schema.findings import SchemaFinding
from consdb_actions.schema.model import Column, Schema

if TYPE_CHECKING:
    from consdb_actions.adapters.schema_sources import RawFile

_GENERATOR = "python/lsst/consdb/transformed_efd/generate_schema_from_config.py"
_TABLES = ("exposure_efd", "visit1_efd")
_FIXED = frozenset({"day_obs", "seq_num", "exposure_id", "visit_id", "created_at"})
"""Columns that the generator writes itself."""


@dataclass(frozen=True, slots=True)
class EfdConfig:
    """What a configuration says of the schema; ``lines`` are those of the configuration."""

    source: str
    instrument: str
    version: str
    columns: Mapping[tuple[str, str], Mapping[str, str]]
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.source.rpartition("/")[2]

    @property
    def remedy(self) -> str:
        """How the schema is generated."""
        return f"Run python {_GENERATOR} --instrument {self.instrument}, and commit the schema."


def config_of(file: RawFile) -> EfdConfig | None:
    """Read the configuration of a schema file; None for a file that is not generated from one."""
    data, place = _data(file)
    return None if data is None else _read(data, place, file.name.removeprefix("efd_"))


def stale_findings(file: RawFile, schema: Schema, before: RawFile | None) -> tuple[SchemaFinding, ...]:
    """Say where a schema was not regenerated, unless neither it nor its configuration was changed."""
    is_same = before is not None and before.data == file.data and _data(before)[0] == _data(file)[0]
    config = None if is_same else config_of(file)
    return () if config is None else tuple(check_generated(config, schema))


def check_generated(config: EfdConfig, schema: Schema) -> Iterator[SchemaFinding]:
    """Yield what differs between a configuration and the schema that was generated from it."""

    def finding(kind: str, table: str, name: str, message: str) -> SchemaFinding:
        return SchemaFinding.of("not-regenerated", kind, table, name, message=message, remedy=config.remedy)

    there = {
        (table.name, column.name): column
        for table in schema
        if table.name in _TABLES
        for column in table.columns
        if column.name not in _FIXED
    }
    if config.version != (schema.version or ""):
        message = f"`{config.name}` has version {config.version}, the schema file {schema.version or 'none'}"
        yield finding("version", "", schema.name, message)
    for key in sorted(config.columns.keys() | there.keys()):
        if key not in there:
            yield finding("column", *key, f"a column of `{config.name}` is missing in the schema file")
        elif key not in config.columns:
            yield finding("column", *key, f"`{config.name}` does not have this column of the schema file")
        elif differing := _differing(config.columns[key], there[key]):
            message = f"`{config.name}` and the schema file differ in {', '.join(differing)}"
            yield finding("column", *key, message)


def _data(file: RawFile) -> tuple[bytes | None, str]:
    """Return the configuration of a schema file and its place; None where there is none."""
    folder, _, name = file.source.rpartition("/")
    if file.beside is None or not name.startswith("efd_") or not folder.endswith(CONSDB_FOLDERS):
        return None, ""
    inside = f"config/config_{file.name.removeprefix('efd_')}.yaml"
    root = folder.removesuffix("/schemas/yml")
    return file.beside(f"../../{inside}"), f"{root}/{inside}"


def _read(data: bytes, source: str, instrument: str) -> EfdConfig:
    root = read_tree(data, source=source)
    top = root.value if isinstance(root.value, dict) else {}
    items = top["columns"].value if "columns" in top else None
    if not isinstance(items, list):
        remedy = "It has a version and a list of columns."
        raise FileError(source, [Problem(root.line, 0, "the configuration has no list of columns", remedy)])
    columns: dict[tuple[str, str], dict[str, str]] = {}
    lines: dict[tuple[str, ...], int] = {("schema",): root.line}
    if "version" in top:
        lines["version",] = top["version"].line
    for item in items:
        keys = item.value if isinstance(item.value, dict) else {}
        if not {"name", "datatype", "description"} <= keys.keys():
            cause = "a column needs a name, a datatype and a description"
            raise FileError(source, [Problem(item.line, 0, cause, "Add what is missing.")])
        if "store_unpivoted" in keys and keys["store_unpivoted"].value is True:
            continue
        ivoa = keys["ivoa"].value if "ivoa" in keys else None
        texts = {key: _reread(keys[key].text) for key in ("datatype", "description")}
        texts |= {key: _reread(node.text) for key, node in (ivoa if isinstance(ivoa, dict) else {}).items()}
        name = keys["name"].text
        for table in _tables(keys.get("tables")):
            columns[table, name] = texts
            lines["column", table, name] = item.line
    version = top["version"].text if "version" in top else ""
    return EfdConfig(source, instrument, version, columns, lines)


def _tables(node: YamlNode | None) -> list[str]:
    """Return the tables that get a column of their own; without any, the generator takes all."""
    if node is None or not isinstance(node.value, list):
        return list(_TABLES)
    return [item.text for item in node.value if item.text in _TABLES]


def _reread(text: str) -> str:
    """Return what a reader of the schema sees: the generator writes values without quoting them."""
    try:
        top = read_tree(f"v: {text}\n", source="").value
        return top["v"].text if isinstance(top, dict) else text
    except InputError:
        return text


def _differing(wanted: Mapping[str, str], column: Column) -> list[str]:
    found = {"datatype": column.datatype, "description": column.description}
    found |= {"unit": column.unit, "ucd": column.ucd}
    return [key for key, value in found.items() if wanted.get(key, "") != value]
