"""What Alembic's autogenerate finds between a database and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.operations import ops

from consdb_actions.adapters.autogenerate.database import Database
from consdb_actions.adapters.autogenerate.recall import recalled
from consdb_actions.adapters.autogenerate.reflect import build_metadata
from consdb_actions.adapters.autogenerate.replay import migration_context
from consdb_actions.adapters.tree import Section

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
    before: Database,
    after: Database,
) -> tuple[ops.MigrateOperation, ...]:
    """Return the operations for tables, columns, types and comments, as Alembic finds them.

    Parameters
    ----------
    connection
        The database on the left; nothing is asked of it that was read already.
    section
        Which section; other schemas are not looked at.
    before, after
        The two sides; tables that are alike there are not shown to Alembic.
    """
    unlike = before.state.unlike(after.state)
    if not unlike:
        return ()
    # From a database too, not from the file, so that types compare as Postgres has them.
    metadata = build_metadata(connection, after.inspected, after.state.with_parents(unlike))
    # A table that stands on the right but was not reflected must not look as if it were to be dropped.
    reflected = {table.name for table in metadata.tables.values()}
    shown = {name for name in unlike if name in reflected or name not in after.state.tables}

    def include_name(name: str | None, kind: str, _parents: Mapping[str, Any]) -> bool:
        return name in {"schema": {section.schema}, "table": shown}.get(kind, {name})

    def include_object(_item: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return kind != "table" or name in shown

    def compare_type(
        _context: object, left: sa.Column[Any], right: sa.Column[Any], _a: object, _b: object
    ) -> bool:
        table = left.table.name
        return (
            before.state.tables[table].columns[left.name].type_text
            != after.state.tables[table].columns[right.name].type_text
        )

    context = migration_context(
        connection,
        section,
        include_schemas=True,
        include_name=include_name,
        include_object=include_object,
        compare_type=compare_type,
        compare_server_default=False,
        autogenerate_plugins=list(PLUGINS),
        target_metadata=metadata,
    )
    with recalled(connection, before.inspected):
        script = produce_migrations(context, metadata)
    assert script.upgrade_ops is not None
    return tuple(script.upgrade_ops.ops)
