"""Parse declared renames, moves, drops and sides of conflicts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from consdb_actions.errors import InputError

__all__ = [
    "Declaration",
    "Declarations",
    "DeclaredDrop",
    "DeclaredMatch",
    "DeclaredMove",
    "DeclaredRename",
    "DeclaredTableDrop",
    "DeclaredTableRename",
    "DeclaredTake",
    "FORMS",
    "TAKE_FORMS",
    "parse_declaration",
    "parse_directives",
    "parse_sidecar",
    "parse_take",
    "shorten",
]

TAKE_FORMS = "head TABLE.ELEMENT (the schema's state) or current TABLE.ELEMENT (the database's state)"

# A name may hold spaces, as names of constraints do.
_WORD = r"[\w$][\w$%:'-]*"

_PART = rf"{_WORD}(?: +{_WORD})*"

_TAKE = re.compile(rf"(?P<side>head|current)\s+(?P<element>{_PART}(?:\.{_PART}){{0,3}})", re.IGNORECASE)

_MAX_SHOWN = 80


@dataclass(frozen=True, order=True)
class DeclaredTake:
    """One side of a conflict is taken for an element.

    Attributes
    ----------
    side
        ``head``: the state of the schema after the change; ``current``: the state of the database.
    element
        Dotted: ``TABLE``, ``TABLE.COLUMN``, ``TABLE.COLUMN.ATTRIBUTE``, ``TABLE.CONSTRAINT``.
    """

    side: Literal["head", "current"]
    element: str
    source: str

    @property
    def text(self) -> str:
        """The textual form."""
        return f"{self.side} {self.element}"


def parse_take(text: str, source: str, place: str = "") -> DeclaredTake:
    """Read which side of a conflict is taken for an element."""
    match = _TAKE.fullmatch(text.strip())
    if match is None:
        place = place or ("--take" if source == "option" else source)
        raise InputError(
            f"{shorten(text)!r} does not take a side", place=place, remedy=f"The forms are {TAKE_FORMS}."
        )
    return DeclaredTake(cast(Literal["head", "current"], match["side"].lower()), match["element"], source)


def shorten(text: str) -> str:
    """Return as much of a text as an error shows."""
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


FORMS = (
    "TABLE.OLD=NEW, TABLE.OLD= (a drop), TABLE.COL=OTHER.NEW (a move), "
    "OLDTABLE=NEWTABLE or OLDTABLE= (a drop)"
)

_NAME = r"[\w$][\w$%:'-]*"

_SIDE = re.compile(rf"(?P<table>{_NAME})(?:\.(?P<column>{_NAME}))?")

_DIRECTIVE = re.compile(r"\s*(?:[-*]\s+)?`?consdb:\s*(?P<verb>rename|take)\b(?P<rest>.*)", re.IGNORECASE)

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


@dataclass(frozen=True, order=True)
class DeclaredRename:
    """A column is renamed; with ``old`` and ``new`` the same, it stays what it is."""

    table: str
    old: str
    new: str
    source: str

    @property
    def text(self) -> str:
        """The textual form."""
        return f"{self.table}.{self.old}={self.new}"


@dataclass(frozen=True, order=True)
class DeclaredDrop:
    """A column is dropped, and nothing that is new continues it."""

    table: str
    column: str
    source: str

    @property
    def text(self) -> str:
        """The textual form."""
        return f"{self.table}.{self.column}="


@dataclass(frozen=True, order=True)
class DeclaredMove:
    """A column's values move to another table."""

    table: str
    column: str
    new_table: str
    new_column: str
    source: str

    @property
    def text(self) -> str:
        """The textual form."""
        return f"{self.table}.{self.column}={self.new_table}.{self.new_column}"


@dataclass(frozen=True, order=True)
class DeclaredTableRename:
    """A table is renamed."""

    old: str
    new: str
    source: str

    @property
    def text(self) -> str:
        """The textual form."""
        return f"{self.old}={self.new}"


@dataclass(frozen=True, order=True)
class DeclaredTableDrop:
    """A table is dropped, and nothing that is new continues it."""

    table: str
    source: str

    @property
    def text(self) -> str:
        """The textual form."""
        return f"{self.table}="


DeclaredMatch = DeclaredRename | DeclaredDrop | DeclaredMove | DeclaredTableRename | DeclaredTableDrop

"""What says which element of the schema before the change is which after it."""

Declaration = DeclaredMatch | DeclaredTake

_STRENGTH = ("option", "pull request", "sidecar file")


