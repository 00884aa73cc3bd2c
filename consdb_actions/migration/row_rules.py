"""What rows must satisfy: keys, references and conditions, now and after a migration (rule M15)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pglast
from pglast.stream import RawStream

from consdb_actions.catalog import CatalogConstraint, CatalogRelation, Snapshot
from consdb_actions.migration.data import ColumnFill, ColumnMove
from consdb_actions.migration.rewrite.retype import base_type, convertible, using
from consdb_actions.migration.rewrite.statements import literal

VALUE = '"{value}"'  # Placeholder of a column in the SQL of a conversion

Casts = frozenset[tuple[str, str]]
_CHECK = re.compile(r"^CHECK (\(.*\))(?: NO INHERIT)?(?: NOT VALID)?$", re.DOTALL)
_INDEX = re.compile(r"^CREATE UNIQUE INDEX .*? USING \w+ (\(.*)$", re.DOTALL)
_NAME = re.compile(r'"(?:[^"]|"")+"|[^\W\d][\w$]*')


@dataclass(frozen=True)
class RowMigration:
    """A migration that rows must survive."""

    after: Snapshot
    tables: Mapping[str, str] = field(default_factory=dict)  # New names by old
    columns: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """New names by the table's new name and the column's old."""
    moves: tuple[ColumnMove, ...] = ()
    filled: tuple[
        ColumnFill, ...
    ] = ()  # Columns that get values in place of NULL, in the names after renames


@dataclass(frozen=True)
class Reference:
    """A foreign key."""

    name: str
    table: str
    columns: tuple[str, ...]
    target: str | None  # None outside of the schema
    target_columns: tuple[str, ...]
    full: bool = False
    deferrable: bool = False
    coming: bool = False  # Whether the migration adds it
    soft: bool = False  # Whether no key exists, but rows should match

    def can_be_empty(self, nullable: Iterable[str]) -> bool:
        """Return whether a row can refer to nothing."""
        return (all if self.full else any)(c in nullable for c in self.columns)


@dataclass(frozen=True)
class Condition:
    """A condition on the columns of one row."""

    words: str
    text: str
    scope: Mapping[str, tuple[str, str]]
    """Present column (none for a constant) and SQL of its new value, by name in the text."""
    coming: bool = False  # Whether it applies after the migration

    @property
    def columns(self) -> tuple[str, ...]:
        """Present columns that it reads."""
        return tuple(dict.fromkeys(column for column, _ in self.scope.values() if column))

    def sql(self) -> str:
        """Return the condition over present columns; NULL satisfies it, as in a CHECK."""
        found = {n: e.replace(VALUE, quoted(c)) for n, (c, e) in self.scope.items()}
        names = ", ".join(f"{expression} AS {quoted(name)}" for name, expression in found.items())
        return f"(SELECT ({self.text}) IS NOT FALSE FROM (SELECT {names}) AS scope)"

    def of(self, column: str) -> Condition:
        """Return the condition for another column with the same values."""
        return replace(self, scope={n: (c and column, e) for n, (c, e) in self.scope.items()})


@dataclass(frozen=True)
class Conversion:
    """A column's type change: SQL over :data:`VALUE` there and back; None for an assignment cast."""

    type: str
    there: str | None
    back: str | None


