"""Chains of columns whose meaning moved on by one name.

When ``temp_1, temp_2, temp_3`` become ``temp_2, temp_3, temp_4``, the names say that one column went and one
came. The descriptions tell: each column now has that of the one before it. In the same way ``flux`` may
become ``flux_raw`` while a new ``flux`` takes its name. Such a chain, which ends at a column that is new, is
asked about. A circle is not: two descriptions that change places are as likely a mistake that was put right.
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
    """Find the chains in a table."""
    before, after = _by_text(pair.before.columns), _by_text(pair.after.columns)
    successor = {
        old.name: after[text]
        for text, old in before.items()
        if text in after
        and after[text].name != old.name
        and type_fit(old.type, after[text].type) != "incompatible"
    }
    targets = {new.name for new in successor.values()}
    links: list[Link] = []
    for start in pair.before.columns:
        if start.name in pair.kept and start.name in targets:
            continue
        chain: list[Link] = []
        old = start
        while old.name in successor:
            new = successor[old.name]
            chain.append(_step(pair, old, new))
            if new.name not in pair.kept:
                break
            old = pair.before.column(new.name)
        # A column that went and one that came with its description are compared like any other pair.
        steps = 1 if start.name in pair.kept else 2
        if len(chain) >= steps and not chain[-1].new_stays:
            links += chain
    return tuple(links)


def _step(pair: TablePair, old: ColumnFacts, new: ColumnFacts) -> Link:
    stays = old.name in pair.kept
    evidence = f"`{new.name}` has the description that `{old.name}` had"
    if stays:
        evidence += f", and `{old.name}` now has another one"
    return Link(old, new, _WEIGHT, (evidence,), old_stays=stays, new_stays=new.name in pair.kept)


def _by_text(columns: Iterable[ColumnFacts]) -> dict[str, ColumnFacts]:
    """Index columns by a description that no other column of that side has."""
    found: dict[str, list[ColumnFacts]] = defaultdict(list)
    for column in columns:
        if column.description:
            found[normalised(column.description)].append(column)
    return {text: holders[0] for text, holders in found.items() if len(holders) == 1}
