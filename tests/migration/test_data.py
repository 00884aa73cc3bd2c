from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.migration.data import (
    MovedColumn,
    Rows,
    TableRows,
    compare_rows,
    named_before,
    returned,
)
from consdb_actions.migration.rewrite.plan import Copy
from consdb_actions.migration.types import alteration

Value = str | None
DAY = "2024-01-01 00:00:00"
NEXT = "2024-01-01 00:00:01"


def rows(name: str, columns: str, *values: tuple[Value, ...], types: dict[str, str] | None = None) -> Rows:
    names = tuple(columns.split())
    return {name: TableRows(name, names, tuple((types or {}).get(c, "text") for c in names), values)}


BEFORE = rows("t", "a b c", ("1", "x", None), ("2", "y", "p"), ("3", "z", "q"))


def words(before: Rows, after: Rows, **options: object) -> list[str]:
    return [str(d) for d in compare_rows(before, after, **options)]  # type: ignore[arg-type]


def test_the_same_rows_in_another_order_are_the_same() -> None:
    after = rows("t", "c a b", ("q", "3", "z"), (None, "1", "x"), ("p", "2", "y"))
    assert words(BEFORE, after) == []


def test_a_value_in_the_wrong_row_is_found_though_the_column_holds_the_same_values() -> None:
    after = rows("t", "a b c", ("1", "y", None), ("2", "x", "p"), ("3", "z", "q"))
    [difference] = compare_rows(BEFORE, after)
    assert (difference.table, difference.column, difference.rows) == ("t", "b", 2)
    assert str(difference) == "t.b: 2 rows differ, for example 'x' became 'y'"


def test_each_column_that_differs_is_named_with_an_example() -> None:
    after = rows("t", "a b c", ("1", "x", "new"), ("2", "y", None), ("3", "Z", "q"))
    assert words(BEFORE, after) == [
        "t.b: 1 rows differ, for example 'z' became 'Z'",
        "t.c: 2 rows differ, for example NULL became 'new'",
    ]


def test_null_is_not_the_empty_text() -> None:
    after = rows("t", "a b c", ("1", "x", ""), ("2", "y", "p"), ("3", "z", "q"))
    assert words(BEFORE, after) == ["t.c: 1 rows differ, for example NULL became ''"]


def test_rows_that_are_gone_or_new_or_doubled() -> None:
    one, two, three = BEFORE["t"].rows
    assert words(BEFORE, rows("t", "a b c", one, two)) == ["t: 1 rows are missing"]
    assert words(BEFORE, rows("t", "a b c", one, two, three, three)) == ["t: 1 rows are new"]


def test_a_column_and_a_table_that_are_gone() -> None:
    after = rows("t", "a b", ("1", "x"), ("2", "y"), ("3", "z"))
    assert words(BEFORE, after) == ["t.c: the column is missing with 2 values"]
    assert words(BEFORE, {}) == ["t: the table is missing with 3 rows"]


def test_what_is_expected_to_be_lost_is_passed_over_and_the_rest_is_not() -> None:
    back = rows("t", "a b c", ("1", "x", None), ("2", "y", None), ("3", "?", None))
    assert words(BEFORE, back, lost=[("t", "c")]) == ["t.b: 1 rows differ, for example 'z' became '?'"]
    assert words({**BEFORE, **rows("u", "a", ("1",))}, {}, lost=[("t", None)]) == [
        "u: the table is missing with 1 rows"
    ]


def test_tables_and_columns_that_are_new_do_not_count() -> None:
    after = rows("t", "a new b c", ("1", "0", "x", None), ("2", "0", "y", "p"), ("3", "0", "z", "q"))
    assert words(BEFORE, {**after, **rows("u", "a", ("1",))}) == []


def test_renames_are_followed_and_a_wrong_rename_is_found() -> None:
    after = rows("s", "a c b", ("1", "x", None), ("2", "y", "p"), ("3", "z", "q"))
    renames = {("s", "b"): "c", ("s", "c"): "b"}
    assert words(BEFORE, after, renamed_tables={"t": "s"}, renamed_columns=renames) == []
    assert len(words(BEFORE, after, renamed_tables={"t": "s"})) == 2


