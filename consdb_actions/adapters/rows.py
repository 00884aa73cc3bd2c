"""Read, hash and delete rows, and fill tables with rows that the database accepts (rule M15)."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import chain, islice, pairwise, zip_longest
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Composed, Identifier, Literal

from consdb_actions.catalog import Snapshot
from consdb_actions.migration.data import Rows, TableRows
from consdb_actions.migration.rewrite.statements import literal
from consdb_actions.migration.row_rules import (
    VALUE,
    Condition,
    Reference,
    RowMigration,
    TableRules,
    quoted,
    rules_of,
)
from consdb_actions.migration.samples import ANY_TYPE, mentioned, sample, spelled
from consdb_actions.migration.types import parse_type

# Output that does not depend on the server's settings, and that reads back as the same value.
_SETTINGS = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmloption": "content",
    "lc_monetary": "C",
    "search_path": "pg_catalog, public",
}


def read_rows(
    connection: sa.Connection,
    snapshot: Snapshot,
    tables: Collection[str] | None = None,
    first: Mapping[str, tuple[Sequence[str], int]] | None = None,
) -> Rows:
    """Read tables, each value as the text that Postgres prints."""
    out = {}
    with stable_cursor(connection) as cursor:
        for name, table in snapshot.tables.items():
            if (tables is not None and name not in tables) or table.kind != "table" or not table.columns:
                continue
            columns = SQL(", ").join(SQL("{}::text").format(Identifier(c)) for c in table.columns)
            statement = SQL("SELECT {} FROM {}").format(columns, Identifier(snapshot.schema, name))
            if first and name in first:
                order, most = first[name]
                names = SQL(", ").join(map(Identifier, order))
                statement += SQL(" ORDER BY {} LIMIT {}").format(names, Literal(most))
            cursor.execute(statement)
            rows = sorted(cursor.fetchall(), key=lambda row: [(v is None, v or "") for v in row])
            out[name] = TableRows(
                name, tuple(table.columns), tuple(c.type for c in table.columns.values()), tuple(rows)
            )
    return out


def count_rows(connection: sa.Connection, snapshot: Snapshot) -> dict[str, int]:
    """Count the rows of every table."""
    out = {}
    with stable_cursor(connection) as cursor:
        for name, table in snapshot.tables.items():
            if table.kind == "table":
                cursor.execute(SQL("SELECT count(*) FROM {}").format(Identifier(snapshot.schema, name)))
                row = cursor.fetchone()
                out[name] = 0 if row is None else int(row[0])
    return out


def hash_columns(
    connection: sa.Connection, schema: str, table: str, key: Collection[str], columns: Collection[str]
) -> dict[str, str]:
    """Hash each column with the keys of its rows."""
    if not columns:
        return {}
    keys = SQL(", ").join(SQL("{}::text").format(Identifier(c)) for c in key)
    parts = [
        SQL("concat_ws(':', count({c}), sum(hashtextextended(row({row})::text, 0)::numeric))").format(
            c=Identifier(c),
            row=SQL(", ").join([SQL("{}::text").format(Identifier(c)), *([keys] if key else [])]),
        )
        for c in columns
    ]
    with stable_cursor(connection) as cursor:
        cursor.execute(SQL("SELECT {} FROM {}").format(SQL(", ").join(parts), Identifier(schema, table)))
        row = cursor.fetchone()
    return dict(zip(columns, row or (), strict=True))


def remove_rows(connection: sa.Connection, snapshot: Snapshot) -> None:
    """Empty all tables of a schema, in the connection's transaction."""
    names = [n for n, table in snapshot.tables.items() if table.kind == "table"]
    if names:
        tables = SQL(", ").join(Identifier(snapshot.schema, n) for n in names)
        with stable_cursor(connection) as cursor:
            cursor.execute(SQL("TRUNCATE {} CASCADE").format(tables))


def printed(connection: sa.Connection, text: str, type_: str) -> str | None:
    """Return how Postgres prints a text once cast to a type."""
    with stable_cursor(connection) as cursor:
        cursor.execute(SQL("SELECT CAST({} AS {})::text").format(Literal(text), SQL(type_)))
        row = cursor.fetchone()
    return None if row is None else row[0]


