"""Rule M21: text that Postgres prints, in a form that is stable under printing and parsing."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.catalog.snapshot import same_sql, stable_expression, stable_statement

CONDITIONS = [
    "c IN ('a', 'b')",
    "c NOT IN ('a', 'b')",
    "v IN ('a', 'b', 'c') OR v IS NULL",
    "a BETWEEN 0 AND 90 AND b BETWEEN -180 AND 180",
    "(a > 0 OR b > 0) OR (a < -1 OR b < -1)",
    "NOT (a > 0 AND (b > 0 AND c = 'x'))",
    "c LIKE 'x%' AND c ~ '^[a-z]+$'",
    "a % 3 = 0",
    "num_nonnulls(a, b) <> 1",
    "coalesce(a, 0) <= b",
    "(a IS NULL) = (b IS NULL)",
    "b > 1.5 AND b < 1e10",
    "lower(c) = 'x' AND length(c) < 10",
    "d > '2020-01-01'",
    "c = 'it''s: %(x)s'",
    "CASE WHEN a > 0 THEN b > 0 ELSE f END",
]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_m21_printing_and_parsing_is_no_difference(server: ScratchServer, condition: str) -> None:
    columns = "a integer, b double precision, c varchar(16), v varchar(4), d timestamp, f boolean"
    with (
        server.database("printing"),
        server.open_database("printing") as engine,
        engine.connect() as connection,
    ):
        text, printed = condition, []
        for number in range(3):
            connection.exec_driver_sql(
                f"CREATE TABLE t{number} ({columns}, CHECK ({text}))".replace("%", "%%"), ()
            )
            query = sa.text(
                "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conrelid = :t ::regclass"
            )
            text = connection.execute(query, {"t": f"t{number}"}).scalar_one()
            printed.append(text)
    assert len({stable_expression(p) for p in printed}) == 1, printed


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("a > 0", "a >= 0"),
        ("a > 0 AND b > 0", "a > 0 OR b > 0"),
        ("(a > 0 AND b > 0) OR f", "a > 0 AND (b > 0 OR f)"),
        ("c IN ('a')", "c IN ('a', 'b')"),
        ("a > 1", "a > -1"),
        ("lower(c) = 'x'", "upper(c) = 'x'"),
    ],
)
def test_another_meaning_is_a_difference(left: str, right: str) -> None:
    assert not same_sql(left, right)


def test_what_does_not_parse_is_compared_as_text() -> None:
    assert stable_expression("a >") == "a >"
    assert not same_sql("a >", "a >>")


def test_a_view_is_the_same_with_and_without_its_tables_name() -> None:
    old = " SELECT exposure.a,\n    exposure.b AS c\n   FROM s.exposure;"
    assert stable_statement(old) == stable_statement("SELECT a, b AS c FROM s.exposure")
    assert stable_statement(old) != stable_statement("SELECT a, b FROM s.exposure")
