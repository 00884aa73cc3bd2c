"""Ask Postgres for placeholder values that satisfy the CHECKs of a column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.catalog import CatalogColumn, CatalogConstraint, CatalogRelation, Snapshot
from consdb_actions.migration.rewrite.not_null import constant, needs_value
from consdb_actions.migration.rewrite.statements import escape_binds, literal, quote
from consdb_actions.migration.samples import mentioned, sample

__all__ = ["find_placeholders"]

_CANDIDATES = 60
_ROWS = 120
_SAMPLES = 4


def find_placeholders(
    connection: sa.Connection, before: Snapshot, after: Snapshot
) -> dict[tuple[str, str], str]:
    """Choose an SQL expression for each required column whose values are lost and that has a CHECK.

    Candidates are the usual placeholder, values near the constants of the CHECKs, and their other columns.
    The one that fits most values of the other columns is chosen. Keys are table and column of *after*.
    """
    found = {}
    for name, table in after.tables.items():
        old = before.tables.get(name)
        for column in table.columns.values():
            there = old.columns.get(column.name) if old else None
            if not needs_value(table, column.name) or (there is not None and not there.nullable):
                continue
            checks = [c for c in table.constraints.values() if column.name in c.columns and c.kind == "check"]
            if checks:
                expressions = list(_expressions(table, column, checks, old))
                found[name, column.name] = _best(connection, table, column, checks, expressions)
    return found


def _expressions(
    table: CatalogRelation,
    column: CatalogColumn,
    checks: Sequence[CatalogConstraint],
    old: CatalogRelation | None,
) -> Iterator[str]:
    yield constant(column.type_text)
    yield from map(literal, [*_near(column, checks), *_samples(column)])
    for name in sorted({n for check in checks for n in check.columns} - {column.name}):
        if old and name in old.columns:
            same = table.columns[name].type == column.type
            yield quote(name) if same else f"CAST({quote(name)} AS {column.type_text})"


def _near(column: CatalogColumn, checks: Sequence[CatalogConstraint]) -> list[str]:
    found = (value for check in checks for value in mentioned(check.expression, column.type, 2))
    return list(islice(found, _CANDIDATES))


def _samples(column: CatalogColumn) -> list[str]:
    found = (sample(column.type, column.name, index) for index in range(_SAMPLES))
    return [value for value in found if value is not None]


def _best(
    connection: sa.Connection,
    table: CatalogRelation,
    column: CatalogColumn,
    checks: Sequence[CatalogConstraint],
    expressions: Sequence[str],
) -> str:
    """Return the expression that satisfies the checks for most rows, the first of several."""
    names = sorted({name for check in checks for name in check.columns} - {column.name})
    rows = _rows(connection, [table.columns[name] for name in names], checks)
    condition = " AND ".join(f"({check.expression}) IS NOT FALSE" for check in checks)
    columns = ", ".join(map(quote, ["#row", *names]))
    best, most = expressions[0], 0
    for expression in expressions:
        value = f"CAST({expression} AS {column.type_text}) AS {quote(column.name)}"
        query = (
            f"SELECT count(*) FROM (VALUES {', '.join(rows)}) AS other({columns}) "  # noqa: S608
            f"CROSS JOIN LATERAL (SELECT {value}) AS own WHERE {condition}"
        )
        fits = _scalar(connection, query) or 0
        if fits > most:
            best, most = expression, fits
        if most == len(rows):
            break
    return best


def _rows(
    connection: sa.Connection, others: Sequence[CatalogColumn], checks: Sequence[CatalogConstraint]
) -> list[str]:
    """Return rows of the other columns, as they stand after VALUES."""
    choices = []
    for column in others:
        found = [*_samples(column), *_near(column, checks)]
        values = [f"CAST({literal(value)} AS {column.type_text})" for value in found]
        kept = [v for v in dict.fromkeys(values) if _scalar(connection, f"SELECT ({v}) IS NOT NULL")]
        empty = [f"CAST(NULL AS {column.type_text})"] if column.nullable or not kept else []
        choices.append([*empty, *kept[: _SAMPLES * 3]])
    combined = islice(product(*choices), _ROWS)
    return [f"({', '.join([str(number), *values])})" for number, values in enumerate(combined)]


def _scalar(connection: sa.Connection, query: str) -> int | None:
    try:
        with connection.begin_nested():
            return int(connection.execute(sa.text(escape_binds(query))).scalar_one())
    except SQLAlchemyError:
        return None
