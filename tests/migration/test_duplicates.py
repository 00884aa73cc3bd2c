"""New columns that the schema nearly has already (row 7 of the process)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consdb_actions.migration.duplicates import ColumnRelation, related_columns
from consdb_actions.migration.preview import preview_schema
from consdb_actions.schema.delta import compare
from consdb_actions.schema.findings import ViewOf
from consdb_actions.schema.model import Column, Schema, Table


def column(name: str, description: str = "") -> Column:
    return Column(name, f"#exposure.{name}", "double", description=description)


EXPOSURE = Table(
    "exposure",
    "#exposure",
    primary_key=("exposure_id",),
    columns=(
        column("exposure_id", "Unique identifier of the exposure."),
        column("air_temp", "Outside air temperature at the start of the exposure."),
        column("wind_speed_0_mean", "Mean wind speed of the anemometer."),
        column("altitude_start", "Altitude of the boresight at the start of the exposure."),
        column("acceleration", "How fast the mount speeds up."),
        column("psf_sigma", "A width."),
        column("psf_trace", "A width."),
        column("seeing_zenith_500nm", "Seeing at zenith."),
    ),
)
QUICKLOOK = Table(
    "exposure_quicklook",
    "#exposure_quicklook",
    primary_key=("exposure_id",),
    columns=(column("exposure_id"), column("eff_time", "Effective exposure time for the measured seeing.")),
)
APART = Table(
    "weather", "#weather", primary_key=("station",), columns=(column("station"), column("dew_point"))
)
SCHEMA = Schema("cdb_demo", tables=(EXPOSURE, QUICKLOOK, APART))


def with_column(new: Column, table: Table = EXPOSURE) -> Schema:
    tables = [replace(t, columns=(*t.columns, new)) if t is table else t for t in SCHEMA.tables]
    return replace(SCHEMA, tables=tuple(tables))


def relations(new: Column, table: Table = EXPOSURE) -> tuple[ColumnRelation, ...]:
    return related_columns(compare(SCHEMA, with_column(new, table)), SCHEMA, {})


@pytest.mark.parametrize(
    ("name", "existing"),
    [
        ("temp_air", "air_temp"),
        ("airtemp", "air_temp"),
        ("Air_Temp", "air_temp"),
        ("air_temperature", "air_temp"),
        ("air_temps", "air_temp"),
        ("wind_speeds_0_mean", "wind_speed_0_mean"),
        ("wind_speed_0_average", "wind_speed_0_mean"),
        ("altitude_begin", "altitude_start"),
        ("seeing_zenit_500nm", "seeing_zenith_500nm"),
    ],
)
def test_names_that_are_nearly_equal(name: str, existing: str) -> None:
    (relation,) = relations(column(name))
    assert relation.names == (f"exposure.{existing}",)
    # In another table of the schema it is the same column twice, too.
    (relation,) = relations(column(name), QUICKLOOK)
    assert relation.names == (f"exposure.{existing}",)


@pytest.mark.parametrize(
    "name",
    [
        "altitude_end",
        "azimuth_start",
        "wind_speed_1_mean",
        "wind_speed_0_median",
        "wind_speed_0_mean_mean",
        "wind_0_speed_mean",
        "accelerationpsd",
        "air_pressure",
        "air_temp_dome",
        "psf_area",
    ],
)
def test_members_of_a_family_are_no_duplicates(name: str) -> None:
    assert relations(column(name, "A width.")) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Outside air temperature at the start of the exposure.",
        "the outside air temperature at start of exposure",
        "Outside air temperatures at the start of the exposure.",
        "Temperature of the outside air at the start of the exposure.",
    ],
)
def test_descriptions_that_are_nearly_equal(text: str) -> None:
    (relation,) = relations(column("t_out", text))
    assert (relation.names, relation.descriptions) == ((), ("exposure.air_temp",))
    assert relations(column("t_out", text.lower().replace("start", "end"))) == ()


def test_a_copied_description_of_the_opposite_or_of_the_next_number_is_none() -> None:
    assert relations(column("altitude_end", EXPOSURE.column("altitude_start").description)) == ()
    assert relations(column("wind_speed_1_mean", EXPOSURE.column("wind_speed_0_mean").description)) == ()


def test_the_same_name_in_a_joined_table_is_only_listed() -> None:
    (relation,) = relations(column("air_temp", EXPOSURE.column("air_temp").description), QUICKLOOK)
    assert relation.near == ()
    assert relation.also_in == ("exposure",)
    (apart,) = relations(column("air_temp"), APART)
    assert apart.names == ("exposure.air_temp",)


def test_keys_views_renames_and_what_goes_are_left_out() -> None:
    assert relations(column("exposure_id"), APART) == ()
    views = {"weather": ViewOf("exposure", {})}
    delta = compare(SCHEMA, with_column(column("temp_air"), APART))
    assert related_columns(delta, SCHEMA, views) == ()
    delta = compare(SCHEMA, with_column(column("temp_air")))
    assert related_columns(delta, SCHEMA, {}, {("exposure", "temp_air")}) == ()
    assert related_columns(compare(None, SCHEMA), None, {}) == ()
    without = replace(EXPOSURE, columns=tuple(c for c in EXPOSURE.columns if c.name != "air_temp"))
    moved = replace(
        SCHEMA, tables=(without, replace(QUICKLOOK, columns=(*QUICKLOOK.columns, column("temp_air"))), APART)
    )
    assert related_columns(compare(SCHEMA, moved), SCHEMA, {}) == ()


def test_a_new_table_is_checked_and_the_finding_is_information() -> None:
    table = Table(
        "dome", "#dome", primary_key=("exposure_id",), columns=(column("exposure_id"), column("temp_air"))
    )
    shown = preview_schema(SCHEMA, replace(SCHEMA, tables=(*SCHEMA.tables, table)), views={}, severities={})
    (finding,) = (item for item in shown.findings if item.rule == "near-duplicate")
    assert finding.path == "dome.temp_air"
    assert "exposure.air_temp" in finding.message
    assert finding.severity == "info"