@dataclass
class TableRules:
    """What a table's rows must satisfy, now and later; all names are the present ones."""

    table: CatalogRelation
    later: CatalogRelation | None = None
    renamed: dict[str, str] = field(default_factory=dict)  # Later names of columns that remain
    nullable: set[str] = field(default_factory=set)
    keys: list[tuple[str, ...]] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    becomes: dict[str, Conversion] = field(default_factory=dict)  # The changes of columns' types
    converted: dict[str, str] = field(default_factory=dict)
    """SQL over :data:`VALUE` for later values of columns."""
    same: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Columns that hold one value in all rows that agree in some other columns."""

    @property
    def tightened(self) -> bool:
        """Whether the migration can refuse rows that are possible now."""
        coming = any(c.coming for c in self.conditions) or any(r.coming for r in self.references)
        return coming or bool(self.later_shape()[1])

    def later_shape(self) -> tuple[list[tuple[str, str, str]], list[str]]:
        """Return later columns (name, type, value), and key statements for a table ``later``."""
        later = self.later
        if later is None or (set(_uniques(later)) == set(_uniques(self.table)) and not self.becomes):
            return [], []
        columns = [
            (new, later.columns[new].type, self.converted[old].replace(VALUE, quoted(old)))
            for old, new in self.renamed.items()
        ]
        return columns, _uniques(later)

    def earlier(self, columns: Iterable[str]) -> tuple[str, ...] | None:
        """Return present names of columns; None where one is new."""
        back = {new: old for old, new in self.renamed.items()}
        found = tuple(back.get(c, "") for c in columns)
        return found if all(found) else None


def rules_of(snapshot: Snapshot, change: RowMigration | None, casts: Casts) -> dict[str, TableRules]:
    """Return what each table's rows must satisfy; ``casts`` are assignment casts."""
    rules = {}
    for name, table in snapshot.tables.items():
        found = TableRules(table, nullable={c.name for c in table.columns.values() if c.nullable})
        found.keys = _keys(table)
        found.references = [r for r in _references(snapshot.schema, table) if _known(r, snapshot)]
        found.conditions = list(_checks(table, {c: (c, VALUE) for c in table.columns}))
        rules[name] = found
    if change is not None:
        _ComingRequirements(change, rules, casts).add()
    return rules


def _known(reference: Reference, snapshot: Snapshot) -> bool:
    return reference.target is None or reference.target in snapshot.tables


