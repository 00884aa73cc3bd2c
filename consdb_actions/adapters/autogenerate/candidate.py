"""A revision that is to be verified, and what is known of it."""

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
    """A revision to verify, and the database to verify it on.

    Attributes
    ----------
    file_name, source
        The revision file.
    database
        Name of the database that stands before the revision; it is used up.
    before, expected
        Catalog of that database, and what it must be after the upgrade (rule M17).
    views
        The table that each configured view shows.
    lost
        Columns, and with None tables, that the upgrade drops with their values, in the names after renames.
    empty
        Tables that the migration needs to be empty.
    filled
        What the upgrade fills; None where nobody knows, because a person wrote the revision.
    copy
        Where the operator's commands run; by default, a copy of the tree that is made for the purpose.
    """

    tree: Tree
    section: Section
    file_name: str
    source: str
    schema_file: Path
    database: str
    before: Snapshot
    expected: Snapshot
    answers: Answers
    views: Mapping[str, str]
    lost: frozenset[tuple[str, str | None]] = frozenset()
    empty: frozenset[str] = frozenset()
    filled: tuple[Filling, ...] | None = None
    copy: TreeCopy | None = None

    @property
    def renamed_tables(self) -> dict[str, str]:
        """New names of tables by old."""
        return dict(self.answers.tables)

    @property
    def renamed_columns(self) -> dict[tuple[str, str], str]:
        """New names of columns, by the table's new name and the column's old."""
        return {(table, old): new for table, old, new in self.answers.columns}

    @property
    def tightened(self) -> frozenset[tuple[str, str]]:
        """Columns that may hold NULL before and not after, in the names after renames."""
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