@dataclass(frozen=True)
class Declarations:
    """Everything that was declared, in any order."""

    renames: tuple[DeclaredRename, ...] = ()
    drop_adds: tuple[DeclaredDrop, ...] = ()
    moves: tuple[DeclaredMove, ...] = ()
    table_renames: tuple[DeclaredTableRename, ...] = ()
    table_drops: tuple[DeclaredTableDrop, ...] = ()
    takes: tuple[DeclaredTake, ...] = ()

    @classmethod
    def of(cls, declarations: Iterable[Declaration]) -> Declarations:
        """Collect declarations; what is said twice counts once, under the nearest source.

        An option is nearer than a pull request, that nearer than a sidecar file. Of an element, the nearest
        source says which side is taken.

        Raises
        ------
        InputError
            When one source takes both sides of an element.
        """
        nearest: dict[str, Declaration] = {}
        for declaration in sorted(declarations, key=lambda d: (_rank(d.source), d.source, d.text)):
            if isinstance(declaration, DeclaredTake):
                _check_side(declaration, nearest.setdefault(f"take {declaration.element}", declaration))
            else:
                nearest.setdefault(declaration.text, declaration)
        found = [nearest[text] for text in sorted(nearest)]
        return cls(
            tuple(d for d in found if isinstance(d, DeclaredRename)),
            tuple(d for d in found if isinstance(d, DeclaredDrop)),
            tuple(d for d in found if isinstance(d, DeclaredMove)),
            tuple(d for d in found if isinstance(d, DeclaredTableRename)),
            tuple(d for d in found if isinstance(d, DeclaredTableDrop)),
            tuple(d for d in found if isinstance(d, DeclaredTake)),
        )

    def all(self) -> tuple[DeclaredMatch, ...]:
        """Return every declaration but the sides taken, tables first."""
        return (*self.table_renames, *self.table_drops, *self.renames, *self.drop_adds, *self.moves)


def parse_declaration(text: str, source: str, place: str = "") -> DeclaredMatch:
    """Read one declaration.

    Parameters
    ----------
    text
        One of the forms above; blanks around names do not matter.
    source
        ``option``, ``pull request`` or ``sidecar file``.
    place
        Where it stands, for the error; the source when empty, or its option.

    Raises
    ------
    InputError
        When it has none of the forms.
    """
    place = place or ("--rename" if source == "option" else source)
    left, equals, right = text.partition("=")
    old = _SIDE.fullmatch(left.strip())
    new = _SIDE.fullmatch(right.strip()) if right.strip() else None
    if not equals or old is None or (right.strip() and new is None):
        raise InputError(
            f"{shorten(text)!r} does not declare a rename", place=place, remedy=f"The forms are {FORMS}."
        )
    table, column = old["table"], old["column"]
    if new is None:
        return DeclaredDrop(table, column, source) if column else DeclaredTableDrop(table, source)
    if not column and not new["column"]:
        if table == new["table"]:
            raise InputError(
                f"{text.strip()!r} renames a table to itself", place=place, remedy="Leave it out."
            )
        return DeclaredTableRename(table, new["table"], source)
    if not column:
        raise InputError(
            f"{text.strip()!r} has a table on one side and a column on the other",
            place=place,
            remedy=f"The forms are {FORMS}.",
        )
    if not new["column"]:
        return DeclaredRename(table, column, new["table"], source)
    if table == new["table"]:
        return DeclaredRename(table, column, new["column"], source)
    return DeclaredMove(table, column, new["table"], new["column"], source)


def parse_directives(text: str, source: str = "pull request", place: str = "") -> tuple[Declaration, ...]:
    """Read the lines ``consdb: rename …`` and ``consdb: take …`` of a text; HTML comments do not count.

    Raises
    ------
    InputError
        When what follows has none of the forms of its verb.
    """
    parse = {"rename": parse_declaration, "take": parse_take}
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

    Raises
    ------
    InputError
        When a line has none of the forms.
    """
    return tuple(
        parse_declaration(bare, source, _line(place, source, number))
        for number, line in enumerate(text.splitlines(), start=1)
        if (bare := line.partition("#")[0].strip())
    )


def _check_side(take: DeclaredTake, nearest: Declaration) -> None:
    """Raise when the same source takes the other side of the element."""
    if nearest.source == take.source and nearest.text != take.text:
        raise InputError(
            f"both sides are taken of {take.element}",
            place="--take" if take.source == "option" else take.source,
            remedy=f"Keep one of `take {nearest.text}` and `take {take.text}`.",
        )


def _line(place: str, source: str, number: int) -> str:
    """Return where a line stands: in a file, when its path is given as ``place``."""
    return f"{place}:{number}" if place else f"{source}, line {number}"


def _rank(source: str) -> int:
    return _STRENGTH.index(source) if source in _STRENGTH else len(_STRENGTH)
