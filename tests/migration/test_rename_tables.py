"""Tables that a change renames (rule M4)."""

from __future__ import annotations

import pytest

from consdb_actions.migration.matching.facts import TableFacts
from tests.support.schema_pairs import column, decided, has_none, lost, proposals, renames, table

COLUMNS = ["day", "seq", "seeing", "flux", "psf_area"]
OTHER = table("other", ["day", "seq", "x_pos"])


def looks(name: str, *more: str, id: str | None = None, leave: int = 0) -> TableFacts:  # noqa: A002
    return table(name, [*COLUMNS[leave:], *more], key=["day", "seq"] if not leave else (), id=id)


def test_m4_a_declared_table_rename_takes_its_columns_along() -> None:
    decisions = decided([OTHER, looks("quick", "airTemp")], [OTHER, looks("swift", "airtemp")], "quick=swift")
    assert [(r.old, r.new, r.kind) for r in decisions.table_renames] == [("quick", "swift", "declared")]
    assert renames(decisions) == {"quick.airTemp": "airtemp"}
    assert has_none(decisions, "dropped_tables", "added_tables", "questions")
    assert decisions.table_renames[0].describe() == (
        "Table `quick` is renamed to `swift`: declared (option)."
    )


def test_m4_the_same_table_id_is_a_rename() -> None:
    decisions = decided([looks("quick", id="#q")], [looks("swift", "extra", id="#q")])
    assert [(r.old, r.new, r.kind) for r in decisions.table_renames] == [("quick", "swift", "same id")]
    assert [(a.table, a.column) for a in decisions.adds] == [("swift", "extra")]


def test_m4_a_table_id_that_was_reused_is_a_question() -> None:
    decisions = decided([looks("quick", id="#q")], [table("weather", ["rain", "wind"], id="#q")])
    assert decisions.table_renames == ()
    assert "few columns in common" in decisions.open_questions[0].proposals[0].describe()


def test_m4_case_alone_renames_a_table() -> None:
    decisions = decided([looks("Quick")], [looks("quick")])
    assert [(r.old, r.new, r.kind) for r in decisions.table_renames] == [("Quick", "quick", "case only")]


def test_m4_two_tables_that_differ_in_case_are_a_question() -> None:
    (question,) = decided([looks("Quick"), looks("QUICK")], [looks("quick")]).open_questions
    assert [answer.declarations for answer in question.answers] == [
        ("QUICK=quick", "Quick="),
        ("QUICK=", "Quick=quick"),
        ("QUICK=", "Quick="),
    ]


def test_m4_a_table_with_the_same_columns_is_a_question_that_includes_them() -> None:
    before, after = [OTHER, looks("quick", "air_temp")], [OTHER, looks("swift", "air_temperature")]
    decisions = decided(before, after)
    assert decisions.table_renames == ()
    (question,) = decisions.open_questions
    assert question.describe() == "Is table `swift` the old `quick` under another name?"
    assert proposals(decisions) == {"quick": "swift", "quick.air_temp": "swift.air_temperature"}
    assert [answer.declarations for answer in question.answers] == [
        ("quick=swift", "quick.air_temp=air_temperature"),
        ("quick=",),
    ]
    yes = decided(before, after, *question.answers[0].declarations)
    assert renames(yes) == {"quick.air_temp": "air_temperature"}
    no = decided(before, after, "quick=")
    assert has_none(no, "questions", "moves")
    assert lost(no) == {f"quick.{name}" for name in (*COLUMNS, "air_temp")}
    assert no.added_tables == ("swift",)


def test_m4_an_unanswered_question_about_a_table_is_a_drop_and_an_add() -> None:
    decisions = decided([OTHER, looks("quick")], [OTHER, looks("swift")], on_question="drop-add")
    assert decisions.open_questions == ()
    assert [t.table for t in decisions.dropped_tables] == ["quick"]
    assert [r.describe() for r in decisions.remembered] == [
        "`quick=` (--on-question drop-add): table `quick` is dropped and nothing continues it."
    ]


def test_m4_a_table_with_other_columns_is_dropped_and_named() -> None:
    decisions = decided([OTHER, looks("quick")], [OTHER, table("weather", ["rain", "wind"])])
    assert decisions.questions == ()
    (dropped,) = decisions.dropped_tables
    assert dropped.describe() == (
        "Table `quick` is dropped, the values of `day`, `seq`, `seeing`, `flux`, `psf_area` are lost: "
        "no new table is likely to continue it."
    )


def test_m4_columns_that_every_table_has_say_little() -> None:
    common = [table(f"kept_{n}", ["day", "seq", f"value_{n}"]) for n in range(6)]
    before = [*common, table("moon", ["day", "seq", "phase"])]
    after = [*common, table("wind", ["day", "seq", "speed"])]
    assert decided(before, after).questions == ()


def test_m4_a_column_in_a_renamed_table_may_be_named_by_either_table() -> None:
    before, after = [looks("quick", "alpha")], [looks("swift", "omega")]
    for name in ("quick", "swift"):
        decisions = decided(before, after, "quick=swift", f"{name}.alpha=omega")
        assert renames(decisions) == {"quick.alpha": "omega"}


@pytest.mark.parametrize("kind", ["keys", "references"])
def test_m4_constraints_over_renamed_columns_are_the_same_constraints(kind: str) -> None:
    before = [
        table("parent", ["keyNo", "size"], key=["keyNo"]),
        table("child", ["keyNo", "v"], key=["keyNo"], refers=[(["keyNo"], "parent", ["keyNo"])]),
    ]
    after = [
        table("Parent", ["keyno", "size"], key=["keyno"]),
        table("child", ["keyno", "v"], key=["keyno"], refers=[(["keyno"], "Parent", ["keyno"])]),
    ]
    names = decided(before, after).names
    child = before[1]
    if kind == "keys":
        assert [names.columns_of("child", key) for key in child.keys] == list(after[1].keys)
    else:
        assert [names.foreign_key("child", key) for key in child.foreign_keys] == list(after[1].foreign_keys)


def test_m4_moves_of_a_table_in_question_wait_for_its_answer() -> None:
    jitter = column("jitter", "RMS jitter.", "real")
    before = [table("other", ["day", "seq", jitter], key=["day", "seq"]), looks("quick")]
    after = [
        table("other", ["day", "seq"], key=["day", "seq"]),
        table("swift", [*COLUMNS, jitter], key=["day", "seq"]),
    ]
    first = decided(before, after)
    assert [question.columns for question in first.open_questions] == [("quick",)]
    second = decided(before, after, "quick=swift")
    assert [(m.table, m.new_table) for m in second.moves] == [("other", "swift")]
