"""Rule M17: tell what the schema files' own change explains from what the database was behind already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from alembic.operations import ops

from consdb_actions.migration.rewrite.statements import Rename, Statement
from consdb_actions.migration.words import subject
from consdb_actions.schema.model import Schema, Table

__all__ = ["ExplainedBy", "explained_by"]


class ExplainedBy:
    """What changed between two schema files: tables as a whole, and names within tables.

    Parameters
    ----------
    tables
        Tables that come, go or change themselves.
    names
        Columns, constraints and indexes that differ, by table.
    views
        Which table each view shows.
    """

    def __init__(
        self, tables: frozenset[str], names: Mapping[str, frozenset[str]], views: Mapping[str, str]
    ) -> None:
        self._tables, self._names, self._views = tables, names, views

    def __call__(self, op: ops.MigrateOperation) -> bool:
        """Whether the change of the files is a reason for an operation."""
        table, name = subject(op)
        table = self._views.get(table, table)
        if table in self._tables:
            return True
        changed = self._names.get(table, frozenset())
        if isinstance(op, Rename):
            return bool({op.old, op.new} & changed) or op.new in self._tables
        if isinstance(op, Statement):
            return bool(changed)
        if isinstance(op, ops.CreateTableCommentOp | ops.DropTableCommentOp):
            return "" in changed
        if isinstance(op, ops.CreatePrimaryKeyOp) or getattr(op, "constraint_type", "") == "primary":
            return "primary key" in changed or name in changed
        return name in changed


def explained_by(base: Schema, new: Schema, views: Mapping[str, str]) -> ExplainedBy:
    """Compare two schema files."""
    old, now = ({t.name: t for t in side.tables} for side in (base, new))
    whole = frozenset(old.keys() ^ now.keys())
    names = {name: _changed(old[name], now[name]) for name in old.keys() & now.keys()}
    moved = {n: found for n, found in names.items() if found}
    # Keys that refer to a table whose key changed are made again for that reason.
    for name, table in now.items():
        reasons = {
            c.name for c in table.constraints if c.referenced_table in moved or c.referenced_table in whole
        }
        if reasons:
            moved[name] = moved.get(name, frozenset()) | reasons
    return ExplainedBy(whole, moved, views)


def _changed(old: Table, new: Table) -> frozenset[str]:
    found = set()
    for kind in ("columns", "constraints", "indexes"):
        left = {item.name: replace(item, id="") for item in getattr(old, kind)}
        right = {item.name: replace(item, id="") for item in getattr(new, kind)}
        found |= {name for name in left.keys() | right.keys() if left.get(name) != right.get(name)}
    if old.primary_key != new.primary_key:
        found |= {"primary key", *old.primary_key, *new.primary_key}
    own = {f.name for f in fields(Table)} - {
        "columns",
        "constraints",
        "indexes",
        "primary_key",
        "id",
        "metadata",
    }
    if any(getattr(old, f) != getattr(new, f) for f in own):
        found.add("")
    return frozenset(found)
