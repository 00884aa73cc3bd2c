"""Which side of a conflict is taken for an element: the schema's or the database's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from consdb_actions.errors import InputError

__all__ = ["TAKE_FORMS", "DeclaredTake", "parse_take", "shorten"]

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
