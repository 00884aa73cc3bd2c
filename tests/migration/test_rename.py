"""Which columns a change renames (rule M4): the traps of real histories, in columns of our own."""

from __future__ import annotations

import pytest

from consdb_actions.migration.matching.declarations import Declarations
from consdb_actions.migration.matching.facts import ColumnFacts, TableFacts, canonical
from consdb_actions.migration.matching.score import CANDIDATES
from consdb_actions.migration.rename import MatchingRun
from tests.support.schema_pairs import changed, column, decided, has_none, lost, proposals, renames, table

REAL = "real"
DOME = [
    column("dome_n_readings", "Number of readings taken while open.", "integer"),
    column("dome_flux", "Average flux over all readings while open.", REAL, unit="adu"),
    column("dome_ellipticity", "Average ellipticity over all readings while open.", REAL),
]


def test_m4_the_same_id_with_another_name_is_a_rename() -> None:
    decisions = changed(
        [column("exp_raw_bg_scale", "Effective time of the background.", unit="s", id="#t.bg")],
        [column("exp_bg_scale", "Scale factor for the background.", id="#t.bg")],
    )
    assert renames(decisions) == {"t.exp_raw_bg_scale": "exp_bg_scale"}
    assert decisions.questions == ()
    (rename,) = decisions.renames
    assert rename.kind == "same id"
    assert rename.describe() == "`t.exp_raw_bg_scale` is renamed to `exp_bg_scale`: both have the id `#t.bg`."


def test_m4_the_same_change_without_ids_is_a_question() -> None:
    decisions = changed(
        [column("exp_raw_bg_scale", "Effective time of the background.", unit="s")],
        [column("exp_bg_scale", "Scale factor for the background.", id="#t.bg")],
    )
    assert decisions.renames == ()
    assert proposals(decisions) == {"t.exp_raw_bg_scale": "t.exp_bg_scale"}
    (question,) = decisions.open_questions
    assert [answer.options() for answer in question.answers] == [
        ("--rename t.exp_raw_bg_scale=exp_bg_scale",),
        ("--rename t.exp_raw_bg_scale=",),
    ]
    assert question.answers[0].directives() == ("consdb: rename t.exp_raw_bg_scale=exp_bg_scale",)
    assert question.describe() == "Is `t.exp_bg_scale` the old `t.exp_raw_bg_scale` under another name?"


def test_m4_case_alone_is_a_rename_however_many() -> None:
    old = [column(f"at_relayNo{n}_{what}", f"Relay {n}.") for n in range(11) for what in "abcd"]
    new = [column(c.name.lower(), f"The {what} of relay.") for what, c in enumerate(old)]
    decisions = changed(old, new)
    assert len(decisions.renames) == 44
    assert {rename.kind for rename in decisions.renames} == {"case only"}
    assert has_none(decisions, "questions", "drops", "adds")


@pytest.mark.parametrize(
    ("before", "after"),
    [(["Foo", "FOO"], ["foo"]), (["Foo"], ["foo", "FOO"]), (["Foo", "foo"], ["FOO", "foo"])],
    ids=["two become one", "one becomes two", "a third stays"],
)
def test_m4_case_that_could_mean_two_columns_is_a_question(before: list[str], after: list[str]) -> None:
    decisions = changed(before, after)
    assert decisions.renames == ()
    assert len(decisions.open_questions) == 1


def test_m4_case_with_a_type_that_cannot_hold_the_values_is_a_question() -> None:
    decisions = changed([column("isOpen", type="boolean")], [column("isopen", type="text")])
    assert decisions.renames == ()
    (question,) = decisions.open_questions
    assert "the type changes from boolean to text" in question.proposals[0].evidence[0]


def test_m4_a_type_that_holds_less_is_renamed_with_a_note() -> None:
    decisions = changed([column("AirTemp")], [column("airtemp", type=REAL)])
    assert renames(decisions) == {"t.AirTemp": "airtemp"}
    assert "changes its type from double precision to real" in decisions.notes[0]


