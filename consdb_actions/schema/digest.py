"""Digests of a schema and of a delta, independent of the file's formatting.

Comments, anchors, ``@id`` and all orders are ignored, including columns (Postgres cannot reorder them), and
the version, which its own verdict checks. ``structure`` covers tables, columns, types, keys, constraints,
nullability, defaults and indexes; ``text`` descriptions, units, UCDs and TAP metadata. SHA-256 over JSON with
sorted keys.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any

from consdb_actions.schema.delta import TEXT_ATTRIBUTES, Change, ObjectChange, SchemaDelta, TableDelta
from consdb_actions.schema.model import Column, Constraint, Index, Schema, Table

FORMAT = 1  # Incremented when the content of the digests changes, so that old and new ones never match

_SKIPPED = {"id", "name", "version", "columns", "constraints", "indexes", "tables"}


@dataclass(frozen=True, slots=True)
class Digest:
    """The digests of a schema or delta, 64 hexadecimal digits each."""

    structure: str
    text: str


def digest_schema(schema: Schema) -> Digest:
    """Return the digests of a schema."""
    return Digest(_hash(_schema(schema, text=False)), _hash(_schema(schema, text=True)))


def digest_delta(delta: SchemaDelta) -> Digest:
    """Return the digests of a delta; equal for all deltas of a schema without changes in a part."""
    return Digest(_hash(_delta(delta, text=False)), _hash(_delta(delta, text=True)))


def _hash(content: Any) -> str:
    canonical = json.dumps(
        [FORMAT, content], sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=True
    )
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _schema(schema: Schema, *, text: bool) -> dict[str, Any]:
    content = _own(schema, text=text)
    content["tables"] = {table.name: _table(table, text=text) for table in schema}
    if not text:
        content["name"] = schema.name
    return content


def _table(table: Table, *, text: bool) -> dict[str, Any]:
    return {
        **_own(table, text=text),
        "columns": {item.name: _own(item, text=text) for item in table.columns},
        "constraints": {item.name: _leaf(item, text=text) for item in table.constraints},
        "indexes": {item.name: _leaf(item, text=text) for item in table.indexes},
    }


def _leaf(item: Constraint | Index, *, text: bool) -> dict[str, Any]:
    content = _own(item, text=text)
    return content if text else {**content, "columns": list(item.columns)}


def _own(item: Schema | Table | Column | Constraint | Index, *, text: bool) -> dict[str, Any]:
    names = [field.name for field in fields(item) if field.name not in _SKIPPED]
    return {name: getattr(item, name) for name in names if (name in TEXT_ATTRIBUTES) == text}


def _delta(delta: SchemaDelta, *, text: bool) -> dict[str, Any]:
    content: dict[str, Any] = {
        "schema": delta.name,
        "added": {table.name: _table(table, text=text) for table in delta.tables_added},
        "removed": {} if text else {table.name: _table(table, text=False) for table in delta.tables_removed},
        "changed": {},
    }
    for table in delta.tables_changed:
        changes = _table_delta(table, text=text)
        if changes:
            content["changed"][table.name] = changes
    if text:
        content["own"] = _changes(delta.text)
    else:
        content["renamed"] = [delta.renamed.before, delta.renamed.after] if delta.renamed else None
        content["exists"] = [not delta.created, not delta.removed]
    return content


def _table_delta(table: TableDelta, *, text: bool) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if text:
        content["own"] = _changes(table.text)
    elif table.primary_key:
        content["primary_key"] = [table.primary_key.before, table.primary_key.after]
    for kind in ("columns", "constraints", "indexes"):
        added = getattr(table, f"{kind}_added")
        removed = getattr(table, f"{kind}_removed")
        changed: tuple[ObjectChange, ...] = getattr(table, f"{kind}_changed")
        content[f"{kind} added"] = {item.name: _item(item, text=text) for item in added}
        content[f"{kind} removed"] = {} if text else {item.name: _item(item, text=False) for item in removed}
        content[f"{kind} changed"] = {
            item.name: part for item in changed if (part := _changes(item.text if text else item.structure))
        }
    return {key: value for key, value in content.items() if value}


def _item(item: Column | Constraint | Index, *, text: bool) -> dict[str, Any]:
    return _own(item, text=text) if isinstance(item, Column) else _leaf(item, text=text)


def _changes(changes: tuple[Change, ...]) -> dict[str, list[Any]]:
    return {change.attribute: [change.before, change.after] for change in changes}
