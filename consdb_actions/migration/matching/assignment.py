"""One-to-one assignment with the greatest total weight, on sparse candidates.

The successive shortest path method with potentials (Jonker and Volgenant, Computing 38, 1987) on adjacency
lists: a row that finds its best column free costs one look at its candidates, so that the usual case is
linear. Weights are whole numbers; ties are broken by the order of rows and columns alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

__all__ = ["assign"]


def assign(weights: Mapping[tuple[str, str], int]) -> dict[str, str]:
    """Choose pairs so that no row and no column is used twice and the total weight is greatest.

    Rows may stay without a column: only positive weights are ever chosen.
    """
    edges: dict[str, list[tuple[str, int]]] = {}
    for (row, column), weight in sorted(weights.items()):
        if weight > 0:
            edges.setdefault(row, []).append((column, weight))
    top = max((weight for found in edges.values() for _, weight in found), default=0)
    potential: dict[str, int] = {}
    owner: dict[str, str] = {}
    chosen: dict[str, str] = {}
    for row in edges:
        _augment(row, edges, top, potential, owner, chosen)
    return chosen


_ALONE = ""
"""Stands for staying without a column; every row has one of its own, at no weight."""


def _augment(
    start: str,
    edges: Mapping[str, list[tuple[str, int]]],
    top: int,
    potential: dict[str, int],
    owner: dict[str, str],
    chosen: dict[str, str],
) -> None:
    """Give one more row a column, moving others where that serves the total.

    Costs are ``top - weight``, thus never negative; ``potential`` holds the dual value of each column.
    """
    distance: dict[str, int] = {}
    came_from: dict[str, str] = {}
    done: set[str] = set()
    heap: list[tuple[int, int, str]] = []
    row, base = start, 0
    best_end, best_row = None, start
    while True:
        # Leaving this row alone ends the path here.
        alone = base + top - _dual(row, edges, top, potential)
        if best_end is None or alone < best_end:
            best_end, best_row = alone, row
        for column, weight in edges[row]:
            reduced = base + (top - weight) - potential.get(column, 0) - _dual(row, edges, top, potential)
            if column not in distance or reduced < distance[column]:
                distance[column], came_from[column] = reduced, row
                heapq.heappush(heap, (reduced, column in owner, column))
        while heap and (heap[0][2] in done or heap[0][0] > distance[heap[0][2]]):
            heapq.heappop(heap)
        if not heap or heap[0][0] >= best_end:
            end_column, total = _ALONE, best_end
            break
        base, _, column = heapq.heappop(heap)
        if column not in owner:
            end_column, total = column, base
            break
        done.add(column)
        row = owner[column]
    for column in done:
        potential[column] = potential.get(column, 0) + distance[column] - total
    _flip(
        start,
        best_row if end_column == _ALONE else came_from[end_column],
        end_column,
        came_from,
        owner,
        chosen,
    )


def _dual(
    row: str, edges: Mapping[str, list[tuple[str, int]]], top: int, potential: Mapping[str, int]
) -> int:
    return min(top, *((top - weight) - potential.get(column, 0) for column, weight in edges[row]))


def _flip(
    start: str,
    row: str,
    column: str,
    came_from: Mapping[str, str],
    owner: dict[str, str],
    chosen: dict[str, str],
) -> None:
    """Walk back from the end of the path to its start and hand every column on the way to its new row."""
    while True:
        previous = chosen.pop(row, _ALONE)
        if column != _ALONE:
            chosen[row] = column
            owner[column] = row
        if row == start:
            return
        column, row = previous, came_from[previous]