def test_m4_one_word_in_many_names_is_one_question() -> None:
    def side(word: str, offset: int = 0) -> list[ColumnFacts | str]:
        new = ["obs_day"] * bool(offset)
        return new + [
            column(f"at_{place}_gust_{word}_{axis}_{what}", f"{what} of the gust at {place}, axis {axis}.")
            for place in ("roof", "door", "slit", "pier")
            for axis in range(3)
            for what in ("mean", "min", "max", "stddev")
        ]

    decisions = changed(side("gustspread"), side("spread", 1))
    (question,) = decisions.open_questions
    assert len(question.proposals) == 48
    assert all(
        p.new == p.old.replace("gustspread", "spread") and p.score is not None for p in question.proposals
    )
    assert question.text == "Are 48 columns of `t` renamed? In their names, `gustspread` becomes `spread`."
    assert [len(answer.declarations) for answer in question.answers] == [48, 48]
    assert [added.column for added in decisions.adds] == ["obs_day"]
    assert has_none(decisions, "renames", "drops")


def sensors(numbers: dict[int, str], texts: bool = True) -> list[ColumnFacts | str]:
    return [
        column(
            f"mt_probe{number}_temp_{item}_{what}",
            (f"{what} of {where} item {item}." if where else f"{what} of item {item}.") if texts else None,
            unit="K" if texts else None,
        )
        for number, where in numbers.items()
        for item in range(6)
        for what in ("mean", "min", "max")
    ]


@pytest.mark.parametrize("texts", [True, False], ids=["described", "names alone"])
def test_m4_a_shift_of_sensor_numbers_is_mapped_as_a_whole(texts: bool) -> None:
    before = sensors({101: "camera", 102: "", 103: ""}, texts)
    after = [*sensors({111: "camera", 112: "", 113: ""}, texts), "mt_probe111_dewpoint"]
    decisions = changed(before, after)
    (question,) = decisions.open_questions
    expected = {
        f"t.{c.name}": f"t.{c.name.replace('probe10', 'probe11')}"
        for c in before
        if isinstance(c, ColumnFacts)
    }
    assert proposals(decisions) == expected
    assert "`101` becomes `111`, `102` becomes `112` and `103` becomes `113`" in question.text
    assert any(rejected.new == "`102` becomes `113`" for rejected in question.rejected)
    assert decisions.renames == ()


def test_m4_descriptions_outweigh_the_order_of_numbers() -> None:
    before = sensors({101: "camera", 102: "mirror", 103: "truss"})
    after = sensors({111: "truss", 112: "mirror", 113: "camera"})
    found = proposals(changed(before, after))
    assert found["t.mt_probe101_temp_3_mean"] == "t.mt_probe113_temp_3_mean"
    assert found["t.mt_probe103_temp_3_mean"] == "t.mt_probe111_temp_3_mean"


def test_m4_numbers_that_overlap_are_followed_by_their_descriptions() -> None:
    walls = ["North wall.", "South wall.", "East wall."]
    before = [column(f"temp_{n}_mean", wall) for n, wall in enumerate(walls, 1)]
    after = [column(f"temp_{n}_mean", wall) for n, wall in enumerate(walls, 2)]
    decisions = changed(before, after)
    assert proposals(decisions) == {f"t.temp_{n}_mean": f"t.temp_{n + 1}_mean" for n in (1, 2, 3)}
    yes, no = decisions.questions[0].answers
    assert renames(changed(before, after, *yes.declarations)) == {
        f"t.temp_{n}_mean": f"temp_{n + 1}_mean" for n in (1, 2, 3)
    }
    assert lost(changed(before, after, *no.declarations)) == {"t.temp_1_mean"}