class _ComingRequirements:
    """Adds what a migration requires of existing rows."""

    def __init__(self, change: RowMigration, rules: dict[str, TableRules], casts: Casts) -> None:
        self._change, self._rules, self._casts = change, rules, casts
        self._later: dict[str, TableRules] = {}
        for name, found in rules.items():
            new = change.tables.get(name, name)
            found.later = change.after.tables.get(new)
            if found.later is not None:
                names = {c: change.columns.get((new, c), c) for c in found.table.columns}
                found.renamed = {c: n for c, n in names.items() if n in found.later.columns}
                self._later[new] = found

    def add(self) -> None:
        existing = {r for found in self._rules.values() for r in found.references}
        for new, found in self._later.items():
            self._columns(new, found)
        for new, found in self._later.items():
            assert found.later is not None
            found.keys += [k for k in map(found.earlier, _keys(found.later)) if k and k not in found.keys]
            self._conditions(new, found)
            for reference in _references(self._change.after.schema, found.later):
                self._reference(reference, found, existing)
        for move in self._change.moves:
            self._move(move, existing)
        needed, empty = set[tuple[str, str]](), set[tuple[str, str]]()
        for item in self._change.filled:
            if item.table in self._later:
                self._fill(item, needed, empty)
        # Of two columns that are filled one after the other only the last lacks values.
        for table, column in empty - needed:
            self._rules[table].nullable.add(column)
        self._hold_values(needed)

    def _columns(self, new: str, found: TableRules) -> None:
        assert found.later is not None
        for name, later in found.renamed.items():
            a, b = found.table.columns[name], found.later.columns[later]
            found.converted[name] = VALUE
            if a.type != b.type and convertible(base_type(a.type), base_type(b.type)):
                conversion = _conversion(a.type, b.type, self._casts)
                found.becomes[name] = conversion
                found.converted[name] = conversion.there or f"{VALUE}::{b.type}"
            if not b.nullable:
                found.nullable.discard(name)
            for item in self._change.filled:
                if (item.table, item.column) == (new, later) and item.value is not None:
                    value = f"{literal(item.value)}::{b.type}"
                    found.converted[name] = f"coalesce({found.converted[name]}, {value})"
        back = set(found.renamed.values())
        if any(
            c.default is None and not c.sequence and not c.nullable and n not in back
            for n, c in found.later.columns.items()
        ):
            # Such a column is filled from a parent.
            found.nullable -= {c for r in found.references for c in r.columns}

    def _conditions(self, new: str, found: TableRules) -> None:
        assert found.later is not None
        known = {(c.words, c.text) for c in found.conditions}
        scope = {later: (name, found.converted[name]) for name, later in found.renamed.items()}
        for name, column in found.later.columns.items():
            if name not in scope and not column.generated:
                plain = column.default is not None
                scope[name] = ("", f"({column.default if plain else 'NULL'})::{column.type}")
        for condition in _checks(found.later, scope):
            changed = any(found.converted[c] != VALUE for c in condition.columns)
            if changed or (condition.words, condition.text) not in known:
                found.conditions.append(replace(condition, coming=True))
            # A column that moves here brings its values.
            if not condition.columns and len(condition.scope) == 1:
                name = next(iter(condition.scope))
                for source, origin in self._origins(new, name):
                    moved = {name: (origin, f"{VALUE}::{found.later.columns[name].type}")}
                    source.conditions.append(replace(condition, scope=moved, coming=True))

    def _origins(self, table: str, column: str) -> Iterator[tuple[TableRules, str]]:
        places = [
            *(
                self._place(m.source, m.source_column)
                for m in self._change.moves
                if (m.target, m.target_column) == (table, column)
            ),
            *(
                self._place(f.path[-1].parent, f.source)
                for f in self._change.filled
                if (f.table, f.column) == (table, column) and f.path
            ),
        ]
        for name, origin in places:
            if name in self._rules and origin in self._rules[name].table.columns:
                yield self._rules[name], origin

    def _place(self, table: str, column: str) -> tuple[str, str]:
        """Return present names; removed elements have them already."""
        found = self._later.get(table)
        if found is None:
            return table, column
        return found.table.name, (found.earlier([column]) or (column,))[0]

    def _reference(self, reference: Reference, found: TableRules, existing: set[Reference]) -> None:
        mine = found.earlier(reference.columns)
        if mine is None or reference.target is None:
            return
        parent = self._later.get(reference.target)
        if parent is None:
            if reference.target in {m.target for m in self._change.moves}:
                return
            message = f"the new foreign key {reference.name} refers to a table that is new and empty"
            text = f"num_nulls({', '.join(map(quoted, mine))}) > 0"
            found.conditions.append(Condition(message, text, {c: (c, VALUE) for c in mine}, coming=True))
            return
        theirs = parent.earlier(reference.target_columns)
        here, there = found.table.name, parent.table.name
        ends = (here, mine, there, theirs)
        if theirs and ends not in {(r.table, r.columns, r.target, r.target_columns) for r in existing}:
            found.references.append(
                Reference(reference.name, here, mine, there, theirs, full=reference.full, coming=True)
            )

    def _move(self, move: ColumnMove, existing: Iterable[Reference]) -> None:
        """Require one value per key, and matching rows in both tables."""
        table = self._place(move.source, move.source_column)[0]
        if table not in self._rules:
            return
        key = tuple(self._place(move.source, c)[1] for c in move.source_key)
        self._rules[table].same.append((move.source_column, key))
        through = (*move.source_side, *move.target_side)
        self._hold_values((table, c) for c in key)
        self._hold_values(self._place(move.target, c) for c in move.target_key)
        self._hold_values(self._place(move.through, c) for c in through)
        target = self._later.get(move.target)
        met = target.earlier(move.target_key) if target and not move.through else None
        if not target or not met:
            return
        led = {(r.table, r.columns): (r.target, r.target_columns) for r in existing}
        ends = ((table, key), (target.table.name, met))
        if len({led.get(end, end) for end in ends}) == 1:
            return
        unique = any(set(k) <= set(met) for k in _keys(target.table))
        child, parent = ends if unique else ends[::-1]
        self._rules[child[0]].references.append(Reference("", *child, *parent, coming=True, soft=True))

    def _hold_values(self, places: Iterable[tuple[str, str]]) -> None:
        for table, column in places:
            if table in self._rules:
                self._rules[table].nullable.discard(column)

    def _fill(self, item: ColumnFill, needed: set[tuple[str, str]], empty: set[tuple[str, str]]) -> None:
        """Require values where a fill reads them, else in the column itself."""
        table = item.table
        for step in item.path:
            needed |= {self._place(table, c) for c in step.columns}
            needed |= {self._place(step.parent, c) for c in step.referenced}
            table = step.parent
        if item.path:
            needed.add(self._place(table, item.source))
        own = self._later[item.table]
        was = own.earlier([item.column])
        if was and own.table.columns[was[0]].nullable and not any(was[0] in key for key in own.keys):
            empty.add((own.table.name, was[0]))