@contextmanager
def stable_cursor(connection: sa.Connection) -> Iterator[psycopg.Cursor[Any]]:
    """Yield the driver's cursor, which supports COPY and literal percent signs."""
    names = list(_SETTINGS)
    # Through SQLAlchemy, so that it knows of the transaction.
    shown = sa.text("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
    before = connection.execute(shown).one()
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with driver.cursor() as cursor:
        cursor.execute(_set(zip(names, _SETTINGS.values(), strict=True)))
        yield cursor
        cursor.execute(_set(zip(names, before, strict=True)))


def _set(settings: Iterable[tuple[str, str]]) -> Composed:
    calls = [SQL("set_config({}, {}, false)").format(Literal(n), Literal(v)) for n, v in settings]
    return SQL("SELECT {}").format(SQL(", ").join(calls))


Place = tuple[str, str]
Row = dict[str, str | None]
Values = tuple[str | None, ...]

_ATTEMPTS = 6
_COMBINATIONS = 500
_REFUSALS = 60  # by the database, per table
_PRODUCT = 10_000  # combinations of candidates of columns that conditions connect
_KEPT = 400
_DANGLING = "its rows refer to others that could not be made"
_CASTS = """SELECT format_type(castsource, NULL), format_type(casttarget, NULL)
FROM pg_cast WHERE castcontext IN ('a', 'i')"""
_TYPE = """SELECT format_type(nullif(typbasetype, 0), typtypmod),
  ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder),
  ARRAY(SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contypid = t.oid)
FROM pg_type t WHERE oid = to_regtype({})"""


@dataclass(frozen=True)
class SeedResult:
    """The seeded rows."""

    seeded: dict[str, int] = field(default_factory=dict)
    unseeded: dict[str, str] = field(default_factory=dict)  # Tables without rows, and why
    made: tuple[TableRows, ...] = ()  # The inserted rows, parents first


def seed(
    connection: sa.Connection,
    snapshot: Snapshot,
    *,
    rows: int = 8,
    change: RowMigration | None = None,
    start: int = 0,
) -> SeedResult:
    """Fill every table of a schema, in the connection's transaction."""
    with stable_cursor(connection) as cursor:
        database = _Database(cursor)
        database.run("SET CONSTRAINTS ALL DEFERRED")
        casts = frozenset((str(a), str(b)) for a, b in database.run(_CASTS)) if change else frozenset()
        result, without = None, set[str]()
        while result is None:
            rules = rules_of(snapshot, change, casts)
            database.run("SAVEPOINT empty")
            try:
                result = _Seeder(database, snapshot, rules, rows, start, without).fill()
            except _CannotDeleteError as error:
                database.run("ROLLBACK TO empty")
                without.add(error.table)
        # Pending trigger events would block the migration's ALTER TABLE.
        database.run("SET CONSTRAINTS ALL IMMEDIATE")
        for sequence in snapshot.sequences.values():
            # Sequences continue after the rows, as in a database in use.
            owner, _, column = (sequence.owned_by or "").rpartition(".")
            if owner in result.seeded and column in snapshot.tables[owner].columns:
                name = literal(f"{quoted(snapshot.schema)}.{quoted(sequence.name)}")
                table = f"{quoted(snapshot.schema)}.{quoted(owner)}"
                database.run(
                    f"SELECT setval({name}, greatest(1, (SELECT max({quoted(column)}) FROM {table})))"
                )
    return result


class _CannotDeleteError(Exception):
    """Rows whose foreign keys turned out wrong, and which others refer to at once."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table


class _Database:
    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        self._cursor.execute(sql.encode())
        return self._cursor.fetchall() if self._cursor.description is not None else []

    def attempt(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            self._cursor.execute(f"SAVEPOINT attempt; {sql}; RELEASE attempt".encode())
        except psycopg.DatabaseError:
            self._cursor.execute("ROLLBACK TO attempt; RELEASE attempt")
            raise
        self._cursor.nextset()
        return self._cursor.fetchall() if self._cursor.description is not None else []

    def insert(self, schema: str, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        names = SQL(", ").join(map(Identifier, columns))
        statement = SQL("COPY {} ({}) FROM STDIN").format(Identifier(schema, table), names)
        with self._cursor.connection.transaction(), self._cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([row[c] for c in columns])


class _Candidates:
    """Values for all columns, valid also where foreign keys use them."""

    def __init__(
        self, database: _Database, snapshot: Snapshot, rules: Mapping[str, TableRules], size: int
    ) -> None:
        self._database, self._snapshot, self._rules, self._size = database, snapshot, rules, size
        self._root = _connected_columns(rules)
        self._members: dict[Place, list[Place]] = defaultdict(list)
        for place, root in sorted(self._root.items()):
            self._members[root].append(place)
        self._pools: dict[Place, list[str] | None] = {}
        self._samples: dict[Place, tuple[str, str, bool]] = {}
        self._plain = {name: _plain_columns(found) for name, found in rules.items()}

    def value(self, table: str, column: str, index: int, *, plain: bool = False) -> str | None:
        """Return a value for a column; None where none is known."""
        root = self._root.get((table, column), (table, column))
        pool = self._pool(root)
        if pool is not None:
            return pool[index % len(pool)] if pool else None
        type_, label, always = self._samples[root]
        return sample(type_, label, index, plain=plain or always)

    def _pool(self, root: Place) -> list[str] | None:
        """Return the values for a column; None allows any sample of its type."""
        if root not in self._pools:
            found = self._rules[root[0]]
            plain = root in self._members or root[1] in self._plain[root[0]]
            self._samples[root] = found.table.columns[root[1]].type, ".".join(root), plain
            self._pools[root] = self._find(root)
        return self._pools[root]

    def _find(self, root: Place) -> list[str] | None:
        places = self._members.get(root, [root])
        own = self._samples[root][0]
        conditions = [
            condition if place == root else condition.of(root[1])
            for place in places
            for condition in self._rules[place[0]].conditions
            if condition.columns == (place[1],)
        ]
        if not conditions and len(self._types(places)) == 1 and parse_type(own).family:
            return None
        found = self._several(root, conditions)
        if not conditions:
            return found
        tuples = self.satisfying(root[0], [root[1]], [[*found, None]], conditions)
        if (None,) not in tuples:
            for table, column in places:
                self._rules[table].nullable.discard(column)
        return [value for (value,) in tuples if value is not None]

    def candidates(self, table: str, column: str, conditions: Sequence[Condition]) -> list[str | None]:
        root = self._root.get((table, column), (table, column))
        pool = self._pool(root)
        if any(c.columns == (column,) for c in self._rules[table].conditions):
            return [*(pool or ())]
        return [*self._several(root, conditions)]

    def _types(self, places: Iterable[Place]) -> list[str]:
        found: dict[str, None] = {}
        for table, column in places:
            rules = self._rules[table]
            found[rules.table.columns[column].type] = None
            if (conversion := rules.becomes.get(column)) is not None:
                found[conversion.type] = None
        return list(found)

    def _several(self, root: Place, conditions: Iterable[Condition]) -> list[str]:
        """Return values that survive all type changes of the column."""
        own, label, plain = self._samples[root]
        types = self._types([root, *self._members.get(root, [])])
        samples = [
            sample(own, label, k, plain=plain) if t == own else spelled(own, t, label, k, plain=plain)
            for k in range(self._size)
            for t in types
        ]
        wanted = [v for c in conditions for v in mentioned(self._definition(c), own, self._size)]
        more = [] if parse_type(own).family else self._unknown(own)
        mixed = chain.from_iterable(zip_longest(samples, wanted, more))
        values = list(dict.fromkeys(v for v in mixed if v is not None))
        return self._fitting(values, own, self._members.get(root, [root]))

    def _definition(self, condition: Condition) -> str:
        bodies = [
            body
            for name, body in self._snapshot.functions.items()
            if name.partition("(")[0].rpartition(".")[2] in condition.text
        ]
        return "\n".join([condition.text, *bodies])

    def _unknown(self, type_: str) -> list[str]:
        """Return texts for an unknown type: labels, samples of its base type, any."""
        base, labels, checks = next(iter(self._database.run(_TYPE.format(literal(type_)))), (None, [], []))
        basic = [sample(base, type_, k, plain=True) for k in range(self._size)] if base else []
        some = [v for check in checks for v in mentioned(check, base or type_, self._size)]
        return [v for v in (*labels, *some, *basic, *ANY_TYPE) if v is not None]

    def _fitting(self, values: list[str], own: str, places: Iterable[Place]) -> list[str]:
        # Variables take values as columns do: longer texts are refused, not truncated as in a cast.
        steps = [f"v {own} := given;"]
        for number, (table, column) in enumerate(places):
            steps.append(f"a{number} {self._rules[table].table.columns[column].type} := v;")
            if (conversion := self._rules[table].becomes.get(column)) is not None:
                there, back = conversion.there or VALUE, conversion.back or VALUE
                steps.append(f"b{number} {conversion.type} := {there.replace(VALUE, f'a{number}')};")
                old = self._rules[table].table.columns[column].type
                steps.append(f"c{number} {old} := {back.replace(VALUE, f'b{number}')};")
        inner = f"DECLARE {' '.join(steps)} BEGIN RETURN true; END;"
        try:
            self._define("fits", "given text", inner)
        except psycopg.errors.SyntaxErrorOrAccessRuleViolation:
            return values  # a type does not exist yet
        numbers = self._database.run(
            f"SELECT i FROM unnest({_array(values)}) WITH ORDINALITY u(t, i) WHERE pg_temp.fits(t)"
        )
        return [values[number - 1] for (number,) in numbers]

    def _define(self, name: str, arguments: str, body: str) -> None:
        """Define a function that is false where its body fails."""
        body = f"BEGIN {body} EXCEPTION WHEN OTHERS THEN RETURN false; END"
        statement = f"CREATE OR REPLACE FUNCTION pg_temp.{name}({arguments}) RETURNS boolean LANGUAGE plpgsql"
        self._database.attempt(f"{statement} AS {literal(body)}")

    def satisfying(
        self,
        table: str,
        columns: Sequence[str],
        values: Sequence[Sequence[str | None]],
        conditions: Sequence[Condition],
    ) -> list[Values]:
        most = max(3, int(_PRODUCT ** (1 / len(columns))))
        lists = [
            [*(v for v in some if v is not None)][: most - 1] + [None] * (None in some) for some in values
        ]
        types = [self._rules[table].table.columns[c].type for c in columns]
        all_of = " AND ".join(c.sql() for c in conditions)
        sources = ", ".join(
            f"unnest({_array(some)}) WITH ORDINALITY u{n}(t, i)" for n, some in enumerate(lists)
        )
        texts = ", ".join(f"u{n}.t" for n in range(len(columns)))

        def row(names: Iterable[str]) -> str:
            typed = zip(names, types, columns, strict=True)
            return "(SELECT " + ", ".join(f"{n}::{t} AS {quoted(c)}" for n, t, c in typed) + ") AS present"

        order = "u0.i" if len(columns) == 1 else f"md5(concat_ws(' ', {texts}))"
        tail = f"ORDER BY {order} LIMIT {_KEPT}"
        with suppress(psycopg.DatabaseError):
            direct = f"FROM {sources}, LATERAL {row(f'u{n}.t' for n in range(len(columns)))}"
            return self._database.attempt(f"SELECT {texts} {direct} WHERE {all_of} {tail}")
        # The condition fails on some values: each is tried alone.
        found = row(f"given[{n + 1}]" for n in range(len(columns)))
        self._define("holds", "given text[]", f"RETURN (SELECT {all_of} FROM {found});")
        return self._database.run(f"SELECT {texts} FROM {sources} WHERE pg_temp.holds(ARRAY[{texts}]) {tail}")


class _Seeder:
    def __init__(
        self,
        database: _Database,
        snapshot: Snapshot,
        rules: dict[str, TableRules],
        rows: int,
        start: int,
        without: Set[str],
    ) -> None:
        self._without = without
        self._database, self._schema, self._rules = database, snapshot.schema, rules
        self._count, self._start = rows, start
        self._candidates = _Candidates(database, snapshot, rules, max(24, rows + 8))
        self._order, self._cut = _fill_order(rules)
        self._targets: dict[str, set[str]] = defaultdict(set)
        for reference in chain.from_iterable(found.references for found in rules.values()):
            self._targets[reference.target or ""] |= set(reference.target_columns)
        self._parents: dict[str, list[Row]] = {}
        self._reasons: dict[str, str] = {}
        self._made: list[TableRows] = []

    def fill(self) -> SeedResult:
        for name in self._order:
            self._parents[name] = []
            reason = self._obstacle(self._rules[name]) or self._fill_table(name)
            if reason:
                self._reasons[name] = reason
        for reference in self._cut:
            self._fill_deferred(reference)
        self._remove_dangling()
        filled = [name for name in self._order if name not in self._reasons]
        counts = ", ".join(f"(SELECT count(*) FROM {self._name(name)})" for name in filled)
        seeded = dict(zip(filled, map(int, self._database.run(f"SELECT {counts}")[0]), strict=True))
        for name in [name for name, count in seeded.items() if not count]:
            del seeded[name]
            self._reasons[name] = _DANGLING
        return SeedResult(seeded, dict(sorted(self._reasons.items())), tuple(self._made))

    def _name(self, table: str) -> str:
        return f"{quoted(self._schema)}.{quoted(table)}"

    def _obstacle(self, found: TableRules) -> str:
        """Return why a table can hold no row; empty if it can."""
        if found.table.kind != "table":
            return f"it is a {found.table.kind}"
        if found.table.name in self._without:
            return _DANGLING
        for reference in found.references:
            if reference.soft or reference.can_be_empty(found.nullable):
                continue
            what = f"its foreign key {reference.name} ({', '.join(reference.columns)})"
            if reference.target is None:
                return f"{what} refers to a table of another schema and may not be NULL"
            if reference in self._cut:
                if not (reference.deferrable or reference.coming):
                    return (
                        f"{what} is part of a cycle of tables that require each other's rows: "
                        "none of the keys may be NULL or is deferrable"
                    )
            elif reference.target != reference.table and not self._parents[reference.target]:
                return f"{what} needs a row of {reference.target}, which has none"
        return ""

    def _fill_table(self, name: str) -> str:
        found = self._rules[name]
        maker = _RowMaker(found, self._candidates, self._parents, self._cut, self._count, self._start)
        if maker.reason:
            return maker.reason
        rows = maker.rows()
        reason = "no row satisfies its keys and foreign keys together"
        if rows:
            try:
                self._database.insert(self._schema, name, maker.columns, rows)
            except psycopg.DatabaseError:
                rows, reason = self._one_by_one(name, maker)
        if not rows:
            return reason
        types = tuple(found.table.columns[c].type for c in maker.columns)
        values = tuple(tuple(row[c] for c in maker.columns) for row in rows)
        self._made.append(TableRows(name, tuple(maker.columns), types, values))
        if found.tightened:
            self._delete_refused(found)
        self._parents[name] = self._read_back(name)
        return "" if self._parents[name] else "the migration refuses every row that was tried"

    def _one_by_one(self, name: str, maker: _RowMaker) -> tuple[list[Row], str]:
        accepted: list[Row] = []
        reason, refusals = "", 0
        for index in range(self._count):
            for row in maker.tries(index, accepted):
                try:
                    self._database.insert(self._schema, name, maker.columns, [row])
                except psycopg.DatabaseError as error:
                    refusals += 1
                    reason = reason or _refusal_text(error, self._rules[name])
                    if isinstance(error, psycopg.errors.NotNullViolation) and error.diag.column_name:
                        self._rules[name].nullable.discard(error.diag.column_name)
                    if refusals >= _REFUSALS:
                        return accepted, reason
                else:
                    accepted.append(row)
                    break
        return accepted, reason

    def _read_back(self, name: str) -> list[Row]:
        """Return the stored values that children can refer to."""
        columns = sorted(self._targets[name])
        if not columns and not self._rules[name].tightened:
            return [{}]
        texts = ", ".join(f"{quoted(c)}::text" for c in columns)
        found = self._database.run(f"SELECT {texts} FROM {self._name(name)} ORDER BY ctid LIMIT 64")
        return [dict(zip(columns, values, strict=True)) for values in found]

    def _delete_refused(self, found: TableRules) -> None:
        name = self._name(found.table.name)
        wanted = [c.sql() for c in found.conditions if c.coming]
        wanted += [
            _has_parent(self._name(r.target or ""), r)
            for r in found.references
            if r.coming and not r.soft and r not in self._cut
        ]
        if wanted:
            self._run_per_row(name, f"DELETE FROM {name} WHERE NOT ({' AND '.join(wanted)}) AND {{}}")
        columns, definitions = found.later_shape()
        if not definitions:
            return
        declared = ", ".join(f"{quoted(c)} {t}" for c, t, _ in columns)
        values = ", ".join(expression for _, _, expression in columns)
        with suppress(psycopg.DatabaseError):
            self._database.attempt(f"CREATE TEMP TABLE later (origin tid, {declared}) ON COMMIT DROP")
            for definition in definitions:
                with suppress(psycopg.DatabaseError):
                    self._database.attempt(definition)
            insert = f"INSERT INTO later SELECT ctid, {values} FROM {name}"
            self._run_per_row(name, f"{insert} WHERE {{}} ON CONFLICT DO NOTHING")
            self._database.run(f"DELETE FROM {name} WHERE ctid NOT IN (SELECT origin FROM later)")
            self._database.run("DROP TABLE later")

    def _run_per_row(self, table: str, statement: str) -> None:
        """Run a statement; if it fails, run it per row and delete the failing rows."""

        def where(condition: str) -> str:
            return condition.join(statement.rsplit("{}", 1))

        try:
            self._database.attempt(where("true"))
        except psycopg.DatabaseError:
            for (place,) in self._database.run(f"SELECT ctid::text FROM {table}"):
                try:
                    self._database.attempt(where(f"ctid = '{place}'"))
                except psycopg.DatabaseError:
                    self._database.run(f"DELETE FROM {table} WHERE ctid = '{place}'")

    def _fill_deferred(self, reference: Reference) -> None:
        """Fill a deferred foreign key where the database accepts it."""
        found = self._rules[reference.table]
        columns = [c for c in reference.columns if c in found.nullable]
        if reference.coming or reference.target is None or found.tightened or not columns:
            return
        theirs = dict(zip(reference.columns, reference.target_columns, strict=True))
        same = [f"p.{quoted(theirs[c])} = t.{quoted(c)}" for c in reference.columns if c not in columns]
        where = " AND ".join([f"p.{quoted(theirs[c])} IS NOT NULL" for c in columns] + same)
        mine, values = (", ".join(map(quoted, some)) for some in (columns, [theirs[c] for c in columns]))
        order = ", ".join(f"p.{quoted(theirs[c])}::text || t.ctid::text" for c in columns)
        with suppress(psycopg.DatabaseError):
            self._database.attempt(
                f"UPDATE {self._name(reference.table)} t SET ({mine}) = (SELECT {values} "
                f"FROM {self._name(reference.target)} p WHERE {where} ORDER BY md5({order}) LIMIT 1)"
            )

    def _remove_dangling(self) -> None:
        late = [r for r in self._cut if r.target and not r.soft and (r.coming or r.deferrable)]
        while any(self._remove_from(r.table, _has_parent(self._name(r.target or ""), r)) for r in late):
            late += [
                r
                for found in self._rules.values()
                for r in found.references
                if r.target and not r.soft and r not in late
            ]

    def _remove_from(self, table: str, condition: str) -> int:
        name = self._name(table)
        try:
            return len(self._database.attempt(f"DELETE FROM {name} WHERE NOT ({condition}) RETURNING 1"))
        except psycopg.DatabaseError as error:
            raise _CannotDeleteError(table) from error


def _has_parent(parent: str, reference: Reference) -> str:
    pairs = list(zip(reference.columns, reference.target_columns, strict=True))
    empty = " OR ".join(f"{quoted(c)} IS NULL" for c in reference.columns)
    equal = " AND ".join(f"p.{quoted(t)}::text = present.{quoted(c)}::text" for c, t in pairs)
    mine = ", ".join(map(quoted, reference.columns))
    inner = f"SELECT {empty} OR EXISTS (SELECT FROM {parent} p WHERE {equal})"
    return f"({inner} FROM (SELECT {mine}) AS present)"


def _refusal_text(error: psycopg.Error, found: TableRules) -> str:
    message = (error.diag.message_primary or str(error)).strip()
    constraint = found.table.constraints.get(error.diag.constraint_name or "")
    return f"{message}: {constraint.definition}" if constraint else message


class _RowMaker:
    def __init__(
        self,
        rules: TableRules,
        candidates: _Candidates,
        parents: Mapping[str, list[Row]],
        cut: frozenset[Reference],
        count: int,
        start: int,
    ) -> None:
        self._rules, self._candidates, self._parents = rules, candidates, parents
        self._count, self._start = count, start
        self._name = rules.table.name
        self._empty: set[str] = set()
        self._references: list[Reference] = []
        for reference in rules.references:
            if reference not in cut and (
                reference.target == self._name or parents.get(reference.target or "")
            ):
                self._references.append(reference)
            elif not reference.soft and not (reference in cut and reference.coming):
                self._empty |= rules.nullable & set(reference.columns)
        self._references = [r for r in self._references if not self._empty.intersection(r.columns)]
        self._references.sort(key=lambda r: (r.target == self._name, r.coming, -len(r.columns), r.name))
        self.columns: list[str] = []
        self.reason = ""
        taken = {c for r in self._references for c in r.columns}
        self._choose_columns(taken)
        self._groups = [] if self.reason else list(self._find_groups())
        self._repeatable = _repeatable(rules.keys, taken)
        self._keys = [k for k in rules.keys if set(k) <= set(self.columns)]
        targets = [r.target_columns for r in self._references if r.target == self._name]
        self._key_columns = {c for key in (*rules.keys, *targets) for c in key} & set(self.columns)

    def _choose_columns(self, taken: set[str]) -> None:
        for name, column in self._rules.table.columns.items():
            if column.generated:
                continue
            known = name in taken or self._candidates.value(self._name, name, 0) is not None
            if known or name in self._empty or name in self._rules.nullable:
                self.columns.append(name)
                if not known:
                    self._empty.add(name)
            elif column.default is None and not column.sequence and not self.reason:
                met = [c.text for c in self._rules.conditions if c.columns == (name,)]
                self.reason = f"no value is known for its column {name} of type {column.type}"
                if met:
                    self.reason = f"no value was found that satisfies {' and '.join(met)}"
                elif (new := self._rules.becomes.get(name)) is not None:
                    self.reason = f"no value of its column {name} was found that {new.type} gives back"

    def _find_groups(self) -> Iterator[tuple[list[str], list[Row]]]:
        several = [c for c in self._rules.conditions if len(c.columns) > 1]
        root = _representatives(c.columns for c in several)
        sources = {c: r for r in reversed(self._references) for c in r.columns}
        for head in sorted(set(root.values())):
            columns = sorted(c for c, r in root.items() if r == head)
            conditions = [c for c in several if root[c.columns[0]] == head]
            lists = []
            for column in columns:
                reference = sources.get(column)
                if column in self._empty:
                    values: list[str | None] = [None]
                elif reference is not None and reference.target != self._name:
                    there = reference.target_columns[reference.columns.index(column)]
                    values = list(dict.fromkeys(p[there] for p in self._parents[reference.target or ""]))
                else:
                    values = self._candidates.candidates(self._name, column, conditions)
                if column in self._rules.nullable:
                    values.append(None)
                lists.append(list(dict.fromkeys(values)))
            found = self._candidates.satisfying(self._name, columns, lists, conditions)
            if not found and not self.reason:
                self.reason = f"no values were found that satisfy {' and '.join(c.text for c in conditions)}"
            yield columns, [dict(zip(columns, values, strict=True)) for values in found]

    def rows(self) -> list[Row]:
        found: list[Row] = []
        for index in range(self._count):
            found += islice(self.tries(index, found), 1)
        return found

    def tries(self, index: int, earlier: list[Row]) -> Iterator[Row]:
        for attempt in range(_ATTEMPTS):
            number = index + self._start + attempt * self._count
            half = self._repeatable if attempt == 0 else set()
            own = {
                c: self._candidates.value(self._name, c, number - (index + 1) // 2 if c in half else number)
                for c in sorted(self._key_columns)
            }
            nulls = dict.fromkeys(self._nulls(index, attempt))
            for linked in islice(self._linked({}, own, index, earlier), _COMBINATIONS):
                row: Row = {**own, **linked, **nulls}
                if self._complete(row, linked, number, attempt) and not any(
                    None not in (values := [row[c] for c in key])
                    and any(values == [o[c] for c in key] for o in earlier)
                    for key in self._keys
                ):
                    for column, key in self._rules.same:
                        if column in row and column not in self._key_columns:
                            others = (o for o in earlier if all(row[c] == o[c] for c in key))
                            row[column] = next(others, row)[column]
                    yield row

    def _complete(self, row: Row, linked: Row, number: int, attempt: int) -> bool:
        """Fill the other columns; return whether values were found."""
        last = attempt == 0 and number - self._start == self._count - 1 > 1
        for columns, combinations in self._groups:
            fixed = [c for c in columns if c in linked]
            usable = [o for o in combinations if all(o[c] in (linked[c], row[c]) for c in fixed)]
            if not usable:
                return False
            chosen: Row = max(usable, key=_nulls_in) if last else usable[number % len(usable)]
            row |= chosen
        for column in self.columns:
            if column not in row:
                row[column] = self._candidates.value(self._name, column, number, plain=attempt > 0)
        return True

    def _nulls(self, index: int, attempt: int) -> set[str]:
        """Return the NULL columns of a row; after refusals none, and finally all."""
        nullable = self._rules.nullable - {c for columns, _ in self._groups for c in columns}
        if attempt == _ATTEMPTS - 1:
            some = nullable - self._key_columns
        elif attempt or self._count < 3:
            some = set()
        elif index == self._count - 1:
            some = set(nullable)
        else:
            some = {c for c in nullable - self._key_columns if (index + zlib.crc32(c.encode())) % 5 == 0}
        for reference in self._references:
            if reference.full and not some.issuperset(reference.columns):
                some -= set(reference.columns)
        return some | self._empty

    def _linked(
        self, assigned: Row, own: Row, index: int, earlier: list[Row], place: int = 0
    ) -> Iterator[Row]:
        """Yield values for the columns of all references that agree."""
        if place == len(self._references):
            yield assigned
            return
        reference = self._references[place]
        itself = reference.target == self._name
        parents = earlier if itself else self._parents[reference.target or ""]
        # Two rows per parent where possible; further parents advance with the row.
        first = index // 2 if place == 0 or itself else index + place
        turned: list[Row] = [parents[(first + n) % len(parents)] for n in range(len(parents))]
        if itself:
            turned.append({**own, **assigned})
        for parent in turned:
            values = [parent.get(c) for c in reference.target_columns]
            added = {c: v for c, v in zip(reference.columns, values, strict=True) if v is not None}
            if len(added) < len(values) or any(assigned.get(c, v) != v for c, v in added.items()):
                continue
            yield from self._linked({**assigned, **added}, own, index, earlier, place + 1)


def _nulls_in(row: Row) -> int:
    return list(row.values()).count(None)


def _array(values: Iterable[str | None]) -> str:
    return f"ARRAY[{', '.join('NULL' if v is None else literal(v) for v in values)}]::text[]"


def _representatives(sets: Iterable[tuple[Any, ...]]) -> dict[Any, Any]:
    """Return a representative for each member of the connected sets."""
    groups: dict[Any, set[Any]] = {}
    for some in sets:
        union = set(some).union(*(groups[item] for item in some if item in groups))
        groups |= dict.fromkeys(union, union)
    return {item: min(group) for item, group in groups.items()}


def _connected_columns(rules: Mapping[str, TableRules]) -> dict[Place, Place]:
    """Return a representative for each column connected by foreign keys."""
    return _representatives(
        ((r.table, mine), (r.target, theirs))
        for found in rules.values()
        for r in found.references
        if r.target is not None
        for mine, theirs in zip(r.columns, r.target_columns, strict=True)
    )


def _plain_columns(found: TableRules) -> set[str]:
    """Return columns without extreme values: keys, counters, and those that indexes or expressions read."""
    table = found.table
    read = [
        *(i.definition for i in table.indexes.values()),
        *(c.default or "" for c in table.columns.values() if c.generated),
    ]
    names = set(re.findall(r"[^\W\d]\w*", " ".join(read)))
    counted = {c.name for c in table.columns.values() if c.identity or c.sequence}
    return {c for key in found.keys for c in key} | counted | {c for c in table.columns if c in names}


def _repeatable(keys: Iterable[tuple[str, ...]], taken: set[str]) -> set[str]:
    """Return key columns that may repeat in a wider key."""
    own = [tuple(c for c in key if c not in taken) for key in keys]
    last = {key[-1] for key in own if key} | {key[0] for key in keys if len(key) == 1}
    return {c for key in own for c in key} - last


def _fill_order(rules: Mapping[str, TableRules]) -> tuple[list[str], frozenset[Reference]]:
    cut: set[Reference] = set()

    def rank(edge: list[Reference]) -> tuple[int, str, str]:
        ranks = [
            0 if r.coming else 1 if r.can_be_empty(rules[r.table].nullable) else 2 if r.deferrable else 3
            for r in edge
        ]
        return max(ranks), edge[0].table, edge[0].name

    while True:
        between: dict[str, dict[str, list[Reference]]] = {name: defaultdict(list) for name in sorted(rules)}
        for reference in chain.from_iterable(found.references for found in rules.values()):
            if reference.target not in {None, reference.table} and reference not in cut:
                between[reference.table][reference.target or ""].append(reference)
        try:
            order = TopologicalSorter({n: sorted(p) for n, p in between.items()}).static_order()
            return list(order), frozenset(cut)
        except CycleError as error:
            edges = [between[child][parent] for parent, child in pairwise(error.args[1])]
            edge: list[Reference] = min(edges, key=rank)
            cut.update(edge)
