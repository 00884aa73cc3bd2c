"""The review of a schema change, and what fills tables and columns (rows 2 and 4 of the process)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given

from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.process.sites import DEFAULT_SITES
from consdb_actions.schema.delta import compare
from consdb_actions.schema.findings import (
    RULES,
    DataSource,
    SchemaFinding,
    TableSource,
    ViewOf,
    check_foreign_keys,
    check_sources,
    check_views,
    review,
    source_of_table,
    table_sources,
    with_severities,
)
from consdb_actions.schema.model import Column, Schema, Table
from tests.support.schemas import SMALL, schemas, small

VIEWS = {"visit1": ViewOf("exposure", {"exposure_id": "visit_id"})}


def found(after: str | Schema, before: Schema | None = None) -> list[tuple[str, str]]:
    """Return rule and object of each finding for a change of the small schema."""
    schema = read_yaml(after, source="x").schema if isinstance(after, str) else after
    delta = compare(before or small(), schema)
    return [(finding.rule, finding.path) for finding in review(delta, schema, VIEWS)]


def with_column(text: str) -> str:
    """Return the small schema with one more column in exposure."""
    return SMALL.replace("  - name: band\n", f"  - {{{text}}}\n  - name: band\n", 1)


FEW = """\
- name: few
  description: A few columns.
  columns:
  - {name: a, datatype: int, description: First., ivoa:ucd: meta}
  - {name: b, datatype: int, description: Second., ivoa:ucd: meta}
  - {name: c, datatype: int, ivoa:ucd: phys, description: Third.}
