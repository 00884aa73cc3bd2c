"""Where a column stands among the columns that keep their name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

__all__ = ["Place", "closeness", "places"]


@dataclass(frozen=True)
class Place:
    """The gap that a column stands in: between two kept columns, and as which of how many.

    ``after`` and ``until`` are empty at the start and at the end of the table.
    """

    after: str
    until: str
    rank: int
    size: int


def places(order: Sequence[str], kept: Collection[str]) -> dict[str, Place]:
    """Say for every column that is not kept in which gap it stands."""
    found: dict[str, Place] = {}
    gap: list[str] = []
    previous = ""
    for name in (*order, ""):
        if name and name not in kept:
            gap.append(name)
            continue
        for rank, member in enumerate(gap):
            found[member] = Place(previous, name, rank, len(gap))
        gap, previous = [], name
    return found


def closeness(old: Place, new: Place) -> float:
    """Say how well two places agree: 1 the same place of the same gap, 0 elsewhere."""
    shared = (old.after == new.after) + (old.until == new.until)
    if not shared:
        return 0.0
    if old.size == new.size:
        distance = float(abs(old.rank - new.rank))
    else:
        # The gaps differ in length: the place from the front or from the back may be the one that was kept.
        from_front = abs(old.rank - new.rank)
        from_back = abs((old.size - old.rank) - (new.size - new.rank))
        distance = float(min(from_front, from_back))
    return shared / 2 / (1 + distance / 2)
