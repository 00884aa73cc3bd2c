"""Find faults that a change introduces in views and foreign keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from consdb_actions.schema.findings import Finding
from consdb_actions.schema.model import Column, Constraint, Schema, Table
from consdb_actions.schema.review import ViewOf

__all__ = ["check_foreign_keys", "check_views"]

_TYPES = {"datatype": "type", "length": "length", "precision": "precision", "type_overrides": "Postgres type"}
_TEXTS = {"unit": "unit", "ucd": "UCD"}

_Fault = tuple[str, str, str, str, str]
"""Rule, view, column, message and remedy."""


def check_views(before: Schema | None, after: Schema, views: Mapping[str, ViewOf]) -> tuple[Finding, ...]:
    """Compare views with their tables, except renames; all if ``before`` is None."""
    known = set(_view_faults(before, views)) if before else set()
    return tuple(
        Finding.of(rule, "column", view, column, message=message, remedy=remedy)
        for rule, view, column, message, remedy in _view_faults(after, views)
        if (rule, view, column, message, remedy) not in known
    )


def check_foreign_keys(
    before: Schema | None, after: Schema, views: Mapping[str, ViewOf]
) -> tuple[Finding, ...]:
    """Check that foreign keys refer to a table's key; all if ``before`` is None."""
    known = set(_foreign_key_faults(before, views)) if before else set()
    return tuple(
        Finding.of("foreign-key-target", "constraint", table, name, message=message)
        for table, name, message in _foreign_key_faults(after, views)
        if (table, name, message) not in known
    )


def _view_faults(schema: Schema, views: Mapping[str, ViewOf]) -> Iterator[_Fault]:
    """Yield every column in which a view and its table differ."""
    step = "view-out-of-step"
    for name, view in views.items():
        if name not in schema or view.table not in schema:
            continue
        shown, table = schema.table(name), schema.table(view.table)
        expected = {view.rename.get(column.name, column.name): column for column in table.columns}
        present = {column.name: column for column in shown.columns}
        for column_name in sorted(expected.keys() - present.keys()):
            remedy = f"Add it to {name}, or take it out of {table.name}."
            yield step, name, column_name, f"`{name}` lacks a column that `{table.name}` has", remedy
        for column_name in sorted(present.keys() - expected.keys()):
            remedy = f"Add it to {table.name}, or take it out of {name}."
            yield step, name, column_name, f"`{name}` has a column that `{table.name}` lacks", remedy
        for column_name in sorted(expected.keys() & present.keys()):
            for rule, compared in ((step, _TYPES), ("view-words", _TEXTS)):
                words = _differences(expected[column_name], present[column_name], compared)
                if words:
                    message = f"`{name}` and `{table.name}` disagree on the {words}"
                    yield rule, name, column_name, message, "Write the same in both."


def _differences(one: Column, two: Column, compared: Mapping[str, str]) -> str:
    return " and ".join(
        label for attribute, label in compared.items() if getattr(one, attribute) != getattr(two, attribute)
    )


def _foreign_key_faults(schema: Schema, views: Mapping[str, ViewOf]) -> Iterator[tuple[str, str, str]]:
    for table in schema:
        if table.name in views:
            continue
        for key in table.foreign_keys:
            if key.referenced_table in views:
                yield table.name, key.name, f"the foreign key refers to the view `{key.referenced_table}`"
            elif key.referenced_table in schema and not _is_key(schema.table(key.referenced_table), key):
                columns = ", ".join(key.referenced_columns)
                target = f"`{key.referenced_table}({columns})`"
                yield table.name, key.name, f"the foreign key refers to {target}, which is no key"


def _is_key(table: Table, key: Constraint) -> bool:
    """Return whether a foreign key's target columns are unique, in any order."""
    wanted = set(key.referenced_columns)
    keys = [table.primary_key, *(item.columns for item in table.constraints if item.kind == "unique")]
    return any(wanted == set(columns) for columns in keys)
