"""What a migration asks of the replication: which rows fit where, and so what must stand still.

Postgres sends rows, not statements. A row that was written before the publisher's upgrade is sent with the
columns of then, however late it is sent. The replica refuses a row with a column that it lacks, and one
without a value for a column that must have one; it finds the row to change by its own primary key, and so
refuses changes that come without those columns. Columns that only the replica has stay empty, and what only
one side has besides (views, privileges, comments, indexes, foreign keys) does not matter to it.

While the subscription is off, rows wait. They are taken when it is on again and both sides are upgraded. So
two questions decide:

* Do rows from *before* the publisher's upgrade fit the upgraded replica? Where they don't, none may be
  waiting: what writes must stand still, and the replica must have everything, before the subscription goes
  off (``quiet``).
* Do rows from *after* it fit the replica that is not upgraded yet? Where they don't, the subscription must be
  off meanwhile (``pause``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from consdb_actions.lint.state import Name
from consdb_actions.process.runbook_effects import ColumnChange, Effects, Pair

__all__ = ["Misfit", "Needs", "needs_of"]


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
