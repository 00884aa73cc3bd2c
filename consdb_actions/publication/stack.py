"""Stacked pull requests: which one's migration holds the change of which."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from consdb_actions.publication.source import PullSeen

__all__ = ["Stack", "stack_of"]


@dataclass(frozen=True, slots=True)
class Stack:
    """The pull requests that contain a pull request's commits, or are contained in it.

    Attributes
    ----------
    holder
        The one whose migration holds this one's change, too; None when this one has a migration of its own.
    below
        Those whose changes are in this one's migration.
    """

    holder: PullSeen | None = None
    below: tuple[PullSeen, ...] = ()


def stack_of(
    pull: PullSeen, others: Sequence[PullSeen], commits: Mapping[int, Collection[str]], label: str
) -> Stack:
    """Find out how a pull request is stacked.

    Parameters
    ----------
    pull
        The pull request.
    others
        The other open ones, without those out of forks.
    commits
        The commits of `pull` and of those others that have the label, by number.
    label
        The label that asks for a migration.
    """

    def contains(one: PullSeen, other: PullSeen) -> bool:
        # Of two with the same newest commit the later one holds the earlier.
        is_later = one.head != other.head or one.number > other.number
        return is_later and other.head in commits.get(one.number, ())

    above = [other for other in others if other.has_label(label) and contains(other, pull)]
    top = [one for one in above if not any(contains(other, one) for other in above if other is not one)]
    return Stack(
        min(top, key=lambda other: other.number, default=None),
        tuple(other for other in others if contains(pull, other)),
    )
