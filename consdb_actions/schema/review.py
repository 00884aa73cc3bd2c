"""Check what a schema change adds or alters, as reviewers do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.schema.delta import SchemaDelta
from consdb_actions.schema.findings import Finding
from consdb_actions.schema.model import Column, Constraint, Schema, Table
from consdb_actions.schema.names import is_snake_case

__all__ = ["ViewOf", "review"]

_NEW = "new"
_PURE_NUMBER = re.compile(
    r"\b(?:dimensionless|unitless|no units?|pure number|arbitrary units?|ratio|fraction(?:al)?|normali[sz]ed"
    r"|percent(?:age)?|probability|correlation|coefficients?|factor|score|index|flag|count|number of"
    r"|airmass|ellipticity|kurtosis|skewness|chi-squared?|cosine|sine|quaternion)\b",
    re.IGNORECASE,
)
_SENTENCE_ENDS = (".", "!", "?", ".)", '."', ".'")
_WORD = re.compile(r"[a-z0-9]+")
_FILLER = frozenset({"the", "a", "an", "of", "in", "for", "column", "value", "this"})


@dataclass(frozen=True, slots=True)
class ViewOf:
    """A view that the YAML lists as a table, and its renamed columns."""

    table: str
    rename: Mapping[str, str]


def review(delta: SchemaDelta, after: Schema, views: Mapping[str, ViewOf]) -> tuple[Finding, ...]:
    """Check what is new or changed in a schema, except columns that a view repeats."""
    touched = _touched(delta)
    findings: list[Finding] = []
    for table in after:
        view = views.get(table.name)
        base = after.table(view.table) if view and view.table in after else None
        for column in table.columns:
            attributes = touched.get((table.name, column.name))
            if attributes and not (base and view and _repeats(column, base, view)):
                findings += _column(table, column, attributes)
        findings += _table(after, table, touched.get((table.name, ""), frozenset()))
    for owner, constraint in _new_constraints(delta, after):
        findings += _constraint(owner, constraint)
    findings += _indexes(delta)
    if delta.created or any(change.attribute == "description" for change in delta.text):
        findings += _description("schema", "", after.name, after.description)
    return tuple(findings)


def _touched(delta: SchemaDelta) -> dict[tuple[str, str], frozenset[str]]:
    """Map (table, column) to new or changed attributes; a table itself has no column."""
    touched = {(table.name, ""): frozenset({_NEW}) for table in delta.tables_added}
    for table in delta.tables_added:
        touched.update({(table.name, column.name): frozenset({_NEW}) for column in table.columns})
    for changed in delta.tables_changed:
        touched[changed.name, ""] = frozenset(change.attribute for change in changed.text)
        for column in changed.columns_added:
            touched[changed.name, column.name] = frozenset({_NEW})
        for item in changed.columns_changed:
            touched[changed.name, item.name] = frozenset(change.attribute for change in item.changes)
    return touched


def _repeats(column: Column, base: Table, view: ViewOf) -> bool:
    """Return whether a view's column repeats its table's, including the description."""
    for own in base.columns:
        if view.rename.get(own.name, own.name) == column.name:
            return (own.description, own.unit, own.ucd) == (column.description, column.unit, column.ucd)
    return False


def _column(table: Table, column: Column, attributes: frozenset[str]) -> Iterator[Finding]:
    new = _NEW in attributes
    if new and not is_snake_case(column.name):
        yield Finding.of("name-snake-case", "column", table.name, column.name)
    if new or "description" in attributes:
        neighbours = [c.description for c in table.columns if c.name != column.name]
        yield from _description("column", table.name, column.name, column.description, neighbours)
    if _lacks_unit(column) and (new or attributes & {"datatype", "unit", "description"}):
        yield Finding.of("unit-missing", "column", table.name, column.name)
    others = [c.ucd for c in table.columns if c.name != column.name]
    if not column.ucd and ("ucd" in attributes or (new and _most(map(bool, others)))):
        yield Finding.of("ucd-missing", "column", table.name, column.name)
    if new and column.id != f"#{table.name}.{column.name}":
        yield Finding.of("id-unexpected", "column", table.name, column.name)
    if new or "type_overrides" in attributes:
        for _, kind in column.type_overrides:
            if kind.startswith("TIMESTAMP("):
                yield Finding.of("timestamp-zone", "column", table.name, column.name)


def _lacks_unit(column: Column) -> bool:
    if column.datatype not in {"float", "double"} or column.unit:
        return False
    return not (_PURE_NUMBER.search(column.description) or column.ucd.startswith(("meta.", "arith.")))


def _table(after: Schema, table: Table, attributes: frozenset[str]) -> Iterator[Finding]:
    if _NEW in attributes and not is_snake_case(table.name):
        yield Finding.of("name-snake-case", "table", table.name, table.name)
    if attributes & {_NEW, "description"}:
        neighbours = [other.description for other in after if other.name != table.name]
        yield from _description("table", table.name, table.name, table.description, neighbours)


def _most(values: Iterable[bool]) -> bool:
    """Return whether most neighbors have a property: only then it is required."""
    found = list(values)
    return 2 * sum(found) > len(found)


def _description(
    kind: str, table: str, name: str, description: str, neighbours: Sequence[str] = ()
) -> Iterator[Finding]:
    """Check that a description exists, ends like its neighbors', and has content."""
    if not description:
        yield Finding.of("description-missing", kind, table, name)
        return
    if not description.endswith(_SENTENCE_ENDS) and _most(d.endswith(_SENTENCE_ENDS) for d in neighbours):
        yield Finding.of("description-end", kind, table, name)
    said = set(_WORD.findall(description.lower())) - _FILLER
    if said <= set(_WORD.findall(name.lower())):
        yield Finding.of("description-repeats", kind, table, name)


def _new_constraints(delta: SchemaDelta, after: Schema) -> Iterator[tuple[Table, Constraint]]:
    for table in delta.tables_added:
        yield from ((table, constraint) for constraint in table.constraints)
    for changed in delta.tables_changed:
        yield from ((after.table(changed.name), constraint) for constraint in changed.constraints_added)


def _constraint(table: Table, constraint: Constraint) -> Iterator[Finding]:
    if not is_snake_case(constraint.name):
        yield Finding.of("name-snake-case", "constraint", table.name, constraint.name)


def _indexes(delta: SchemaDelta) -> Iterator[Finding]:
    tables = [(table.name, table.indexes) for table in delta.tables_added]
    tables += [(table.name, table.indexes_added) for table in delta.tables_changed]
    for name, indexes in tables:
        for index in indexes:
            if not is_snake_case(index.name):
                yield Finding.of("name-snake-case", "index", name, index.name)
