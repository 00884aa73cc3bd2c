"""Words, types, alignments, places and the weight of words."""

from __future__ import annotations

import pytest

from consdb_actions.migration.matching.evidence import closeness, places
from consdb_actions.migration.matching.facts import type_fit
from consdb_actions.migration.matching.words import (
    Vocabulary,
    align,
    alike,
    name_words,
    normalised,
    opposed,
    text_words,
)


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


def test_capitals_may_start_words_too() -> None:
    assert name_words("psfFluxErr", camel=True) == ("psf", "flux", "err")
    assert name_words("DIMMFwhm_mean", camel=True) == ("dimm", "fwhm", "mean")


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


def test_an_alignment_keeps_the_order_and_names_what_is_replaced() -> None:
    found = align(
        name_words("mt_probe101_temp_0_mean"), name_words("mt_probe111_temperature_0_mean"), lambda _: 1.0
    )
    assert found.substitutions == ((("101",), ("111",)), (("temp",), ("temperature",)))
    assert found.shared == ("mt", "probe", "0", "mean")
    assert found.similarity == pytest.approx((2 * 4 + 2 * 0.7) / 12)


def test_words_with_and_without_a_break_are_the_same() -> None:
    found = align(("wind", "std", "dev"), ("wind", "stddev"), lambda _: 1.0)
    assert found.similarity == pytest.approx(1.0)
    assert found.substitutions == ((("std", "dev"), ("stddev",)),)


def test_an_empty_alignment_is_no_likeness() -> None:
    assert align((), (), lambda _: 1.0).similarity == 0.0
    assert align(("a",), ("b",), lambda _: 1.0).similarity == 0.0


def test_a_word_that_all_columns_have_says_little() -> None:
    columns = [(f"guider_{word}", f"Mean {word} of the guider.") for word in ("flux", "size", "time", "roi")]
    vocabulary = Vocabulary(columns, columns)
    assert vocabulary.name_weight("guider") < 0.2 < vocabulary.name_weight("roi") == 1.0
    assert vocabulary.text_weight("mean") < 0.2 < vocabulary.text_weight("roi")


def test_a_split_does_not_weaken_the_words_of_its_column() -> None:
    vocabulary = Vocabulary([("roi_size", ""), ("z", "")], [("roi_cols", ""), ("roi_rows", ""), ("z", "")])
    assert vocabulary.name_weight("roi") == 1.0


def test_words_that_alternate_in_one_place_tell_columns_apart() -> None:
    vocabulary = Vocabulary([("flux_red", ""), ("flux_blue", ""), ("size_red", "")], [("size_blue", "")])
    assert vocabulary.contrast("red", "blue")
    assert vocabulary.contrast("flux", "size")
    assert not vocabulary.contrast("red", "green")


def test_a_place_is_counted_between_the_columns_that_stay() -> None:
    old = places(["day", "a", "b", "seq", "c"], {"day", "seq"})
    new = places(["day", "x", "y", "z", "seq"], {"day", "seq"})
    assert (old["b"].after, old["b"].until, old["b"].rank, old["b"].size) == ("day", "seq", 1, 2)
    assert closeness(old["a"], new["x"]) == closeness(old["b"], new["z"]) == 1.0
    assert closeness(old["a"], new["z"]) < 1.0
    assert closeness(old["c"], new["x"]) == 0.0
