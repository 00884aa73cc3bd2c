"""Stacked pull requests: find whose migration contains which changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.publication.source import PullSeen

__all__ = ["Stack", "stack_of"]


@dataclass(frozen=True, slots=True)
class Stack:
    """The pull requests above and below one, by their commits."""

    holder: PullSeen | None = None  # whose migration contains this change; None if it has its own
    below: tuple[PullSeen, ...] = ()  # whose changes this migration contains


def stack_of(
    pull: PullSeen, others: Sequence[PullSeen], commits: Mapping[int, Collection[str]], label: str
) -> Stack:
    """Find the stack of a pull request.

    `others` are open and not from forks; `commits` are those of `pull` and of the labelled others, by number.
    """

    def contains(one: PullSeen, other: PullSeen) -> bool:
        # Of two pull requests with the same head, the later contains the earlier.
        is_later = one.head != other.head or one.number > other.number
        return is_later and other.head in commits.get(one.number, ())

    above = [other for other in others if other.has_label(label) and contains(other, pull)]
    top = [one for one in above if not any(contains(other, one) for other in above if other is not one)]
    return Stack(
        min(top, key=lambda other: other.number, default=None),
        tuple(other for other in others if contains(pull, other)),
    )
