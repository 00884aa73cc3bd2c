"""Compare two schemas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from consdb_actions.schema.delta import Change, ObjectChange, SchemaDelta, TableDelta, Value
from consdb_actions.schema.model import Column, Constraint, Index, Schema, Table

__all__ = ["compare", "compare_columns"]

_COLUMN = ("datatype", "length", "precision", "type_overrides", "nullable", "autoincrement", "default")
_CONSTRAINT = (
    "kind",
    "columns",
    "referenced_table",
    "referenced_columns",
    "expression",
    "on_delete",
    "on_update",
    "deferrable",
    "initially",
)
_INDEX = ("columns", "expressions")

_Named = TypeVar("_Named", Column, Constraint, Index)


def compare(before: Schema | None, after: Schema | None) -> SchemaDelta:
    """Compare two schemas; None (not both) for a side without the schema."""
    if after is None:
        if before is None:
            raise ValueError("one of the two schemas must exist")
        return SchemaDelta(
            before.name,
            tables_removed=before.tables,
            version=_change("version", before.version, None),
            removed=True,
        )
    if before is None:
        return SchemaDelta(
            after.name,
            tables_added=after.tables,
            version=_change("version", None, after.version),
            created=True,
        )
    old = {table.name: table for table in before}
    new = {table.name: table for table in after}
    tables = [_table(old[name], table) for name, table in new.items() if name in old]
    return SchemaDelta(
        name=after.name,
        tables_added=tuple(table for name, table in new.items() if name not in old),
        tables_removed=tuple(table for name, table in old.items() if name not in new),
        tables_changed=tuple(table for table in tables if not table.is_empty),
        text=_texts(before, after),
        version=_change("version", before.version, after.version),
        renamed=_change("name", before.name, after.name),
    )


def compare_columns(before: Column, after: Column) -> tuple[Change, ...]:
    """Return the attributes in which two columns differ, except their names."""
    return _changes(before, after, _COLUMN)


def _table(before: Table, after: Table) -> TableDelta:
    columns = _objects(before.columns, after.columns, _COLUMN)
    constraints = _objects(before.constraints, after.constraints, _CONSTRAINT)
    indexes = _objects(before.indexes, after.indexes, _INDEX)
    return TableDelta(
        after.name,
        *columns,
        *constraints,
        *indexes,
        primary_key=_change("primary_key", before.primary_key, after.primary_key),
        text=_texts(before, after),
    )


def _objects(
    before: Iterable[_Named], after: Iterable[_Named], attributes: Sequence[str]
) -> tuple[tuple[_Named, ...], tuple[_Named, ...], tuple[ObjectChange, ...]]:
    old = {item.name: item for item in before}
    new = {item.name: item for item in after}
    changed = []
    for name, item in new.items():
        changes = _changes(old[name], item, attributes) if name in old else ()
        if changes:
            changed.append(ObjectChange(name, changes))
    return (
        tuple(item for name, item in new.items() if name not in old),
        tuple(item for name, item in old.items() if name not in new),
        tuple(changed),
    )


def _changes(before: Any, after: Any, attributes: Sequence[str]) -> tuple[Change, ...]:
    structure = (_change(name, getattr(before, name), getattr(after, name)) for name in attributes)
    return (*(change for change in structure if change), *_texts(before, after))


def _texts(before: Any, after: Any) -> tuple[Change, ...]:
    changes = [
        _change(attribute, getattr(before, attribute), getattr(after, attribute), text=True)
        for attribute in ("description", "unit", "ucd")
        if hasattr(after, attribute)
    ]
    if hasattr(after, "metadata"):
        old, new = dict(before.metadata), dict(after.metadata)
        changes += [_change(key, old.get(key), new.get(key), text=True) for key in sorted({*old, *new})]
    return tuple(change for change in changes if change)


def _change(attribute: str, before: Value, after: Value, *, text: bool = False) -> Change | None:
    """Return the change of a value; None when equal (1, 1.0 and True differ)."""
    if before == after and type(before) is type(after):
        return None
    return Change(attribute, before, after, text)