def _constraint_text(constraint: CatalogConstraint) -> str:
    return f"{constraint.name}: {constraint.definition}"


def _conversion(old: str, new: str, casts: Casts) -> Conversion:
    name, source, target = VALUE.strip('"'), base_type(old), base_type(new)
    return Conversion(new, using(name, source, target, new, casts), using(name, target, source, old, casts))


def quoted(name: str) -> str:
    """Quote an identifier, whether Postgres needs it or not."""
    return '"' + name.replace('"', '""') + '"'


def _checks(table: CatalogRelation, scope: Mapping[str, tuple[str, str]]) -> Iterator[Condition]:
    for constraint in table.constraints.values():
        match = _CHECK.match(constraint.definition) if constraint.kind == "check" else None
        if match is not None and constraint.columns and all(c in scope for c in constraint.columns):
            yield Condition(_constraint_text(constraint), match[1], {c: scope[c] for c in constraint.columns})


def _references(schema: str, table: CatalogRelation) -> Iterator[Reference]:
    for constraint in table.constraints.values():
        if constraint.kind == "foreign key":
            statement = f"ALTER TABLE t ADD {constraint.definition}"
            parsed: Any = pglast.parse_sql(statement)[0].stmt
            node = parsed.cmds[0].def_
            inside = node.pktable.schemaname in {None, schema}
            yield Reference(
                name=constraint.name,
                table=table.name,
                columns=constraint.columns,
                target=node.pktable.relname if inside else None,
                target_columns=tuple(n.sval for n in node.pk_attrs or ()),
                full=node.fk_matchtype == "f",
                deferrable=bool(node.deferrable),
            )


def _uniques(table: CatalogRelation) -> list[str]:
    """Return statements that create a table's keys on a table ``later``."""
    # ON CONFLICT cannot use a deferrable key.
    out = [
        f"ALTER TABLE later ADD {c.definition.partition(' DEFERRABLE')[0]}"
        for c in table.constraints.values()
        if c.kind in {"primary key", "unique", "exclusion"}
    ]
    for definition in (i.definition for i in table.indexes.values()):
        if definition.startswith("CREATE UNIQUE INDEX"):
            node: Any = pglast.parse_sql(definition)[0].stmt
            node.idxname, node.relation.schemaname, node.relation.relname = None, None, "later"
            out.append(RawStream()(node))
    return out


def _keys(table: CatalogRelation) -> list[tuple[str, ...]]:
    """Return unique sets of columns, also of expression indexes."""
    found = [c.columns for c in table.constraints.values() if c.kind in {"primary key", "unique"}]
    for definition in (i.definition for i in table.indexes.values()):
        if match := _INDEX.match(definition):
            names = {n.strip('"').replace('""', '"') for n in _NAME.findall(match[1].split(" WHERE ")[0])}
            found.append(tuple(c for c in table.columns if c in names))
    return [key for key in dict.fromkeys(found) if key]
