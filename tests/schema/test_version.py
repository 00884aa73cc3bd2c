from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.schema.delta import compare
from consdb_actions.schema.model import Column, Schema
from consdb_actions.schema.version import Bump, Status, judge_version, parse_version
from tests.support.schemas import SMALL, schemas, small


def edited(*edits: tuple[str, str]) -> Schema:
    """Return the small schema with texts of its file replaced."""
    text = SMALL
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return read_yaml(text, source="x").schema


NEW_COLUMN = ("  - name: band\n", "  - {name: gain, datatype: double}\n  - name: band\n")
NEW_INDEX = ("  indexes:\n", '  indexes:\n  - {name: ix_a, columns: ["#exposure.air_temp"]}\n')


@pytest.mark.parametrize(
    ("edits", "needed", "rule", "person"),
    [
        ([], Bump.NONE, "", False),
        (
            [("  - name: air_temp", "  - name: air_temperature")],
            Bump.MAJOR,
            "column removed or renamed",
            False,
        ),
        ([("name: exposure_quicklook", "name: quick")], Bump.MAJOR, "table removed or renamed", False),
        ([("name: cdb_demo", "name: cdb_other")], Bump.MAJOR, "schema renamed", False),
        ([NEW_COLUMN], Bump.MINOR, "new column", False),
        ([NEW_INDEX], Bump.PATCH, "index", False),
        ([NEW_INDEX, NEW_COLUMN], Bump.MINOR, "new column", False),
        ([("seq_num > 0", "seq_num > 1")], Bump.PATCH, "constraint", False),
        ([("Number within the day.", "Number.")], Bump.PATCH, "metadata", False),
        ([("What a small camera saw.", "It saw.")], Bump.PATCH, "metadata", False),
        ([("One row per raw image.", "A row.")], Bump.PATCH, "metadata", False),
        ([("    ivoa:unit: deg_C\n", "")], Bump.PATCH, "metadata", False),
        ([("deg_C", "K")], Bump.PATCH, "unit change", True),
        ([("length: 8", "length: 9")], Bump.PATCH, "type change", True),
        ([("length: 8", "length: 9"), NEW_COLUMN], Bump.MINOR, "new column", True),
        (
            [('"#exposure.day_obs", "#exposure.seq_num"', '"#exposure.exposure_id"')],
            Bump.PATCH,
            "primary",
            True,
        ),
        ([("value: CURRENT_TIMESTAMP", "nullable: false")], Bump.PATCH, "NULL, default or identity", False),
    ],
)
def test_m14_the_rules(edits: list[tuple[str, str]], needed: Bump, rule: str, person: bool) -> None:
    after = edited(*edits)
    verdict = judge_version(compare(small(), after), "1.2.3", "9.0.0")
    assert verdict.needed is needed
    assert verdict.rule.startswith(rule)
    assert any(reason.person for reason in verdict.reasons) is person
    assert verdict.status is Status.OK


def test_m14_a_new_table_asks_for_minor() -> None:
    schema = small()
    before = replace(schema, tables=schema.tables[:1])
    verdict = judge_version(compare(before, schema), "1.2.3", "1.3.0")
    assert (verdict.needed, verdict.made, verdict.rule) == (Bump.MINOR, Bump.MINOR, "new table")


@pytest.mark.parametrize(
    ("before", "after", "made", "status"),
    [
        ("1.2.3", "1.3.0", Bump.MINOR, Status.OK),
        ("1.2.3", "2.0.0", Bump.MAJOR, Status.OK),
        ("1.2.3", "1.2.4", Bump.PATCH, Status.TOO_SMALL),
        ("1.2.3", "1.2.3", Bump.NONE, Status.TOO_SMALL),
        ("1.2.3", "1.2.2", None, Status.BACKWARDS),
        ("1.10.0", "1.9.0", None, Status.BACKWARDS),
        ("1.2.3", None, None, Status.MISSING),
        (None, None, None, Status.MISSING),
        ("1.2.3", "v1.3", None, Status.ODD),
        ("1.2.3", "1.3", None, Status.ODD),
        ("1.2.3", "1.3.0 ", None, Status.ODD),
        ("1.2.3", "\uff11.3.0", None, Status.ODD),
        ("1.2.3", "1.03.0", None, Status.ODD),
        ("odd", "1.3.0", None, Status.OK),
        (None, "1.0.0", None, Status.OK),
        ("1.2.3", "9" * 5000 + ".0.0", None, Status.ODD),
    ],
)
def test_m14_made_against_needed(
    before: str | None, after: str | None, made: Bump | None, status: Status
) -> None:
    verdict = judge_version(compare(small(), edited(NEW_COLUMN)), before, after)
    assert (verdict.made, verdict.status) == (made, status)
    assert verdict.describe()


def test_m14_a_person_decides_on_types_unless_the_bump_is_major() -> None:
    delta = compare(small(), edited(("length: 8", "length: 9")))
    assert judge_version(delta, "1.2.3", "1.2.3").status is Status.TOO_SMALL
    asked = judge_version(delta, "1.2.3", "1.2.4")
    assert asked.status is Status.PERSON
    assert asked.describe() == (
        "1.2.3 → 1.2.4: PATCH needed (type change), needs a person: "
        "MAJOR if it breaks readers (type change of exposure.band)"
    )
    assert judge_version(delta, "1.2.3", "2.0.0").status is Status.OK


def test_m14_the_verdict_in_words() -> None:
    delta = compare(small(), edited(NEW_COLUMN))
    assert judge_version(delta, "1.2.3", "1.2.3").describe() == (
        "1.2.3, not raised: MINOR needed (new column), too small; 1.3.0 is sufficient"
    )
    assert judge_version(delta, "1.2.3", "1.3.0").describe() == "1.2.3 → 1.3.0: MINOR needed (new column), ok"
    assert judge_version(delta, "1.2.3", None).describe() == (
        "1.2.3 → no version: MINOR needed (new column), missing; 1.3.0 is sufficient"
    )


def test_new_and_removed_schemas_need_no_bump() -> None:
    assert judge_version(compare(None, small()), None, "1.0.0").status is Status.OK
    assert judge_version(compare(None, small()), None, None).status is Status.OK
    assert judge_version(compare(small(), None), "1.0.0", None).status is Status.OK


def test_an_odd_version_that_nobody_touched_is_left_alone() -> None:
    assert judge_version(compare(small(), small()), "odd", "odd").status is Status.OK


@given(schemas(), schemas())
def test_any_pair_has_a_verdict_and_the_expected_version_is_enough(one: Schema, two: Schema) -> None:
    delta = compare(one, two)
    verdict = judge_version(delta, one.version, two.version)
    assert verdict.describe()
    if verdict.expected:
        again = judge_version(delta, one.version, verdict.expected)
        assert again.status in {Status.OK, Status.PERSON}
        assert again.made is verdict.needed


def test_bumps_of_columns_name_the_column() -> None:
    column = Column("x", "#x", "int")
    table = small().table("exposure")
    after = replace(small(), tables=(replace(table, columns=(*table.columns, column)), small().tables[1]))
    (reason,) = judge_version(compare(small(), after), "1.2.3", "1.3.0").reasons
    assert reason.what == "exposure.x"


def test_parse_version() -> None:
    assert parse_version("10.20.30") == (10, 20, 30)
    assert parse_version(None) is None
    assert parse_version("1.0.0\n") is None
