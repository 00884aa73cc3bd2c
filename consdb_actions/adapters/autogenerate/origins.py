"""Find the revision that last changed an element."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.script import Script

from consdb_actions.adapters.autogenerate.replay import migration_context, prepare
from consdb_actions.adapters.autogenerate.simulation import Simulation
from consdb_actions.catalog import Snapshot
from consdb_actions.catalog.merge import Path

__all__ = ["Origin", "find_origins"]


@dataclass(frozen=True)
class Origin:
    """A revision and its message."""

    revision: str
    message: str


def find_origins(
    simulation: Simulation, paths: Collection[Path], revisions: Collection[Script]
) -> dict[Path, Origin]:
    """Replay revisions that name an element; return the last that changed it."""
    if not paths:
        return {}
    section, connection = simulation.section, simulation.connection
    connection.execute(sa.schema.DropSchema(section.schema, cascade=True, if_exists=True))
    prepare(connection, section)
    context = migration_context(connection, section)
    names = {part for path in paths for part in path[:2]}
    found: dict[Path, Origin] = {}
    states: dict[Path, Any] = dict.fromkeys(paths)
    for script in revisions:
        with Operations.context(context):
            script.module.upgrade()
        text = FilePath(script.path).read_text(encoding="utf-8", errors="replace")
        if not any(name in text for name in names):
            continue
        now = simulation.snapshot()
        for path in paths:
            state = _element(now, path)
            if state != states[path]:
                states[path] = state
                found[path] = Origin(script.revision, (script.doc or "").strip())
    return found


def _element(snapshot: Snapshot, path: Path) -> Any:
    relation = snapshot.relations.get(path[0])
    if relation is None or len(path) == 1:
        return relation and relation.kind
    if path[1] == "comment" and len(path) == 2:
        return relation.comment
    column = relation.columns.get(path[1])
    if column is not None:
        return getattr(column, path[2], None) if len(path) > 2 else (column.type, column.nullable)
    item = relation.constraints.get(path[1]) or relation.indexes.get(path[1])
    return item and (item.name, item.meaning, item.comment)