"""
FINE = "name: gain, datatype: double, description: How much., ivoa:unit: s, ivoa:ucd: phys"


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (FINE, []),
        (FINE.replace("gain", "Gain"), ["name-snake-case"]),
        (FINE.replace("gain", "gain_"), ["name-snake-case"]),
        (FINE.replace("description: How much., ", ""), ["description-missing"]),
        (FINE.replace("How much.", "How much"), ["description-end"]),
        (FINE.replace("How much.", "How much (or not)."), []),
        (FINE.replace("How much.", "The gain."), ["description-repeats"]),
        (FINE.replace(", ivoa:unit: s", ""), ["unit-missing"]),
        (FINE.replace("ivoa:unit: s", 'ivoa:unit: ""'), ["unit-missing"]),
        (FINE.replace(", ivoa:unit: s", "").replace("How much.", "Ratio of two."), []),
        (FINE.replace(", ivoa:unit: s", "").replace("How much.", "Separation of two."), ["unit-missing"]),
        (FINE.replace(", ivoa:unit: s", "").replace("phys", "arith.ratio"), []),
        (FINE.replace(", ivoa:unit: s", "").replace("double", "int"), []),
        (FINE.replace(", ivoa:ucd: phys", ""), ["ucd-missing"]),
        (FINE + ', "@id": "#exposure.gian"', ["id-unexpected"]),
        (FINE + ', "@id": "#exposure.gain"', []),
        (FINE.replace("double", "timestamp") + ", postgresql:datatype: TIMESTAMP(6)", ["timestamp-zone"]),
        (FINE.replace("double", "text") + ", postgresql:datatype: JSONB", []),
    ],
)
def test_new_columns_are_checked(text: str, rules: list[str]) -> None:
    name = "Gain" if "Gain" in text else "gain_" if "gain_" in text else "gain"
    assert found(with_column(text)) == [(rule, f"exposure.{name}") for rule in rules]


@pytest.mark.parametrize(
    ("old", "new", "findings"),
    [
        ("description: Temperature of the air.", "description: Temperature", ["description-end"]),
        ("description: Temperature of the air.", "description: Air temp.", ["description-repeats"]),
        ("    description: Temperature of the air.\n", "", ["description-missing"]),
        ("    ivoa:unit: deg_C\n", "", ["unit-missing"]),
        ("    ivoa:ucd: phys.temperature\n", "", ["ucd-missing"]),
        ("description: Band of the filter.", "description: Band of it.", []),
        ("length: 8", "length: 9", []),
        ("deg_C", "K", []),
    ],
)
def test_of_changed_columns_only_what_changed_is_checked(old: str, new: str, findings: list[str]) -> None:
    """Band has no UCD, and nobody is asked for one because its description changes."""
    assert found(SMALL.replace(old, new)) == [(rule, "exposure.air_temp") for rule in findings]


def test_new_tables_constraints_and_indexes_are_checked() -> None:
    text = (
        SMALL
        + "- name: newTable\n  columns:\n  - {name: a, datatype: int, description: It is., ivoa:ucd: meta}\n"
        '  constraints:\n  - {name: unA, "@type": Unique, columns: ["#newTable.a"]}\n'
        '  indexes:\n  - {name: ixA, columns: ["#newTable.a"]}\n'
    )
    assert found(text) == [
        ("name-snake-case", "newTable"),
        ("description-missing", "newTable"),
        ("name-snake-case", "newTable.unA"),
        ("name-snake-case", "newTable.ixA"),
    ]


def test_descriptions_of_tables_and_schema_are_checked_when_they_change() -> None:
    assert found(SMALL.replace("One row per raw image.", "One row")) == [("description-end", "exposure")]
    assert found(SMALL.replace("What a small camera saw.", "")) == [("description-missing", "cdb_demo")]


def test_what_the_neighbours_do_not_have_is_not_asked_for() -> None:
    """No schema of the Rubin catalogs ends the description of a table with a full stop."""
    tables = SMALL.replace("One row per raw image.", "One row").replace("Quick measurements.", "Quick ones")
    assert found(tables) == []
    without = re.sub(r",? *ivoa:ucd: [\w.]+", "", FEW)
    assert found(SMALL + without) == []
    assert found(SMALL + FEW.replace("ivoa:ucd: phys, ", ""))[-1:] == [("ucd-missing", "few.c")]
    assert found(SMALL + FEW.replace("Third.", "Third"))[-1:] == [("description-end", "few.c")]
    assert (
        found(SMALL + FEW.replace("First.", "First").replace("Second.", "Second").replace("Third.", "Third"))
        == []
    )


def test_columns_that_a_view_repeats_are_checked_once() -> None:
    exposure = small().table("exposure")
    bad = Column("gain", "#exposure.gain", "int")
    view = Table("visit1", "#visit1", "A view.", columns=(replace(bad, id="#visit1.gain"),))
    after = replace(small(), tables=(replace(exposure, columns=(*exposure.columns, bad)), view))
    assert ("description-missing", "exposure.gain") in found(after)
    assert ("description-missing", "visit1.gain") not in found(after)
    other = replace(view, columns=(replace(bad, id="#visit1.gain", description="Gain."),))
    after = replace(after, tables=(after.tables[0], other))
    assert ("description-repeats", "visit1.gain") in found(after)


@given(schemas())
def test_an_unchanged_schema_has_no_findings(schema: Schema) -> None:
    delta = compare(schema, schema)
    assert review(delta, schema, {}) == ()
    assert check_views(schema, schema, VIEWS) == check_foreign_keys(schema, schema, VIEWS) == ()


@given(schemas())
def test_every_finding_names_a_place_that_exists(schema: Schema) -> None:
    for finding in review(compare(None, schema), schema, {}):
        assert finding.rule in RULES
        if finding.kind == "column":
            assert finding.name in schema.table(finding.table)
            assert finding.place == ("column", finding.table, finding.name)


def with_view(*columns: Column) -> Schema:
    """Return the small schema with a view of exposure."""
    return replace(small(), tables=(*small().tables, Table("visit1", "#visit1", columns=columns)))


def repeated() -> list[Column]:
    """Return the columns that the view should have."""
    return [
        replace(column, name=VIEWS["visit1"].rename.get(column.name, column.name))
        for column in small().table("exposure").columns
    ]


def test_a_view_in_step_is_fine() -> None:
    assert check_views(None, with_view(*repeated()), VIEWS) == ()
    assert check_views(None, with_view(*repeated()[::-1]), VIEWS) == ()


def test_views_out_of_step() -> None:
    columns = repeated()
    columns[0] = replace(columns[0], name="exposure_id")
    columns[1] = replace(columns[1], datatype="long", unit="d")
    findings = check_views(None, with_view(*columns), VIEWS)
    assert [(item.rule, item.path, item.message) for item in findings] == [
        ("view-out-of-step", "visit1.visit_id", "`visit1` lacks a column that `exposure` has"),
        ("view-out-of-step", "visit1.exposure_id", "`visit1` has a column that `exposure` lacks"),
        ("view-out-of-step", "visit1.day_obs", "`visit1` and `exposure` disagree on the type"),
        ("view-words", "visit1.day_obs", "`visit1` and `exposure` disagree on the unit"),
    ]
    assert check_views(with_view(*columns), with_view(*columns), VIEWS) == ()


def test_a_change_of_the_table_alone_puts_the_view_out_of_step() -> None:
    before = with_view(*repeated())
    exposure = before.table("exposure")
    column = Column("gain", "#g", "double")
    after = replace(
        before, tables=(replace(exposure, columns=(*exposure.columns, column)), *before.tables[1:])
    )
    assert [finding.path for finding in check_views(before, after, VIEWS)] == ["visit1.gain"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '["#exposure.exposure_id"]\n    on',
            '["#exposure.band"]\n    on',
            "`exposure(band)`, which is not a key",
        ),
        ("- name: exposure\n", "- name: visit1\n", "refers to the view `visit1`"),
    ],
)
def test_foreign_keys_need_a_key(old: str, new: str, message: str) -> None:
    assert old in SMALL
    after = read_yaml(SMALL.replace(old, new), source="x").schema
    (finding,) = check_foreign_keys(small(), after, VIEWS)
    assert finding.path == "exposure_quicklook.fk_quicklook_exposure"
    assert message in finding.message
    assert check_foreign_keys(after, after, VIEWS) == ()


def test_a_foreign_key_loses_its_key() -> None:
    exposure = small().table("exposure")
    after = replace(small(), tables=(replace(exposure, constraints=()), small().tables[1]))
    assert [item.rule for item in check_foreign_keys(small(), after, {})] == ["foreign-key-target"]
    turned = replace(exposure, primary_key=("exposure_id",), constraints=())
    assert check_foreign_keys(small(), replace(small(), tables=(turned, small().tables[1])), {}) == ()


def test_severities() -> None:
    findings = [
        SchemaFinding.of("ucd-missing", "column", "t", "a"),
        SchemaFinding.of("unit-missing", "column", "t", "a"),
        SchemaFinding.of("version", "version", "", "s"),
    ]
    assert [item.rule for item in with_severities(findings, {}, {})] == [
        "version",
        "unit-missing",
        "ucd-missing",
    ]
    changed = with_severities(findings, {"ucd-missing": "error", "unit-missing": "off"}, {})
    assert [(item.rule, item.severity) for item in changed] == [
        ("version", "error"),
        ("ucd-missing", "error"),
    ]


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