def test_m4_another_quantity_in_the_same_place_is_not_even_asked_about() -> None:
    gone = column("dome_t_avg", "Average second moment T over all readings while open.", REAL, unit="arcsec2")
    for unit in ("arcsec2", "arcsec"):
        new = column("dome_psf_width", "Average PSF width over all readings while open.", REAL, unit=unit)
        for company in (DOME, []):
            decisions = changed([*company, gone], [*company, new])
            assert has_none(decisions, "questions", "renames")
            (drop,) = decisions.drops
            assert drop.describe() == (
                "`t.dome_t_avg` (real) is dropped and its values are lost: "
                "no new column is likely to continue it."
            )
            assert [r.new for r in drop.rejected] == ["t.dome_psf_width"]
            assert "the names share only `dome`" in drop.rejected[0].reason


def test_m4_a_split_offers_both_halves_and_chooses_neither() -> None:
    decisions = changed(
        [*DOME, column("dome_window_size", "Length of the window's side in pixels.", REAL, unit="pixel")],
        [
            *DOME,
            column("dome_frame_time", "Time that a frame takes.", REAL, unit="s"),
            column("dome_window_cols", "Number of columns in the window, in pixels.", REAL, unit="pixel"),
            column("dome_window_rows", "Number of rows in the window, in pixels.", REAL, unit="pixel"),
        ],
    )
    (question,) = decisions.open_questions
    assert [answer.declarations for answer in question.answers] == [
        ("t.dome_window_size=dome_window_cols",),
        ("t.dome_window_size=dome_window_rows",),
        ("t.dome_window_size=",),
    ] or [answer.declarations for answer in question.answers] == [
        ("t.dome_window_size=dome_window_rows",),
        ("t.dome_window_size=dome_window_cols",),
        ("t.dome_window_size=",),
    ]
    assert any(
        rejected.new == "t.dome_frame_time" and "the unit is another one (pixel, not s)" in rejected.reason
        for rejected in question.rejected
    )
    assert [added.column for added in decisions.adds] == ["dome_frame_time"]


@pytest.mark.parametrize(("old", "new"), [("flux_²", "flux_³"), ("_", "__"), ("größe_1", "größe_٢")])
def test_m4_any_name_can_be_compared(old: str, new: str) -> None:
    decisions = changed([old], [new])
    assert decisions.renames == ()
    assert lost(decisions) | set(proposals(decisions)) == {f"t.{old}"}


def test_m4_a_description_that_moved_to_another_name_is_found_among_many_like_names() -> None:
    decoys = [column(f"wind_speed_{n}_mean_{n}", f"Wind at place {n}.") for n in range(40)]
    gone = column("wind_speed_0_mean", "Pressure of the glycol loop.")
    new = column("glycol_p", "Pressure of the glycol loop.")
    assert proposals(changed([gone], [*decoys, new])) == {"t.wind_speed_0_mean": "t.glycol_p"}


def test_m4_the_three_best_candidates_are_the_answers() -> None:
    halves = ("upper_flux", "lower_flux_sum", "flux_total", "psf_flux", "flux_raw")
    decisions = changed(["day", "flux", "seq"], ["day", *halves, "seq"])
    (question,) = decisions.open_questions
    assert len(question.answers) == 3 + 1
    assert question.answers[-1].declarations == ("t.flux=",)
    offered = {answer.declarations[0].partition("=")[2] for answer in question.answers[:-1]}
    left = {rejected.new.removeprefix("t.") for rejected in question.rejected}
    assert offered < set(halves)
    assert not offered & left
    assert all(rejected.reason for rejected in question.rejected)
    assert {f"t.{name}" for name in offered} <= set(question.targets)


def test_m4_a_small_question_names_the_candidates_that_no_answer_has() -> None:
    decisions = changed(["dome_flux_a", "dome_flux_b"], ["dome_flux_c", "dome_flux_d"])
    (question,) = decisions.open_questions
    said = {(p.old, p.new) for p in question.proposals} | {(r.old, r.new) for r in question.rejected}
    assert said == {(f"t.dome_flux_{a}", f"t.dome_flux_{b}") for a in "ab" for b in "cd"}


