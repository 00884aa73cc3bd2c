"""What a migration does, as a runbook needs to know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from consdb_actions.lint.state import Name

__all__ = [
    "ColumnChange",
    "Effects",
    "Misfit",
    "Needs",
    "Pair",
    "Rekeyed",
    "RunbookRevision",
    "SectionChange",
    "needs_of",
]

Kind = Literal["added", "dropped", "renamed", "retyped", "tightened", "loosened"]


@dataclass(frozen=True, slots=True, order=True)
class ColumnChange:
    """What happens to one column of a table that is there before and after.

    Attributes
    ----------
    table
        The table, by its name afterwards.
    column
        The column, by its name afterwards; of a dropped one, by the name it had.
    kind
        What happens to it: ``tightened`` is NOT NULL that was not, ``loosened`` the opposite.
    old
        The name before, of a renamed column.
    required
        Whether a row that gives no value to it is refused: after the change, or, of a dropped column, before.
    widened
        Whether a retyped column takes every value of the old type as it is written.
    volatile
        What gives each row of a new column a value of its own; empty when all rows get the same.
    """

    table: Name
    column: str
    kind: Kind
    old: str = ""
    required: bool = False
    widened: bool = False
    volatile: str = ""

    def __str__(self) -> str:
        if self.kind == "renamed":
            return f"column {self.table}.{self.old} is renamed to {self.column}"
        words = {
            "added": "is new" + (" and required (NOT NULL without a default)" if self.required else ""),
            "dropped": "is dropped",
            "retyped": "changes its type",
            "tightened": "becomes NOT NULL",
            "loosened": "becomes nullable",
        }
        return f"column {self.table}.{self.column} {words[self.kind]}"


@dataclass(frozen=True, slots=True, order=True)
class Rekeyed:
    """A table whose primary key has other columns afterwards; the old ones have their new names."""

    table: Name
    old: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        return f"primary key of {self.table} changes from ({', '.join(self.old)}) to ({', '.join(self.new)})"


Pair = tuple[Name, Name]

"""A table by its names before and after."""


@dataclass(frozen=True, slots=True)
class Effects:
    """The net effect of one direction.

    Attributes
    ----------
    new_tables, dropped_tables
        Tables that are there only afterwards, or only before.
    renamed_tables
        Old and new names.
    columns, rekeyed
        What happens to tables that stay.
    updated, inserted, emptied
        Tables that stay and whose rows the scripts change, add to, or remove.
    filled
        New tables that the scripts put rows in.
    unidentified
        Tables that stay, by their names before and after, whose rows are changed or removed while their
        primary key is not the one that they have at the end.
    passing
        Tables that stay, by their names before and after, whose rows are written as they do not stay: with
        columns that go or get another name, or without a value that a column must have at the end; or to
        which rows are added.
    new_views, remade_views, dropped_views
        Views that are there only afterwards; that are dropped and made again; that are there only before.
    view_columns
        The columns of new and remade views, where they are known.
    locked
        Tables and views that are there before and are touched by a statement.
    grants
        Privileges that the scripts give: relation, role, privilege.
    losses
        What goes for good, as nouns.
    spoly
        Whether a column of the pgSphere type is made.
    apart
        Statements that cannot be undone with the others, by their names.
    unknown
        Statements whose effect is not known, or reasons why not all statements are.
    """

    new_tables: tuple[Name, ...] = ()
    dropped_tables: tuple[Name, ...] = ()
    renamed_tables: tuple[tuple[Name, Name], ...] = ()
    columns: tuple[ColumnChange, ...] = ()
    rekeyed: tuple[Rekeyed, ...] = ()
    updated: tuple[Name, ...] = ()
    inserted: tuple[Name, ...] = ()
    emptied: tuple[Name, ...] = ()
    filled: tuple[Name, ...] = ()
    unidentified: tuple[Pair, ...] = ()
    passing: tuple[Pair, ...] = ()
    new_views: tuple[Name, ...] = ()
    remade_views: tuple[Name, ...] = ()
    dropped_views: tuple[Name, ...] = ()
    view_columns: tuple[tuple[Name, tuple[str, ...]], ...] = ()
    locked: tuple[Name, ...] = ()
    grants: tuple[tuple[Name, str, str], ...] = ()
    losses: tuple[str, ...] = ()
    spoly: bool = False
    apart: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def changes(self, kind: Kind) -> tuple[ColumnChange, ...]:
        """Return the changes of columns of one kind."""
        return tuple(change for change in self.columns if change.kind == kind)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that get privileges."""
        return tuple(sorted({role for _, role, _ in self.grants if role.upper() != "PUBLIC"}))


@dataclass(frozen=True, slots=True)
class RunbookRevision:
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
    revisions: tuple[RunbookRevision, ...]
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