@pytest.mark.parametrize(
    ("old", "new", "before", "after"),
    [
        ("varchar(5)", "integer", "007", "7"),
        ("integer", "numeric(5,2)", "1", "1.00"),
        ("integer", "double precision", "-0", "0"),
        ("text", "double precision", "1.50", "1.5"),
        ("double precision", "real", "0.1", "0.1"),
        ("double precision", "real", "1.23456789", "1.2345679"),
        ("double precision", "numeric", "NaN", "NaN"),
        ("boolean", "integer", "true", "1"),
        ("text", "boolean", "t", "true"),
        ("text", "boolean", "off", "false"),
        ("character(5)", "text", "ab   ", "ab"),
        ("timestamp without time zone", "text", "2024-01-01 00:00:00", "2024-01-01 00:00:00.000"),
        (
            "timestamp without time zone",
            "timestamp with time zone",
            "2024-01-01 10:00:00",
            "2024-01-01 10:00:00+00",
        ),
        ("date", "timestamp without time zone", "2024-01-01", "2024-01-01 00:00:00"),
        ("json", "jsonb", '{"b":1,"a":2}', '{"a": 2, "b": 1}'),
        ("text", "bytea", "é", "\\xc3a9"),
        ("integer", "bigint", None, None),
    ],
)
def test_a_change_of_type_keeps_values(old: str, new: str, before: Value, after: Value) -> None:
    left, right = rows("t", "a", (before,), types={"a": old}), rows("t", "a", (after,), types={"a": new})
    assert words(left, right) == []
    assert words(right, left) == []


@pytest.mark.parametrize(
    ("old", "new", "before", "there", "back"),
    [
        ("text", "integer", "007", "7", "7"),
        ("text", "integer", " +7 ", "7", "7"),
        ("text", "boolean", "yes", "true", "true"),
        ("text", "timestamp without time zone", f"{DAY}+02", DAY, DAY),
        ("text", "timestamp(0) without time zone", f"{DAY}.6", NEXT, NEXT),
        ("text", "timestamp with time zone", "2024-01-01 02:00:00+02", f"{DAY}+00", f"{DAY}+00"),
        ("text", "date", "2024-01-01 12:00:00+02", "2024-01-01", "2024-01-01"),
        ("text", "character(9)", "q ", "q        ", "q"),
        ("text", "character varying(3)", "abc  ", "abc", "abc"),
        ("double precision", "integer", "2.5", "2", "2"),
        ("numeric", "integer", "2.5", "3", "3"),
        ("integer", "boolean", "2", "true", "1"),
        ("bigint", "double precision", "9007199254740993", "9007199254740992", "9007199254740992"),
        ("numeric", "double precision", "0.12345678901234567890", "0.12345678901234568", "0.123456789012346"),
        ("numeric(10,4)", "numeric(8,2)", "1.2350", "1.24", "1.2400"),
        ("double precision", "numeric", "0.12345678901234568", "0.123456789012346", "0.123456789012346"),
        ("double precision", "real", "1.23456789", "1.2345679", "1.2345678806304932"),
        ("timestamp without time zone", "timestamp(0) without time zone", f"{DAY}.5", NEXT, NEXT),
        ("timestamp without time zone", "date", f"{DAY}.4", "2024-01-01", DAY),
        ("timestamp without time zone", "time without time zone", "2024-01-01 10:00:00", "10:00:00", None),
        ("json", "jsonb", '{"b": 1,"a":2}', '{"a": 2, "b": 1}', '{"a": 2, "b": 1}'),
    ],
)  # fmt: skip
def test_m8_what_a_change_of_type_alters_is_named_and_nothing_else_passes(
    old: str, new: str, before: str, there: str, back: Value
) -> None:
    assert alteration(old, new)
    left, right = rows("t", "a", (before,), types={"a": old}), rows("t", "a", (there,), types={"a": new})
    assert words(left, right) == []
    assert words(left, rows("t", "a", (other(there),), types={"a": new})) != []
    if back is not None:
        again = rows("t", "a", (back,), types={"a": old})
        assert words(left, again, via={("t", "a"): new}) == []
        assert words(left, again) != [] or before == back, "without the change between nothing may differ"
        wrong = rows("t", "a", (other(back),), types={"a": old})
        assert words(left, wrong, via={("t", "a"): new}) != []


def other(value: str) -> str:
    """Return another value of the same form."""
    if value in {"true", "1"}:
        return "false" if value == "true" else "0"
    changed = value.translate(str.maketrans("0123456789abq", "1234567890bcr"))
    if value[0] == "{":
        return value.replace("2", "3")
    return (
        changed
        if ":" not in value and "-" not in value
        else value.replace("2024", "2025").replace("10:", "11:")
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("integer", "bigint"),
        ("integer", "text"),
        ("real", "double precision"),
        ("numeric(10,2)", "double precision"),
        ("character(5)", "text"),
        ("character(3)", "character(6)"),
        ("character varying(3)", "character varying(6)"),
        ("text", "bytea"),
        ("bytea", "text"),
        ("date", "timestamp without time zone"),
        ("timestamp(3) without time zone", "timestamp without time zone"),
        ("timestamp without time zone", "text"),
        ("boolean", "integer"),
    ],
)
def test_m8_a_change_of_type_that_keeps_values_names_nothing_and_excuses_nothing(old: str, new: str) -> None:
    assert alteration(old, new) == ""
    left, back = rows("t", "a", ("1",), types={"a": old}), rows("t", "a", ("01",), types={"a": old})
    assert len(words(left, back, via={("t", "a"): new})) == 1


