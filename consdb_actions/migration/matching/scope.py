"""Which schema a declaration is about: the textual forms name none, and a run may look at several."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.declarations import (
    Declarations,
    DeclaredDrop,
    DeclaredMatch,
    DeclaredMove,
    DeclaredRename,
    DeclaredTableRename,
)
from consdb_actions.migration.matching.declared import Column, moved_on, settle_columns, settle_tables
from consdb_actions.migration.matching.facts import TableFacts, canonical

__all__ = ["check_used", "select"]

Tables = Sequence[TableFacts]
Sides = tuple[Tables, Tables]
Pair = tuple[TableFacts | None, TableFacts | None]


def select(declared: Declarations, before: Tables, after: Tables) -> Declarations:
    """Select the declarations that say something about this change of a schema.

    A declaration does when both its ends are there and change: what is to go goes, what is to come comes. A
    name that is on both sides counts where its id or description changed hands, or where another declaration
    frees or claims it. What a pull request or a sidecar file declares is selected too where it is carried out
    already; it will be noted. Which sides are taken is not about the change and stays whole.
    """
    columns: list[DeclaredRename | DeclaredDrop] = [*declared.renames, *declared.drop_adds]
    names = [
        name
        for d in columns
        for one, other in _pairs(d.table, before, after)
        if one is not None and (name := _Name(d, one, other)).fits
    ]
    while True:
        claimed = {(name.declaration.table, name.new) for name in names}
        freed = {(name.declaration.table, name.old) for name in names}
        free = [name for name in names if name.is_free(claimed, freed)]
        if len(free) == len(names):
            break
        names = free
    # A circle of names that nothing but the declarations supports may be meant for another schema.
    tables = {name.declaration.table for name in names if name.is_anchored}
    found: list[DeclaredMatch] = [name.declaration for name in names if name.declaration.table in tables]
    found += [d for d in declared.table_renames if _renames_table(d, before, after)]
    found += [d for d in declared.table_drops if d.table in _names(before) - _names(after)]
    found += [d for d in declared.moves if _moves(d, before, after)]
    return Declarations.of([*found, *declared.takes])


@dataclass(frozen=True)
class _Name:
    """A declared rename or drop of a column, held against a table before and what it may be after."""

    declaration: DeclaredRename | DeclaredDrop
    one: TableFacts
    other: TableFacts | None

    @property
    def old(self) -> str:
        found = self.declaration
        return found.old if isinstance(found, DeclaredRename) else found.column

    @property
    def new(self) -> str:
        return self.declaration.new if isinstance(self.declaration, DeclaredRename) else ""

    @property
    def fits(self) -> bool:
        """Whether the names are there at all."""
        if not self.new:
            return self.old in self.one
        return self.other is not None and self.new in self.other and (self.old in self.one or self.is_done)

    @property
    def is_done(self) -> bool:
        """Whether a file declares what the schema has already."""
        noted = self.declaration.source != "option" and self.other is not None
        return noted and bool(self.new) and self.old not in self.one and self.new in self.one

    @property
    def crossed(self) -> bool:
        """Whether id or description of the old column are on the new one."""
        if self.other is None or not self.new or self.old not in self.one:
            return False
        return moved_on(self.one, self.other, self.old, self.new)

    @property
    def is_anchored(self) -> bool:
        """Whether a name goes or comes, or an id or a description changed hands."""
        goes = self.other is None or self.old not in self.other
        comes = bool(self.new) and self.new not in self.one
        return goes or comes or self.is_done or self.old == self.new or self.crossed

    def is_free(self, claimed: Collection[Column], freed: Collection[Column]) -> bool:
        """Tell whether every name that is on both sides is given to, or taken from, another column."""
        if self.is_done or self.old == self.new:
            return True
        table = self.declaration.table
        goes = self.other is None or self.old not in self.other
        old_is_free = goes or (table, self.old) in claimed or self.crossed or self._is_taken(self.old)
        return old_is_free and (
            not self.new or self.new not in self.one or (table, self.new) in freed or self._is_taken(self.new)
        )

    def _is_taken(self, name: str) -> bool:
        """Tell whether a name that stays was taken over by another column."""
        other = self.other
        return (
            other is not None
            and name in other
            and any(c.name != name and moved_on(self.one, other, c.name, name) for c in self.one.columns)
        )


def _names(tables: Tables) -> set[str]:
    return {table.name for table in tables}


def _renames_table(rename: DeclaredTableRename, before: Tables, after: Tables) -> bool:
    was, now = _names(before), _names(after)
    done = rename.source != "option" and rename.old not in was and rename.new in was & now
    return (rename.old in was - now and rename.new in now - was) or done


def _moves(move: DeclaredMove, before: Tables, after: Tables) -> bool:
    goes = any(
        one is not None and move.column in one and (other is None or move.column not in other)
        for one, other in _pairs(move.table, before, after)
    )
    return goes and any(
        other is not None and move.new_column in other and (one is None or move.new_column not in one)
        for one, other in _pairs(move.new_table, before, after)
    )


def check_used(declared: Declarations, schemas: Sequence[Sides]) -> None:
    """Make sure that every option says something about one of the schemas.

    One that is carried out already says it too: the same command, run again, has nothing to do.
    """
    used = {declaration.text for sides in schemas for declaration in select(declared, *sides).all()}
    for declaration in declared.all():
        if declaration.source != "option" or declaration.text in used:
            continue
        if any(_is_done(declaration, before, after) for before, after in schemas):
            continue
        named = declaration.old if isinstance(declaration, DeclaredTableRename) else declaration.table
        for before, after in schemas:
            if any(table.name == named for table in (*before, *after)):
                _explain(declaration, before, after)
        raise InputError(
            f"`{declaration.text}` matches nothing that changes",
            place="--rename",
            remedy="Check the names, and that the change is in the schema files given.",
        )


def _is_done(declaration: DeclaredMatch, before: Tables, after: Tables) -> bool:
    """Tell whether both sides stand as a rename leaves them: the new name is there, the old one is not."""
    names: set[str]
    if isinstance(declaration, DeclaredTableRename):
        return all(
            declaration.new in (names := _names(s)) and declaration.old not in names for s in (before, after)
        )
    if not isinstance(declaration, DeclaredRename) or declaration.old == declaration.new:
        return False
    sides = [
        {c.name for t in side if t.name == declaration.table for c in t.columns} for side in (before, after)
    ]
    return all(declaration.new in names and declaration.old not in names for names in sides)


def _explain(declaration: DeclaredMatch, before: Tables, after: Tables) -> None:
    """Raise what is wrong with a declaration in a schema that has its table."""
    old, new = canonical(before, "before"), canonical(after, "after")
    alone = Declarations.of([declaration])
    settled = settle_tables(alone, old, new)
    settle_columns(settled, alone, old, new, {name: name for name in old if name in new})


def _pairs(table: str, before: Tables, after: Tables) -> Iterator[Pair]:
    """Yield what a table may be on both sides; one that is gone may be any of those that are new."""
    olds, news = {t.name: t for t in before}, {t.name: t for t in after}
    if table in olds and table in news:
        yield olds[table], news[table]
    elif table in olds:
        yield olds[table], None
        yield from ((olds[table], t) for name, t in news.items() if name not in olds)
    elif table in news:
        yield None, news[table]
        yield from ((t, news[table]) for name, t in olds.items() if name not in news)
