"""The choice among linked pairs: one to one, with the greatest weight, and consistent within a family.

A family is a set of columns whose names change in the same way. A change of name that explains many of the
chosen pairs is worth more than one that explains few, and so is a shift of numbers by a constant (``101`` to
``111``, ``102`` to ``112``). The choice is repeated with that bonus until it stays the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

from consdb_actions.migration.matching.assignment import assign
from consdb_actions.migration.matching.links import Key, Link

__all__ = ["choose", "shift"]

Shift = tuple[int, Key]

_ROUNDS = 4
_SEEDS = 6
_SCALE = 10
_BONUS = 30
_MOST = 150


def choose(links: Sequence[Link]) -> tuple[Link, ...]:
    """Choose the pairs that fit best together."""
    possible = {(link.old.path, link.new.path): link for link in links if link.possible}
    best = _settle(possible, {})
    shifts = Counter(found for link in possible.values() if (found := shift(link.key)) is not None)
    # The choice that is best pair by pair may hide a consistent one: try each frequent shift as well.
    for seed in sorted((s for s in shifts if shifts[s] > 1), key=lambda s: (-shifts[s], abs(s[0]), s))[
        :_SEEDS
    ]:
        start = _bonus(possible, best)
        start |= {pair: _MOST for pair, link in possible.items() if shift(link.key) == seed}
        choice = _settle(possible, start)
        if _total(possible, choice) > _total(possible, best):
            best = choice
    return tuple(possible[pair] for pair in sorted(best.items(), key=lambda pair: _order(possible[pair])))


_Pairs = Mapping[tuple[str, str], Link]


def _settle(possible: _Pairs, bonus: dict[tuple[str, str], int]) -> dict[str, str]:
    """Choose until the choice and the bonus for what it has in common agree."""
    chosen: dict[str, str] = {}
    for _ in range(_ROUNDS):
        again = assign({pair: _SCALE * link.score + bonus.get(pair, 0) for pair, link in possible.items()})
        if again == chosen:
            break
        chosen = again
        bonus = _bonus(possible, chosen)
    return chosen


def _bonus(possible: _Pairs, chosen: Mapping[str, str]) -> dict[tuple[str, str], int]:
    """Say what each pair is worth on top, given how many of the chosen ones change in the same way."""
    taken = [possible[pair] for pair in chosen.items()]
    keys = Counter(link.key for link in taken if link.key)
    shifts = Counter(found for link in taken if (found := shift(link.key)) is not None)
    return {
        pair: (_worth(keys[link.key]) if link.key else 0)
        + (_worth(shifts[found]) if (found := shift(link.key)) is not None else 0)
        for pair, link in possible.items()
    }


def _total(possible: _Pairs, chosen: Mapping[str, str]) -> int:
    bonus = _bonus(possible, chosen)
    return sum(_SCALE * possible[pair].score + bonus[pair] for pair in chosen.items())


@lru_cache(maxsize=16384)
def shift(key: Key) -> Shift | None:
    """Return by how much the only number that changes in a name moves, and what else changes."""
    numbers = [
        at
        for at, (gone, come) in enumerate(key)
        if len(gone) == len(come) == 1 and gone[0].isdigit() and come[0].isdigit()
    ]
    if len(numbers) != 1:
        return None
    at = numbers[0]
    return int(key[at][1][0]) - int(key[at][0][0]), key[:at] + key[at + 1 :]


def _worth(count: int) -> int:
    return min(_MOST, round(_BONUS * math.log2(count))) if count > 1 else 0


def _order(link: Link) -> tuple[str, int, str]:
    return link.old.table, link.old.position, link.old.name