@pytest.mark.parametrize(
    ("old", "new", "before", "after"),
    [
        ("double precision", "integer", "1.5", "3"),
        ("double precision", "real", "1.5", "1.25"),
        ("integer", "boolean", "2", "false"),
        ("text", "integer", "7", None),
        ("text", "integer", "x", "0"),
        ("text", "text", "1.0", "1"),
        ("text", "character varying(3)", "abcd", "abc"),
        ("text", "character varying(5)", "ab ", "ab"),
        ("text", "timestamp without time zone", "2024-01-01 12:00:00+02", "2024-01-01 10:00:00"),
        ("timestamp without time zone", "timestamp(0) without time zone", f"{DAY}.4", NEXT),
        ("timestamp without time zone", "date", f"{DAY}.4", "2024-01-02"),
    ],
)  # fmt: skip
def test_a_change_of_type_that_changes_values_is_told(
    old: str, new: str, before: Value, after: Value
) -> None:
    left, right = rows("t", "a", (before,), types={"a": old}), rows("t", "a", (after,), types={"a": new})
    assert len(words(left, right)) == 1


SOURCE = rows("source", "id v keep", ("1", "a", "k"), ("2", "b", "l"), ("3", None, "m"))
TARGET = rows("target", "ref", ("3",), ("1",), ("2",))
MOVE = Copy("source", "v", "target", "v", ("id",), ("ref",))


def moved(*values: tuple[Value, ...]) -> Rows:
    left = rows("source", "id keep", ("1", "k"), ("2", "l"), ("3", "m"))
    return {**left, **rows("target", "ref v", *values)}


def test_a_moved_column_is_compared_through_the_key() -> None:
    before = {**SOURCE, **TARGET}
    assert words(before, moved(("2", "b"), ("3", None), ("1", "a")), moved=[MOVE]) == []
    assert words(before, moved(("2", "a"), ("3", None), ("1", "b")), moved=[MOVE]) == [
        "target.v: 2 rows differ from source.v, for example 'b' became 'a'"
    ]
    assert words(before, moved(("2", "b"), ("3", None), ("1", None)), moved=[MOVE]) == [
        "target.v: 1 rows differ from source.v, for example 'a' became NULL"
    ]


def test_a_moved_value_without_a_row_to_go_to_is_not_asked_for() -> None:
    before = {**SOURCE, **rows("target", "ref", ("2",))}
    assert words(before, moved(("2", "b")), moved=[MOVE]) == []
    assert words(before, moved(("2", None)), moved=[MOVE]) != []


def test_a_moved_column_without_null_is_filled_with_one_value() -> None:
    before = {**SOURCE, **rows("target", "ref", ("1",), ("2",), ("3",), ("4",))}
    required = replace(MOVE, required=True)
    filled = moved(("1", "a"), ("2", "b"), ("3", "-"), ("4", "-"))
    assert words(before, filled, moved=[required]) == []
    assert words(before, filled, moved=[MOVE]) == [
        "target.v: 2 rows differ from source.v, for example NULL became '-'"
    ]
    for wrong in (
        moved(("1", "a"), ("2", "b"), ("3", "-"), ("4", "+")),
        moved(("1", "a"), ("2", "-"), ("3", "-"), ("4", "-")),
    ):
        assert len(words(before, wrong, moved=[required])) == 1
    back = returned([required], {}, {}, filled)
    restored = rows("source", "id v keep", ("1", "a", "k"), ("2", "b", "l"), ("3", "-", "m"))
    assert words(SOURCE, restored, moved=back, lost=[("source", None)]) == []


def test_many_rows_to_one_and_one_to_many() -> None:
    before = rows("source", "id v", ("1", "a"), ("1", "b"), ("2", "c"))
    after = {
        **rows("source", "id", ("1",), ("1",), ("2",)),
        **rows("target", "ref v", ("1", "a"), ("2", "c")),
    }
    lost = "target.v: 1 values of source.v are missing in the new column, for example 'b'"
    assert words({**before, **TARGET}, after, moved=[MOVE]) == ["target: 1 rows are missing", lost]
    before = rows("source", "id v", ("1", "a"), ("2", "b"))
    after = {
        **rows("source", "id", ("1",), ("2",)),
        **rows("target", "ref v", ("1", "a"), ("1", "a"), ("2", "b")),
    }
    assert words(before, after, moved=[MOVE]) == []


