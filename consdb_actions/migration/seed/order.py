"""In which order tables are filled, and which references have to wait or stay empty for that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from consdb_actions.migration.seed.shape import Reference

__all__ = ["fill_order"]

# How well a circle can be opened at a reference, the best first.
_WANTED, _DEFERRED, _EMPTY, _IMPOSSIBLE = range(4)


def fill_order(
    tables: Iterable[str], references: Collection[Reference], nullable: Mapping[str, Collection[str]]
) -> tuple[list[str], frozenset[Reference]]:
    """Sort tables so that parents come first.

    Parameters
    ----------
    tables
        All tables.
    references
        Their foreign keys; those of a table to itself do not count.
    nullable
        Columns that may hold NULL, by table.

    Returns
    -------
    tuple
        The order, and the references that point forward in it because they close a circle.
    """
    pairs: dict[str, dict[str, list[Reference]]] = defaultdict(lambda: defaultdict(list))
    for reference in references:
        if reference.target is not None and reference.target != reference.table:
            pairs[reference.table][reference.target].append(reference)

    def rank(child: str, parent: str) -> int:
        return max(_rank(r, nullable) for r in pairs[child][parent])

    left, order, cut = sorted(tables), [], set()
    while left:
        ready = [t for t in left if not any(p in left for p in pairs[t])]
        if ready:
            order.extend(ready)
            left = [t for t in left if t not in ready]
            continue
        circle = _circle(left[0], {t: [p for p in sorted(pairs[t]) if p in left] for t in left})
        child, parent = min(zip(circle, [*circle[1:], circle[0]], strict=True), key=lambda e: (rank(*e), e))
        cut.update(pairs[child].pop(parent))
    return order, frozenset(cut)


def _rank(reference: Reference, nullable: Mapping[str, Collection[str]]) -> int:
    if reference.wanted:
        return _WANTED
    if reference.deferrable:
        return _DEFERRED
    return _EMPTY if can_be_empty(reference, nullable[reference.table]) else _IMPOSSIBLE


def can_be_empty(reference: Reference, nullable: Collection[str]) -> bool:
    """Whether a row can refer to nothing."""
    some = all if reference.full else any
    return some(c in nullable for c in reference.columns)


def _circle(start: str, parents: Mapping[str, list[str]]) -> list[str]:
    path = [start]
    while True:
        following = parents[path[-1]][0]
        if following in path:
            return path[path.index(following) :]
        path.append(following)
