"""Chains of columns whose meaning moved on by one name.

When ``temp_1, temp_2, temp_3`` become ``temp_2, temp_3, temp_4``, the names say that one column went and one
came. The descriptions tell: each column now has that of the one before it. Such a chain from a column that is
gone to one that is new is asked about. A circle is not: two descriptions that change places are as likely a
mistake that was put right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from consdb_actions.migration.matching.evidence import TablePair
from consdb_actions.migration.matching.facts import ColumnFacts
from consdb_actions.migration.matching.links import Link
from consdb_actions.migration.matching.types import type_fit
from consdb_actions.migration.matching.words import normalised

__all__ = ["shifted"]

_WEIGHT = 110
"""More than any likeness, less than an id."""


def shifted(pair: TablePair) -> tuple[Link, ...]:
    """Find the chains in a table.

    Parameters
    ----------
    pair
        The table before and after.

    Returns
    -------
    tuple of Link
        One for each step of a chain; no step is certain.
    """
    before, after = _by_text(pair.before.columns), _by_text(pair.after.columns)
    successor = {
        old.name: after[text]
        for text, old in before.items()
        if text in after and type_fit(old.type, after[text].type) != "incompatible"
    }
    links: list[Link] = []
    for start in pair.dropped:
        chain: list[Link] = []
        old = start
        while old.name in successor and len(chain) <= len(successor):
            new = successor[old.name]
            chain.append(
                Link(
                    old,
                    new,
                    _WEIGHT,
                    (f"`{new.name}` has the description that `{old.name}` had, one step of a chain of such",),
                    old_stays=old.name in pair.kept,
                    new_stays=new.name in pair.kept,
                )
            )
            if new.name not in pair.kept:
                break
            old = pair.before.column(new.name)
        if len(chain) > 1 and not chain[-1].new_stays:
            links += chain
    return tuple(links)


def _by_text(columns: Iterable[ColumnFacts]) -> dict[str, ColumnFacts]:
    """Index columns by a description that no other column of that side has."""
    found: dict[str, list[ColumnFacts]] = defaultdict(list)
    for column in columns:
        if column.description:
            found[normalised(column.description)].append(column)
    return {text: holders[0] for text, holders in found.items() if len(holders) == 1}
