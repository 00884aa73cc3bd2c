"""Check declarations against a change."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.declarations import (
    Declarations,
    DeclaredDrop,
    DeclaredMatch,
    DeclaredMove,
    DeclaredRename,
    DeclaredTableDrop,
    DeclaredTableRename,
)
from consdb_actions.migration.matching.facts import TableFacts, canonical
from consdb_actions.migration.matching.words import normalised

__all__ = ["Column", "Settled", "check_used", "moved_on", "select", "settle_columns", "settle_tables"]

_SHOWN = 8

Tables = Mapping[str, TableFacts]

Column = tuple[str, str]

"""Table and column, in the names of one side."""


@dataclass
class Settled:
    """What declarations settle. Columns on the left are names before, on the right names after the change."""

    table_renames: dict[str, DeclaredTableRename] = field(default_factory=dict)
    table_drops: dict[str, DeclaredTableDrop] = field(default_factory=dict)
    renames: dict[Column, tuple[Column, DeclaredRename | DeclaredMove]] = field(default_factory=dict)
    stays: dict[Column, DeclaredRename] = field(default_factory=dict)
    drops: dict[Column, DeclaredDrop] = field(default_factory=dict)
    moves: dict[Column, tuple[tuple[Column, DeclaredMove], ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    used: list[DeclaredMatch] = field(default_factory=list)

    @property
    def old(self) -> frozenset[Column]:
        """The columns before the change whose fate is settled."""
        return frozenset(self.renames) | frozenset(self.stays) | frozenset(self.drops) | frozenset(self.moves)

    @property
    def new(self) -> frozenset[Column]:
        """The columns after the change whose origin is settled."""
        moved = {target for targets in self.moves.values() for target, _ in targets}
        return frozenset(target for target, _ in self.renames.values()) | moved

    def skip(self, declaration: DeclaredMatch, why: str) -> None:
        """Leave out a declaration that is carried out already, unless it is an option of this very run."""
        if declaration.source == "option":
            raise _error(declaration, f"{why}, so there is nothing to do for it", "Leave the option out.")
        self.notes.append(f"`{declaration.text}` ({declaration.source}) is ignored: {why}.")


def settle_tables(declared: Declarations, before: Tables, after: Tables) -> Settled:
    """Hold the declarations about tables against the change."""
    settled = Settled()
    targets: dict[str, DeclaredTableRename] = {}
    for rename in declared.table_renames:
        if rename.old not in before and rename.new in before and rename.new in after:
            settled.skip(rename, f"`{rename.new}` has that name already")
            continue
        _need(rename, rename.old, before, "table", "before the change", gone=set(before) - set(after))
        _need(rename, rename.new, after, "table", "after the change", gone=set(after) - set(before))
        for name, side in ((rename.old, after), (rename.new, before)):
            if name in side:
                raise _error(
                    rename, f"table `{name}` exists before and after the change, so it is not renamed"
                )
        for known in (settled.table_renames.get(rename.old), targets.get(rename.new)):
            if known:
                raise _error(
                    rename, f"it contradicts `{known.text}` ({known.source})", "Keep one of the two."
                )
        settled.table_renames[rename.old] = targets[rename.new] = rename
        settled.used.append(rename)
    for drop in declared.table_drops:
        if drop.table not in before and drop.table not in after:
            settled.skip(drop, f"there is no table `{drop.table}`")
            continue
        _need(drop, drop.table, before, "table", "before the change", gone=set(before) - set(after))
        if drop.table in after:
            raise _error(drop, f"table `{drop.table}` still exists after the change")
        if drop.table in settled.table_renames:
            known = settled.table_renames[drop.table]
            raise _error(drop, f"it contradicts `{known.text}` ({known.source})", "Keep one of the two.")
        settled.table_drops[drop.table] = drop
        settled.used.append(drop)
    return settled


def settle_columns(
    settled: Settled, declared: Declarations, before: Tables, after: Tables, tables: Mapping[str, str]
) -> None:
    """Hold the declarations about columns against the change and add them to what is settled."""
    _Columns(settled, before, after, tables).settle(declared)


class _Columns:
    def __init__(self, settled: Settled, before: Tables, after: Tables, tables: Mapping[str, str]) -> None:
        self.settled, self.before, self.after, self.tables = settled, before, after, tables
        self.back = {new: old for old, new in tables.items()}
        self.origins: dict[Column, DeclaredMatch] = {}
        self.targets: dict[Column, DeclaredMatch] = {}
        self.claims: set[Column] = set()
        self.leaves: set[Column] = set()

    def settle(self, declared: Declarations) -> None:
        pairs: list[tuple[DeclaredRename | DeclaredMove, str, str, str]] = [
            (rename, self._old_table(rename, rename.table), rename.old, rename.new)
            for rename in declared.renames
        ]
        moves: list[tuple[DeclaredMove, str, Column]] = []
        for move in declared.moves:
            table, target = self._old_table(move, move.table), self._new_table(move, move.new_table)
            if self.tables.get(table) == target:
                pairs.append((move, table, move.column, move.new_column))
            else:
                moves.append((move, table, (target, move.new_column)))
        drops = [(d, self._old_table(d, d.table)) for d in declared.drop_adds]
        # What leaves a name frees it, what claims a name explains why it is still there.
        self.leaves = {(table, old) for _, table, old, new in pairs if old != new}
        self.leaves |= {(table, drop.column) for drop, table in drops}
        self.claims = {(self.tables.get(table, ""), new) for _, table, old, new in pairs if old != new}
        for pair, table, old, new in pairs:
            self._rename(pair, table, old, new)
        for drop, table in drops:
            self._drop(drop, table)
        for move, table, target_column in moves:
            self._move(move, table, target_column)

    def _old_table(self, declaration: DeclaredMatch, name: str) -> str:
        if name not in self.before and name in self.back:
            return self.back[name]
        _need(declaration, name, self.before, "table", "before the change", gone=set(self.before))
        return name

    def _new_table(self, declaration: DeclaredMatch, name: str) -> str:
        if name not in self.after and name in self.tables:
            return self.tables[name]
        _need(declaration, name, self.after, "table", "after the change", gone=set(self.after))
        return name

    def _rename(self, declaration: DeclaredRename | DeclaredMove, table: str, old: str, new: str) -> None:
        if table not in self.tables:
            raise _error(
                declaration,
                f"table `{table}` is dropped as a whole",
                f"A column of it can only move: {table}.{old}=TABLE.{new}",
            )
        one, other = self.before[table], self.after[self.tables[table]]
        if old not in one and new in one and new in other:
            self.settled.skip(declaration, f"`{table}.{new}` has that name already")
            return
        self._need_column(declaration, old, one, other, "before the change")
        self._need_column(declaration, new, other, one, "after the change")
        if old == new and isinstance(declaration, DeclaredRename):
            self._take(declaration, (table, old), (other.name, new))
            self.settled.stays[(table, old)] = declaration
            return
        if old in other and (other.name, old) not in self.claims and not moved_on(one, other, old, new):
            raise _error(
                declaration,
                f"`{table}.{old}` still exists after the change, so it is not what became `{new}`",
            )
        if new in one and (table, new) not in self.leaves:
            raise _error(
                declaration,
                f"`{table}.{new}` exists before the change already, so it would come from two columns",
                f"If that one goes, say so too: --rename {table}.{new}=",
            )
        self._take(declaration, (table, old), (other.name, new))
        self.settled.renames[(table, old)] = ((other.name, new), declaration)

    def _drop(self, drop: DeclaredDrop, table: str) -> None:
        here = self.before[table]
        there = self.after[self.tables[table]] if table in self.tables else None
        if drop.column not in here and (there is None or drop.column not in there):
            self.settled.skip(drop, f"`{table}` has no column `{drop.column}`")
            return
        self._need_column(drop, drop.column, here, there, "before the change")
        if there is not None and drop.column in there and (there.name, drop.column) not in self.claims:
            raise _error(drop, f"`{table}.{drop.column}` still exists after the change, so it is not dropped")
        self._take(drop, (table, drop.column), None)
        self.settled.drops[(table, drop.column)] = drop

    def _move(self, move: DeclaredMove, table: str, target: Column) -> None:
        here, there = self.before[table], self.after[target[0]]
        stays_in = self.after[self.tables[table]] if table in self.tables else None
        origin = self.before[self.back[target[0]]] if target[0] in self.back else None
        gone = move.column not in here and (stays_in is None or move.column not in stays_in)
        if gone and origin is not None and target[1] in origin and target[1] in there:
            self.settled.skip(move, f"`{target[0]}.{target[1]}` is there already")
            return
        self._need_column(move, move.column, here, stays_in, "before the change")
        self._need_column(move, target[1], there, origin, "after the change")
        if (
            stays_in is not None
            and move.column in stays_in
            and (stays_in.name, move.column) not in self.claims
        ):
            raise _error(move, f"`{table}.{move.column}` still exists after the change, so it does not move")
        if origin is not None and target[1] in origin and (origin.name, target[1]) not in self.leaves:
            raise _error(move, f"`{target[0]}.{target[1]}` exists before the change already")
        self._take(move, (table, move.column), target)
        known = self.settled.moves.get((table, move.column), ())
        self.settled.moves[(table, move.column)] = (*known, (target, move))

    def _need_column(
        self, declaration: DeclaredMatch, name: str, table: TableFacts, other: TableFacts | None, side: str
    ) -> None:
        names = {column.name for column in table.columns}
        changed = names - ({column.name for column in other.columns} if other else set())
        _need(declaration, name, names, f"column in `{table.name}`", side, gone=changed or names)

    def _take(self, declaration: DeclaredMatch, old: Column, new: Column | None) -> None:
        """Note that both columns are settled; only a move may share its origin with another move."""
        earlier = self.origins.get(old)
        if isinstance(declaration, DeclaredMove) and isinstance(earlier, DeclaredMove):
            earlier = None
        for known in (earlier, self.targets.get(new) if new else None):
            if known is not None:
                raise _error(
                    declaration, f"it contradicts `{known.text}` ({known.source})", "Keep one of the two."
                )
        self.origins[old] = declaration
        if new:
            self.targets[new] = declaration
        self.settled.used.append(declaration)


def moved_on(one: TableFacts, other: TableFacts, old: str, new: str) -> bool:
    """Tell whether id or description of a column stand on another one now, and no longer on its own."""
    was, found = one.column(old), other.column(new)
    namesake = other.column(old) if old in other else None
    if was.id is not None and was.id == found.id and (namesake is None or namesake.id != was.id):
        return True
    text = normalised(was.description or "")
    left = namesake is None or normalised(namesake.description or "") != text
    return bool(text) and normalised(found.description or "") == text and left


def _need(
    declaration: DeclaredMatch, name: str, known: Iterable[str], what: str, side: str, *, gone: Iterable[str]
) -> None:
    """Raise when a name does not exist, with the nearest one that does."""
    names = sorted(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, sorted(gone), n=1, cutoff=0.6) or difflib.get_close_matches(
        name, names, n=1
    )
    changed = ", ".join(f"`{name}`" for name in sorted(gone)[:_SHOWN])
    remedy = f"Did you mean `{near[0]}`?" if near else f"What changes there: {changed or 'nothing'}."
    raise _error(declaration, f"there is no {what} called `{name}` {side}", remedy)


def _error(declaration: DeclaredMatch, cause: str, remedy: str = "") -> InputError:
    return InputError(f"`{declaration.text}`: {cause}", place=declaration.source, remedy=remedy)


SideTables = Sequence[TableFacts]

Sides = tuple[SideTables, SideTables]

Pair = tuple[TableFacts | None, TableFacts | None]


def select(declared: Declarations, before: SideTables, after: SideTables) -> Declarations:
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


def _names(tables: SideTables) -> set[str]:
    return {table.name for table in tables}


def _renames_table(rename: DeclaredTableRename, before: SideTables, after: SideTables) -> bool:
    was, now = _names(before), _names(after)
    done = rename.source != "option" and rename.old not in was and rename.new in was & now
    return (rename.old in was - now and rename.new in now - was) or done


def _moves(move: DeclaredMove, before: SideTables, after: SideTables) -> bool:
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


def _is_done(declaration: DeclaredMatch, before: SideTables, after: SideTables) -> bool:
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


def _explain(declaration: DeclaredMatch, before: SideTables, after: SideTables) -> None:
    """Raise what is wrong with a declaration in a schema that has its table."""
    old, new = canonical(before, "before"), canonical(after, "after")
    alone = Declarations.of([declaration])
    settled = settle_tables(alone, old, new)
    settle_columns(settled, alone, old, new, {name: name for name in old if name in new})


def _pairs(table: str, before: SideTables, after: SideTables) -> Iterator[Pair]:
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
