"""Rows of a site's database; large tables are compared by their first rows and by hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from consdb_actions.adapters.autogenerate.candidate import Candidate
from consdb_actions.adapters.autogenerate.starting_rows import Start
from consdb_actions.adapters.rows import count_rows, hash_columns, read_rows
from consdb_actions.catalog import Relation, Snapshot
from consdb_actions.migration.rows import Rows

__all__ = ["MOST_VALUES", "SiteRows"]

MOST_VALUES = 1_000_000
"""Maximum number of values read from a table; others are only hashed."""


@dataclass(frozen=True)
class _Large:
    before: str
    after: str
    columns: Mapping[str, str]
    """Columns whose values must not change: old name to new name."""
    key: tuple[str, ...]
    """Those that identify a row; empty where none do."""
    most: int
    hashes: Mapping[str, str]
    """Number and hash of the values, by column."""


class SiteRows:
    """Rows of a copy before its upgrade (``start``), at most ``most`` values of a table."""

    def __init__(self, connection: sa.Connection, candidate: Candidate, most: int | None = None) -> None:
        self._candidate, self._most = candidate, MOST_VALUES if most is None else most
        before = candidate.before
        counts = count_rows(connection, before)
        self._large = {
            name: self._large_table(connection, before.tables[name])
            for name, count in counts.items()
            if count * len(before.tables[name].columns) > self._most
        }
        self._read_before = {
            name
            for name, count in counts.items()
            if count and (name not in self._large or self._large[name].key)
        }
        rows = self.back(connection, before)
        self.start = Start(
            rows, rows, (), candidate.tightened, _total(counts), self._remarks(counts), frozenset(self._large)
        )

    def after(self, connection: sa.Connection, now: Snapshot) -> Rows:
        """Read the rows after the upgrade."""
        names = self._candidate.renamed_tables
        first = {t.after: ([t.columns[c] for c in t.key], t.most) for t in self._large.values() if t.key}
        tables = {names.get(name, name) for name in self._read_before}
        tables |= {m.target for m in self._candidate.answers.copies} - {t.after for t in self._large.values()}
        return read_rows(connection, now, tables, first)

    def back(self, connection: sa.Connection, restored: Snapshot) -> Rows:
        """Read the rows before the upgrade or after the downgrade."""
        first = {t.before: (t.key, t.most) for t in self._large.values() if t.key}
        return read_rows(connection, restored, self._read_before, first)

    def changed(self, connection: sa.Connection, *, after: bool) -> tuple[str, ...]:
        """Hash large tables again; return a text for each difference."""
        out = []
        for table in self._large.values():
            name = table.after if after else table.before
            names = {old: new if after else old for old, new in table.columns.items()}
            key = [names[c] for c in table.key]
            schema = self._candidate.section.schema
            now = hash_columns(connection, schema, name, key, names.values())
            for old, new in names.items():
                if now[new] != table.hashes[old]:
                    count = table.hashes[old].partition(":")[0]
                    out.append(f"{name}.{new}: its {count} values are not what they were, by their hash")
        return tuple(out)

    def _large_table(self, connection: sa.Connection, table: Relation) -> _Large:
        """Hash a large table; one that is dropped is not compared."""
        candidate = self._candidate
        new = candidate.renamed_tables.get(table.name, table.name)
        after = candidate.expected.tables.get(new)
        changing = {c for t, c in (*candidate.lost, *candidate.tightened) if t == new}
        changing |= {m.source_column for m in candidate.answers.copies if m.source == new}
        columns = {}
        for column in table.columns.values():
            later = candidate.renamed_columns.get((new, column.name), column.name)
            same = after.columns.get(later) if after is not None else None
            if same is not None and same.type == column.type and later not in changing:
                columns[column.name] = later
        primary = next((c.columns for c in table.constraints.values() if c.kind == "primary key"), ())
        key = primary if set(primary) <= columns.keys() else ()
        hashes = hash_columns(connection, candidate.section.schema, table.name, key, columns)
        return _Large(table.name, new, columns, key, max(1, self._most // len(table.columns)), hashes)

    def _remarks(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        empty = sorted(name for name, count in counts.items() if not count)
        out = [f"no rows in {', '.join(empty)}"] if empty else []
        for name, table in self._large.items():
            looked = f"the first {table.most} of its {counts[name]} rows" if table.key else "no row by itself"
            out.append(f"{name} is large: compared are {looked}, and hashes of {len(table.columns)} columns")
        return tuple(out)


def _total(counts: Mapping[str, int]) -> str:
    tables = sum(1 for count in counts.values() if count)
    return f"{sum(counts.values())} rows of the database's own in {tables} table{'' if tables == 1 else 's'}"
