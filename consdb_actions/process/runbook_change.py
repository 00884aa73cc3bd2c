"""Net effect of a migration, as a runbook needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from consdb_actions.forms import Public
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
    """Change of one column of a table that exists before and after."""

    table: Name  # Its name afterwards
    column: str  # Its name afterwards; of a dropped column, before
    kind: Kind  # ``tightened``: becomes NOT NULL; ``loosened``: becomes nullable
    old: str = ""  # Name before a rename
    required: bool = False  # Whether a row needs a value for it, afterwards or, if dropped, before
    widened: bool = False  # Whether the new type reads every value of the old type as written
    volatile: str = ""  # Expression that gives each row of a new column its own value; else empty

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


Pair = tuple[Name, Name]  # A table by its names before and after


@dataclass(frozen=True, slots=True)
class Effects:
    """Net effect of one direction; pairs are tables by their names before and after."""

    new_tables: tuple[Name, ...] = ()
    dropped_tables: tuple[Name, ...] = ()
    renamed_tables: tuple[tuple[Name, Name], ...] = ()
    columns: tuple[ColumnChange, ...] = ()
    rekeyed: tuple[Rekeyed, ...] = ()
    updated: tuple[Name, ...] = ()  # Existing tables whose rows the scripts change, add or remove
    inserted: tuple[Name, ...] = ()
    emptied: tuple[Name, ...] = ()
    filled: tuple[Name, ...] = ()  # New tables with rows
    # Rows are changed or removed under another primary key than the final one
    unidentified: tuple[Pair, ...] = ()
    # Rows are added, or written with columns or NULLs that do not exist at the end
    passing: tuple[Pair, ...] = ()
    new_views: tuple[Name, ...] = ()
    remade_views: tuple[Name, ...] = ()  # Dropped and recreated
    dropped_views: tuple[Name, ...] = ()
    view_columns: tuple[tuple[Name, tuple[str, ...]], ...] = ()  # Of new and recreated views, if known
    locked: tuple[Name, ...] = ()  # Existing tables and views that a statement touches
    grants: tuple[tuple[Name, str, str], ...] = ()  # Relation, role, privilege
    losses: tuple[str, ...] = ()  # Data loss, as nouns
    spoly: bool = False  # Whether a pgSphere column is created
    apart: tuple[str, ...] = ()  # Statements outside of the transaction, by name
    unknown: tuple[str, ...] = ()  # Statements with unknown effect, or reasons why some are missing

    def changes(self, kind: Kind) -> tuple[ColumnChange, ...]:
        """Return the changes of columns of one kind."""
        return tuple(change for change in self.columns if change.kind == kind)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that get privileges."""
        return tuple(sorted({role for _, role, _ in self.grants if role.upper() != "PUBLIC"}))


@dataclass(frozen=True, slots=True)
class RunbookRevision:
    """Id, message and statements of one revision."""

    id: str
    words: str
    file: str  # Relative to the tree
    upgrade: tuple[str, ...] = ()  # Statements in offline mode
    downgrade: tuple[str, ...] = ()
    unshown: str = ""  # Why statements are missing; empty if none are


@dataclass(frozen=True, slots=True)
class SectionChange(Public):
    """Revisions to apply to one section."""

    PUBLIC: ClassVar[str] = (
        "section schema from=start to=end revisions=ids changes=words losses=forward.losses "
        "losses_on_downgrade=back.losses"
    )

    section: str
    schema: str
    version_table: str  # Qualified
    start: str  # ``base`` for none
    end: str
    revisions: tuple[RunbookRevision, ...]  # Oldest first, including the end
    forward: Effects
    back: Effects
    tables_before: tuple[Name, ...] = ()  # All tables of the schema; empty unless all are known
    tables_after: tuple[Name, ...] = ()
    # Of tables and views in order, as far as known
    columns_before: tuple[tuple[Name, tuple[str, ...]], ...] = ()
    columns_after: tuple[tuple[Name, tuple[str, ...]], ...] = ()
    # What the downgrade does not restore, like ``exposure.columns.airmass.default``
    unrestored: tuple[str, ...] = ()
    stuck: str = ""  # Why the downgrade fails; empty if it works

    @property
    def range(self) -> str:
        """The revision range in commands: ``section:from..to``."""
        return f"{self.section}:{self.start}..{self.end}"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the revisions."""
        return tuple(revision.id for revision in self.revisions)

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

    def words(self) -> Iterable[str]:
        """Yield the changes, a line for each table, view or column."""
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
    """A change of a published table, and whether replicated rows do not fit."""

    table: Name
    what: str
    earlier: bool  # Rows from before the publisher's upgrade do not fit the upgraded replica
    later: bool  # Rows from after it do not fit the replica before its upgrade


@dataclass(frozen=True, slots=True)
class Needs(Public):
    """What a migration requires of the replication; pairs are tables by their names before and after."""

    PUBLIC: ClassVar[str] = "pause quiet reasons added removed"

    misfits: tuple[Misfit, ...] = ()  # Changes of tables that stay published
    added: tuple[Name, ...] = ()
    removed: tuple[Name, ...] = ()
    renamed: tuple[Pair, ...] = ()
    # Rows change under a primary key that is missing or not the final one: REPLICA IDENTITY FULL is required
    identity: tuple[Pair, ...] = ()
    # Rows that the upgraded replica cannot take or adds by itself: the table leaves the publication meanwhile
    unsent: tuple[Pair, ...] = ()
    # New tables that both upgrades fill; the replica's are emptied before the first copy
    refilled: tuple[Name, ...] = ()
    different: tuple[str, ...] = ()  # New columns whose values differ between the sites
    unknown: tuple[str, ...] = ()  # Statements with unknown effect

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
        """The published tables that are affected, by their names before."""
        new = {now: old for old, now in self.renamed}
        found = {new.get(misfit.table, misfit.table) for misfit in self.misfits} | set(self.removed)
        return tuple(sorted(found | {old for old, _ in (*self.renamed, *self.identity, *self.unsent)}))


def needs_of(effects: Iterable[Effects], published: Callable[[str], bool]) -> Needs:
    """Derive what migrations require of the replication."""

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
