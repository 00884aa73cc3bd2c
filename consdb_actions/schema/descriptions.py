"""Describe a delta, with marked names and quotes that each renderer can escape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from consdb_actions.forms import Public
from consdb_actions.schema.delta import Change, ObjectChange, SchemaDelta, TableDelta, Value
from consdb_actions.schema.model import Column, Constraint, Index, Table

Action = Literal["add", "remove", "change"]


class Code(str):
    """A name, type or expression of the schema."""

    __slots__ = ()


class Quote(str):
    """A text for people from the schema, such as a description."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DifferenceText(Public):
    """One difference."""

    PUBLIC: ClassVar[str] = "table kind name action text=__str__"

    table: str  # Empty for the schema itself
    kind: str  # ``schema``, ``table``, ``column``, ``primary key``, ``constraint`` or ``index``
    name: str
    action: Action
    text: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f'"{word}"' if isinstance(word, Quote) else word for word in self.text)

    @property
    def marked(self) -> str:
        """The sentence with its table, and with backquotes around names."""
        sentence = "".join(f"`{word}`" if isinstance(word, Code) else word for word in self.text)
        return f"`{self.table}`: {sentence}" if self.table and self.kind != "table" else sentence


_ACTIONS: tuple[Action, ...] = ("add", "remove", "change")
_LABELS = {
    "datatype": "type",
    "type_overrides": "type in Postgres",
    "default": "default value",
    "ucd": "UCD",
    "referenced_table": "refers to table",
    "referenced_columns": "refers to",
    "on_delete": "ON DELETE",
    "on_update": "ON UPDATE",
}


def describe(delta: SchemaDelta) -> tuple[DifferenceText, ...]:
    """Describe all differences: the schema, then its tables, without the version."""
    return tuple(_statements(delta))


def describe_rename(table: str, old: str, new: str, changes: tuple[Change, ...]) -> DifferenceText:
    """Describe a renamed column and its other changes."""
    rest = (": ", *_changes(changes)) if changes else ()
    words = ("column ", Code(old), " is renamed to ", Code(new), *rest)
    return DifferenceText(table, "column", new, "change", words)


def _statements(delta: SchemaDelta) -> Iterator[DifferenceText]:
    name = delta.name
    words: tuple[str, ...]
    if delta.created or delta.removed:
        action: Action = "add" if delta.created else "remove"
        words = ("schema ", Code(name), " is new" if delta.created else " is gone")
        yield DifferenceText("", "schema", name, action, words)
    if delta.renamed:
        words = ("schema ", Code(str(delta.renamed.before)), " is now called ", Code(name))
        yield DifferenceText("", "schema", name, "change", words)
    if delta.text:
        yield DifferenceText("", "schema", name, "change", ("schema: ", *_changes(delta.text)))
    for table in delta.tables_removed:
        yield DifferenceText(
            table.name,
            "table",
            table.name,
            "remove",
            ("table ", Code(table.name), " removed, with all its rows"),
        )
    for table in delta.tables_added:
        yield DifferenceText(
            table.name, "table", table.name, "add", ("new table ", Code(table.name), _size(table))
        )
    for changed in delta.tables_changed:
        yield from _table(changed)


def _size(table: Table) -> str:
    parts = [_count(len(table.columns), "column")]
    parts += [_count(len(table.constraints), "constraint")] if table.constraints else []
    parts += [_count(len(table.indexes), "index", "indexes")] if table.indexes else []
    return " with " + ", ".join(parts)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _table(delta: TableDelta) -> Iterator[DifferenceText]:
    name = delta.name
    words: tuple[str, ...]
    if delta.text:
        yield DifferenceText(
            name, "table", name, "change", ("table ", Code(name), ": ", *_changes(delta.text))
        )
    for column in delta.columns_removed:
        words = ("column ", Code(column.name), " (", Code(column.type_text), ") removed")
        yield DifferenceText(name, "column", column.name, "remove", words)
    for column in delta.columns_added:
        yield DifferenceText(name, "column", column.name, "add", ("new column ", *_column(column)))
    for changed in delta.columns_changed:
        yield _change(name, "column", changed)
    if delta.primary_key:
        words = ("primary key: ", *_values(delta.primary_key))
        yield DifferenceText(name, "primary key", name, "change", words)
    for constraint in delta.constraints_removed:
        words = (f"{constraint.kind} ", Code(constraint.name), " removed")
        yield DifferenceText(name, "constraint", constraint.name, "remove", words)
    for constraint in delta.constraints_added:
        yield DifferenceText(name, "constraint", constraint.name, "add", ("new ", *_constraint(constraint)))
    for changed in delta.constraints_changed:
        yield _change(name, "constraint", changed)
    for index in delta.indexes_removed:
        yield DifferenceText(name, "index", index.name, "remove", ("index ", Code(index.name), " removed"))
    for index in delta.indexes_added:
        yield DifferenceText(name, "index", index.name, "add", ("new ", *_index(index)))
    for changed in delta.indexes_changed:
        yield _change(name, "index", changed)


def _change(table: str, kind: str, changed: ObjectChange) -> DifferenceText:
    return DifferenceText(
        table,
        kind,
        changed.name,
        "change",
        (f"{kind} ", Code(changed.name), ": ", *_changes(changed.changes)),
    )


def _changes(changes: tuple[Change, ...]) -> Iterator[str]:
    for number, change in enumerate(changes):
        if number:
            yield "; "
        if change.attribute == "nullable":
            yield "NULL is allowed now" if change.after else "NOT NULL now"
        else:
            yield f"{_LABELS.get(change.attribute, change.attribute)} "
            yield from _values(change)


def _values(change: Change) -> Iterator[str]:
    before, after = (_shown(value, change) for value in (change.before, change.after))
    if not before:
        yield from ("added: ", after) if after else ("changed",)
    elif not after:
        yield from ("removed (was ", before, ")")
    else:
        yield from (before, " → ", after)


def _shown(value: Value, change: Change) -> str:
    if value is None or value in ("", ()):
        return ""
    if change.attribute == "description":
        return Quote(value)
    if change.attribute == "type_overrides" and isinstance(value, tuple):
        return Code(", ".join(str(kind) for _, kind in value))
    return Code(", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value))


def _column(column: Column) -> Iterator[str]:
    yield from (Code(column.name), " ", Code(column.type_text))
    if not column.nullable:
        yield " NOT NULL"
    if column.default is not None:
        yield from (" default ", Code(str(column.default)))
    if column.unit:
        yield from (", unit ", Code(column.unit))
    if column.ucd:
        yield from (", UCD ", Code(column.ucd))
    if column.description:
        yield from (": ", Quote(column.description))


def _constraint(constraint: Constraint) -> Iterator[str]:
    yield from (f"{constraint.kind} ", Code(constraint.name))
    if constraint.kind == "check":
        yield from (": ", Code(constraint.expression))
        return
    yield from (" on ", Code(", ".join(constraint.columns)))
    if constraint.kind == "foreign key":
        target = f"{constraint.referenced_table}({', '.join(constraint.referenced_columns)})"
        yield from (" → ", Code(target))


def _index(index: Index) -> Iterator[str]:
    yield from ("index ", Code(index.name), " on ", Code(", ".join(index.columns or index.expressions)))