def test_m4_the_same_split_in_two_tables_is_one_choice() -> None:
    def half(name: str) -> ColumnFacts:
        return column(f"window_{name}", f"The {name} of the window, in pixels.", REAL, unit="pixel")

    def side(name: str, *halves: str) -> list[TableFacts]:
        there = [half(part) for part in halves]
        return [table(name, ["day", *there, "seq"]), table(f"{name}_2", ["day", *there[::-1], "seq"])]

    (question,) = decided(side("t", "size"), side("t", "cols", "rows")).open_questions
    first, second, none = (answer.declarations for answer in question.answers)
    assert {first, second} == {
        (f"t.window_size=window_{name}", f"t_2.window_size=window_{name}") for name in ("cols", "rows")
    }
    assert none == ("t.window_size=", "t_2.window_size=")


@pytest.mark.parametrize(
    ("old", "new"),
    [("sky_min", "sky_max"), ("start_alt", "end_alt"), ("centre_x", "centre_y")],
)
def test_m4_words_that_oppose_each_other_are_no_rename(old: str, new: str) -> None:
    decisions = changed([column(old, "A number.")], [column(new, "A count.")])
    assert decisions.questions == ()
    assert lost(decisions) == {f"t.{old}"}


def test_m4_words_that_alternate_in_other_names_are_no_rename() -> None:
    company = ["flux_red", "flux_blue", "size_red"]
    decisions = changed([*company, "gain_red"], [*company, "gain_blue"])
    assert decisions.questions == ()
    assert "`red` and `blue` are different quantities" in decisions.drops[0].rejected[0].reason


def test_m4_a_drop_without_a_candidate_is_done_and_named() -> None:
    decisions = changed([column("seeing_old", "Seeing.")], [])
    assert decisions.questions == ()
    assert lost(decisions) == {"t.seeing_old"}


def test_m4_a_type_that_cannot_hold_the_values_is_not_asked_about() -> None:
    decisions = changed([column("shutter", "State.", "boolean")], [column("shutters", "State.", "bytea")])
    assert decisions.questions == ()
    assert lost(decisions) == {"t.shutter"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("relativehumidity", "relative_humidity"),
        ("airpresure_mean", "airpressure_mean"),
        ("air_temp", "air_temperature"),
        ("humidity", "obs_humidity"),
        ("humidity_raw", "humidity"),
        ("psfFluxErr", "psf_flux_error"),
    ],
)
def test_m4_names_that_are_nearly_the_same_are_asked_about(old: str, new: str) -> None:
    company = ["day", "seq", "altitude", "shutter"]
    assert proposals(changed([*company, old], [*company, new])) == {f"t.{old}": f"t.{new}"}


def test_m4_another_name_for_the_same_description_is_asked_about() -> None:
    decisions = changed(
        [
            *DOME,
            column("truss_temp_plus", "Temperature of the truss at the plus X position.", REAL, unit="K"),
        ],
        [*DOME, column("probe7_item_6", "Probe 7, item 6, truss at plus X, temperature.", REAL, unit="K")],
    )
    assert proposals(decisions) == {"t.truss_temp_plus": "t.probe7_item_6"}


def test_m4_ids_that_change_places_are_a_question() -> None:
    before = [column("a", "A.", id="#1"), column("b", "B.", id="#2")]
    after = [column("a", "A.", id="#2"), column("b", "B.", id="#1")]
    decisions = changed(before, after)
    (question,) = decisions.open_questions
    assert [answer.declarations for answer in question.answers] == [
        ("t.a=b", "t.b=a"),
        ("t.a=a", "t.b=b"),
    ]
    assert renames(changed(before, after, "t.a=b", "t.b=a")) == {"t.a": "b", "t.b": "a"}
    settled = changed(before, after, "t.a=a", "t.b=b")
    assert has_none(settled, "questions", "renames", "drops", "adds")
    assert changed(before, after, on_question="drop-add").drops == ()


def test_m4_an_id_that_left_a_column_which_is_still_there_is_a_question() -> None:
    before = [column("flux", "Flux.", id="#flux")]
    after = [column("flux", "Calibrated flux.", id="#new"), column("flux_raw", "Raw.", id="#flux")]
    decisions = changed(before, after)
    (question,) = decisions.open_questions
    assert [answer.declarations for answer in question.answers] == [("t.flux=flux_raw",), ("t.flux=flux",)]
    yes = changed(before, after, "t.flux=flux_raw")
    assert renames(yes) == {"t.flux": "flux_raw"}
    assert [added.column for added in yes.adds] == ["flux"]


