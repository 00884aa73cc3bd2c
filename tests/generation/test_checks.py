"""Rule M15: a new condition of any form meets rows that satisfy it, and none made up against it."""

from __future__ import annotations

import pytest

from consdb_actions.migration.outcome import SectionOutcome
from tests.support.stage import proven
from tests.support.variants import every
from tests.support.workbench import Data, Workbench, column, schema, table

FORMS = {
    "pattern": "c LIKE 'x%'",
    "pattern within": "c LIKE '%a_c%'",
    "regular expression": "c ~ '^[A-Z]{2}[0-9]+$'",
    "alternatives": "c ~ '^(lsst|latiss)_[0-9]{3}$'",
    "modulo": "a % 3 = 0",
    "modulo with rest": "a % 100 = 7",
    "function": "upper(c) = c",
    "list": "c IN ('a', 'it''s', 'b')",
    "list of others": "c NOT IN ('a', 'b') AND a NOT IN (1, 2, 3)",
    "two columns": "(a IS NULL) = (b IS NULL)",
    "coalesce": "coalesce(a, 0) <= b",
    "rounding": "a = round(b)",
    "count of NULLs": "num_nonnulls(a, b) <> 1",
    "one of three": "num_nonnulls(a, b, c) = 1",
    "half-open": "b >= 0 AND b < 360",
    "two ranges": "a BETWEEN 0 AND 90 AND b BETWEEN -90 AND 90",
    "implication": "a <> 1 OR b > 1000",
    "length": "char_length(c) = 4",
    "three columns": "a > 0 AND b > a AND c <> ''",
    "cast that can fail": "c::integer > 41",
    "division that can fail": "100 / a > 3",
    "case": "CASE WHEN f THEN a > 100 ELSE a IS NULL END",
    "days": "d > '2030-01-01' AND d < '2030-01-02'",
    "hour": "extract(hour FROM d) = 12",
    "only NULL": "a IS NULL",
}


def plain(*checks: str, nullable: bool = True) -> Data:
    columns = [
        column("id", "long", nullable=False),
        column("a", "int", nullable=nullable),
        column("b", "double", nullable=nullable),
        column("c", "string", nullable=nullable),
        column("d", "timestamp"),
        column("f", "boolean"),
    ]
    constraints = [
        {"name": f"k{n}", "@type": "Check", "expression": text, "description": "A condition."}
        for n, text in enumerate(checks)
    ]
    return schema(table("t", columns, key=["id"], constraints=constraints))


def rows_in(outcome: SectionOutcome) -> str:
    return next(check.text for check in outcome.checks if check.name == "rows")


@pytest.mark.parametrize("form", every(3, FORMS))
def test_m15_a_new_check_of_every_form(bench: Workbench, form: str) -> None:
    bench.operator = False
    bench.generate(plain(), verify=False)
    outcome = bench.generate(plain(FORMS[form]))
    checks = {check.name: check for check in outcome.checks}
    assert [checks[name].holds for name in ("rows", "rows back", "downgrade")] == [True] * 3
    assert rows_in(outcome).startswith("8 rows in 1 table")


def test_m15_several_checks_hold_together(bench: Workbench) -> None:
    bench.generate(plain("a % 2 = 0", nullable=False), verify=False)
    checks = ["a % 3 = 0", "b > a", "c ~ '^[a-z]+$'", "a < 60"]
    outcome = proven(bench.generate(plain(*checks, nullable=False)))
    assert rows_in(outcome).startswith("8 rows in 1 table")


def test_m15_a_condition_that_no_row_is_found_for_leaves_the_table_empty_and_says_so(
    bench: Workbench,
) -> None:
    bench.generate(plain(nullable=False), verify=False)
    outcome = proven(bench.generate(plain("md5(c) = 'x'", nullable=False)))
    assert rows_in(outcome).startswith("0 rows")
    details = next(check.details for check in outcome.checks if check.name == "rows")
    assert any("t" in detail and "md5" in detail for detail in details)


def one(datatype: str, **more: object) -> Data:
    """A table with one column beside its key."""
    columns = [column("id", "long", nullable=False), column("c", datatype, **more)]
    return schema(table("t", columns, key=["id"]))


@pytest.mark.parametrize(
    ("old", "new", "edit"),
    [
        (one("string"), one("int"), ("c::INTEGER", "c::INTEGER + 1")),
        (one("string"), one("boolean"), ("c::BOOLEAN", "NOT c::BOOLEAN")),
        (one("string", length=40), one("timestamp"), ("c::TIMESTAMP", "c::TIMESTAMPTZ::TIMESTAMP")),
        (one("binary"), one("text"), ("convert_from(c, 'UTF8')", "c::text")),
        (
            one("double"),
            one("int"),
            ("type_=sa.INTEGER()", "type_=sa.INTEGER(), postgresql_using='c + 1'"),
        ),
        (one("int"), one("text"), ("type_=sa.TEXT()", "type_=sa.TEXT(), postgresql_using='c / 2'")),
    ],
)
def test_m8_a_revision_that_alters_what_no_change_of_type_does_is_found(
    bench: Workbench, old: Data, new: Data, edit: tuple[str, str]
) -> None:
    bench.operator = False
    bench.generate(old, verify=False)
    assert bench.generate(new).status == "changed"
    path = bench.write_schema(new)
    assert all(check.holds for check in bench.check(path).values())
    assert not bench.check(path, edit)["rows"].holds


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM cdb_latiss.t WHERE id = (SELECT min(id) FROM cdb_latiss.t)",
        "UPDATE cdb_latiss.t SET c = NULL",
        "UPDATE cdb_latiss.t SET c = c || ' '",
        "UPDATE cdb_latiss.t SET c = lower(c)",
        "UPDATE cdb_latiss.t SET a = a + 1",
    ],
)
def test_m15_a_revision_that_loses_rows_beside_a_new_check_is_found(bench: Workbench, statement: str) -> None:
    bench.operator = False
    bench.generate(plain(), verify=False)
    after = plain("c LIKE '%a%' OR c IS NULL", "a % 3 = 0")
    proven(bench.generate(after))
    path = bench.write_schema(after)
    edit = (
        "def upgrade() -> None:\n",
        f"def upgrade() -> None:\n    op.execute({statement!r})\n",
    )
    checks = bench.check(path, edit)
    assert not all(check.holds for check in checks.values())