def test_a_move_over_a_common_parent() -> None:
    parent = rows("parent", "id number", ("1", "10"), ("2", "20"), ("3", "30"))
    move = replace(MOVE, through="parent", source_side=("id",), target_side=("number",))
    before = {**SOURCE, **parent}
    right = {**moved(("20", "b"), ("10", "a")), **parent}
    wrong = {**moved(("20", "a"), ("10", "b")), **parent}
    assert words(before, right, moved=[move]) == []
    assert len(words(before, wrong, moved=[move])) == 1


def test_a_moved_column_that_is_nowhere() -> None:
    after = {**rows("source", "id keep", ("1", "k"), ("2", "l"), ("3", "m")), **TARGET}
    assert words({**SOURCE, **TARGET}, after, moved=[MOVE]) == [
        "target.v: it should have come from source, but target.v is not there"
    ]


def test_after_the_downgrade_a_moved_column_is_back_in_its_rows() -> None:
    renamed = {"old": "source"}, {("source", "number"): "id"}
    arrived = moved(("1", "a"), ("2", "b"), ("3", None))
    keys = frozenset({("1",), ("2",), ("3",)})
    expected = MovedColumn("old", "v", "old", "v", ("number",), ("number",), only=keys)
    assert returned([MOVE], *renamed, arrived) == [expected]
    back = returned([MOVE], {}, {}, arrived)
    assert words(SOURCE, SOURCE, moved=back, lost=[("source", None)]) == []
    wrong = rows("source", "id v keep", ("1", "b", "k"), ("2", "a", "l"), ("3", None, "m"))
    assert len(words(SOURCE, wrong, moved=back, lost=[("source", None)])) == 1


def test_a_value_without_a_row_to_go_to_does_not_come_back() -> None:
    arrived = moved(("1", "a"))
    back = returned([MOVE], {}, {}, arrived)
    restored = rows("source", "id v keep", ("1", "a", "k"), ("2", None, "l"), ("3", None, "m"))
    assert words(SOURCE, restored, moved=back, lost=[("source", None)]) == []
    wrong = rows("source", "id v keep", ("1", None, "k"), ("2", None, "l"), ("3", None, "m"))
    assert len(words(SOURCE, wrong, moved=back, lost=[("source", None)])) == 1


def test_losses_by_the_names_before() -> None:
    places = [("s", "new"), ("s", None), ("t", "x")]
    assert named_before(places, {"old": "s"}, {("s", "was"): "new"}) == {
        ("old", "was"),
        ("old", None),
        ("t", "x"),
    }


def test_examples_are_short_and_escaped() -> None:
    [difference] = compare_rows(rows("t", "a", ("\x1b[31m" + "x" * 500,)), rows("t", "a", ("\n",)))
    assert "\x1b" not in str(difference)
    assert len(str(difference)) < 200
    assert "'\\n'" in str(difference)


def test_many_rows_that_differ_are_still_told() -> None:
    before = rows("t", "a b", *((str(n), "x") for n in range(500)))
    after = rows("t", "a b", *((str(n), "y") for n in range(500)))
    assert words(before, after) == ["t.b: 500 rows differ, for example 'x' became 'y'"]


VALUES = st.one_of(st.none(), st.sampled_from(["", "a", "b", "1"]))
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.tuples(*[VALUES] * width), min_size=1, max_size=8)
)


@given(TABLES, st.randoms(use_true_random=False))
def test_rows_and_columns_in_any_order_are_the_same(
    values: list[tuple[Value, ...]], random: st.DataObject
) -> None:
    columns = [f"c{n}" for n in range(len(values[0]))]
    order = list(range(len(columns)))
    random.shuffle(order)  # type: ignore[attr-defined]
    mixed = [tuple(row[i] for i in order) for row in values]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    left = rows("t", " ".join(columns), *values)
    assert words(left, rows("t", " ".join(columns[i] for i in order), *mixed)) == []


@given(TABLES, st.data())
def test_any_value_that_changes_is_found_in_its_column(
    values: list[tuple[Value, ...]], data: st.DataObject
) -> None:
    columns = " ".join(f"c{n}" for n in range(len(values[0])))
    row = data.draw(st.integers(0, len(values) - 1))
    place = data.draw(st.integers(0, len(values[0]) - 1))
    changed = tuple("changed" if n == place else v for n, v in enumerate(values[row]))
    after = [*values[:row], changed, *values[row + 1 :]]
    found = compare_rows(rows("t", columns, *values), rows("t", columns, *after))
    assert [(d.column, d.rows, d.after) for d in found] == [(f"c{place}", 1, "'changed'")]
