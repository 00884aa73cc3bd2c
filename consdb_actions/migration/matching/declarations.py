"""Declared renames, moves, drops and sides of conflicts: parse them, and check them against a change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, cast

from rapidfuzz import fuzz, process

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.facts import TableFacts
from consdb_actions.migration.matching.similarity import normalised

Tables = Mapping[str, TableFacts]
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
class SettledNames:
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
            raise UnfitError(declaration, f"{why}, so there is nothing to do for it", "Leave the option out.")
        self.notes.append(f"`{declaration.text}` ({declaration.source}) is ignored: {why}.")


class UnfitError(InputError):
    """A declaration does not fit the change; it may be meant for another schema."""

    def __init__(self, found: DeclaredMatch, cause: str, remedy: str = "") -> None:
        super().__init__(f"`{found.text}`: {cause}", place=found.source, remedy=remedy)
        self.declaration = found


@contextmanager
def _collecting(unfit: list[DeclaredMatch] | None) -> Iterator[None]:
    """Collect declarations that do not fit; without a list, raise the error."""
    try:
        yield
    except UnfitError as error:
        if unfit is None:
            raise
        unfit.append(error.declaration)


def settle_tables(
    declared: Declarations, before: Tables, after: Tables, unfit: list[DeclaredMatch] | None = None
) -> SettledNames:
    """Check the declarations about tables against the change."""
    settled = SettledNames()
    for found in declared.matches:
        if not found.column:
            with _collecting(unfit):
                _settle_table(settled, found, before, after)
    return settled


def _settle_table(settled: SettledNames, found: DeclaredMatch, before: Tables, after: Tables) -> None:
    old, new = found.table, found.new_table
    if old not in before and (new in before and new in after if new else old not in after):
        settled.skip(found, f"`{new}` has that name already" if new else f"there is no table `{old}`")
        return
    _need(found, old, before, "table", "before the change", gone=set(before) - set(after))
    if new:
        _need(found, new, after, "table", "after the change", gone=set(after) - set(before))
    elif old in after:
        raise UnfitError(found, f"table `{old}` still exists after the change")
    for name, side in ((old, after), (new, before)):
        if name in side:
            cause = f"table `{name}` exists before and after the change, so it is not renamed"
            raise UnfitError(found, cause)
    same = [d for d in settled.tables.values() if d.table == old or (new and d.new_table == new)]
    _refuse_both(found, *same)
    settled.tables[old] = found
    settled.used.append(found)


def settle_columns(
    settled: SettledNames,
    declared: Declarations,
    before: Tables,
    after: Tables,
    tables: Mapping[str, str],
    unfit: list[DeclaredMatch] | None = None,
) -> None:
    """Check the declarations about columns against the change and add them to what is settled."""
    columns = _Columns(settled, before, after, tables)
    ends: list[tuple[DeclaredMatch, str, str]] = []
    for found in declared.matches:
        if found.column:
            with _collecting(unfit):
                ends.append((found, *columns.ends(found)))
    columns.free_names(ends)
    for found, old, new in ends:
        with _collecting(unfit):
            columns.settle(found, old, new)


class _Columns:
    def __init__(
        self, settled: SettledNames, before: Tables, after: Tables, tables: Mapping[str, str]
    ) -> None:
        self.settled, self.before, self.after, self.tables = settled, before, after, tables
        self.back = {new: old for old, new in tables.items()}
        self.origins: dict[Column, tuple[DeclaredMatch, bool]] = {}
        self.targets: dict[Column, DeclaredMatch] = {}

    def free_names(self, ends: Sequence[tuple[DeclaredMatch, str, str]]) -> None:
        """Note which names are free: what leaves a name frees it, what claims one explains why it stays."""
        within = [(d, old) for d, old, new in ends if not d.stays and self.tables.get(old, "") == new]
        self.claims = {(self.tables[old], d.new_column) for d, old in within if old in self.tables}
        self.leaves = {(old, d.column) for d, old in within}
        self.leaves |= {(old, d.column) for d, old, new in ends if not new}

    def ends(self, found: DeclaredMatch) -> tuple[str, str]:
        """Return the two tables of a declaration, in the names of their sides."""
        return self._old_table(found), self._new_table(found)

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
            raise UnfitError(found, f"table `{old}` is dropped as a whole", remedy)
        if name not in self.after and name in self.tables:
            return self.tables[name]
        if name:
            _need(found, name, self.after, "table", "after the change", gone=set(self.after))
        return name

    def settle(self, found: DeclaredMatch, table: str, target: str) -> None:
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
        if there is not None and not claimed and (move or not new or not crossed(here, there, column, new)):
            why = "does not move" if move else f"is not what became `{new}`" if new else "is not dropped"
            raise UnfitError(found, f"`{table}.{column}` still exists after the change, so it {why}")
        if origin is not None and new in origin and (origin.name, new) not in self.leaves:
            raise UnfitError(
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
        if name in table:
            return
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
            cause = f"`{found.text}`: it contradicts `{known.text}` ({known.source})"
            raise InputError(cause, place=found.source, remedy="Keep one of the two.")


def crossed(one: TableFacts, other: TableFacts, old: str, new: str) -> bool:
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
    near = None
    for choices in (sorted(gone), names):
        near = near or process.extractOne(name, choices, scorer=fuzz.ratio, score_cutoff=60)
    changed = ", ".join(f"`{name}`" for name in sorted(gone)[:_SHOWN])
    remedy = (
        f"Did you mean `{near[0]}`?" if near is not None else f"What changes there: {changed or 'nothing'}."
    )
    raise UnfitError(found, f"there is no {what} called `{name}` {side}", remedy)
