"""What Alembic's autogenerate finds between a database and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.operations import ops

from consdb_actions.adapters.autogenerate.replay import migration_context
from consdb_actions.adapters.tree import Section
from consdb_actions.migration.state import SchemaState

__all__ = ["find_operations"]

# Constraints and defaults are compared by our own rules, which see more and rename; see rewrite/compare.py.
PLUGINS = (
    "alembic.autogenerate.schemas",
    "alembic.autogenerate.tables",
    "alembic.autogenerate.types",
    "alembic.autogenerate.comments",
)


def find_operations(
    connection: sa.Connection,
    section: Section,
    metadata: sa.MetaData,
    before: SchemaState,
    after: SchemaState,
) -> tuple[ops.MigrateOperation, ...]:
    """Return the operations for tables, columns, types and comments, as Alembic finds them.

    Parameters
    ----------
    connection
        The database on the left; what its transaction sees counts.
    section
        Which section; other schemas are not looked at.
    metadata
        The right side, reflected from a database, so that types compare as Postgres has them.
    before, after
        The same two sides as plain state.
    """

    def include_name(name: str | None, kind: str, _parents: Mapping[str, Any]) -> bool:
        return kind != "schema" or name == section.schema

    def compare_type(
        _context: object, left: sa.Column[Any], right: sa.Column[Any], _a: object, _b: object
    ) -> bool:
        table = left.table.name
        return (
            before.tables[table].columns[left.name].type_text
            != after.tables[table].columns[right.name].type_text
        )

    context = migration_context(
        connection,
        section,
        include_schemas=True,
        include_name=include_name,
        compare_type=compare_type,
        compare_server_default=False,
        autogenerate_plugins=list(PLUGINS),
        target_metadata=metadata,
    )
    script = produce_migrations(context, metadata)
    assert script.upgrade_ops is not None
    return tuple(script.upgrade_ops.ops)
