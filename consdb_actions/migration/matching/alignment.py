"""Two names laid side by side: which words stay, and what is put in place of what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consdb_actions.migration.matching.words import alike

__all__ = ["Alignment", "Substitution", "align"]

Substitution = tuple[tuple[str, ...], tuple[str, ...]]
"""Words that go, and the words that come in their place; either may be empty."""

_MAX_JOINED = 3


@dataclass(frozen=True)
class Alignment:
    """How one name becomes another.

    Parameters
    ----------
    similarity
        0 to 1: the share of the names' information that both have in common.
    substitutions
        What is replaced, from left to right.
    shared
        Words that stand in both, from left to right.
    """

    similarity: float
    substitutions: tuple[Substitution, ...]
    shared: tuple[str, ...]


def align(old: Sequence[str], new: Sequence[str], weight: Callable[[str], float]) -> Alignment:
    """Lay two names side by side, keeping the order of their words.

    Words that only look alike (``temp`` and ``temperature``), or that are the same but for a break
    (``std_dev`` and ``stddev``), count as partly shared, yet stay a substitution.
    """
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old_part, new_part = old[start : len(old) - end], new[start : len(new) - end]
    steps = _best_steps(old_part, new_part, weight)
    common = sum(weight(word) for word in (*old[:start], *old[len(old) - end :])) * 2
    shared: list[str] = list(old[:start])
    substitutions: list[Substitution] = []
    i = j = 0
    for at_old, n_old, at_new, n_new, credit in steps:
        common += credit
        if at_old > i or at_new > j:
            substitutions.append((tuple(old_part[i:at_old]), tuple(new_part[j:at_new])))
        i, j = at_old + n_old, at_new + n_new
        gone, come = tuple(old_part[at_old:i]), tuple(new_part[at_new:j])
        if gone == come:
            shared.extend(gone)
        else:
            substitutions.append((gone, come))
    if i < len(old_part) or j < len(new_part):
        substitutions.append((tuple(old_part[i:]), tuple(new_part[j:])))
    shared.extend(old[len(old) - end :])
    total = sum(map(weight, old)) + sum(map(weight, new))
    return Alignment(common / total if total else 0.0, tuple(substitutions), tuple(shared))


_Step = tuple[int, int, int, int, float]
"""Where a match starts and how many words it has, in the old and in the new name; and its weight."""


def _best_steps(old: Sequence[str], new: Sequence[str], weight: Callable[[str], float]) -> list[_Step]:
    """Find the matches, in order, with the most weight in common."""
    rows, columns = len(old), len(new)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    choice: list[list[_Step | None]] = [[None] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1])
            for step in _matches(old, new, i, j, weight):
                value = step[4] + best[i + step[1]][j + step[3]]
                # At the same weight, words that start here are matched rather than skipped.
                if value >= best[i][j]:
                    best[i][j], choice[i][j] = value, step
    steps: list[_Step] = []
    i = j = 0
    while i < rows and j < columns:
        step_here = choice[i][j]
        if step_here is not None:
            steps.append(step_here)
            i, j = i + step_here[1], j + step_here[3]
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return steps


def _matches(
    old: Sequence[str], new: Sequence[str], i: int, j: int, weight: Callable[[str], float]
) -> list[_Step]:
    """List what the words that start here can be matched with."""
    found: list[_Step] = []
    credit = alike(old[i], new[j])
    if credit:
        found.append((i, 1, j, 1, credit * (weight(old[i]) + weight(new[j]))))
    for size in range(2, _MAX_JOINED + 1):
        if i + size <= len(old) and "".join(old[i : i + size]) == new[j]:
            found.append((i, size, j, 1, sum(map(weight, old[i : i + size])) + weight(new[j])))
        if j + size <= len(new) and "".join(new[j : j + size]) == old[i]:
            found.append((i, 1, j, size, sum(map(weight, new[j : j + size])) + weight(old[i])))
    return found