def test_m4_an_id_on_a_column_of_another_kind_is_a_question() -> None:
    decisions = changed([column("a", id="#1")], [column("b", type="boolean", id="#1")])
    assert decisions.renames == ()
    assert proposals(decisions) == {"t.a": "t.b"}


def test_m4_an_id_left_behind_on_another_quantity_is_a_question() -> None:
    decisions = changed(
        [column("second_moment", "Second moment T.", unit="arcsec2", id="#1")],
        [column("psf_width", "Width of the PSF.", unit="arcsec", id="#1")],
    )
    assert decisions.renames == ()
    assert proposals(decisions) == {"t.second_moment": "t.psf_width"}


def test_m4_ids_that_stand_twice_prove_nothing() -> None:
    decisions = changed(
        [column("alpha", id="#1"), column("beta", id="#1")], [column("gamma", id="#1"), "zeta"]
    )
    assert decisions.renames == ()


def test_m4_id_and_case_that_contradict_each_other_are_a_question() -> None:
    decisions = changed(
        [column("Foo", id="#1"), column("bar", id="#2")], [column("foo", id="#2"), column("x", id="#1")]
    )
    assert decisions.renames == ()
    assert len(decisions.open_questions) == 1


def test_m4_the_same_change_in_two_tables_is_one_question() -> None:
    def side(old: bool) -> list[ColumnFacts | str]:
        names = ("topic", "column") if old else ("property", "field")
        return [column(name, f"{name} of the long form.", "text") for name in names]

    before = [table(name, ["id", *side(True), "value"]) for name in ("long_a", "long_b")]
    after = [table(name, ["id", *side(False), "value"]) for name in ("long_a", "long_b")]
    decisions = decided(before, after)
    (question,) = decisions.open_questions
    assert proposals(decisions)["long_b.topic"] == "long_b.property"
    assert len(question.answers[0].declarations) == 4


def test_m4_an_unanswered_question_can_be_taken_as_drop_and_add() -> None:
    before, after = [column("air_temp", "Air.")], [column("air_temperature", "Air.")]
    decisions = changed(before, after, on_question="drop-add")
    assert decisions.open_questions == ()
    (question,) = decisions.questions
    assert question.answered == "nothing is renamed"
    assert lost(decisions) == {"t.air_temp"}
    assert [added.column for added in decisions.adds] == ["air_temperature"]
    assert [(r.declaration, r.source) for r in decisions.remembered] == [
        ("t.air_temp=", "--on-question drop-add")
    ]


def test_m4_chosen_answers_are_remembered() -> None:
    decisions = changed(["air_temp"], ["air_temperature"], "t.air_temp=air_temperature")
    (remembered,) = decisions.remembered
    assert remembered.describe() == (
        "`t.air_temp=air_temperature` (option): `t.air_temp` is renamed to `air_temperature`."
    )


def test_m4_the_work_grows_with_the_columns_not_with_their_square() -> None:
    def side(word: str) -> list[ColumnFacts | str]:
        return [
            column(f"mt_s{n}_{word}_{item}_{what}", "Temperature of a sensor.")
            for n in range(100, 150)
            for item in range(8)
            for what in ("mean", "min", "max", "stddev")
        ]

    old, new = table("t", side("temp")), table("t", side("tmp"))
    run = MatchingRun(canonical([old], "before"), canonical([new], "after"), Declarations())
    assert len(old.columns) == 1600
    assert run.scores.comparisons <= CANDIDATES * 1600
    assert len(run.links) <= CANDIDATES * 1600
    (question,) = run.questions
    assert {p.old.replace("temp", "tmp") for p in question.proposals} == {p.new for p in question.proposals}
    assert all(p.old.replace("temp", "tmp") == p.new for p in question.proposals)
    assert len(question.proposals) == 1600
