"""Statements that fill a column from a parent row."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from consdb_actions.catalog import Snapshot
from consdb_actions.migration.rewrite.statements import Phase, SqlStatement, qualified, quote


@dataclass(frozen=True)
class KeyLink:
    """One step from a table to a parent: equal columns, pair by pair."""

    table: str
    columns: tuple[str, ...]
    parent: str
    referenced: tuple[str, ...]


@dataclass(frozen=True)
class Fill:
    """Columns of a table, and the parent's columns with their values, over one path."""

    table: str
    columns: tuple[str, ...]
    sources: tuple[str, ...]
    path: tuple[KeyLink, ...]
    only_missing: bool = False

    @property
    def parent(self) -> str:
        """The table that the values come from."""
        return self.path[-1].parent


def find_fill(
    before: Snapshot, after: Snapshot, table: str, column: str, coming: Collection[tuple[str, str]]
) -> Fill | None:
    """Find the parent's column with the values of a new column."""
    best: Fill | None = None
    for key in sorted(after.tables[table].foreign_keys, key=lambda k: (len(k.columns), k.name)):
        if column not in key.columns or key.referenced_schema not in (None, after.schema):
            continue
        source = key.referenced[key.columns.index(column)]
        parent = before.tables.get(key.table)
        if parent is None or key.table == table:
            continue
        if source not in parent.columns and (key.table, source) not in coming:
            continue
        path = _path(before, after, table, key.table, column)
        if path and (best is None or len(path) < len(best.path)):
            best = Fill(table, (column,), (source,), path, column in before.tables[table].columns)
    return best


def _path(
    before: Snapshot, after: Snapshot, start: str, goal: str, unknown: str
) -> tuple[KeyLink, ...] | None:
    queue: deque[tuple[str, tuple[KeyLink, ...]]] = deque([(start, ())])
    seen = {start}
    while queue:
        table, path = queue.popleft()
        for link in _links(before, after, table):
            if link.parent in seen or (table == start and unknown in link.columns):
                continue
            if link.parent == goal:
                return (*path, link)
            seen.add(link.parent)
            queue.append((link.parent, (*path, link)))
    return None


def _links(before: Snapshot, after: Snapshot, table: str) -> Iterator[KeyLink]:
    """Yield the possible steps from a table, declared keys first."""
    state = before.tables[table]
    for key in sorted(state.foreign_keys, key=lambda k: (len(k.columns), k.name)):
        if key.referenced_schema in (None, before.schema) and key.table in before.tables:
            yield KeyLink(table, key.columns, key.table, key.referenced)
    if table not in after.tables:
        return
    for key in sorted(after.tables[table].foreign_keys, key=lambda k: (len(k.columns), k.name)):
        parent = before.tables.get(key.table)
        if parent is None or key.referenced_schema not in (None, after.schema):
            continue
        known = {
            r: c
            for c, r in zip(key.columns, key.referenced, strict=True)
            if c in state.columns and r in parent.columns
        }
        for identity in parent.keys:
            if identity and all(r in known for r in identity):
                yield KeyLink(table, tuple(known[r] for r in identity), key.table, identity)


def order_fills(fills: Collection[Fill]) -> list[Fill]:
    """Join fills over one path, and sort parents before children; cycles are sorted by name."""
    joined: dict[tuple[Any, ...], Fill] = {}
    for fill in fills:
        # Rows with only some columns missing keep the other values, so those fills stay separate.
        key = (fill.table, fill.path, fill.columns if fill.only_missing else ())
        known = joined.get(key)
        columns, sources = (known.columns, known.sources) if known else ((), ())
        joined[key] = replace(fill, columns=(*columns, *fill.columns), sources=(*sources, *fill.sources))
    todo = sorted(joined.values(), key=lambda f: (f.table, f.columns))
    filled = {(f.table, c): f for f in todo for c in f.columns}
    out: list[Fill] = []
    visiting: set[int] = set()

    def visit(fill: Fill) -> None:
        if fill in out or id(fill) in visiting:
            return
        visiting.add(id(fill))
        for source in fill.sources:
            parent = filled.get((fill.parent, source))
            if parent is not None:
                visit(parent)
        out.append(fill)

    for fill in todo:
        visit(fill)
    return out


def fill_statement(schema: str, fill: Fill) -> SqlStatement:
    """Return the UPDATE of a fill."""
    names = [f"parent{n or ''}" for n in range(len(fill.path) - 1, -1, -1)]
    owner = "child"
    conditions, tables = [], []
    for link, name in zip(fill.path, names, strict=True):
        tables.append(f"{qualified(schema, link.parent)} AS {name}")
        conditions += [
            f"{name}.{quote(r)} = {owner}.{quote(c)}"
            for c, r in zip(link.columns, link.referenced, strict=True)
        ]
        owner = name
    if fill.only_missing:
        conditions += [f"child.{quote(c)} IS NULL" for c in fill.columns]
    settings = ", ".join(
        f"{quote(c)} = {names[-1]}.{quote(s)}" for c, s in zip(fill.columns, fill.sources, strict=True)
    )
    return SqlStatement(
        [
            f"UPDATE {qualified(schema, fill.table)} AS child",
            f"SET {settings}",
            f"FROM {', '.join(tables)}",
            f"WHERE {' AND '.join(conditions)}",
        ],
        phase=Phase.FILL,
        text=f"fill {fill.table}.{', '.join(fill.columns)} from {fill.parent}",
        table=fill.table,
    )
