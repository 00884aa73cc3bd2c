"""Let SQLAlchemy and Alembic inspect a schema by what was read of it before, without asking Postgres again.

Each state of a schema is looked at several times: as plain state, as metadata, and by Alembic as it compares.
Every look takes nine queries, and the answers cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGInspector
from sqlalchemy.engine.reflection import ObjectKind

__all__ = ["Inspected", "inspect_tables", "recalled"]

_METHODS = (
    "get_multi_columns",
    "get_multi_pk_constraint",
    "get_multi_unique_constraints",
    "get_multi_foreign_keys",
    "get_multi_check_constraints",
    "get_multi_indexes",
    "get_multi_table_comment",
    "get_multi_table_options",
)
_KEY = "consdb_actions_inspected"


@dataclass(frozen=True)
class Inspected:
    """All that SQLAlchemy's inspector says of the tables of a schema.

    Attributes
    ----------
    schema
        Name of the schema.
    found
        What each method of the inspector returned: by the method's name, then by schema and table.
    """

    schema: str
    found: Mapping[str, Mapping[tuple[str | None, str], Any]]

    def items(self, method: str, names: Collection[str] | None = None) -> dict[tuple[str | None, str], Any]:
        """Return copies, as whoever inspects may change what it gets."""
        return {
            key: _copy(value) for key, value in self.found[method].items() if names is None or key[1] in names
        }


def inspect_tables(connection: sa.Connection, schema: str) -> Inspected:
    """Ask for everything, with a fixed number of queries whatever the number of tables."""
    inspector = sa.inspect(connection)
    found = {}
    for name in _METHODS:
        with suppress(NotImplementedError):  # SQLAlchemy 2.0 has no options of tables for Postgres
            found[name] = getattr(inspector, name)(schema=schema, kind=ObjectKind.TABLE)
    return Inspected(schema, found)


@contextmanager
def recalled(connection: sa.Connection, inspected: Inspected) -> Iterator[None]:
    """Have inspectors of this connection answer from memory while the block lasts."""
    dialect: Any = connection.dialect
    usual = dialect.inspector
    dialect.inspector = _Recalling
    connection.info[_KEY] = inspected
    try:
        yield
    finally:
        dialect.inspector = usual
        del connection.info[_KEY]


def _answer(name: str) -> Callable[..., Any]:
    def method(
        self: Any, schema: str | None = None, filter_names: Collection[str] | None = None, **more: Any
    ) -> Any:
        inspected = _inspected(self, schema)
        if inspected is None or name not in inspected.found:
            return getattr(PGInspector, name)(self, schema=schema, filter_names=filter_names, **more)
        return inspected.items(name, filter_names)

    method.__name__ = name  # by which SQLAlchemy asks whether the dialect has it, with many tables
    return method


def _inspected(inspector: Any, schema: str | None) -> Inspected | None:
    inspected: Inspected | None = inspector.bind.info.get(_KEY)
    return inspected if inspected is not None and inspected.schema == schema else None


class _Recalling(PGInspector):
    """An inspector that remembers the tables of one schema."""

    def get_table_names(self, schema: str | None = None, **kw: Any) -> list[str]:
        """Return the names of tables."""
        inspected = _inspected(self, schema)
        if inspected is None:
            return super().get_table_names(schema, **kw)
        return [name for _, name in inspected.found["get_multi_columns"]]


for _name in _METHODS:
    setattr(_Recalling, _name, _answer(_name))


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
