"""Declared renames, moves, drops and sides of conflicts: parse them, and check them against a change."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.facts import TableFacts, canonical
from consdb_actions.migration.matching.words import normalised

__all__ = [
    "Column",
    "Declaration",
    "Declarations",
    "DeclaredMatch",
    "DeclaredTake",
    "Settled",
    "check_used",
    "parse_declaration",
    "parse_directives",
    "parse_sidecar",
    "parse_take",
    "select",
    "settle_columns",
    "settle_tables",
]

Tables = Mapping[str, TableFacts]
SideTables = Sequence[TableFacts]
Column = tuple[str, str]
"""Table and column, in the names of one side."""

_FORMS = (
    "TABLE.OLD=NEW, TABLE.OLD= (a drop), TABLE.COL=OTHER.NEW (a move), "
    "OLDTABLE=NEWTABLE or OLDTABLE= (a drop)"
)
_TAKE_FORMS = "head TABLE.ELEMENT (the schema's state) or current TABLE.ELEMENT (the database's state)"
_STRENGTH = ("option", "pull request", "sidecar file")
_MAX_SHOWN = 80
_SHOWN = 8

_NAME = r"[\w$][\w$%:'-]*"
_SIDE = re.compile(rf"(?P<table>{_NAME})(?:\.(?P<column>{_NAME}))?")
# A name may hold spaces, as names of constraints do.
_PART = rf"{_NAME}(?: +{_NAME})*"
_TAKE = re.compile(rf"(?P<side>head|current)\s+(?P<element>{_PART}(?:\.{_PART}){{0,3}})", re.IGNORECASE)
_DIRECTIVE = re.compile(r"\s*(?:[-*]\s+)?`?consdb:\s*(?P<verb>rename|take)\b(?P<rest>.*)", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


@dataclass(frozen=True, order=True)
class DeclaredTake:
    """One side of a conflict is taken for an element.

    ``head`` is the state of the schema after the change, ``current`` that of the database; the element is
    dotted: ``TABLE``, ``TABLE.COLUMN``, ``TABLE.COLUMN.ATTRIBUTE`` or ``TABLE.CONSTRAINT``.
    """

    side: Literal["head", "current"]
    element: str
    source: str

    @property
    def text(self) -> str:
        """The textual form."""
        return f"{self.side} {self.element}"


@dataclass(frozen=True)
class DeclaredMatch:
    """What becomes of a column, or of a table where ``column`` is empty; nothing where ``new_table`` is."""

    table: str
    column: str
    new_table: str
    new_column: str
    source: str

    @property
    def stays(self) -> bool:
        """Whether a column remains what it is."""
        return bool(self.column) and (self.table, self.column) == (self.new_table, self.new_column)

    @property
    def text(self) -> str:
        """The textual form."""
        if not self.column:
            return f"{self.table}={self.new_table}"
        moved = f"{self.new_table}." if self.new_table not in ("", self.table) else ""
        return f"{self.table}.{self.column}={moved}{self.new_column}"

    @property
    def meaning(self) -> str:
        """The meaning, in a sentence."""
        what = f"`{self.table}.{self.column}`" if self.column else f"table `{self.table}`"
        if self.stays:
            return f"{what} stays what it is"
        if not self.new_table:
            return f"{what} is dropped and nothing continues it"
        if self.column and self.new_table != self.table:
            return f"{what} moves to `{self.new_table}.{self.new_column}`"
        return f"{what} is renamed to `{self.new_column or self.new_table}`"


Declaration = DeclaredMatch | DeclaredTake


@dataclass(frozen=True)
class Declarations:
    """Everything that was declared, in any order."""

    matches: tuple[DeclaredMatch, ...] = ()
    takes: tuple[DeclaredTake, ...] = ()

    @classmethod
    def of(cls, declarations: Iterable[Declaration]) -> Declarations:
        """Collect declarations; of one that is given twice, and of an element, the nearest source counts.

        An option is nearer than a pull request, that nearer than a sidecar file. InputError when one source
        takes both sides of an element.
        """
        nearest: dict[str, Declaration] = {}
        for declaration in sorted(declarations, key=lambda d: (_rank(d.source), d.source, d.text)):
            if isinstance(declaration, DeclaredMatch):
                nearest.setdefault(declaration.text, declaration)
                continue
            known = nearest.setdefault(f"take {declaration.element}", declaration)
            if known.source == declaration.source and known.text != declaration.text:
                raise InputError(
                    f"both sides are taken of {declaration.element}",
                    place="--take" if declaration.source == "option" else declaration.source,
                    remedy=f"Keep one of `take {known.text}` and `take {declaration.text}`.",
                )
        found = [nearest[text] for text in sorted(nearest)]
        return cls(
            tuple(d for d in found if isinstance(d, DeclaredMatch)),
            tuple(d for d in found if isinstance(d, DeclaredTake)),
        )


def _rank(source: str) -> int:
    return _STRENGTH.index(source) if source in _STRENGTH else len(_STRENGTH)


def parse_take(text: str, source: str, place: str = "") -> DeclaredTake:
    """Read which side of a conflict is taken for an element."""
    match = _TAKE.fullmatch(text.strip())
    if match is None:
        place = place or ("--take" if source == "option" else source)
        cause = f"{_shorten(text)!r} does not take a side"
        raise InputError(cause, place=place, remedy=f"The forms are {_TAKE_FORMS}.")
    return DeclaredTake(cast(Literal["head", "current"], match["side"].lower()), match["element"], source)


def parse_declaration(text: str, source: str, place: str = "") -> DeclaredMatch:
    """Read one declaration; InputError with its ``place`` when it has none of the forms."""
    left, equals, right = text.partition("=")
    old, new = _SIDE.fullmatch(left.strip()), _SIDE.fullmatch(right.strip())
    cause = ""
    if not equals or old is None or (right.strip() and new is None):
        cause = f"{_shorten(text)!r} does not declare a rename"
    elif not old["column"] and new and new["column"]:
        cause = f"{text.strip()!r} has a table on one side and a column on the other"
    elif not old["column"] and new and old["table"] == new["table"]:
        cause = f"{text.strip()!r} renames a table to itself"
    if cause or old is None:
        place = place or ("--rename" if source == "option" else source)
        raise InputError(cause, place=place, remedy=f"The forms are {_FORMS}.")
    table, column = old["table"], old["column"] or ""
    if new is None:
        return DeclaredMatch(table, column, "", "", source)
    if column and not new["column"]:
        return DeclaredMatch(table, column, table, new["table"], source)
    return DeclaredMatch(table, column, new["table"], new["column"] or "", source)


def parse_directives(text: str, source: str = "pull request", place: str = "") -> tuple[Declaration, ...]:
    """Read the lines ``consdb: rename …`` and ``consdb: take …`` of a text; HTML comments do not count.

    InputError when what follows has none of the forms of its verb.
    """
    parse: dict[str, Callable[[str, str, str], Declaration]] = {
        "rename": parse_declaration,
        "take": parse_take,
    }
    # Comments keep their line breaks, so that line numbers stay true.
    bare = _COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    return tuple(
        parse[match["verb"].lower()](
            match["rest"].strip().removesuffix("`"), source, _line(place, source, number)
        )
        for number, line in enumerate(bare.splitlines(), start=1)
        if (match := _DIRECTIVE.fullmatch(line))
    )


def parse_sidecar(text: str, source: str = "sidecar file", place: str = "") -> tuple[DeclaredMatch, ...]:
    """Read a file of declarations, one a line; blank lines and what follows a ``#`` do not count.

    InputError when a line has none of the forms.
    """
    return tuple(
        parse_declaration(bare, source, _line(place, source, number))
        for number, line in enumerate(text.splitlines(), start=1)
        if (bare := line.partition("#")[0].strip())
    )


def _line(place: str, source: str, number: int) -> str:
    """Return where a line stands: in a file, when its path is given as ``place``."""
    return f"{place}:{number}" if place else f"{source}, line {number}"


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


@dataclass
class Settled:
    """What declarations settle. Columns on the left are names before, on the right names after the change."""

    tables: dict[str, DeclaredMatch] = field(default_factory=dict)
    renames: dict[Column, tuple[Column, DeclaredMatch]] = field(default_factory=dict)
    stays: dict[Column, DeclaredMatch] = field(default_factory=dict)
    drops: dict[Column, DeclaredMatch] = field(default_factory=dict)
    moves: dict[Column, tuple[tuple[Column, DeclaredMatch], ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    used: list[DeclaredMatch] = field(default_factory=list)

    @property
    def old(self) -> frozenset[Column]:
        """The columns before the change whose fate is settled."""
        return frozenset((*self.renames, *self.stays, *self.drops, *self.moves))

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
    """Check the declarations about tables against the change."""
    settled = Settled()
    gone, come = set(before) - set(after), set(after) - set(before)
    targets: dict[str, DeclaredMatch] = {}
    for found in declared.matches:
        old, new = found.table, found.new_table
        if found.column:
            continue
        if old not in before and (new in before and new in after if new else old not in after):
            settled.skip(found, f"`{new}` has that name already" if new else f"there is no table `{old}`")
            continue
        _need(found, old, before, "table", "before the change", gone=gone)
        if new:
            _need(found, new, after, "table", "after the change", gone=come)
        if not new and old in after:
            raise _error(found, f"table `{old}` still exists after the change")
        for name, side in ((old, after), (new, before)):
            if name in side:
                cause = f"table `{name}` exists before and after the change, so it is not renamed"
                raise _error(found, cause)
        _refuse_both(found, settled.tables.get(old), targets.get(new))
        settled.tables[old] = found
        if new:
            targets[new] = found
        settled.used.append(found)
    return settled


def settle_columns(
    settled: Settled, declared: Declarations, before: Tables, after: Tables, tables: Mapping[str, str]
) -> None:
    """Check the declarations about columns against the change and add them to what is settled."""
    _Columns(settled, before, after, tables).settle([d for d in declared.matches if d.column])


class _Columns:
    def __init__(self, settled: Settled, before: Tables, after: Tables, tables: Mapping[str, str]) -> None:
        self.settled, self.before, self.after, self.tables = settled, before, after, tables
        self.back = {new: old for old, new in tables.items()}
        self.origins: dict[Column, tuple[DeclaredMatch, bool]] = {}
        self.targets: dict[Column, DeclaredMatch] = {}

    def settle(self, declared: Sequence[DeclaredMatch]) -> None:
        ends = [(found, self._old_table(found), self._new_table(found)) for found in declared]
        within = [(d, old) for d, old, new in ends if not d.stays and self.tables.get(old, "") == new]
        # What leaves a name frees it, what claims a name explains why it is still there.
        self.claims = {(self.tables[old], d.new_column) for d, old in within if old in self.tables}
        self.leaves = {(old, d.column) for d, old in within}
        self.leaves |= {(old, d.column) for d, old, new in ends if not new}
        for found, old, new in ends:
            self._settle(found, old, new)

    def _old_table(self, found: DeclaredMatch) -> str:
        if found.table not in self.before and found.table in self.back:
            return self.back[found.table]
        _need(found, found.table, self.before, "table", "before the change", gone=set(self.before))
        return found.table

    def _new_table(self, found: DeclaredMatch) -> str:
        name = found.new_table
        if name == found.table:
            old = self._old_table(found)
            if old in self.tables:
                return self.tables[old]
            remedy = f"A column of it can only move: {old}.{found.column}=TABLE.{found.new_column}"
            raise _error(found, f"table `{old}` is dropped as a whole", remedy)
        if name not in self.after and name in self.tables:
            return self.tables[name]
        if name:
            _need(found, name, self.after, "table", "after the change", gone=set(self.after))
        return name

    def _settle(self, found: DeclaredMatch, table: str, target: str) -> None:
        column, new = found.column, found.new_column
        here, there = self.before[table], self.after.get(self.tables.get(table, ""))
        goal, origin = self.after.get(target), self.before.get(self.back.get(target, ""))
        move = goal is not there and goal is not None
        if column not in here and (there is None or column not in there or not move):
            if goal is None and (there is None or column not in there):
                self.settled.skip(found, f"`{table}` has no column `{column}`")
                return
            if goal is not None and origin is not None and new in goal and new in origin:
                self.settled.skip(found, f"`{target}.{new}` is there already")
                return
        self._need_column(found, column, here, there, "before the change")
        if goal is not None:
            self._need_column(found, new, goal, origin, "after the change")
        if found.stays:
            self._take(found, (table, column), (target, new))
            self.settled.stays[table, column] = found
            return
        claimed = there is None or column not in there or (there.name, column) in self.claims
        if there is not None and not claimed and (move or not new or not _crossed(here, there, column, new)):
            why = "does not move" if move else f"is not what became `{new}`" if new else "is not dropped"
            raise _error(found, f"`{table}.{column}` still exists after the change, so it {why}")
        if origin is not None and new in origin and (origin.name, new) not in self.leaves:
            raise _error(
                found,
                f"`{origin.name}.{new}` exists before the change already, so it would come from two columns",
                f"If that one goes, say so too: --rename {origin.name}.{new}=",
            )
        self._take(found, (table, column), (target, new) if goal is not None else None, move=move)
        if goal is None:
            self.settled.drops[table, column] = found
        elif move:
            known = self.settled.moves.get((table, column), ())
            self.settled.moves[table, column] = (*known, ((target, new), found))
        else:
            self.settled.renames[table, column] = ((target, new), found)

    def _need_column(
        self, found: DeclaredMatch, name: str, table: TableFacts, other: TableFacts | None, side: str
    ) -> None:
        names = {column.name for column in table.columns}
        changed = names - ({column.name for column in other.columns} if other else set())
        _need(found, name, names, f"column in `{table.name}`", side, gone=changed or names)

    def _take(self, found: DeclaredMatch, old: Column, new: Column | None, *, move: bool = False) -> None:
        """Note that both columns are settled; only a move may share its origin with another move."""
        earlier, moves = self.origins.get(old, (None, False))
        _refuse_both(found, None if move and moves else earlier, self.targets.get(new) if new else None)
        self.origins[old] = found, move
        if new:
            self.targets[new] = found
        self.settled.used.append(found)


def _refuse_both(found: DeclaredMatch, *others: DeclaredMatch | None) -> None:
    for known in others:
        if known is not None:
            raise _error(found, f"it contradicts `{known.text}` ({known.source})", "Keep one of the two.")


def _crossed(one: TableFacts, other: TableFacts, old: str, new: str) -> bool:
    """Tell whether id or description of a column stand on another one now, and no longer on its own."""
    was, found = one.column(old), other.column(new)
    namesake = other.column(old) if old in other else None
    if was.id is not None and was.id == found.id and (namesake is None or namesake.id != was.id):
        return True
    text = normalised(was.description or "")
    left = namesake is None or normalised(namesake.description or "") != text
    return bool(text) and normalised(found.description or "") == text and left


def _need(
    found: DeclaredMatch, name: str, known: Iterable[str], what: str, side: str, *, gone: Iterable[str]
) -> None:
    """Raise when a name does not exist, with the nearest one that does."""
    names = sorted(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, sorted(gone), n=1) or difflib.get_close_matches(name, names, n=1)
    changed = ", ".join(f"`{name}`" for name in sorted(gone)[:_SHOWN])
    remedy = f"Did you mean `{near[0]}`?" if near else f"What changes there: {changed or 'nothing'}."
    raise _error(found, f"there is no {what} called `{name}` {side}", remedy)


def _error(found: DeclaredMatch, cause: str, remedy: str = "") -> InputError:
    return InputError(f"`{found.text}`: {cause}", place=found.source, remedy=remedy)


def select(declared: Declarations, before: SideTables, after: SideTables) -> Declarations:
    """Select the declarations that are about this change of a schema.

    One is when both its ends are there and change: what is to go goes, what is to come comes. A name that is
    on both sides counts where its id or description changed hands, or where another declaration frees or
    claims it. What a pull request or a sidecar file declares is selected too where it is carried out already.
    """
    was, now = ({table.name for table in side} for side in (before, after))
    found: list[DeclaredMatch] = []
    names: list[_Name] = []
    for d in declared.matches:
        old, new, noted = d.table, d.new_table, d.source != "option"
        if not d.column:
            done = noted and bool(new) and old not in was and new in was & now
            if done or (old in was - now and (not new or new in now - was)):
                found.append(d)
        elif new in ("", old):
            names += [
                name
                for one, other in _pairs(old, before, after)
                if one is not None and (name := _Name(d, one, other)).fits
            ]
        elif _leaves(d.column, _pairs(old, before, after)) and _leaves(
            d.new_column, ((other, one) for one, other in _pairs(new, before, after))
        ):
            found.append(d)
    while True:
        claimed = {(name.declaration.table, name.new) for name in names}
        freed = {(name.declaration.table, name.old) for name in names}
        free = [name for name in names if name.is_free(claimed, freed)]
        if len(free) == len(names):
            break
        names = free
    # A circle of names that nothing but the declarations supports may be meant for another schema.
    tables = {name.declaration.table for name in names if name.is_anchored}
    found += [name.declaration for name in names if name.declaration.table in tables]
    return Declarations.of([*found, *declared.takes])


def _leaves(column: str, pairs: Iterable[tuple[TableFacts | None, TableFacts | None]]) -> bool:
    """Tell whether the first of two tables has a column that the second has not."""
    return any(one is not None and column in one and (two is None or column not in two) for one, two in pairs)


@dataclass(frozen=True)
class _Name:
    """A declared rename or drop of a column, with a table before and what it may be after."""

    declaration: DeclaredMatch
    one: TableFacts
    other: TableFacts | None

    @property
    def old(self) -> str:
        return self.declaration.column

    @property
    def new(self) -> str:
        return self.declaration.new_column

    @property
    def goes(self) -> bool:
        return self.other is None or self.old not in self.other

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
        there = self.other is not None and bool(self.new) and self.old in self.one
        return there and self.other is not None and _crossed(self.one, self.other, self.old, self.new)

    @property
    def is_anchored(self) -> bool:
        """Whether a name goes or comes, or an id or a description changed hands."""
        comes = bool(self.new) and self.new not in self.one
        return self.goes or comes or self.is_done or self.declaration.stays or self.crossed

    def is_free(self, claimed: Collection[Column], freed: Collection[Column]) -> bool:
        """Tell whether every name that is on both sides is given to, or taken from, another column."""
        if self.is_done or self.declaration.stays:
            return True
        table = self.declaration.table
        old_is_free = self.goes or (table, self.old) in claimed or self.crossed or self._is_taken(self.old)
        return old_is_free and (
            not self.new or self.new not in self.one or (table, self.new) in freed or self._is_taken(self.new)
        )

    def _is_taken(self, name: str) -> bool:
        """Tell whether a name that stays was taken over by another column."""
        other = self.other
        return (
            other is not None
            and name in other
            and any(c.name != name and _crossed(self.one, other, c.name, name) for c in self.one.columns)
        )


def check_used(declared: Declarations, schemas: Sequence[tuple[SideTables, SideTables]]) -> None:
    """Make sure that every option is about one of the schemas, or carried out in one already."""
    used = {found.text for sides in schemas for found in select(declared, *sides).matches}
    for found in declared.matches:
        if (
            found.source != "option"
            or found.text in used
            or any(all(_has_new_name(found, side) for side in sides) for sides in schemas)
        ):
            continue
        for before, after in schemas:
            if any(table.name == found.table for table in (*before, *after)):
                # Raise what is wrong with it in a schema that has its table.
                old, new = canonical(before, "before"), canonical(after, "after")
                alone = Declarations.of([found])
                tables = {name: name for name in old if name in new}
                settle_columns(settle_tables(alone, old, new), alone, old, new, tables)
        raise InputError(
            f"`{found.text}` matches nothing that changes",
            place="--rename",
            remedy="Check the names, and that the change is in the schema files given.",
        )


def _has_new_name(found: DeclaredMatch, side: SideTables) -> bool:
    """Tell whether a side is as a rename leaves it: the new name is there, the old one is not."""
    if not found.column:
        names, old, new = {table.name for table in side}, found.table, found.new_table
    else:
        names = {c.name for t in side if t.name == found.table for c in t.columns}
        old, new = found.column, found.new_column if found.new_table == found.table else ""
    return bool(new) and new in names and old not in names


def _pairs(
    table: str, before: SideTables, after: SideTables
) -> Iterator[tuple[TableFacts | None, TableFacts | None]]:
    """Yield what a table may be on both sides; one that is gone may be any of those that are new."""
    olds, news = {t.name: t for t in before}, {t.name: t for t in after}
    if table in olds:
        yield olds[table], news.get(table)
    if table in olds and table not in news:
        yield from ((olds[table], t) for name, t in news.items() if name not in olds)
    elif table in news and table not in olds:
        yield None, news[table]
        yield from ((t, news[table]) for name, t in olds.items() if name not in news)
