"""Pairs of columns that may be one: the edges of a graph whose connected parts become questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from consdb_actions.migration.matching.alignment import Substitution
from consdb_actions.migration.matching.facts import ColumnFacts

__all__ = ["Key", "Link", "components"]

Key = tuple[Substitution, ...]
"""What a change of name replaces."""


@dataclass(frozen=True)
class Link:
    """A column before and one after the change that may be the same.

    Parameters
    ----------
    old, new
        The two, in the names of their sides.
    score
        Weight against rivals.
    evidence
        What speaks for it, in words.
    key
        What the change of name replaces; empty for a move, and for names that only differ in their spelling.
    change
        The same in words.
    move
        Whether they are in different tables.
    obstacle
        Why the answer "yes" could not be carried out: a move between tables that share no key.
    old_stays, new_stays
        Whether a column of that name is on the other side too.
    """

    old: ColumnFacts
    new: ColumnFacts
    score: int
    evidence: tuple[str, ...]
    key: Key = ()
    change: str = ""
    move: bool = False
    obstacle: str = ""
    old_stays: bool = False
    new_stays: bool = False

    @property
    def possible(self) -> bool:
        """Whether the answer "yes" can be carried out."""
        return not self.obstacle

    @property
    def declaration(self) -> str:
        """The form that declares it."""
        target = f"{self.new.table}.{self.new.name}" if self.move else self.new.name
        return f"{self.old.path}={target}"


def components(links: Iterable[Link]) -> Iterator[tuple[Link, ...]]:
    """Yield the links that hang together, in the order of their first column.

    Links hang together when they share a column, or a name that is there before and after: what is decided
    about one bears on the other.
    """
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    ordered = sorted(
        links,
        key=lambda k: (k.old.table, k.old.position, k.old.name, k.new.table, k.new.position, k.new.name),
    )

    def join(one: str, other: str) -> None:
        first, second = sorted((root(one), root(other)))
        parent[second] = first

    for link in ordered:
        join(f"-{link.old.path}", f"+{link.new.path}")
        if link.old_stays:
            join(f"-{link.old.path}", f"+{link.new.table}.{link.old.name}")
        if link.new_stays:
            join(f"+{link.new.path}", f"-{link.old.table}.{link.new.name}")
    groups: dict[str, list[Link]] = defaultdict(list)
    for link in ordered:
        groups[root(f"-{link.old.path}")].append(link)
    yield from map(tuple, groups.values())
