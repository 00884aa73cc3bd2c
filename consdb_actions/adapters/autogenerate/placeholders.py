"""Ask Postgres for placeholder values that satisfy the CHECKs of a table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, product, zip_longest
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.catalog import CatalogColumn, CatalogConstraint, Snapshot
from consdb_actions.migration.rewrite.not_null import (
    GIVEN,
    columns_to_number,
    columns_to_number_again,
    constant,
    needs_value,
    numbered,
    placeholder_origin,
)
from consdb_actions.migration.rewrite.retype import base_type
from consdb_actions.migration.rewrite.statements import escape_binds, literal, quote
from consdb_actions.migration.samples import mentioned, sample

Expressions = dict[str, str]  # SQL by column
Places = dict[tuple[str, str], str]  # SQL by table and column

_CANDIDATES = 60
_COMBINATIONS = 4000  # Of candidates for columns that a CHECK connects
_TRIES = 500  # Of them, where a CHECK fails on some values
_ROWS = 120
_NUMBERS = 12  # Rows whose placeholders must differ
_SAMPLES = 4


def find_placeholders(connection: sa.Connection, before: Snapshot, after: Snapshot) -> tuple[Places, Places]:
    """Choose SQL for required columns whose values are lost, in tables that have CHECKs.

    Candidates are the usual placeholder, values near the constants of the CHECKs, and their other columns.
    Those that fit most values of the other columns together are chosen.

    Returns
    -------
    placeholders, numbers
        By table and column of *after*: one value for all rows; one that differs per ``numbered.n``.
    """
    placeholders: Places = {}
    numbers: Places = {}
    waiting = [name for name, table in after.tables.items() if table.checks]

    def find(name: str) -> None:
        waiting.remove(name)
        for child, table in after.tables.items():
            # What refers to a row chooses its key, from what the row's own CHECKs allow.
            needed = (c for key in table.foreign_keys if key.table == name for c in key.columns)
            if child in waiting and any(needs_value(table, column) for column in needed):
                find(child)
        origins = {c: placeholder_origin(before, after, name, c) for c in after.tables[name].columns}
        fixed = {column: placeholders[place] for column, place in origins.items() if place in placeholders}
        finder = _Finder(connection, before, after, name, fixed, origins)
        placeholders.update({origins[column]: value for column, value in finder.constants.items()})
        numbers.update({origins[column]: value for column, value in finder.numbers.items()})

    while waiting:
        find(waiting[0])
    return placeholders, numbers


class _Finder:
    """Chooses the placeholders of one table."""

    def __init__(
        self,
        connection: sa.Connection,
        before: Snapshot,
        after: Snapshot,
        name: str,
        fixed: Expressions,
        origins: Mapping[str, tuple[str, str]],
    ) -> None:
        table = after.tables[name]
        self._connection, self._after, self._table, self._origins = connection, after, table, origins
        self._old = before.tables.get(name)
        self.constants: Expressions = {}
        self.numbers: Expressions = {}
        # In a new row these have the values of other rows, or rows that refer to them have theirs.
        self._given = {c for k in table.foreign_keys if k.table in before.tables for c in k.columns}
        self._referenced = {
            column
            for other in after.tables.values()
            for key in other.foreign_keys
            if key.table == name != other.name
            for column in key.referenced
        }
        self._fixed = {c: value for c, value in fixed.items() if c not in self._referenced}
        lost = [c for c in table.columns if self._is_lost(c) and c not in fixed]
        own = [
            c for c in lost if c not in self._referenced and (self._old is not None or c not in self._given)
        ]
        able = {c for c in own if any(c in key for key in table.keys) and self._can_differ(c, own)}
        differing = (
            columns_to_number(table, (), able)
            if self._old is None
            else columns_to_number_again(self._old, table, able)
        )
        self._choose([c for c in own if c not in differing], [c for c in own if c in differing])
        # The same columns in a single row, and those whose value other rows may give.
        self._choose([c for c in own if c in differing], ())
        self._choose([c for c in lost if c in self._referenced], ())
        # What a sequence gives is as good as the same numbers.
        for found in (self.constants, self.numbers):
            for name in [n for n in found if table.columns[n].sequence and n not in self._referenced]:
                if name in self.numbers and self.numbers[name] == numbered(table.columns[name].type_text):
                    del found[name]

    def _is_lost(self, name: str) -> bool:
        column = self._table.columns[name]
        if self._old is None and column.sequence:
            return any(name in check.columns for check in self._table.checks)
        there = self._old.columns.get(name) if self._old is not None else None
        return needs_value(self._table, name) and (there is None or there.nullable)

    def _can_differ(self, name: str, lost: Sequence[str]) -> bool:
        group, checks = self._connected([name, *(c for c in lost if c != name)])
        if not checks:
            return False
        _, rows, most = self._best(group, checks, [name])
        return rows == most or (rows > 0 and bool(self._table.columns[name].sequence))

    def _choose(self, single: Sequence[str], differing: Sequence[str]) -> None:
        """Choose values for columns group by group; those that are chosen already stay."""
        waiting = [*single, *differing]
        while waiting:
            group, checks = self._connected(waiting)
            waiting = [c for c in waiting if c not in group]
            if checks:
                best, *_ = self._best(group, checks, differing)
                for column, value in zip(group, best, strict=True):
                    (self.numbers if column in differing else self.constants)[column] = value

    def _connected(self, names: Sequence[str]) -> tuple[list[str], list[CatalogConstraint]]:
        """Return the first of the columns with those that CHECKs connect with it, and these CHECKs."""
        group = [names[0]]
        checks: list[CatalogConstraint] = []
        for name in group:
            found = [c for c in self._table.checks if name in c.columns and c not in checks]
            checks += found
            group += dict.fromkeys(c for k in found for c in k.columns if c in names and c not in group)
        return group, checks

    def _constants(self, name: str, checks: Sequence[CatalogConstraint]) -> Iterator[str]:
        column = self._table.columns[name]
        yield constant(column.type_text)
        origin = self._after.tables[self._origins[name][0]]
        foreign = replace(column, name=self._origins[name][1])
        near = chain(_near(foreign, origin.checks), _near(column, checks))
        yield from map(literal, chain(near, _samples(column)))
        if self._old is not None:
            for other in sorted({n for check in checks for n in check.columns} & self._old.columns.keys()):
                same = self._table.columns[other].type == column.type
                yield quote(other) if same else f"CAST({quote(other)} AS {column.type_text})"
        elif name not in self._referenced:
            for other in sorted({n for check in checks for n in check.columns} & self._referenced):
                value = f"CAST({GIVEN}{quote(other)} AS {column.type_text})"
                yield value
                yield from (f"({value} {sign} 1)::{column.type_text}" for sign in "+-")

    def _numbers(self, name: str, checks: Sequence[CatalogConstraint]) -> Iterator[str]:
        column = self._table.columns[name]
        yield numbered(column.type_text)
        base = base_type(column.type)
        near = _near(column, checks)
        if base.startswith(("timestamp", "date")):
            moments = [f"CAST({literal(value)} AS {column.type_text})" for value in near]
            step = "numbered.n::integer" if base == "date" else "numbered.n * interval '1 second'"
            yield from (f"{moment} {sign} {step}" for moment in moments for sign in "+-")
        elif base in {"text", "character varying", "character"}:
            yield from (f"{literal(value)} || numbered.n" for value in near)
        elif base != "boolean":
            yield from (
                f"({literal(value)}::{column.type_text} {sign} numbered.n)::{column.type_text}"
                for value in near
                for sign in "+-"
            )
        kept = [value for value in near if self._satisfies(name, literal(value))]
        yield f"(ARRAY[{', '.join(map(literal, kept or near))}]::{column.type_text}[])[numbered.n]"

    def _satisfies(self, name: str, value: str) -> bool:
        """Tell whether a value fulfils the CHECKs on this column alone, where it comes from."""
        table, column = self._after.tables[self._origins[name][0]], self._origins[name][1]
        alone = [c.expression for c in table.checks if c.columns == (column,)]
        condition = " AND ".join(f"({text}) IS NOT FALSE" for text in alone or ["true"])
        cast = f"CAST({value} AS {table.columns[column].type_text}) AS {quote(column)}"
        return bool(self._run(f"SELECT 1 FROM (SELECT {cast}) AS own WHERE {condition}"))  # noqa: S608

    def _best(
        self, group: Sequence[str], checks: Sequence[CatalogConstraint], differing: Collection[str]
    ) -> tuple[tuple[str, ...], int, int]:
        """Return the expressions that satisfy the CHECKs for most rows, how many, and of how many."""
        names = sorted({name for check in checks for name in check.columns} - {*group})
        fixed = {n: v for n, v in (self._fixed | self.constants).items() if n in names}
        free = [self._table.columns[n] for n in names if n not in fixed]
        columns = ", ".join(map(quote, ["#row", *(c.name for c in free)]))
        rows = self._rows(free, checks)
        repeated = 1 if {*group}.isdisjoint(differing) else _NUMBERS
        source = (
            f"(VALUES {', '.join(rows)}) AS other({columns}) "
            f"CROSS JOIN generate_series(1, {repeated}) AS numbered(n)"
        )
        condition = " AND ".join(
            [
                *(f"({check.expression}) IS NOT FALSE" for check in checks),
                *(f"{quote(name)} IS NOT NULL" for name in group if name not in self._given),
            ]
        )

        def joined(choices: Mapping[str, Sequence[tuple[int, str]]]) -> str:
            out = []
            for number, (name, values) in enumerate(choices.items()):
                type_text = self._table.columns[name].type_text
                some = ", ".join(f"({i}, CAST({value} AS {type_text}))" for i, value in values)
                out.append(f"CROSS JOIN LATERAL (VALUES {some}) AS c{number}(i, {quote(name)})")
            # What refers to another column comes after it.
            return " ".join([source, *sorted(out, key=lambda text: GIVEN in text)]).replace(GIVEN, "")

        def possible(name: str) -> list[str]:
            found = (self._numbers if name in differing else self._constants)(name, checks)
            queries = {v: f"SELECT {quote(name)} FROM {joined({name: [(0, v)]})}" for v in found}  # noqa: S608
            some = [value for value, query in queries.items() if self._run(query)]
            foreign = self._origins[name] != (self._table.name, name) and name not in differing
            return [value for value in some if self._satisfies(name, value)] if foreign else some

        lists = [possible(name) or [constant(self._table.columns[name].type_text)] for name in group]
        always = {name: [(0, value)] for name, value in fixed.items()}
        places = ", ".join(f"c{len(always) + k}.i" for k in range(len(group)))

        def query(test: str, most: int) -> str:
            size = max(2, int(most ** (1 / len(group))))
            chosen = {n: list(enumerate(some[:size])) for n, some in zip(group, lists, strict=True)}
            return (
                f"SELECT count(*), {places} FROM {joined(always | chosen)} WHERE {test} "  # noqa: S608
                # Low numbers are needed first.
                f"GROUP BY {places} ORDER BY sum({_NUMBERS + 1} - numbered.n) DESC, "
                f"{places.replace(', ', ' + ')}, {places} LIMIT 1"
            )

        found = self._run(query(condition, _COMBINATIONS))
        if found is None:  # A CHECK fails on some values
            types = ", ".join(f"{quote(n)} {self._table.columns[n].type_text}" for n in [*names, *group])
            body = f"BEGIN RETURN {condition}; EXCEPTION WHEN OTHERS THEN RETURN false; END"
            function = f"pg_temp.holds({types}) RETURNS boolean LANGUAGE plpgsql AS {literal(body)}"
            self._run(f"CREATE OR REPLACE FUNCTION {function}")
            test = f"pg_temp.holds({', '.join(map(quote, [*names, *group]))})"
            found = self._run(query(test, _TRIES))
        most, *numbers = found[0] if found else [0] * (len(group) + 1)
        best = tuple(some[i] for some, i in zip(lists, numbers, strict=True))
        return best, most, len(rows) * repeated

    def _rows(self, others: Sequence[CatalogColumn], checks: Sequence[CatalogConstraint]) -> list[str]:
        """Return rows of the other columns, as they stand after VALUES."""
        choices = []
        for column in others:
            empty = [f"CAST(NULL AS {column.type_text})"]
            new = self._old is None and not self._is_lost(column.name) and column.name not in self._given
            if new and not column.sequence and not column.identity:
                default = f"CAST({column.default} AS {column.type_text})"
                choices.append([default] if column.default and not column.generated else empty)
                continue
            found = [*_samples(column), *_near(column, checks)]
            values = [f"CAST({literal(value)} AS {column.type_text})" for value in found]
            kept = [v for v in dict.fromkeys(values) if self._run(f"SELECT WHERE ({v}) IS NOT NULL")]
            choices.append([*(empty if column.nullable or not kept else ()), *kept[: _SAMPLES * 3]])
        combined = islice(product(*choices), _ROWS)
        return [f"({', '.join([str(number), *values])})" for number, values in enumerate(combined)]

    def _run(self, query: str) -> Sequence[tuple[Any, ...]] | None:
        """Return the rows of a query; None if it fails."""
        try:
            with self._connection.begin_nested():
                result = self._connection.execute(sa.text(escape_binds(query)))
                return [tuple(row) for row in result] if result.returns_rows else []
        except SQLAlchemyError:
            return None


def _near(column: CatalogColumn, checks: Sequence[CatalogConstraint]) -> list[str]:
    own = [check for check in checks if column.name in check.columns]
    found = chain.from_iterable(zip_longest(*(mentioned(c.expression, column.type, 2) for c in own)))
    return list(islice(dict.fromkeys(value for value in found if value is not None), _CANDIDATES))


def _samples(column: CatalogColumn) -> list[str]:
    found = (sample(column.type, column.name, index) for index in range(_SAMPLES))
    return [value for value in found if value is not None]
