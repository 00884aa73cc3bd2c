"""A difference between the rows of two states."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DataDifference", "shown"]

_EXAMPLE = 60


@dataclass(frozen=True)
class DataDifference:
    """Changed values of one column, by the names of the second state."""

    table: str
    column: str | None
    """None for whole rows."""
    rows: int
    before: str
    """The value in the first of these rows, shortened and escaped; ``NULL`` for none."""
    after: str
    words: str

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        return f"{where}: {self.words}"


def shown(value: str | None) -> str:
    """Return a value for display, escaped and shortened."""
    if value is None:
        return "NULL"
    return repr(value) if len(value) <= _EXAMPLE else f"{value[:_EXAMPLE]!r} and {len(value) - _EXAMPLE} more"
