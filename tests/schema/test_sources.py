"""What fills tables and columns (rows 2 and 4 of the process)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consdb_actions.process.sites import DEFAULT_SITES
from consdb_actions.schema.delta import compare
from consdb_actions.schema.model import Column, Schema, Table
from consdb_actions.schema.sources import (
    DataSource,
    TableSource,
    check_sources,
    source_of_table,
    table_sources,
)

HINFO = DataSource("cdb_demo.exposure", "hinfo", "the team")
SEEING = DataSource("cdb_demo.*", "DIMM", columns=("*seeing*", "dimm_*"))
SEVERAL = DataSource("cdb_demo.*", "hinfo", columns=("exp_*",))
ALL = (SEEING, SEVERAL, HINFO)


def schema(*tables: tuple[str, tuple[str, ...]]) -> Schema:
    return Schema(
        "cdb_demo",
        tables=tuple(
            Table(name, f"#{name}", columns=tuple(Column(c, f"#{name}.{c}", "double") for c in columns))
            for name, columns in tables
        ),
    )


BEFORE = schema(("exposure", ("exp_time", "old_seeing")), ("other", ("x",)))


def rules(after: Schema, *sources: DataSource, views: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    delta = compare(BEFORE, after)
    return [(item.rule, item.path) for item in check_sources(sources, delta, after, views)]


def test_each_changed_table_has_its_source() -> None:
    after = schema(("exposure", ("exp_time", "old_seeing", "gain")), ("other", ("x", "y")), ("new", ("z",)))
    found = table_sources(ALL, compare(BEFORE, after), ())
    assert found == (TableSource("new", None), TableSource("exposure", HINFO), TableSource("other", None))
    assert table_sources(ALL, compare(BEFORE, after), ("new", "other")) == (TableSource("exposure", HINFO),)
    assert str(HINFO) == "hinfo (the team)"


def test_a_new_table_without_a_source_is_asked_about() -> None:
    after = schema(("exposure", ("exp_time", "old_seeing")), ("other", ("x", "y")), ("new", ("z",)))
    assert rules(after, *ALL) == [("source-missing", "new")]
    assert rules(after, *ALL, views=("new",)) == []
    assert rules(after, *ALL, DataSource("cdb_*.n*", "the camera")) == []


def test_a_configuration_without_sources_asks_nothing() -> None:
    assert rules(schema(("new", ("z",)))) == []


@pytest.mark.parametrize(
    ("column", "differs"), [("dimm_1", True), ("exp_end", False), ("gain", False), ("fast_seeing", True)]
)
def test_a_new_column_comes_from_the_source_of_its_table(column: str, differs: bool) -> None:
    after = schema(("exposure", ("exp_time", "old_seeing", column)), ("other", ("x",)))
    assert rules(after, *ALL) == ([("source-differs", f"exposure.{column}")] if differs else [])
    new = schema(("new", (column,)))
    assert rules(new, *ALL, replace(HINFO, tables="cdb_demo.new")) == (
        [("source-differs", f"new.{column}")] if differs else []
    )
    # Without a source of the table there is nothing to differ from.
    assert rules(new, *ALL) == [("source-missing", "new")]


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("cdb_latiss.exposure", "hinfo"),
        ("cdb_lsstcam.ccdexposure", "hinfo"),
        ("cdb_lsstcomcamsim.exposure_flexdata_schema", "hinfo"),
        ("cdb_lsstcam.ccdexposure_flexdata", "hinfo"),
        ("cdb_lsstcam.ccdvisit1_quicklook", "Rapid Analysis"),
        ("efd_latiss.exposure_efd_unpivoted", "the transformed EFD"),
        ("cdb_latiss.weather", None),
        ("cdb_startrackerwide.exposure", None),
    ],
)
def test_the_default_names_the_tables_of_today(table: str, name: str | None) -> None:
    source = source_of_table(DEFAULT_SITES.sources, table)
    assert (source and source.name) == name
