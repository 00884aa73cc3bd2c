"""Merge three states of a schema into the expected catalog (rule M17).

*base* and *head* are the schema file before and after the change, *current* is the result of the history.
Unchanged elements stay as in *current*; changed ones become *head*, unless *current* differs from both: a
conflict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from typing import Any, Literal, TypeVar

from consdb_actions.catalog.compare import COLUMN_FACTS, same_fact
from consdb_actions.catalog.snapshot import (
    CatalogColumn,
    CatalogConstraint,
    CatalogIndex,
    CatalogRelation,
    Sequence,
    Snapshot,
)
from consdb_actions.schema.model import primary_key_name

Path = tuple[str, ...]
"""An element: a table; its column, constraint or index; or one fact of a column, such as its type."""

Side = Literal["head", "current"]

_NOT_DESCRIBED = frozenset({"statistics", "settings"})
"""Facts of a column that no schema file contains: they stay as in *current*."""

_OF_THE_TYPE = frozenset({"default", "sequence", "identity", "generated", "collation"})
"""Facts of a column that depend on its type."""

_Table = CatalogRelation | None  # None where a side lacks it
_Column = CatalogColumn | None
_Constraints = Mapping[str, CatalogConstraint]

T = TypeVar("T")
Named = TypeVar("Named", bound="CatalogConstraint | CatalogIndex")
Item = TypeVar("Item", bound="CatalogRelation | CatalogColumn")


@dataclass(frozen=True)
class CatalogDrift:
    """An unchanged element that differs in the database; None where a side lacks it."""

    path: Path
    described: Any
    current: Any


@dataclass(frozen=True)
class Conflict:
    """A changed element that differs from both *base* and *head*."""

    path: Path
    base: Any
    head: Any
    current: Any
    taken: Side | None = None  # The side that an answer chose
    stands_on: tuple[Path, ...] = ()
    """Dependencies that the side without the element lacks too; the other side is chosen by them."""
    ours: bool = False  # Whether *head* is the side with the element

    @property
    def answers(self) -> dict[Side, tuple[Path, ...]]:
        """Elements to take for each side, with their dependencies."""
        if not self.stands_on:
            return {"head": (self.path,), "current": (self.path,)}
        if self.ours:
            return {"current": (self.path,), "head": self.stands_on}
        return {"head": (self.path,), "current": self.stands_on}


@dataclass(frozen=True)
class MergedCatalog:
    """The merged catalog."""

    catalog: Snapshot  # Unusable while there are open conflicts, which are resolved to *current*
    drift: tuple[CatalogDrift, ...] = ()  # What differs from the schema file, but not because of the change
    conflicts: tuple[Conflict, ...] = ()
    present: tuple[Path, ...] = ()  # What the change requires and the database has already
    used: frozenset[str] = frozenset()  # Answers that decided something

    @property
    def open_conflicts(self) -> tuple[Conflict, ...]:
        """The conflicts without an answer."""
        return tuple(c for c in self.conflicts if c.taken is None)


def merge3(
    base: Snapshot,
    head: Snapshot,
    current: Snapshot,
    take: Mapping[str, Side] | None = None,
    *,
    described: bool = True,
) -> MergedCatalog:
    """Merge three states of a schema, element by element.

    The renames of the change are already done in *base* and *current*. `take` holds the side to take for
    conflicts, by dotted path with all that it contains; ``head`` also replaces an element that drifted.
    Without `described` the base is *current*: all differences are the change. ``merge3(b, b, c)`` is c;
    ``merge3(b, h, b)`` and ``merge3(b, h, h)`` are h.
    """
    return _Merge(base, head, current, dict(take or {}), described).run()


@dataclass
class _Merge:
    base: Snapshot
    head: Snapshot
    current: Snapshot
    take: Mapping[str, Side]
    described: bool
    drift: list[CatalogDrift] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    present: list[Path] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def run(self) -> MergedCatalog:
        relations: dict[str, CatalogRelation] = {}
        names = dict.fromkeys([*self.current.relations, *self.head.relations, *self.base.relations])
        for name in sorted(names):
            sides = [s.relations.get(name) for s in (self.base, self.head, self.current)]
            is_view = any(r is not None and r.is_view for r in sides)
            found = self._view(name, *sides) if is_view else self._table(name, *sides)
            if found is not None:
                relations[name] = found
        self._remove_taken_names(relations)
        self._remove_dangling(relations)
        _free_key_names(relations)
        merged = replace(self.current, relations=relations, sequences=self._sequences(relations))
        return MergedCatalog(
            merged, tuple(self.drift), tuple(self.conflicts), tuple(self.present), frozenset(self.used)
        )

    # One element.

    def _choose(
        self,
        path: Path,
        base: T | None,
        head: T | None,
        current: T | None,
        same: Callable[[Any, Any], bool] = lambda a, b: bool(a == b),
    ) -> T | None:
        def equal(a: T | None, b: T | None) -> bool:
            return same(a, b) if a is not None and b is not None else a is b

        if equal(base, head):
            if equal(current, base):
                return current
            if self._answer(path) == "head":
                return head
            self.drift.append(CatalogDrift(path, head, current))
            return current
        if equal(current, base):
            return current if self._is_kept(path) else head
        if equal(current, head):
            self.present.append(path)
            return current
        return self._conflict(path, base, head, current)

    def _conflict(self, path: Path, base: T | None, head: T | None, current: T | None) -> T | None:
        taken = self._answer(path)
        self.conflicts.append(Conflict(path, base, head, current, taken))
        return head if taken == "head" else current

    def _answer(self, path: Path) -> Side | None:
        for size in range(len(path), 0, -1):
            text = ".".join(path[:size])
            if text in self.take:
                self.used.add(text)
                return self.take[text]
        return None

    def _is_kept(self, path: Path) -> bool:
        """Return whether an answer keeps this element for its dependents."""
        text = ".".join(path)
        if self.take.get(text) != "current":
            return False
        self.used.add(text)
        return True

    def _existing(
        self,
        path: Path,
        base: Item | None,
        head: Item | None,
        current: Item | None,
        same: Callable[[Item, Item], bool],
        show: Callable[[Item], str],
        theirs: str = "",
    ) -> Item | None:
        """Merge the existence of an element; ``theirs`` is what others added to a dropped one."""

        def shown(item: Item | None) -> str | None:
            return show(item) if item is not None else None

        if base is not None and head is None:
            if current is None:
                self.present.append(path)
                return None
            if theirs:
                left = self._conflict(path, shown(base), None, f"{shown(current)} with {theirs}")
                return current if left is not None else None
            return current if self._is_kept(path) else None
        if base is None and head is not None:
            return head
        if base is None or head is None or same(base, head):
            if self._answer(path) == "head":
                return head
            self.drift.append(CatalogDrift(path, shown(head), shown(current)))
            return current
        return head if self._conflict(path, shown(base), shown(head), None) is not None else None

    # Tables.

    def _table(self, name: str, base: _Table, head: _Table, current: _Table) -> _Table:
        if head is not None and current is not None:
            return self._merged_table(base or CatalogRelation(name, head.kind, {}), head, current)
        theirs = ""
        if base is not None and current is not None:
            theirs = ", ".join(c for c in current.columns if c not in base.columns)
        return self._existing((name,), base, head, current, _same_table, attrgetter("kind"), theirs)

    def _merged_table(
        self, base: CatalogRelation, head: CatalogRelation, current: CatalogRelation
    ) -> CatalogRelation:
        name = current.name
        columns: dict[str, CatalogColumn] = {}
        for column in dict.fromkeys([*current.columns, *head.columns, *base.columns]):
            sides = (r.columns.get(column) for r in (base, head, current))
            if (found := self._column((name, column), *sides)) is not None:
                columns[column] = replace(found, position=len(columns))
        shapes = _split(base, head, current, described=self.described)
        constraints = self._constraints(name, *(r.constraints for r in shapes))
        for primary in [c for c in constraints.values() if c.kind == "primary key"]:
            columns |= {n: replace(columns[n], nullable=False) for n in primary.columns if n in columns}
        retyped = {
            n for n, c in columns.items() if n in current.columns and current.columns[n].type != c.type
        }
        for twin in head.checks:
            for key, item in constraints.items():
                # The same condition is printed in another way for another type.
                if item.meaning == twin.meaning and not retyped.isdisjoint(twin.columns):
                    constraints[key] = replace(
                        item, expression=twin.expression, definition=twin.definition, source=twin.source
                    )
        return replace(
            current,
            columns=columns,
            comment=self._choose((name, "comment"), base.comment, head.comment, current.comment),
            constraints=_joined(constraints, current),
            indexes=self._named((name,), base.indexes, head.indexes, current.indexes),
            statistics={n: s for n, s in current.statistics.items() if columns.keys() >= set(s.columns)},
        )

    def _column(self, path: Path, base: _Column, head: _Column, current: _Column) -> _Column:
        if head is None or current is None:
            # Its existence is what changes; a different type does not keep a column that is dropped.
            found = self._existing(path, base, head, current, _same_column, attrgetter("type"))
            return replace(found, grants=frozenset()) if found is not None and found is head else found
        if base is None:
            return self._both_added(path, head, current)
        same: dict[str, Callable[[Any, Any], bool]] = {a: partial(same_fact, a) for a in COLUMN_FACTS}
        if current.sequence is None:
            # A sequence is named after its table: a renamed table's is the same, which is not there.
            same["sequence"] = lambda a, b: True
        facts: dict[str, Any] = {}
        for a in COLUMN_FACTS:
            if a in _OF_THE_TYPE and len({base.type, head.type, current.type}) == 3:
                facts[a] = getattr(head if facts["type"] == head.type else current, a)
            elif a not in _NOT_DESCRIBED:
                facts[a] = self._choose(
                    (*path, a), getattr(base, a), getattr(head, a), getattr(current, a), same[a]
                )
        if base.type != head.type == facts["type"] and same_fact("default", current.default, base.default):
            # The same constant with another type is another default.
            facts["default"] = head.default
        return replace(current, **facts)

    def _both_added(self, path: Path, head: CatalogColumn, current: CatalogColumn) -> CatalogColumn:
        """Merge a column that both the change and the database added."""
        differing = [
            a
            for a in COLUMN_FACTS
            if a not in _NOT_DESCRIBED and not same_fact(a, getattr(head, a), getattr(current, a))
        ]
        if not differing:
            self.present.append(path)
            return current
        if "type" in differing:
            # The other facts belong to the type.
            ours = self._conflict(path, None, head.type, current.type) == head.type
            return replace(current, **{a: getattr(head, a) for a in differing}) if ours else current
        facts: dict[str, Any] = {
            a: self._conflict((*path, a), None, getattr(head, a), getattr(current, a)) for a in differing
        }
        return replace(current, **facts)

    # Constraints and indexes.

    def _constraints(
        self, table: str, base: _Constraints, head: _Constraints, current: _Constraints
    ) -> dict[str, CatalogConstraint]:
        out: dict[str, CatalogConstraint] = {}
        for kind in ("primary key", "unique", "foreign key", "check", "exclusion"):
            sides = [{n: c for n, c in s.items() if c.kind == kind} for s in (base, head, current)]
            out |= self._named((table,), *sides)
        return out

    def _named(
        self, path: Path, base: Mapping[str, Named], head: Mapping[str, Named], current: Mapping[str, Named]
    ) -> dict[str, Named]:
        found = [self._one(path, *group) for group in _aligned(base, head, current)]
        return {item.name: item for item in found if item is not None}

    def _one(self, path: Path, base: Named | None, head: Named | None, current: Named | None) -> Named | None:
        """Merge one constraint or index: existence, definition, name and comment."""
        some = head or base or current
        assert some is not None
        here = (*path, some.name)

        def means(a: Any, b: Any) -> bool:
            return bool(a.meaning == b.meaning)

        if base is None or head is None or current is None:
            same = _same_named if base is not None and head is not None else means
            found = self._choose(here, base, head, current, same)
            if found is not None and base is None and head is not None and current is not None:
                # Both added it; name and comment have no common ancestor.
                name = self._choose_added((*here, "name"), head.name, current.name)
                # Adding a comment that the database lacks is harmless.
                comment = head.comment
                if current.comment is not None:
                    comment = self._choose_added((*here, "description"), head.comment, current.comment)
                found = replace(found, name=name, comment=comment)
            return found
        meaning = self._choose(here, base, head, current, means)
        assert meaning is not None
        # A file does not name primary keys: an unchanged key keeps its name.
        name = current.name if meaning.meaning == current.meaning else head.name
        if getattr(some, "kind", "") != "primary key":
            name = str(self._choose((*here, "name"), base.name, head.name, current.name))
        comment = self._choose((*here, "description"), base.comment, head.comment, current.comment)
        return replace(meaning, name=name, comment=comment)

    def _choose_added(self, path: Path, head: Any, current: Any) -> Any:
        return current if head == current else self._conflict(path, None, head, current)

    def _remove_dangling(self, relations: dict[str, CatalogRelation]) -> None:
        for name, table in list(relations.items()):
            if table.is_view:
                continue
            there = partial(self._has_dependencies, relations, table)
            constraints = {n: c for n, c in table.constraints.items() if there(c)}
            indexes = {n: i for n, i in table.indexes.items() if there(i)}
            relations[name] = replace(table, constraints=constraints, indexes=indexes)

    def _remove_taken_names(self, relations: dict[str, CatalogRelation]) -> None:
        """Leave out new keys and indexes whose names another table of the database keeps."""
        holders = {
            item: name
            for name, table in self.current.tables.items()
            if name in relations
            for item in [*(c.name for c in table.constraints.values() if _is_named(c)), *table.indexes]
            if item in relations[name].constraints or item in relations[name].indexes
        }
        for name, table in list(relations.items()):
            kept: list[dict[str, Any]] = []
            for items in (table.constraints, table.indexes):
                kept.append(dict(items))
                for item in items.values():
                    holder = holders.get(item.name, name)
                    if holder == name or not (isinstance(item, CatalogIndex) or _is_named(item)):
                        continue
                    del kept[-1][item.name]
                    if isinstance(item, CatalogConstraint) and item.kind == "primary key":
                        key, item = _split_key(table.name, item)
                        kept[-1][key.name] = key
                    without = f"none, since {holder} has one of this name"
                    taken: Side | None = "current" if self._answer((name, item.name)) == "current" else None
                    path = (name, item.name)
                    self.conflicts.append(Conflict(path, None, item, without, taken, ((holder,),), ours=True))
            relations[name] = replace(table, constraints=kept[0], indexes=kept[1])

    def _has_dependencies(
        self,
        relations: Mapping[str, CatalogRelation],
        table: CatalogRelation,
        item: CatalogConstraint | CatalogIndex,
    ) -> bool:
        """Return whether all that an element depends on is there; a missing part may be a conflict."""
        own = item.columns if isinstance(item, CatalogConstraint) else self._index_columns(item, table)
        missing: list[Path] = [(table.name, c) for c in own if c not in table.columns]
        if isinstance(item, CatalogConstraint) and item.references and item.referenced_schema is None:
            parent = relations.get(item.references)
            if parent is None:
                missing.append((item.references,))
            elif absent := [c for c in item.referenced if c not in parent.columns]:
                missing += [(parent.name, c) for c in absent]
            elif not _has_key(parent, item.referenced):
                missing += self._lost_keys(parent.name, item.referenced)
        path, ours = (table.name, item.name), _contains(self.head, table.name, item)
        dropped = _contains(self.base, table.name, item) and not ours
        if missing and not dropped and not any(c.path == path for c in self.conflicts):
            without = f"none, since {', '.join('.'.join(m) for m in missing)} is missing or dropped"
            head, current = (item, without) if ours else (without, item)
            leave: Side = "current" if ours else "head"
            taken = leave if self._answer(path) == leave else None
            self.conflicts.append(Conflict(path, None, head, current, taken, tuple(missing), ours))
        return not missing

    def _index_columns(self, index: CatalogIndex, table: CatalogRelation) -> list[str]:
        current = self.current.relations.get(table.name)
        plain = [e for e, sql in zip(index.elements, index.is_expression, strict=True) if not sql]
        gone = [c for c in (current.columns if current else ()) if c not in table.columns]
        text = " ".join(e for e, sql in zip(index.elements, index.is_expression, strict=True) if sql)
        text += " " + " ".join(str(v) for _, v in index.options)
        names = set(re.findall(r"[\w$]+", text))
        return [*plain, *(c for c in gone if c in names)]

    def _lost_keys(self, table: str, columns: tuple[str, ...]) -> list[Path]:
        keys: list[Path] = [
            (table, c.name)
            for state in (self.current, self.head)
            if (found := state.relations.get(table)) is not None
            for c in found.constraints.values()
            if c.kind in {"primary key", "unique"} and set(c.columns) == set(columns)
        ]
        return keys[:1] or [(table, c) for c in columns]

    # Views and sequences.

    def _view(self, name: str, base: _Table, head: _Table, current: _Table) -> _Table:
        """Merge a view; remaking it for a changed table is decided by its rule."""
        if base is None and head is None:
            return current  # a view that no file describes
        if head is None or current is None:
            return self._existing((name,), base, head, current, lambda a, b: True, attrgetter("kind"))
        if base is None:
            return current
        if set(base.columns) == set(head.columns):
            for column in sorted(set(head.columns) ^ set(current.columns)):
                shown, has = head.columns.get(column), current.columns.get(column)
                self.drift.append(CatalogDrift((name, column), shown and shown.type, has and has.type))
            return current
        if same_fact("definition", base.definition, current.definition):
            columns = {
                n: replace(c, comment=o.comment, grants=o.grants) if (o := current.columns.get(n)) else c
                for n, c in head.columns.items()
            }
            return replace(current, definition=head.definition, columns=columns, reads=head.reads)
        return current

    def _sequences(self, relations: Mapping[str, CatalogRelation]) -> dict[str, Sequence]:
        out = {n: s for n, s in self.current.sequences.items() if not s.used and s.owned_by is None}
        for table in relations.values():
            for column in table.columns.values():
                owner = f"{table.name}.{column.name}"
                bare = column.sequence.rsplit(".", 1)[-1].strip('"') if column.sequence else ""
                base, head, current = (
                    {
                        name: sequence
                        for name, sequence in side.sequences.items()
                        if sequence.owned_by == owner and (name == bare or (column.identity and not bare))
                    }
                    for side in (self.base, self.head, self.current)
                )
                described = self.head.relations.get(table.name, table).columns.get(column.name, column)
                # Its type changes with that of the column.
                ours = described.type == column.type and base != head
                out |= {**current, **head} if ours else {**head, **current}
                if bare and bare not in out and bare in self.current.sequences:
                    out[bare] = self.current.sequences[bare]
        return out


def _aligned(
    base: Mapping[str, Named], head: Mapping[str, Named], current: Mapping[str, Named]
) -> list[tuple[Named | None, Named | None, Named | None]]:
    """Group elements of the three sides by name, else by definition."""
    left, right, rest = dict(base), dict(head), dict(current)
    lone = any(getattr(c, "kind", "") == "primary key" for c in (*left.values(), *right.values()))
    pairs: list[tuple[Named | None, Named | None]] = []
    for name in sorted(left.keys() & right.keys()):
        pairs.append((left.pop(name), right.pop(name)))  # noqa: PERF401 - both shrink
    for old in [left[name] for name in sorted(left)]:
        twin = next((n for n in sorted(right) if lone or right[n].meaning == old.meaning), None)
        pairs.append((old, right.pop(twin) if twin is not None else None))
    pairs += [(None, right[name]) for name in sorted(right)]
    claimed = {item.name for pair in pairs for item in pair if item is not None}
    found: list[tuple[Named | None, Named | None, Named | None]] = []
    for old_item, new_item in pairs:
        sides = [item for item in (old_item, new_item) if item is not None]
        # An element that matches another one by name belongs to that.
        free = claimed - {item.name for item in sides}
        match = _closest(sides, {n: c for n, c in rest.items() if n not in free})
        if match is None and lone:
            match = next(iter(rest), None)
        found.append((old_item, new_item, rest.pop(match) if match is not None else None))
    return [*found, *((None, None, rest[name]) for name in sorted(rest))]


def _closest(sides: list[Named], candidates: Mapping[str, Named]) -> str | None:
    """Return a candidate with the same name or definition."""
    for side in sides:
        if side.name in candidates:
            return side.name
        for name in sorted(candidates):
            if candidates[name].meaning == side.meaning:
                return name
    return None


def _contains(side: Snapshot, table: str, item: CatalogConstraint | CatalogIndex) -> bool:
    found = side.relations.get(table)
    named: list[Any] = [*found.constraints.values(), *found.indexes.values()] if found else []
    return any(k.name == item.name or k.meaning == item.meaning for k in named)


def _has_key(relation: CatalogRelation, columns: tuple[str, ...]) -> bool:
    keys = [c.columns for c in relation.constraints.values() if c.kind in {"primary key", "unique"}]
    keys += [i.elements for i in relation.indexes.values() if i.unique]
    return any(set(k) == set(columns) for k in keys)


def _same_named(a: Any, b: Any) -> bool:
    return bool((a.name, a.meaning, a.comment) == (b.name, b.meaning, b.comment))


def _same_column(a: CatalogColumn, b: CatalogColumn) -> bool:
    return all(same_fact(f, getattr(a, f), getattr(b, f)) for f in COLUMN_FACTS)


def _same_table(a: CatalogRelation, b: CatalogRelation) -> bool:
    return (
        a.comment == b.comment
        and a.columns.keys() == b.columns.keys()
        and all(_same_column(a.columns[c], b.columns[c]) for c in a.columns)
        and all(
            x.keys() == y.keys() and all(_same_named(x[n], y[n]) for n in x)
            for x, y in ((a.constraints, b.constraints), (a.indexes, b.indexes))
        )
    )


def _split(
    base: CatalogRelation, head: CatalogRelation, current: CatalogRelation, *, described: bool
) -> tuple[CatalogRelation, CatalogRelation, CatalogRelation]:
    """Split a UNIQUE from the primary key (rule M6).

    A file never names its primary key, so another name than Postgres's default in *base* and *head* is the
    UNIQUE's.
    """

    def apart(relation: CatalogRelation, names: Callable[[CatalogConstraint], bool]) -> CatalogRelation:
        key = relation.primary_key
        if key is None or key.name == primary_key_name(head.name) or not names(key):
            return relation
        kept = {n: c for n, c in relation.constraints.items() if n != key.name}
        kept |= {c.name: c for c in _split_key(head.name, key)}
        return replace(relation, constraints=kept)

    head = apart(head, _is_named)
    if described:
        base = apart(base, _is_named)
    known = {(u.name, u.columns) for side in (base, head) for u in side.uniques}
    current = apart(current, lambda key: (key.name, key.columns) in known)
    if not described:
        base = apart(base, lambda key: (key.name, key.columns) in known)
    return base, head, current


def _is_named(key: CatalogConstraint) -> bool:
    """Return whether a key is a UNIQUE that a file names, alone or merged with the primary key."""
    return key.kind == "unique" or (key.kind == "primary key" and not key.name.endswith("_pkey"))


def _split_key(table: str, key: CatalogConstraint) -> tuple[CatalogConstraint, CatalogConstraint]:
    """Return the primary key and the UNIQUE that Postgres merged."""
    unique = replace(key, kind="unique", definition=key.definition.replace("PRIMARY KEY", "UNIQUE"))
    return replace(key, name=primary_key_name(table), comment=None), unique


def _joined(
    constraints: dict[str, CatalogConstraint], current: CatalogRelation
) -> dict[str, CatalogConstraint]:
    """Merge a primary key and its UNIQUE as in *current*."""
    key = current.primary_key
    new = next((c for c in constraints.values() if c.kind == "primary key"), None)
    if key is None or new is None or new.columns != key.columns:
        return constraints
    twin = constraints.get(key.name)
    if twin is None or twin.kind != "unique" or (twin.columns, twin.options) != (key.columns, key.options):
        return constraints
    out = {n: c for n, c in constraints.items() if n not in {new.name, twin.name}}
    out[key.name] = replace(new, name=key.name, comment=twin.comment)
    return out


def _free_key_names(relations: dict[str, CatalogRelation]) -> None:
    """Rename a renamed table's primary key where its name is needed."""
    taken: dict[str, int] = {}
    for relation in relations.values():
        keys = [c.name for c in relation.constraints.values() if c.kind in {"primary key", "unique"}]
        for name in (*keys, *relation.indexes, relation.name):
            taken[name] = taken.get(name, 0) + 1
    for table, relation in relations.items():
        key, automatic = relation.primary_key, primary_key_name(table)
        if key is not None and taken[key.name] > 1 and key.name != automatic and automatic not in taken:
            kept = {n: c for n, c in relation.constraints.items() if n != key.name}
            kept[automatic] = replace(key, name=automatic)
            relations[table] = replace(relation, constraints=kept)