@dataclass(frozen=True, slots=True)
class Misfit:
    """One change, and the rows that do not fit.

    Attributes
    ----------
    table
        The table.
    what
        The change in words.
    earlier
        Whether rows from before the publisher's upgrade do not fit the upgraded replica.
    later
        Whether rows from after it do not fit the replica before its upgrade.
    """

    table: Name
    what: str
    earlier: bool
    later: bool


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be done about the replication.

    Attributes
    ----------
    misfits
        Changes of published tables that stay.
    added, removed
        Tables that come into the publication, or leave it.
    renamed
        Published tables with another name: old and new.
    identity
        Tables, by their names before and after, whose rows the upgrade changes under another primary key than
        the one at the end, or under none. Postgres refuses the one, and the replica the other, unless
        ``REPLICA IDENTITY FULL`` is set.
    unsent
        Tables, by their names before and after, whose rows the upgrade writes in a form that the upgraded
        replica cannot take, or adds to. The replica does the same by its own upgrade, so that these must not
        be sent at all: the table is taken out of the publication meanwhile.
    refilled
        New tables that the upgrade fills at both sites, so that the replica's must be emptied before the
        first copy.
    different
        New columns of published tables that get another value at each site.
    unknown
        What the scripts do besides that could not be followed.
    """

    misfits: tuple[Misfit, ...] = ()
    added: tuple[Name, ...] = ()
    removed: tuple[Name, ...] = ()
    renamed: tuple[Pair, ...] = ()
    identity: tuple[Pair, ...] = ()
    unsent: tuple[Pair, ...] = ()
    refilled: tuple[Name, ...] = ()
    different: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether writers must stop, and no row may wait when the subscription is disabled."""
        return bool(self.removed or self.renamed or self.unsent or self.unknown) or any(
            misfit.earlier for misfit in self.misfits
        )

    @property
    def pause(self) -> bool:
        """Whether the subscription must be off while the two sites differ."""
        return self.quiet or bool(self.added or self.identity or self.misfits)

    @property
    def refresh(self) -> bool:
        """Whether the replica must refresh the publication."""
        return bool(self.added or self.removed)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why writers must stop, as text."""
        words = [misfit.what for misfit in self.misfits if misfit.earlier]
        words += [f"{name} is dropped" for name in self.removed]
        words += [f"{old} is renamed to {new}" for old, new in self.renamed]
        words += [f"rows of {name} are written in an intermediate form" for name, _ in self.unsent]
        return (*words, *self.unknown)

    @property
    def tables(self) -> tuple[Name, ...]:
        """The published tables that are concerned, by their names before."""
        new = {now: old for old, now in self.renamed}
        found = {new.get(misfit.table, misfit.table) for misfit in self.misfits} | set(self.removed)
        return tuple(sorted(found | {old for old, _ in (*self.renamed, *self.identity, *self.unsent)}))


def needs_of(effects: Iterable[Effects], published: Callable[[str], bool]) -> Needs:
    """Decide what migrations ask of the replication."""

    def kept(names: Iterable[Name]) -> tuple[Name, ...]:
        return tuple(name for name in names if published(name.schema))

    parts = tuple(effects)
    return Needs(
        misfits=tuple(m for e in parts for m in _misfits(e) if published(m.table.schema)),
        added=kept(name for e in parts for name in e.new_tables),
        removed=kept(name for e in parts for name in e.dropped_tables),
        renamed=tuple(pair for e in parts for pair in e.renamed_tables if published(pair[0].schema)),
        identity=tuple(
            pair
            for e in parts
            for pair in e.unidentified
            if pair not in e.passing and published(pair[0].schema)
        ),
        unsent=tuple(pair for e in parts for pair in e.passing if published(pair[0].schema)),
        refilled=kept(name for e in parts for name in e.filled),
        different=tuple(
            f"{c.table}.{c.column} ({c.volatile})"
            for e in parts
            for c in e.changes("added")
            if c.volatile and published(c.table.schema)
        ),
        unknown=tuple(dict.fromkeys(words for e in parts for words in e.unknown)),
    )


def _misfits(effects: Effects) -> Iterator[Misfit]:
    for change in effects.columns:
        earlier, later = _fits(change)
        yield Misfit(change.table, str(change), not earlier, not later)
    for rekeyed in effects.rekeyed:
        yield Misfit(rekeyed.table, str(rekeyed), earlier=True, later=True)


def _fits(change: ColumnChange) -> tuple[bool, bool]:
    """Tell whether earlier rows fit the upgraded replica, and later ones the replica before its upgrade."""
    if change.kind == "added":
        return not change.required, False
    if change.kind == "dropped":
        return False, not change.required
    if change.kind == "tightened":
        return False, True
    if change.kind == "loosened":
        return True, False
    # Renamed: the other side does not know the name. Retyped: a value may be none, or another one, there.
    return change.widened, False
