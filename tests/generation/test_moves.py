"""Rule M5: a column that moves to another table takes its values along, or a question is asked."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from consdb_actions.adapters.autogenerate import engine
from consdb_actions.adapters.autogenerate.render import render_revision
from consdb_actions.migration.outcome import Reply
from tests.support.stage import proven, staged
from tests.support.workbench import Data, Workbench, column, schema, table

FK = {"name": "fk_quick", "@type": "ForeignKey", "columns": ["exposure_id"]}


def exposure(*columns: Data) -> Data:
    return table("exposure", [column("exposure_id", "long", nullable=False), *columns], key=["exposure_id"])


def quick(*columns: Data) -> Data:
    key = column("exposure_id", "long", nullable=False)
    link = {**FK, "referencedColumns": ["exposure.exposure_id"]}
    return table("exposure_quicklook", [key, *columns], key=["exposure_id"], constraints=[link])


def ccd(*columns: Data) -> Data:
    items = [column("ccd_id", "long", nullable=False), column("exposure_id", "long"), *columns]
    link = {**FK, "name": "fk_ccd", "referencedColumns": ["exposure.exposure_id"]}
    return table("ccdexposure", items, key=["ccd_id"], constraints=[link])


def wind(identifier: str) -> Data:
    return column("wind_speed", "double", description="Wind at the dome.", id=identifier)


def test_to_a_table_with_the_same_key_and_back(bench: Workbench) -> None:
    bench.generate(schema(exposure(wind("#a"), column("x", "int")), quick(column("y"))), verify=False)
    after = schema(exposure(column("x", "int")), quick(column("y"), wind("#b")))
    outcome = proven(bench.generate(after, "exposure.wind_speed=exposure_quicklook.wind_speed"))
    assert not [loss for loss in outcome.losses if loss.direction == "upgrade"]
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure (exposure_id, wind_speed, x) VALUES (1, 4.5, 0), (2, NULL, 0)")
        stage.execute("INSERT INTO exposure_quicklook (exposure_id) VALUES (1), (2)")
        stage.upgrade()
        query = "SELECT wind_speed FROM {} ORDER BY exposure_id"
        assert stage.rows(query.format("exposure_quicklook")) == [(4.5,), (None,)]
        stage.downgrade()
        assert stage.rows(query.format("exposure")) == [(4.5,), (None,)]


def test_m5_a_default_is_for_rows_to_come(bench: Workbench) -> None:
    def moved(identifier: str) -> Data:
        return {**wind(identifier), "value": 2.5}

    bench.generate(schema(exposure(moved("#a")), quick(column("y"))), verify=False)
    after = schema(exposure(), quick(column("y"), moved("#b")))
    back = schema(exposure(moved("#c")), quick(column("y")))
    proven(bench.generate(after, "exposure.wind_speed=exposure_quicklook.wind_speed"))
    proven(bench.generate(back, "exposure_quicklook.wind_speed=exposure.wind_speed"))
    with staged(bench, 2) as stage:
        stage.execute("INSERT INTO exposure VALUES (1), (2), (3)")
        stage.execute("INSERT INTO exposure_quicklook VALUES (1, 0, 4.5), (2, 0, NULL)")
        stage.upgrade()
        stage.execute("INSERT INTO exposure VALUES (4)")
        query = "SELECT wind_speed FROM exposure ORDER BY exposure_id"
        assert stage.rows(query) == [(4.5,), (None,), (None,), (2.5,)]


def test_m7_a_moved_column_is_filled_where_it_has_no_value(bench: Workbench) -> None:
    bench.generate(schema(exposure(wind("#a")), quick(column("y"))), verify=False)
    required = {**wind("#b"), "nullable": False}
    outcome = bench.generate(
        schema(exposure(), quick(column("y"), required)),
        "exposure.wind_speed=exposure_quicklook.wind_speed",
        fills={("exposure_quicklook", "wind_speed"): "2.5"},
    )
    proven(outcome)
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure VALUES (1, 4.5), (2, NULL), (3, 5.5)")
        stage.execute("INSERT INTO exposure_quicklook VALUES (1), (2)")
        stage.upgrade()
        query = "SELECT wind_speed FROM exposure_quicklook ORDER BY exposure_id"
        assert stage.rows(query) == [(4.5,), (2.5,)]


def test_m15_rows_that_no_foreign_key_ties_are_copied_in_the_proof(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(*columns: Data) -> Data:
        return table("other", [column("exposure_id", "long", nullable=False), *columns], key=["exposure_id"])

    def tampered(*arguments: Any) -> str:
        return render_revision(*arguments).replace("SET wind_speed = source.wind_speed ", "SET y = 1 ")

    bench.generate(schema(exposure(wind("#a")), other(column("y"))), verify=False)
    after = schema(exposure(), other(column("y"), wind("#b")))
    move = "exposure.wind_speed=other.wind_speed"
    proven(bench.generate(deepcopy(after), move, keep=False))
    monkeypatch.setattr(engine, "render_revision", tampered)
    (rows,) = [c for c in bench.generate(after, move, keep=False).checks if c.name == "rows"]
    assert any(d.startswith("other.wind_speed: ") and "became NULL" in d for d in rows.details)


def test_to_a_new_table(bench: Workbench) -> None:
    bench.generate(schema(exposure(wind("#a"))), verify=False)
    proven(
        bench.generate(
            schema(exposure(), quick(wind("#b"))), "exposure.wind_speed=exposure_quicklook.wind_speed"
        )
    )
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure (exposure_id, wind_speed) VALUES (1, 4.5), (2, 5)")
        stage.upgrade()
        assert stage.rows("SELECT exposure_id, wind_speed FROM exposure_quicklook ORDER BY 1") == [
            (1, 4.5),
            (2, 5.0),
        ]


def test_a_new_table_takes_no_value_from_a_column_that_gets_another_type(bench: Workbench) -> None:
    """The rows are made when exposure.side is text already."""

    def side(datatype: str, of: str) -> Data:
        return column("side", datatype, nullable=False, id=f"#{of}.side")

    bench.generate(schema(exposure(wind("#a"), side("int", "exposure"))), verify=False)
    after = schema(exposure(side("string", "exposure")), quick(wind("#b"), side("int", "quick")))
    outcome = bench.generate(after, on_question="drop-add", keep=False)
    assert "INSERT" not in proven(outcome).source
    wider = schema(exposure(side("long", "exposure")), quick(wind("#b"), side("int", "quick")))
    outcome = bench.generate(wider, "exposure.wind_speed=exposure_quicklook.wind_speed")
    assert "source.side" in proven(outcome).source


def test_from_many_rows_to_the_one_that_they_share(bench: Workbench) -> None:
    bench.generate(schema(exposure(), ccd(wind("#a"))), verify=False)
    outcome = proven(
        bench.generate(schema(exposure(wind("#b")), ccd()), "ccdexposure.wind_speed=exposure.wind_speed")
    )
    assert any("different values" in risk.text for risk in outcome.risks)
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure VALUES (1), (2)")
        stage.execute("INSERT INTO ccdexposure VALUES (10, 1, 3.5), (11, 1, 3.5), (20, 2, 4)")
        stage.upgrade()
        assert stage.rows("SELECT wind_speed FROM exposure ORDER BY exposure_id") == [(3.5,), (4.0,)]
        stage.downgrade()
        assert stage.rows("SELECT wind_speed FROM ccdexposure ORDER BY ccd_id") == [(3.5,), (3.5,), (4.0,)]


def test_into_a_column_that_nothing_fills_it_says_that_the_table_was_empty(bench: Workbench) -> None:
    def other(*columns: Data) -> Data:
        return table("other", [column("exposure_id", "long", nullable=False), *columns], key=["exposure_id"])

    required = {**wind("#b"), "nullable": False}
    bench.generate(schema(exposure({**wind("#a"), "nullable": False}), other()), verify=False)
    outcome = bench.generate(schema(exposure(), other(required)), on_question="drop-add")
    assert outcome.decisions[0].startswith("`exposure.wind_speed` moves to `other.wind_speed`")
    details = {c.name: c.details for c in proven(outcome).checks}
    assert details["rows"] == ("no rows in other: the upgrade runs only where it is empty",)


def test_without_a_key_in_common_it_is_a_question(bench: Workbench) -> None:
    def other(*columns: Data) -> Data:
        return table("other", [column("other_id", "string", nullable=False), *columns], key=["other_id"])

    bench.generate(schema(exposure(wind("#a")), other()), verify=False)
    outcome = bench.generate(schema(exposure(), other(wind("#b"))))
    assert outcome.status == "question"
    assert not outcome.source
    assert "wind_speed" in outcome.questions[0].text


def weather(*columns: Data) -> Data:
    key = column("exposure_id", "long", nullable=False)
    link = {**FK, "name": "fk_weather", "referencedColumns": ["exposure.exposure_id"]}
    return table("weather", [key, *columns], key=["exposure_id"], constraints=[link])


def test_from_two_tables_into_one_new_table(bench: Workbench) -> None:
    rain = column("rain", "double", description="Rain at the dome.", id="#r")
    bench.generate(schema(exposure(wind("#a")), weather(rain)), verify=False)
    together = quick(wind("#b"), {**rain, "@id": "#s"})
    after = schema(exposure(), weather(), together)
    moves = ("exposure.wind_speed=exposure_quicklook.wind_speed", "weather.rain=exposure_quicklook.rain")
    proven(bench.generate(after, *moves))
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure VALUES (1, 4.5), (2, 5), (3, NULL), (4, NULL)")
        stage.execute("INSERT INTO weather VALUES (1, 0.5), (3, 0.25), (4, NULL)")
        stage.upgrade()
        query = "SELECT exposure_id, wind_speed, rain FROM exposure_quicklook ORDER BY 1"
        assert stage.rows(query) == [(1, 4.5, 0.5), (2, 5.0, None), (3, None, 0.25)]
        stage.downgrade()
        assert stage.rows("SELECT wind_speed FROM exposure ORDER BY 1") == [(4.5,), (5.0,), (None,), (None,)]
        assert stage.rows("SELECT rain FROM weather ORDER BY exposure_id") == [(0.5,), (0.25,), (None,)]


def test_from_tables_with_different_keys_into_one_new_table_it_is_a_question(bench: Workbench) -> None:
    rain = column("rain", "double", description="Rain at the dome.", id="#r")
    days = ["day_obs", "seq_num"]

    def family(*new: Data, old: tuple[Data, ...] = (), by_day: tuple[Data, ...] = ()) -> Data:
        parent = exposure(*[column(c, "int", nullable=False) for c in days], *old)
        parent["constraints"] = [
            {"name": "un_day", "@id": "#un", "@type": "Unique", "columns": [f"#exposure.{c}" for c in days]}
        ]
        link = {**FK, "name": "fk_day", "columns": days, "referencedColumns": [f"exposure.{c}" for c in days]}
        keys = [column(c, "int", nullable=False) for c in days]
        daily = table("weather", [*keys, *by_day], key=days, constraints=[link])
        return schema(parent, daily, *new)

    bench.generate(family(old=(wind("#a"),), by_day=(rain,)), verify=False)
    after = family(quick(wind("#b"), {**rain, "@id": "#s"}))
    moves = ("exposure.wind_speed=exposure_quicklook.wind_speed", "weather.rain=exposure_quicklook.rain")
    outcome = bench.generate(after, *moves)
    assert outcome.status == "question"
    (question,) = outcome.questions
    assert "Its rows can come from exposure only" in question.text
    assert question.answers == (Reply("drop the values", ("--on-question drop-add",)),)
    outcome = proven(bench.generate(after, *moves, on_question="drop-add"))
    assert any("weather.rain only where exposure_quicklook has a row" in o.text for o in outcome.losses)
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure VALUES (1, 10, 1, 4.5), (2, 10, 2, NULL)")
        stage.execute("INSERT INTO weather VALUES (10, 1, 0.5), (10, 2, 0.25)")
        stage.upgrade()
        assert stage.rows("SELECT * FROM exposure_quicklook") == [(1, 4.5, 0.5)]


def test_a_table_of_which_one_column_is_kept_comes_back_with_stand_ins(bench: Workbench) -> None:
    more = [
        column("begin", "timestamp", nullable=False),
        column("number", "int", nullable=False),
        column("other_id", "long", nullable=False),
    ]
    full = weather(wind("#a"), *more)
    full["constraints"] += [
        {"name": "un_number", "@id": "#un", "@type": "Unique", "columns": ["#weather.number"]},
        {
            "name": "fk_other",
            "@id": "#fk",
            "@type": "ForeignKey",
            "columns": ["#weather.other_id"],
            "referencedColumns": ["#exposure.exposure_id"],
        },
    ]
    bench.generate(schema(exposure(), full), verify=False)
    proven(bench.generate(schema(exposure(wind("#b"))), "weather.wind_speed=exposure.wind_speed", "weather="))
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure VALUES (1), (2), (3)")
        stage.execute("INSERT INTO weather VALUES (2, 4.5, now(), 7, 1), (3, 5.5, now(), 8, 2)")
        stage.upgrade()
        stage.downgrade()
        assert stage.rows("SELECT exposure_id, wind_speed FROM weather ORDER BY 1") == [(2, 4.5), (3, 5.5)]


def test_a_table_that_was_divided_comes_back_whole(bench: Workbench) -> None:
    rain = column("rain", "double", description="Rain at the dome.", id="#r")
    bench.generate(schema(exposure(), weather(rain, wind("#a")), quick(column("y"))), verify=False)
    after = schema(exposure(wind("#b")), quick(column("y"), {**rain, "@id": "#s"}))
    moves = ("weather.rain=exposure_quicklook.rain", "weather.wind_speed=exposure.wind_speed", "weather=")
    proven(bench.generate(after, *moves))
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure VALUES (1), (2), (3)")
        stage.execute("INSERT INTO exposure_quicklook VALUES (1, 7), (3, 8)")
        stage.execute("INSERT INTO weather VALUES (1, 0.5, 4.5), (2, NULL, 5.5), (3, 0.25, NULL)")
        stage.upgrade()
        stage.downgrade()
        assert stage.rows("SELECT * FROM weather ORDER BY 1") == [
            (1, 0.5, 4.5),
            (2, None, 5.5),
            (3, 0.25, None),
        ]
