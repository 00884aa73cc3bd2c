"""An oracle for rule M17, independent of the merge: a catalog as a flat list of named facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from consdb_actions.catalog import Snapshot
from tests.support.workbench import Data

Elements = dict[tuple[str, ...], Any]
Names = Mapping[str, tuple[str, Mapping[str, str]]]
"""New name of each table, with the new names of its columns by the old ones."""


def renames(before: Data, after: Data) -> dict[str, tuple[str, dict[str, str]]]:
    """Find renames between two files by ``@id``."""
    found = {}
    new = {t["@id"]: t for t in after["tables"]}
    for old in before["tables"]:
        if (now := new.get(old["@id"])) is not None:
            names = {c["@id"]: c["name"] for c in now["columns"]}
            found[old["name"]] = (
                now["name"],
                {c["name"]: names[c["@id"]] for c in old["columns"] if c["@id"] in names},
            )
    return found


def elements(snapshot: Snapshot, names: Names | None = None) -> Elements:
    """Flatten the tables of a catalog, with names after some renames."""
    names = names or {}
    out: Elements = {}
    for old, table in snapshot.tables.items():
        name, columns = names.get(old, (old, {}))

        def now(column: str, columns: Mapping[str, str] = columns) -> str:
            return columns.get(column, column)

        out[name,] = "table"
        out[name, "comment"] = table.comment
        for column in table.columns.values():
            where = (name, "column", now(column.name))
            out[where] = "column"
            for fact in ("type", "nullable", "comment", "collation"):
                out[(*where, fact)] = getattr(column, fact)
            out[(*where, "sequence")] = column.sequence is not None
            out[(*where, "default")] = words_of(column.default or "")
        key = table.primary_key
        out[name, "primary key"] = tuple(now(c) for c in key.columns) if key else None
        for item in table.constraints.values():
            # Postgres merges a UNIQUE with an equal primary key, which then has the name of the UNIQUE.
            if item.kind == "primary key" and item.name.endswith("_pkey"):
                continue
            target, their = names.get(item.references or "", (item.references, {}))
            said = (
                "unique" if item.kind == "primary key" else item.kind,
                item.options,
                tuple(now(c) for c in item.columns) if item.kind != "check" else (),
                target,
                tuple(their.get(c, c) for c in item.referenced),
                words_of(renamed_in(item.expression, columns)),
            )
            out[name, "constraint", item.name] = said
            out[name, "constraint", item.name, "comment"] = item.comment
        for index in table.indexes.values():
            out[name, "index", index.name] = (
                tuple(now(e) for e in index.elements),
                index.unique,
                index.options,
            )
    return out


def renamed_in(expression: str, columns: Mapping[str, str]) -> str:
    """Rename columns in a condition."""

    def put(match: re.Match[str]) -> str:
        if match[0].startswith("'"):
            return match[0]
        name = match[1] or match[0]
        return columns.get(name, name)

    return re.sub(r"'(?:[^']|'')*'|\"((?:[^\"]|\"\")+)\"|[a-z_][a-z_0-9]*", put, expression)


def words_of(expression: str) -> str:
    """Remove what Postgres adds when it prints a condition."""
    text = re.sub(r"::(character varying|double precision|[a-z]+)(\(\d+\))?(\[\])?", "", expression)
    return re.sub(r"[()\s\"]", "", text)


def violations(
    base: Elements, head: Elements, current: Elements, result: Elements, ignored: frozenset[str]
) -> list[str]:
    """Return where a result violates rule M17; ``ignored`` paths were decided by an answer."""
    out = []
    for path in sorted({*base, *head, *current, *result}):
        if any(covers(text, path) for text in ignored):
            continue
        before, after, found, made = (side.get(path) for side in (base, head, current, result))
        if path[-1] == "nullable" and path[2] in (result.get((path[0], "primary key")) or ()):
            continue  # a primary key says that
        if made != (found if before == after else after) and not goes(path, head, base):
            out.append(f"{path}: base {before!r}, head {after!r}, current {found!r}, result {made!r}")
    return out


def covers(text: str, path: tuple[str, ...]) -> bool:
    parts = tuple(text.split("."))
    plain = tuple(p for p in path if p not in {"column", "constraint", "index"})
    if path[1:] == ("primary key",):
        plain = (path[0], f"{path[0]}_pkey")
    return plain[: len(parts)] == parts


def goes(path: tuple[str, ...], head: Elements, base: Elements) -> bool:
    """Tell whether the column or table of an element is dropped by the change."""
    owners = [path[:1], path[:3] if path[1:2] == ("column",) else path[:1]]
    return any(base.get(o) is not None and head.get(o) is None for o in owners)
