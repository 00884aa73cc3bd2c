"""The input of a verification: a revision and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from consdb_actions.adapters.autogenerate.operator import TreeCopy
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.catalog import Snapshot
from consdb_actions.migration.answers import Answers
from consdb_actions.migration.rewrite.plan import Filling

__all__ = ["Candidate"]


@dataclass(frozen=True)
class Candidate:
    """A revision to verify, and the database to verify it on."""

    tree: Tree
    section: Section
    file_name: str
    source: str
    schema_file: Path
    database: str
    """Name of the database at the previous revision (``before``); the verification changes it."""
    before: Snapshot
    expected: Snapshot
    """Catalog that the upgrade must leave (rule M17)."""
    answers: Answers
    views: Mapping[str, str]
    """Name of the table that each configured view shows."""
    lost: frozenset[tuple[str, str | None]] = frozenset()
    """Columns (None: tables) that the upgrade drops with their values, by the names after renames."""
    empty: frozenset[str] = frozenset()
    """Tables that the migration requires to be empty."""
    filled: tuple[Filling, ...] | None = None
    """What the upgrade fills; None for a hand-written revision."""
    copy: TreeCopy | None = None
    """Where the operator's commands run; None makes a copy for this verification."""

    @property
    def renamed_tables(self) -> dict[str, str]:
        """Map old table names to new ones."""
        return dict(self.answers.tables)

    @property
    def renamed_columns(self) -> dict[tuple[str, str], str]:
        """Map (new table, old column) to the new column name."""
        return {(table, old): new for table, old, new in self.answers.columns}

    @property
    def tightened(self) -> frozenset[tuple[str, str]]:
        """Columns that become NOT NULL, by the names after renames."""
        out = set()
        for name, table in self.before.tables.items():
            new = self.renamed_tables.get(name, name)
            after = self.expected.tables.get(new)
            if after is None:
                continue
            for column in table.columns.values():
                later = after.columns.get(self.renamed_columns.get((new, column.name), column.name))
                if column.nullable and later is not None and not later.nullable:
                    out.add((new, later.name))
        return frozenset(out)
