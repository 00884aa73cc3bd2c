"""The actions of a revision, and their grouping into sentences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["UNSEEN", "Deed", "sentences"]

_MANY = {
    "add column": "add {count} columns to {table}",
    "drop column": "drop {count} columns of {table}",
    "rename column": "rename {count} columns of {table}",
    "change type": "change the type of {count} columns of {table}",
    "nullable": "make {count} columns of {table} nullable",
    "not null": "make {count} columns of {table} not null",
    "set default": "set the default of {count} columns of {table}",
    "drop default": "drop the default of {count} columns of {table}",
    "describe column": "change comments on {count} columns of {table}",
    "add constraint": "add {count} constraints to {table}",
    "drop constraint": "drop {count} constraints of {table}",
    "rename constraint": "rename {count} constraints of {table}",
    "validate constraint": "validate {count} constraints of {table}",
    "create index": "create {count} indexes on {table}",
    "drop index": "drop {count} indexes",
    "rename index": "rename {count} indexes",
    "describe table": "change comments on {count} tables",
    "rename table": "rename {count} tables",
    "create view": "create {count} views",
    "drop view": "drop {count} views",
    "remake view": "remake {count} views",
    "write": "write rows of {count} tables",
    "remove": "remove rows of {count} tables",
}
"""Kinds that share a sentence, and its form."""

_WHOLE = {"drop column", "rename column", "rename table", "drop view", "remove"}
"""Kinds that are listed in full, since they affect readers of the database."""
_MOST = 30

UNSEEN = {
    *("add constraint", "drop constraint", "rename constraint", "validate constraint"),
    *("create index", "drop index", "rename index", "sequence"),
    *("nullable", "not null", "set default", "drop default"),
    *("describe column", "describe table", "grant", "revoke"),
}
"""Kinds that do not affect readers of the database."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One action of a revision."""

    kind: str
    """Actions of one kind on one table share a sentence."""
    table: str
    """Empty where each action of a sentence has another table."""
    item: str
    words: str


def sentences(deeds: Iterable[Deed]) -> tuple[str, ...]:
    """Return sentences in order, without repetition, with one for each kind."""
    groups: dict[tuple[str, str], list[Deed]] = {}
    for deed in dict.fromkeys(deeds):
        key = (deed.kind, deed.table) if deed.kind in _MANY else (deed.words, "")
        groups.setdefault(key, []).append(deed)
    return tuple(_sentence(group) for group in groups.values())


def _sentence(group: list[Deed]) -> str:
    first = group[0]
    if len(group) == 1:
        return first.words
    items = [deed.item for deed in group]
    if len(items) > _MOST and first.kind not in _WHOLE:
        items = [*items[:_MOST], f"and {len(group) - _MOST} more"]
    return f"{_MANY[first.kind].format(count=len(group), table=first.table)}: {', '.join(items)}"
