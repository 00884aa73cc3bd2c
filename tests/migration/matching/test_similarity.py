"""Words, types, edits of names, and how they weigh."""

from __future__ import annotations

import pytest

from consdb_actions.migration.matching.facts import type_fit
from consdb_actions.migration.matching.score import TablePair, overlap
from consdb_actions.migration.matching.similarity import (
    alike,
    edits,
    name_words,
    normalised,
    opposed,
    text_words,
)
from tests.support.schema_pairs import column, table


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("air_temp", ("air", "temp")),
        ("mt_salIndex101_mean", ("mt", "salindex", "101", "mean")),
        ("position0", ("position", "0")),
        ("m1m3_stress", ("m1m3", "stress")),
        ("__x__", ("x",)),
    ],
)
def test_names_are_split_at_underscores_and_numbers(name: str, words: tuple[str, ...]) -> None:
    assert name_words(name) == words


def test_descriptions_are_words_without_fillers() -> None:
    assert text_words("The mean of the M2-ESS02 (item 6), in K.") == ("mean", "m2", "ess02", "item", "6", "k")
    assert normalised("RMS  of x, in K.") == normalised("rms of X in K")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("temp", "temp", 1.0),
        ("presure", "pressure", 0.8),
        ("flxu", "flux", 0.8),
        ("minimum", "min", 0.8),
        ("count", "counts", 0.8),
        ("temp", "temperature", 0.7),
        ("101", "111", 0.0),
        ("min", "max", 0.0),
        ("el", "electron", 0.0),
        ("flux", "size", 0.0),
    ],
)
def test_words_that_are_alike(one: str, other: str, expected: float) -> None:
    assert alike(one, other) == alike(other, one) == expected


def test_words_that_oppose_each_other() -> None:
    assert opposed("min", "maximum")
    assert opposed("azimuth", "el")
    assert not opposed("min", "minimum")
    assert not opposed("min", "azimuth")
    assert not opposed("flux", "size")


@pytest.mark.parametrize(
    ("before", "after", "fit"),
    [
        ("real", "real", "same"),
        ("REAL", "float4", "same"),
        ("real", "double precision", "wider"),
        ("bigint", "integer", "narrower"),
        ("integer", "real", "converted"),
        ("numeric(10,2)", "numeric(11,1)", "narrower"),
        ("numeric(10,2)", "numeric(12,2)", "wider"),
        ("numeric(10,2)", "numeric", "wider"),
        ("character varying(8)", "character varying(16)", "wider"),
        ("character varying(8)", "text", "wider"),
        ("text", "character varying(8)", "narrower"),
        ("character", "character varying(1)", "same"),
        ("timestamp(3) without time zone", "timestamp without time zone", "wider"),
        ("timestamp(6) without time zone", "timestamp without time zone", "same"),
        ("timestamp without time zone", "timestamp with time zone", "converted"),
        ("date", "timestamp without time zone", "converted"),
        ("boolean", "integer", "incompatible"),
        ("character varying(8)", "integer", "incompatible"),
        ("integer", "integer[]", "incompatible"),
        ("integer[]", "bigint[]", "wider"),
        ("spoly", "spoly", "same"),
        ("spoly", "text", "incompatible"),
        ("geometry(point,4326)", "geometry(point,4326)", "same"),
    ],
)
def test_types_that_can_hold_each_others_values(before: str, after: str, fit: str) -> None:
    assert type_fit(before, after) == fit


def equal(_: str) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ("mt_probe101_temp_0", "mt_probe111_temperature_0", (("101", "111"), ("temp", "temperature"))),
        ("wind_std_dev", "wind_stddev", (("std_dev", "stddev"),)),
        ("a_b", "x_y", (("a", "x"), ("b", "y"))),
        ("flux", "raw_psf_flux", (("", "raw_psf"),)),
        ("raw_flux", "flux", (("raw", ""),)),
        ("flux", "flux", ()),
    ],
)
def test_an_edit_names_what_is_replaced(old: str, new: str, replaced: tuple[tuple[str, str], ...]) -> None:
    assert edits(name_words(old), name_words(new)) == replaced


def test_words_that_are_alike_count_in_part() -> None:
    assert overlap(("a", "temp", "0"), ("a", "temperature", "0"), equal) == pytest.approx((2 + 0.7) / 3)
    assert overlap(("a", "b"), ("b", "a"), equal) == 1.0
    assert overlap((), (), equal) == overlap(("a",), ("b",), equal) == 0.0


def test_a_word_that_all_columns_have_says_little() -> None:
    names = ("guider_flux", "guider_size", "guider_time", "guider_roi")
    pair = TablePair(table("t", [*names, "guider_sum"]), table("t", [*names, "guider_area", "dome_sum_2"]))
    old, guider, total = (t.columns[at] for t, at in ((pair.before, 4), (pair.after, 4), (pair.after, 5)))
    assert pair.compare(old, guider).name < 0.2 < pair.compare(old, total).name


def test_words_that_alternate_in_one_place_tell_columns_apart() -> None:
    pair = TablePair(
        table("t", ["flux_red", "flux_blue", "gain_red"]), table("t", ["flux_red", "flux_blue", "gain_blue"])
    )
    assert pair.compare(pair.dropped[0], pair.added[0]).contrast == ("red", "blue")


def test_a_place_is_counted_between_the_columns_that_stay() -> None:
    def place(old: str, new: str) -> float:
        return pair.compare(pair.before.column(old), pair.after.column(new)).place

    pair = TablePair(table("t", ["day", "a", "b", "seq", "c"]), table("t", ["day", "x", "y", "z", "seq"]))
    assert place("a", "x") == place("b", "z") == 1.0
    assert place("a", "z") < 1.0
    assert place("c", "x") == 0.0


def test_only_the_very_same_description_of_two_columns_counts_in_full() -> None:
    def text(*descriptions: str) -> float | None:
        before, after = (
            table("t", [column(f"{side}{at}", one) for at, one in enumerate(descriptions)]) for side in "ab"
        )
        pair = TablePair(before, after)
        return pair.compare(pair.dropped[0], pair.added[0]).text

    assert text("Flux of the sky.") == 1.0
    assert text("Flux of the sky.", "Flux of the sky.") == 0.75
