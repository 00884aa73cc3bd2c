"""What a database holds, as plain facts, and how two such states differ.

A :class:`Snapshot` is the project's own reading of ``pg_catalog`` (rule M15): the proof compares snapshots
and shares nothing with the code that generates migrations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from consdb_actions.schema.names import primary_key_name

__all__ = [
    "Column",
    "Constraint",
    "Difference",
    "Grant",
    "Relation",
    "Sequence",
    "Snapshot",
    "canonical",
    "compare",
    "fact",
]

_SHOWN = 120


@dataclass(frozen=True, order=True)
class Grant:
    """One privilege of one role; ``grantee`` is ``PUBLIC`` for everyone."""

    grantee: str
    privilege: str
    grantable: bool = False


@dataclass(frozen=True)
class Column:
    """A column as ``pg_attribute`` has it; ``position`` counts living columns from 0."""

    name: str
    position: int
    type: str
    nullable: bool
    default: str | None = None
    identity: str = ""
    generated: str = ""
    collation: str | None = None
    comment: str | None = None
    grants: frozenset[Grant] = frozenset()


@dataclass(frozen=True)
class Constraint:
    """A constraint; ``definition`` is the text of ``pg_get_constraintdef``."""

    name: str
    kind: str
    definition: str
    columns: tuple[str, ...] = ()
    references: str | None = None
    comment: str | None = None


@dataclass(frozen=True)
class Relation:
    """A table or view. ``definition`` is the view's query, empty for a table."""

    name: str
    kind: str
    columns: Mapping[str, Column]
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)
    comment: str | None = None
    grants: frozenset[Grant] = frozenset()
    definition: str = ""
    options: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()

    @property
    def is_view(self) -> bool:
        """Whether this is a view or a materialized view."""
        return self.kind in {"view", "materialized view"}


@dataclass(frozen=True)
class Sequence:
    """A sequence with the column that owns it, as ``table.column``.

    ``used`` tells whether a default or an identity takes values from it. ConsDB has sequences whose default
    was dropped; they are left as they are.
    """

    name: str
    type: str
    owned_by: str | None = None
    used: bool = True


@dataclass(frozen=True)
class Snapshot:
    """All relations of one schema."""

    schema: str
    relations: Mapping[str, Relation] = field(default_factory=dict)
    sequences: Mapping[str, Sequence] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    triggers: Mapping[str, str] = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, Relation]:
        """The tables by name."""
        return {name: r for name, r in self.relations.items() if not r.is_view}

    @property
    def views(self) -> dict[str, Relation]:
        """The views by name."""
        return {name: r for name, r in self.relations.items() if r.is_view}


@dataclass(frozen=True)
class Difference:
    """One fact that two snapshots disagree on.

    ``path`` reads like ``exposure.columns.airmass.type``; ``left`` and ``right`` are None where there is
    nothing on that side.
    """

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


def fact(words: str, value: object) -> str:
    """Return one side of a difference for a reader, after these words.

    A grant is there or is not, and its path says it all: then there are no words either.
    """
    if value is True and words:
        return ""
    if isinstance(value, tuple):  # a constraint: its kind, its definition, its comment
        value = value[1]
    if isinstance(value, Sequence):
        value = value.type
    text = value if isinstance(value, str) else repr(value)
    return words + (text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def canonical(relation: Relation) -> Relation:
    """Treat a UNIQUE over exactly the primary key's columns as Postgres does (rule M6).

    In ``CREATE TABLE`` Postgres merges such a UNIQUE into the primary key, under the UNIQUE's name; made by
    ``ALTER TABLE`` both exist. Both histories mean the same, so both become the merged form.
    """
    primary = next((c for c in relation.constraints.values() if c.kind == "primary key"), None)
    if primary is None:
        return relation
    twins = sorted(
        c.name
        for c in relation.constraints.values()
        if c.kind == "unique" and c.columns == primary.columns and "NULLS NOT DISTINCT" not in c.definition
    )
    if not twins:
        return relation
    merged = {n: c for n, c in relation.constraints.items() if c.name not in {primary.name, *twins}}
    merged[twins[0]] = replace(primary, name=twins[0])
    return replace(relation, constraints=merged)


def compare(
    left: Snapshot, right: Snapshot, *, positions: bool = False, described: bool = False
) -> list[Difference]:
    """Compare two snapshots fact by fact.

    Parameters
    ----------
    left, right
        The two states.
    positions
        Whether the order of columns in tables counts. A column that is dropped and added again stands last,
        and no ``ALTER TABLE`` can change that, so callers that allow it compare without. The order of columns
        in views always counts.
    described
        Whether the right side is what a schema file describes. A file does not name primary keys, so that
        one with Postgres's own name matches any name; and sequences that nothing uses any more do not count.

    Returns
    -------
    list of Difference
        In a stable order; empty when the states are equal.
    """
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
    for kind in ("sequences", "functions", "triggers"):
        out.extend(_mapping((kind,), getattr(left, kind), getattr(right, kind)))
    return out


def _named_like(described: Relation, actual: Relation) -> Relation:
    """Give an automatically named primary key the name that it really has."""
    automatic = described.constraints.get(primary_key_name(described.name))
    found = next((c for c in actual.constraints.values() if c.kind == "primary key"), None)
    if automatic is None or found is None or automatic.columns != found.columns:
        return described
    others = {n: c for n, c in described.constraints.items() if n != automatic.name}
    return replace(described, constraints={**others, found.name: replace(automatic, name=found.name)})


def _relation(a: Relation, b: Relation, positions: bool) -> Iterator[Difference]:
    for attribute in ("kind", "comment", "definition", "options"):
        x, y = getattr(a, attribute), getattr(b, attribute)
        if x != y:
            yield Difference((a.name, attribute), x, y)
    yield from _grants((a.name, "grants"), a.grants, b.grants)
    for name in sorted({*a.columns, *b.columns}):
        x, y = a.columns.get(name), b.columns.get(name)
        if x is None or y is None:
            yield Difference((a.name, "columns", name), x and x.type, y and y.type)
            continue
        for attribute in ("type", "nullable", "default", "identity", "generated", "collation", "comment"):
            if getattr(x, attribute) != getattr(y, attribute):
                yield Difference(
                    (a.name, "columns", name, attribute), getattr(x, attribute), getattr(y, attribute)
                )
        yield from _grants((a.name, "columns", name, "grants"), x.grants, y.grants)
        if positions and x.position != y.position:
            yield Difference((a.name, "columns", name, "position"), x.position, y.position)
    facts = ("kind", "definition", "comment")
    yield from _mapping(
        (a.name, "constraints"),
        {n: tuple(getattr(c, f) for f in facts) for n, c in a.constraints.items()},
        {n: tuple(getattr(c, f) for f in facts) for n, c in b.constraints.items()},
    )
    yield from _mapping((a.name, "indexes"), a.indexes, b.indexes)


def _mapping(path: tuple[str, ...], a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted({*a, *b}):
        if a.get(name) != b.get(name):
            yield Difference((*path, name), a.get(name), b.get(name))


def _grants(path: tuple[str, ...], a: frozenset[Grant], b: frozenset[Grant]) -> Iterator[Difference]:
    for grant in sorted(a ^ b):
        words = f"{grant.privilege} TO {grant.grantee}" + (" WITH GRANT OPTION" if grant.grantable else "")
        yield Difference((*path, words), True if grant in a else None, True if grant in b else None)
