"""Compare two states of a schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from consdb_actions.catalog.snapshot import (
    CatalogColumn,
    CatalogConstraint,
    CatalogIndex,
    CatalogRelation,
    ExtendedStatistics,
    Grant,
    Sequence,
    Snapshot,
    same_sql,
)
from consdb_actions.schema.model import primary_key_name

COLUMN_FACTS = (
    "type",
    "nullable",
    "default",
    "sequence",
    "identity",
    "generated",
    "collation",
    "comment",
    "statistics",
    "settings",
)
"""The facts of a column that are compared one by one."""

_SHOWN = 120


@dataclass(frozen=True)
class Difference:
    """One fact in which snapshots differ, at a path like ``exposure.columns.airmass.type``."""

    path: tuple[str, ...]
    left: Any
    right: Any

    def __str__(self) -> str:
        name = ".".join(self.path)
        if self.left is None:
            return f"{name}: missing on the left; right has {self.right!r}"
        if self.right is None:
            return f"{name}: missing on the right; left has {self.left!r}"
        return f"{name}: {self.left!r} against {self.right!r}"


def fact(label: str, value: object) -> str:
    """Describe one side of a difference; empty for a grant, whose path says all."""
    if value is True and label:
        return ""
    if isinstance(value, CatalogConstraint | ExtendedStatistics | CatalogIndex):
        comment = f" ({value.comment})" if value.comment else ""
        value = value.definition + comment
    if isinstance(value, Sequence):
        value = value.type
    text = value if isinstance(value, str) else repr(value)
    return label + (text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def canonical(relation: CatalogRelation) -> CatalogRelation:
    """Merge a UNIQUE over exactly the primary key's columns (rule M6).

    ``CREATE TABLE`` makes one key of both, under the UNIQUE's name; ``ALTER TABLE`` makes two. Both mean the
    same.
    """
    primary = next((c for c in relation.constraints.values() if c.kind == "primary key"), None)
    if primary is None:
        return relation
    twins = sorted(
        c.name
        for c in relation.constraints.values()
        if c.kind == "unique" and c.columns == primary.columns and c.options == primary.options
    )
    if not twins:
        return relation
    merged = {n: c for n, c in relation.constraints.items() if c.name not in {primary.name, *twins}}
    merged[twins[0]] = replace(primary, name=twins[0])
    return replace(relation, constraints=merged)


def compare(
    left: Snapshot, right: Snapshot, *, positions: bool = False, described: bool = False
) -> list[Difference]:
    """Compare two snapshots fact by fact."""
    out: list[Difference] = []
    for name in sorted({*left.relations, *right.relations}):
        a, b = left.relations.get(name), right.relations.get(name)
        if a is None or b is None:
            out.append(Difference((name,), a and a.kind, b and b.kind))
            continue
        a, b = canonical(a), canonical(b)
        if described:
            b = _named_like(b, a)
        out.extend(_relation(a, b, positions or a.is_view))
    if described:
        left = replace(left, sequences={n: s for n, s in left.sequences.items() if s.used})
    for kind in ("sequences", "functions", "triggers", "policies"):
        out.extend(_mapping((kind,), getattr(left, kind), getattr(right, kind)))
    return out


def _named_like(described: CatalogRelation, actual: CatalogRelation) -> CatalogRelation:
    automatic = described.constraints.get(primary_key_name(described.name))
    found = next((c for c in actual.constraints.values() if c.kind == "primary key"), None)
    if automatic is None or found is None or automatic.columns != found.columns:
        return described
    others = {n: c for n, c in described.constraints.items() if n != automatic.name}
    return replace(described, constraints={**others, found.name: replace(automatic, name=found.name)})


def same_fact(attribute: str, left: Any, right: Any) -> bool:
    """Return whether a fact is the same on both sides (rule M21)."""
    if attribute == "default":
        return same_sql(left, right)
    if attribute == "definition":
        return same_sql(left, right, statement=True)
    return bool(left == right)


def _same_meaning(left: Any, right: Any) -> bool:
    """Return whether two constraints or indexes are equal, including their comments."""
    return bool(left.meaning == right.meaning and left.comment == right.comment)


def _relation(a: CatalogRelation, b: CatalogRelation, positions: bool) -> Iterator[Difference]:
    for attribute in ("kind", "comment", "definition", "options"):
        x, y = getattr(a, attribute), getattr(b, attribute)
        if not same_fact(attribute, x, y):
            yield Difference((a.name, attribute), x, y)
    yield from _grants((a.name, "grants"), a.grants, b.grants)
    for name in sorted({*a.columns, *b.columns}):
        x, y = a.columns.get(name), b.columns.get(name)
        if x is None or y is None:
            yield Difference((a.name, "columns", name), x and x.type, y and y.type)
            continue
        yield from _column((a.name, "columns", name), x, y)
        if positions and x.position != y.position:
            yield Difference((a.name, "columns", name, "position"), x.position, y.position)
    yield from _mapping((a.name, "constraints"), a.constraints, b.constraints, _same_meaning)
    yield from _mapping((a.name, "indexes"), a.indexes, b.indexes, _same_meaning)
    yield from _mapping((a.name, "statistics"), a.statistics, b.statistics)
    yield from _mapping((a.name,), a.extras, b.extras)


def _column(path: tuple[str, ...], a: CatalogColumn, b: CatalogColumn) -> Iterator[Difference]:
    for attribute in COLUMN_FACTS:
        x, y = getattr(a, attribute), getattr(b, attribute)
        if not same_fact(attribute, x, y):
            yield Difference((*path, attribute), x, y)
    yield from _grants((*path, "grants"), a.grants, b.grants)


def _mapping(
    path: tuple[str, ...],
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    same: Callable[[Any, Any], bool] = lambda x, y: bool(x == y),
) -> Iterator[Difference]:
    for name in sorted({*a, *b}):
        x, y = a.get(name), b.get(name)
        if x is None or y is None or not same(x, y):
            yield Difference((*path, name), x, y)


def _grants(path: tuple[str, ...], a: frozenset[Grant], b: frozenset[Grant]) -> Iterator[Difference]:
    for grant in sorted(a ^ b):
        name = f"{grant.privilege} TO {grant.grantee}" + (" WITH GRANT OPTION" if grant.grantable else "")
        yield Difference((*path, name), True if grant in a else None, True if grant in b else None)
