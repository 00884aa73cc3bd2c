"""Names before a change and after it, for constraints and for the order of renames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.migration.rename import ForeignKeyFacts, NameMap, RenameStep, rename_steps

NAMES = NameMap.of(
    {"old": "new"}, {("old", "airTemp"): "air_temp", ("old", "n"): "count", ("other", "n"): "m"}
)


def test_columns_and_keys_are_named_as_after_the_change() -> None:
    assert NAMES.table("old") == "new"
    assert NAMES.table("kept") == "kept"
    assert NAMES.columns_of("old", ["n", "z"]) == ("count", "z")
    key = ForeignKeyFacts(("n",), "old", ("airTemp",))
    assert NAMES.foreign_key("other", key) == ForeignKeyFacts(("m",), "new", ("air_temp",))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("n > 0", "count > 0"),
        ('(("airTemp" > 0) AND (N < 5))', "((air_temp > 0) AND (count < 5))"),
        ("note = 'n is ''n'''", "note = 'n is ''n'''"),
        ("n_max > n.n", "n_max > count.count"),
        ("n::n", "count::n"),
        ("n(z) > 0", "n(z) > 0"),
        ("note ~ $q$n$q$", "note ~ $q$n$q$"),
        ("airTemp > 0", "airTemp > 0"),
    ],
)
def test_conditions_are_rewritten_as_postgres_reads_them(sql: str, expected: str) -> None:
    assert NAMES.expression("old", sql) == expected


def test_a_name_that_needs_quotes_gets_them() -> None:
    names = NameMap.of({}, {("t", "a"): 'B"c'})
    assert names.expression("t", "a > 0") == '"B""c" > 0'
    assert names.expression("u", "a > 0") == "a > 0"


def test_a_chain_is_renamed_from_its_end() -> None:
    assert rename_steps([("a", "b"), ("b", "c")], ["a", "b"], "t") == (
        RenameStep("t", "b", "c"),
        RenameStep("t", "a", "b"),
    )


def test_a_circle_goes_through_a_free_name() -> None:
    assert rename_steps([("a", "b"), ("b", "a")], ["a", "b", "a_was_1"]) == (
        RenameStep("", "a", "a_was_2"),
        RenameStep("", "b", "a"),
        RenameStep("", "a_was_2", "b"),
    )


@given(st.permutations(["a", "b", "c", "d", "e"]), st.sets(st.sampled_from("fgh")))
def test_every_order_runs(order: list[str], more: set[str]) -> None:
    wanted = dict(zip("abcde", order, strict=True)) | {"e": "new"} | {name: f"{name}2" for name in more}
    taken = {*wanted, "kept"}
    # Each name stands for the column that had it first.
    now = {name: name for name in taken}
    for step in rename_steps([pair for pair in wanted.items() if pair[0] != pair[1]], taken):
        assert step.new not in now
        now[step.new] = now.pop(step.old)
    assert now == {new: old for old, new in wanted.items()} | {"kept": "kept"}
