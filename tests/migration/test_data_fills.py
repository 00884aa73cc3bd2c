"""What a fill must leave in a column, worked out from rows."""

from __future__ import annotations

from collections.abc import Sequence

from consdb_actions.migration.data import (
    ColumnFill,
    KeyLink,
    Rows,
    TableRows,
    compare_filled,
    compare_rows,
    fill_in,
    unknown_fills,
)

Value = str | None
TO_EXPOSURE = (KeyLink(("exposure_id",), "exposure", ("id",)),)
THROUGH_CCD = (KeyLink(("ccd_id",), "ccd", ("id",)), *TO_EXPOSURE)


def rows(**tables: tuple[str, Sequence[tuple[Value, ...]]]) -> Rows:
    return {
        name: TableRows(name, tuple(columns.split()), ("integer",) * len(columns.split()), tuple(values))
        for name, (columns, values) in tables.items()
    }


EXPOSURE = ("id day", [("1", "11"), ("2", "12")])
CCD = ("id exposure_id day", [("10", "1", None), ("20", "2", "12"), ("30", None, None)])


def test_a_constant_takes_the_place_of_null_and_of_nothing_else() -> None:
    before = rows(t=("id a", [("1", None), ("2", "7")]))
    filled = [
        ColumnFill("t", "a", value="5"),
        ColumnFill("t", "new", value="5"),
        ColumnFill("gone", "a", value="5"),
    ]
    assert fill_in(before, filled) == rows(t=("id a", [("1", "5"), ("2", "7")]))


def test_a_parents_value_comes_over_one_step_or_more() -> None:
    before = rows(exposure=EXPOSURE, ccd=CCD, quick=("ccd_id day", [("20", None), ("30", None)]))
    filled = [ColumnFill("ccd", "day", path=TO_EXPOSURE, source="day")]
    filled += [ColumnFill("quick", "day", path=THROUGH_CCD, source="day")]
    now = fill_in(before, filled)
    assert now["ccd"].rows == (("10", "1", "11"), ("20", "2", "12"), ("30", None, None))
    assert now["quick"].rows == (("20", "12"), ("30", None))
    assert unknown_fills(before, filled) == set()


def test_what_the_rows_do_not_tell_is_unknown_and_left_alone() -> None:
    filled = [ColumnFill("ccd", "day", path=TO_EXPOSURE, source="day")]
    for before in (
        rows(ccd=CCD),
        rows(ccd=CCD, exposure=("id", [("1",)])),
        rows(ccd=CCD, exposure=("other day", [("1", "11")])),
    ):
        assert fill_in(before, filled) == before
        assert unknown_fills(before, filled) == {("ccd", "day")}
    assert unknown_fills(rows(exposure=EXPOSURE), filled) == set(), "no rows, nothing to tell"


def test_new_columns_must_hold_what_they_were_filled_with() -> None:
    before = rows(exposure=EXPOSURE, ccd=("id exposure_id", [("10", "1"), ("20", "2"), ("30", None)]))
    filled = [
        ColumnFill("ccd", "day", path=TO_EXPOSURE, source="day"),
        ColumnFill("exposure", "n", value="0"),
    ]
    good = rows(exposure=("id day n", [("1", "11", "0"), ("2", "12", "0")]), ccd=CCD_FILLED)
    assert compare_filled(before, good, filled) == []
    wrong = rows(exposure=("id day n", [("1", "11", "0"), ("2", "12", None)]), ccd=CCD_SWAPPED)
    assert [str(d) for d in compare_filled(before, wrong, filled)] == [
        "ccd.day: 2 rows were filled with another value, for example '12' in place of '11' from exposure.day",
        "exposure.n: 1 rows were filled with another value, for example NULL in place of '0'",
    ]


CCD_FILLED = ("id exposure_id day", [("10", "1", "11"), ("20", "2", "12"), ("30", None, None)])
CCD_SWAPPED = ("id exposure_id day", [("10", "1", "12"), ("20", "2", "11"), ("30", None, None)])


def test_new_columns_whose_way_to_the_parent_is_gone_tell_nothing() -> None:
    before = rows(exposure=EXPOSURE, ccd=("id exposure_id", [("10", "1")]))
    after = rows(exposure=EXPOSURE, ccd=("id day", [("10", "12")]))
    assert compare_filled(before, after, [ColumnFill("ccd", "day", path=TO_EXPOSURE, source="day")]) == []


def test_values_of_another_type_are_compared_by_what_they_mean() -> None:
    before = rows(t=("id", [("1",)]))
    exposure = TableRows("exposure", ("id", "day"), ("integer", "double precision"), (("1", "11.0"),))
    after: Rows = {**rows(ccd=("exposure_id day", [("1", "11")])), "exposure": exposure}
    filled = [ColumnFill("ccd", "day", path=TO_EXPOSURE, source="day")]
    assert compare_filled({**before, **rows(ccd=("exposure_id", [("1",)]))}, after, filled) == []


def test_a_column_whose_nulls_may_become_anything_keeps_its_values() -> None:
    before = rows(t=("id a", [("1", None), ("2", "7"), ("3", "7")]))
    loose = {("t", "a")}
    assert compare_rows(before, rows(t=("id a", [("1", "9"), ("2", "7"), ("3", "7")])), loose=loose) == []
    gone = compare_rows(before, rows(t=("id a", [("1", "9"), ("2", "7"), ("3", "8")])), loose=loose)
    assert [str(d) for d in gone] == ["t.a: 1 values are missing, for example '7'"]
    other = compare_rows(before, rows(t=("id a", [("1", "9"), ("2", "7"), ("4", "7")])), loose=loose)
    assert [d.column for d in other] == ["id"]
