"""The revisions of one section that are to be applied, and what they do in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consdb_actions.lint.state import Name
from consdb_actions.process.runbook_effects import Effects

__all__ = ["Revision", "SectionChange"]


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision.

    Attributes
    ----------
    id
        Its id.
    words
        What its author says that it does.
    file
        Its file, relative to the tree.
    upgrade, downgrade
        Its statements, as they would be sent without a database.
    unshown
        Why there are more statements than these; empty when there are none.
    """

    id: str
    words: str
    file: str
    upgrade: tuple[str, ...] = ()
    downgrade: tuple[str, ...] = ()
    unshown: str = ""


@dataclass(frozen=True, slots=True)
class SectionChange:
    """What is to be applied to one section.

    Attributes
    ----------
    section, schema
        Its names in ``alembic.ini`` and in Postgres.
    version_table
        The table with its revision, qualified.
    start, end
        Revisions before and after; ``base`` for none.
    revisions
        Those in between, oldest first, with the last.
    forward, back
        What the upgrades and the downgrades do.
    tables_before, tables_after
        All tables of the schema; empty where they are not all known.
    columns_before, columns_after
        Columns of the tables and views, each in order, as far as they are known.
    unrestored
        Elements of the catalog that the downgrade leaves otherwise than they were, such as
        ``exposure.columns.airmass.default``.
    stuck
        Why the downgrade does not run; empty when it does.
    """

    section: str
    schema: str
    version_table: str
    start: str
    end: str
    revisions: tuple[Revision, ...]
    forward: Effects
    back: Effects
    tables_before: tuple[Name, ...] = ()
    tables_after: tuple[Name, ...] = ()
    columns_before: tuple[tuple[Name, tuple[str, ...]], ...] = ()
    columns_after: tuple[tuple[Name, tuple[str, ...]], ...] = ()
    unrestored: tuple[str, ...] = ()
    stuck: str = ""

    @property
    def range(self) -> str:
        """The way as commands take it: ``section:from..to``."""
        return f"{self.section}:{self.start}..{self.end}"

    def turned(self) -> SectionChange:
        """Return the same change in the other direction."""
        return SectionChange(
            self.section,
            self.schema,
            self.version_table,
            self.end,
            self.start,
            tuple(reversed(self.revisions)),
            self.back,
            self.forward,
            self.tables_after,
            self.tables_before,
            self.columns_after,
            self.columns_before,
        )

    def words(self) -> Iterator[str]:
        """Yield what happens, a line for each table, view or column."""
        effects = self.forward
        for name in effects.new_tables:
            columns = len(dict(self.columns_after).get(name, ()))
            yield f"new table {name}" + (f" with {columns} columns" if columns else "")
        yield from (f"table {name} is dropped with all its rows" for name in effects.dropped_tables)
        yield from (f"table {old} is renamed to {new.name}" for old, new in effects.renamed_tables)
        yield from map(str, effects.columns)
        yield from map(str, effects.rekeyed)
        yield from (f"rows of {name} are rewritten" for name in effects.updated)
        yield from (f"rows are added to {name}" for name in effects.inserted)
        yield from (f"rows of {name} are deleted" for name in effects.emptied)
        for verb, views in (
            ("is new", effects.new_views),
            ("is recreated", effects.remade_views),
            ("is dropped", effects.dropped_views),
        ):
            yield from (f"view {name} {verb}" for name in views)
        yield from (f"not understood: {words}" for words in effects.unknown)
