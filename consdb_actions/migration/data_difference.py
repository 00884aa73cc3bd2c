"""One disagreement between the rows of two states."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DataDifference", "shown"]

_EXAMPLE = 60


@dataclass(frozen=True)
class DataDifference:
    """Values of one column that are not what they were.

    Attributes
    ----------
    table, column
        Where, in the names of the second state; ``column`` is None when whole rows are meant.
    rows
        How many rows.
    before, after
        The value in the first of these rows, shortened and escaped; ``NULL`` for none.
    words
        What happened.
    """

    table: str
    column: str | None
    rows: int
    before: str
    after: str
    words: str

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        return f"{where}: {self.words}"


def shown(value: str | None) -> str:
    """Return a value for a reader: escaped, and shortened where it is long."""
    if value is None:
        return "NULL"
    return repr(value) if len(value) <= _EXAMPLE else f"{value[:_EXAMPLE]!r} and {len(value) - _EXAMPLE} more"
