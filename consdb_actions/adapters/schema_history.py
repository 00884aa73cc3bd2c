"""Find the schema file that a database was made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from consdb_actions.adapters.git_read import GitReader
from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.catalog import Snapshot
from consdb_actions.errors import ConsdbActionsError, ExternalError
from consdb_actions.schema.model import Schema


def described_before(before: Snapshot, after: Snapshot, path: Path) -> Schema | None:
    """Find the newest version in git that the database agrees with.

    Its ids, units and descriptions are evidence for renames, so it is searched only where a column is dropped
    and another added. None outside of a git checkout.
    """
    then, now = before.tables, after.tables
    gone = {(t, c) for t in then for c in then[t].columns} - {(t, c) for t in now for c in now[t].columns}
    come = {(t, c) for t in now for c in now[t].columns} - {(t, c) for t in then for c in then[t].columns}
    if not gone or not come:
        return None
    shape = {name: frozenset(table.columns) - {"pgs_region"} for name, table in then.items()}
    for text in _versions(path.resolve()):
        try:
            schema = read_yaml(text, source=str(path)).schema
        except ConsdbActionsError:
            continue
        tables = {t.name: frozenset(c.name for c in t.columns) for t in schema.tables}
        if all(tables.get(name) == columns for name, columns in shape.items()):
            return schema
    return None


def _versions(path: Path) -> Iterator[bytes]:
    try:
        yield from GitReader(path.parent).versions(path.name)
    except ExternalError:  # git is missing or too slow: only evidence is lost
        return
