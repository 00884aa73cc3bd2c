"""Columns that move to another table (rule M5)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.decisions import ColumnSource
from consdb_actions.migration.matching.facts import ColumnFacts, TableFacts
from tests.support.schema_pairs import column, decided, has_none, lost, renames, table

JITTER = column("jitter", "RMS jitter of the mount.", "real", unit="arcsec")
Columns = Sequence[ColumnFacts | str]
DAY = ("day", "seq")


def exposure(*more: ColumnFacts | str) -> TableFacts:
    return table("exposure", [*DAY, "exposure_id", *more], key=DAY, unique=[("exposure_id",)])


def quick(*more: ColumnFacts | str, name: str = "quick") -> TableFacts:
    """One row for each exposure at most."""
    return table(name, [*DAY, *more], key=DAY, refers=[(DAY, "exposure", DAY)])


def chips(*more: ColumnFacts | str) -> TableFacts:
    """Several rows for each exposure."""
    return table("chips", ["chip_id", *DAY, *more], key=["chip_id"], refers=[(DAY, "exposure", DAY)])


def test_m5_from_parent_to_child() -> None:
    decisions = decided([exposure(JITTER), quick()], [exposure(), quick(JITTER)])
    (move,) = decisions.moves
    assert (move.table, move.column, move.new_table, move.new_column) == (
        "exposure",
        "jitter",
        "quick",
        "jitter",
    )
    assert (move.join.source_columns, move.join.target_columns) == (DAY, DAY)
    assert move.join.relation == "one to one"
    assert not move.join.new_rows
    assert move.describe() == (
        "`exposure.jitter` moves to `quick.jitter`: it is gone from the one table and new in the other, with "
        "the same name and description; rows are matched by `day`, `seq` (one to one: `quick` refers to "
        "`exposure`)."
    )
    assert has_none(decisions, "drops", "adds", "questions")


def test_m5_to_several_children_each_takes_the_value() -> None:
    (move,) = decided([exposure(JITTER), chips()], [exposure(), chips(JITTER)]).moves
    assert move.join.relation == "one to many"


def test_m5_from_child_to_parent_one_to_one() -> None:
    (move,) = decided([exposure(), quick(JITTER)], [exposure(JITTER), quick()]).moves
    assert move.join.relation == "one to one"
    assert (move.table, move.new_table) == ("quick", "exposure")


def test_m5_from_many_children_to_their_parent_is_a_question() -> None:
    before, after = [exposure(), chips(JITTER)], [exposure(JITTER), chips()]
    decisions = decided(before, after)
    assert decisions.moves == ()
    (question,) = decisions.open_questions
    assert "several rows of `chips` belong to one row of `exposure`" in question.proposals[0].describe()
    assert [answer.declarations for answer in question.answers] == [
        ("chips.jitter=exposure.jitter",),
        ("chips.jitter=",),
    ]
    (move,) = decided(before, after, "chips.jitter=exposure.jitter").moves
    assert move.join.relation == "many to one"
    assert lost(decided(before, after, "chips.jitter=")) == {"chips.jitter"}


def test_m5_between_siblings_through_their_parent() -> None:
    visits = table(
        "visits", ["visit_id", JITTER], key=["visit_id"], refers=[(["visit_id"], "exposure", ["exposure_id"])]
    )
    without = table(
        "visits", ["visit_id"], key=["visit_id"], refers=[(["visit_id"], "exposure", ["exposure_id"])]
    )
    (move,) = decided([exposure(), visits, quick()], [exposure(), without, quick(JITTER)]).moves
    assert move.join.source_columns == ("visit_id",)
    assert move.join.target_columns == DAY
    assert move.join.through is not None
    assert (move.join.through.table, move.join.through.source_side, move.join.through.target_side) == (
        "exposure",
        ("exposure_id",),
        DAY,
    )
    assert "`visit_id` = `exposure_id` of `exposure` and `day`, `seq` of `quick`" in move.describe()


def test_m5_an_equal_key_is_enough_but_a_count_of_rows_is_not() -> None:
    def pair(key: str, here: Columns, there: Columns) -> list[TableFacts]:
        return [table("one", [key, *here], key=[key]), table("two", [key, *there], key=[key])]

    certain = decided(pair("visit", [JITTER], []), pair("visit", [], [JITTER]))
    assert certain.moves[0].join.because == "both have this key"
    doubtful = decided(pair("id", [JITTER], []), pair("id", [], [JITTER]))
    assert doubtful.moves == ()
    assert "no key confirms" in doubtful.open_questions[0].proposals[0].describe()


def test_m5_without_a_common_key_there_is_nothing_to_move_by() -> None:
    before = [table("one", ["a", JITTER], key=["a"]), table("two", ["b"], key=["b"])]
    after = [table("one", ["a"], key=["a"]), table("two", ["b", JITTER], key=["b"])]
    (question,) = decided(before, after).open_questions
    assert question.text == (
        "This change drops `one.jitter` and adds `two.jitter`, but `one` and `two` share no key, so their "
        "rows cannot be matched. May the values be lost?"
    )
    assert [answer.declarations for answer in question.answers] == [("one.jitter=",)]
    assert lost(decided(before, after, "one.jitter=")) == {"one.jitter"}
    with pytest.raises(InputError, match="share no key"):
        decided(before, after, "one.jitter=two.jitter")


def test_m5_rows_of_a_new_table_are_made() -> None:
    decisions = decided([exposure(JITTER)], [exposure(), quick(JITTER)])
    (move,) = decisions.moves
    assert move.join.new_rows
    assert move.join.fills == (ColumnSource("day", "exposure", "day"), ColumnSource("seq", "exposure", "seq"))
    assert decisions.added_tables == ("quick",)


def test_m5_a_new_table_takes_what_it_needs_from_the_parent() -> None:
    old = table(
        "visits", ["visit_id", JITTER], key=["visit_id"], refers=[(["visit_id"], "exposure", ["exposure_id"])]
    )
    new = table(
        "visits", ["visit_id"], key=["visit_id"], refers=[(["visit_id"], "exposure", ["exposure_id"])]
    )
    target = table(
        "quick",
        [*DAY, "exposure_id", JITTER],
        key=DAY,
        required=["exposure_id"],
        refers=[(DAY, "exposure", DAY), (["exposure_id"], "exposure", ["exposure_id"])],
    )
    (move,) = decided([exposure(), old], [exposure(), new, target]).moves
    assert {(fill.column, fill.table, fill.source) for fill in move.join.fills} == {
        ("day", "exposure", "day"),
        ("seq", "exposure", "seq"),
        ("exposure_id", "exposure", "exposure_id"),
    }


def test_m5_rows_that_lack_a_value_cannot_be_made() -> None:
    target = table(
        "quick", [*DAY, "operator", JITTER], key=DAY, required=["operator"], refers=[(DAY, "exposure", DAY)]
    )
    (question,) = decided([exposure(JITTER)], [exposure(), target]).open_questions
    assert "nothing gives a value for its column `operator`" in question.text


def test_m5_one_row_cannot_make_the_rows_of_many_children() -> None:
    (question,) = decided([exposure(JITTER)], [exposure(), chips(JITTER)]).open_questions
    assert "one row of `exposure` does not make exactly one row of it" in question.text


@pytest.mark.parametrize(
    ("new", "doubt"),
    [
        (
            column("jitter", "Jitter seen by the pipeline.", "real", unit="arcsec"),
            "descriptions are not the same",
        ),
        (column("jitter", None, "real", unit="arcsec"), "no description confirms it"),
        (column("jitter", JITTER.description, "real", unit="deg"), "the unit changes from arcsec to deg"),
        (
            column("jitter", JITTER.description, "integer", unit="arcsec"),
            "the type changes from real to integer",
        ),
        (column("Jitter", JITTER.description, "real", unit="arcsec"), "the names differ in case"),
    ],
)
def test_m5_weak_evidence_is_a_question(new: ColumnFacts, doubt: str) -> None:
    decisions = decided([exposure(JITTER), quick()], [exposure(), quick(new)])
    assert decisions.moves == ()
    (question,) = decisions.open_questions
    assert doubt in question.proposals[0].describe()


def test_m5_a_name_and_description_that_many_tables_have_is_a_question() -> None:
    note = column("comment", "Free text.", "text")
    before = [exposure(note), quick(), quick(note, name="other")]
    after = [exposure(), quick(note), quick(note, name="other")]
    decisions = decided(before, after)
    assert decisions.moves == ()
    assert "other tables have this name" in decisions.open_questions[0].proposals[0].describe()


def test_m5_a_column_that_comes_in_two_tables_is_a_question_with_a_copy() -> None:
    before = [exposure(JITTER), quick(), quick(name="other")]
    after = [exposure(), quick(JITTER), quick(JITTER, name="other")]
    (question,) = decided(before, after).open_questions
    assert [answer.declarations for answer in question.answers] == [
        ("exposure.jitter=other.jitter",),
        ("exposure.jitter=quick.jitter",),
        ("exposure.jitter=other.jitter", "exposure.jitter=quick.jitter"),
        ("exposure.jitter=",),
    ]
    both = decided(before, after, *question.answers[2].declarations)
    assert [move.new_table for move in both.moves] == ["other", "quick"]


def test_m5_a_column_that_goes_in_two_tables_is_a_question() -> None:
    before = [exposure(), quick(JITTER), quick(JITTER, name="other")]
    after = [exposure(JITTER), quick(), quick(name="other")]
    (question,) = decided(before, after).open_questions
    assert ("quick.jitter=exposure.jitter", "other.jitter=") in {
        tuple(sorted(answer.declarations, reverse=True)) for answer in question.answers
    }


def test_m5_moves_between_two_tables_are_asked_together() -> None:
    names = ("jitter", "jitter_az", "jitter_el")
    old = [column(name, f"{name}.", unit="arcsec") for name in names]
    new = [column(name, f"{name}.", unit="deg") for name in names]
    (question,) = decided([exposure(*old), quick()], [exposure(), quick(*new)]).open_questions
    assert question.text == "Did these 3 columns move from `exposure` to `quick`?"


def test_m5_a_key_that_rows_get_from_their_parents_is_no_move() -> None:
    filler = column("seq", "Number of the exposure.", "integer")
    wide = [("chip_id",), ("day", "seq")]
    before = [exposure(), table("chips", ["chip_id", filler], key=["chip_id"]), table("notes", ["chip_id"])]
    after = [
        exposure(),
        table("chips", ["chip_id"], key=["chip_id"]),
        table("notes", ["chip_id", filler], key=wide[1][1:] + wide[0]),
    ]
    decisions = decided(before, after)
    assert has_none(decisions, "moves", "questions")


def test_m5_a_declared_move_may_change_the_name() -> None:
    decisions = decided(
        [exposure(JITTER), quick()],
        [exposure(), quick("mount_rms")],
        "exposure.jitter=quick.mount_rms",
    )
    (move,) = decisions.moves
    assert (move.new_column, move.evidence) == ("mount_rms", "declared (option)")


def test_m5_a_table_that_is_divided_hands_its_columns_on() -> None:
    flux = column("flux", "Flux.", "real")
    decisions = decided(
        [exposure(), quick(JITTER, flux, "scratch", name="big")],
        [exposure(), quick(JITTER, name="motion"), quick(flux, name="light")],
    )
    assert {(m.column, m.new_table) for m in decisions.moves} == {("jitter", "motion"), ("flux", "light")}
    (dropped,) = decisions.dropped_tables
    assert dropped.describe() == (
        "Table `big` is dropped, the values of `scratch` are lost (`flux`, `jitter` copied before): "
        "no new table is likely to continue it."
    )
    assert decisions.questions == ()


def test_m5_a_move_within_a_renamed_table_is_a_rename() -> None:
    decisions = decided(
        [exposure(), quick("a", "b", "old_name")],
        [exposure(), quick("a", "b", "fresh", name="swift")],
        "quick=swift",
        "quick.old_name=swift.fresh",
    )
    assert renames(decisions) == {"quick.old_name": "fresh"}
    assert decisions.moves == ()


@pytest.mark.parametrize(
    ("required", "why_not"),
    [
        ((), "but `quick` is new, and nothing gives a value for its column `mount`"),
        (("mount",), "but its rows need `mount`, which is in question"),
    ],
)
def test_m5_a_row_of_a_new_table_needs_all_that_it_must_hold(required: tuple[str, ...], why_not: str) -> None:
    mount = column("mount", "Which mount.", "integer")
    other = column("mount", "Temperature of the mount.", "integer")
    before = [table("exposure", [*DAY, JITTER, mount], key=DAY, required=required)]
    after = [
        table("exposure", DAY, key=DAY),
        table("quick", [*DAY, JITTER, other], key=DAY, required=["mount"]),
    ]
    # The one would be certain, but for the other.
    decisions = decided(before, after)
    assert has_none(decisions, "moves")
    asked = {p.old: p.describe() for question in decisions.open_questions for p in question.proposals}
    assert asked.keys() == {"exposure.jitter", "exposure.mount"}
    assert why_not in asked["exposure.jitter"]
    # What is answered counts.
    settled = decided(before, after, "exposure.mount=quick.mount")
    assert {move.column for move in settled.moves} == {"mount", "jitter"}
    dropped = decided(before, after, on_question="drop-add")
    assert has_none(dropped, "moves")
    assert lost(dropped) == {"exposure.jitter", "exposure.mount"}
