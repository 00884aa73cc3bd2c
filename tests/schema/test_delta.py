"""Deltas, their texts and digests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.schema.delta import (
    Change,
    Code,
    Quote,
    SchemaDelta,
    compare,
    describe,
    digest_delta,
    digest_schema,
)
from consdb_actions.schema.model import Column, Constraint, Index, Schema, Table
from tests.support.schemas import SMALL, schemas, small


def changed(table: str, **attributes: object) -> Schema:
    """Return the small schema with one table changed."""
    schema = small()
    tables = tuple(replace(item, **attributes) if item.name == table else item for item in schema)  # type: ignore[arg-type]
    return replace(schema, tables=tables)


def column_changed(name: str, **attributes: object) -> Schema:
    """Return the small schema with one column of exposure changed."""
    columns = tuple(
        replace(item, **attributes) if item.name == name else item  # type: ignore[arg-type]
        for item in small().table("exposure").columns
    )
    return changed("exposure", columns=columns)


@given(schemas())
def test_a_schema_does_not_differ_from_itself(schema: Schema) -> None:
    delta = compare(schema, schema)
    assert delta.is_empty
    assert not delta.changes_structure
    assert describe(delta) == ()


@given(schemas(), schemas())
def test_forth_and_back_are_mirror_images(one: Schema, two: Schema) -> None:
    forth, back = compare(one, two), compare(two, one)
    assert {table.name for table in forth.tables_added} == {table.name for table in back.tables_removed}
    assert {t.name for t in forth.tables_changed} == {t.name for t in back.tables_changed}
    assert forth.changes_structure == back.changes_structure
    for table in forth.tables_changed:
        mirror = back.table(table.name)
        assert mirror is not None
        for kind in ("columns", "constraints", "indexes"):
            assert set(getattr(table, f"{kind}_added")) == set(getattr(mirror, f"{kind}_removed"))
            assert {(item.name, len(item.changes)) for item in getattr(table, f"{kind}_changed")} == {
                (item.name, len(item.changes)) for item in getattr(mirror, f"{kind}_changed")
            }


@given(schemas(), schemas())
def test_every_difference_is_said(one: Schema, two: Schema) -> None:
    delta = compare(one, two)
    said = {(statement.kind, statement.table, statement.name) for statement in describe(delta)}
    for table in delta.tables_changed:
        for kind, label in (("columns", "column"), ("constraints", "constraint"), ("indexes", "index")):
            assert {(label, table.name, name) for name in table.names(kind)} <= said  # type: ignore[arg-type]
        assert (("primary key", table.name, table.name) in said) == (table.primary_key is not None)
    assert {
        ("table", table.name, table.name) for table in (*delta.tables_added, *delta.tables_removed)
    } <= said
    assert bool(said) == (not delta.is_empty)


def test_the_order_of_columns_and_tables_is_no_difference() -> None:
    schema = small()
    turned = tuple(replace(table, columns=table.columns[::-1]) for table in schema.tables[::-1])
    assert compare(schema, replace(schema, tables=turned)).is_empty


def test_ids_are_no_difference() -> None:
    assert compare(small(), column_changed("band", id="#other")).is_empty


@pytest.mark.parametrize(
    ("attributes", "attribute", "structure", "words"),
    [
        ({"length": 12}, "length", True, "column band: length 8 → 12"),
        (
            {"datatype": "text", "length": None},
            "datatype",
            True,
            "type string → text; length removed (was 8)",
        ),
        ({"nullable": False}, "nullable", True, "column band: NOT NULL now"),
        ({"default": "r"}, "default", True, "column band: default value added: r"),
        (
            {"type_overrides": (("postgresql", "CITEXT"),)},
            "type_overrides",
            True,
            "type in Postgres added: CITEXT",
        ),
        ({"autoincrement": True}, "autoincrement", True, "autoincrement added: True"),
        ({"unit": "s"}, "unit", False, "column band: unit added: s"),
        ({"ucd": "em.opt"}, "ucd", False, "UCD added: em.opt"),
        ({"description": "x"}, "description", False, 'description "Band of the filter." → "x"'),
        ({"description": ""}, "description", False, 'description removed (was "Band of the filter.")'),
        ({"metadata": (("tap:std", "1"),)}, "tap:std", False, "tap:std added: 1"),
    ],
)
def test_changes_of_a_column(
    attributes: dict[str, object], attribute: str, structure: bool, words: str
) -> None:
    delta = compare(small(), column_changed("band", **attributes))
    (table,) = delta.tables_changed
    (item,) = table.columns_changed
    assert attribute in {change.attribute for change in item.changes}
    assert delta.changes_structure is structure
    assert item.type_changed is (attribute in {"length", "datatype", "type_overrides"})
    (statement,) = describe(delta)
    assert words in str(statement)


def test_true_and_one_are_two_values() -> None:
    before = column_changed("band", default=1)
    delta = compare(before, column_changed("band", default=True))
    assert delta.tables_changed[0].columns_changed[0].changes == (Change("default", 1, True),)


def test_keys_constraints_and_indexes() -> None:
    table = small().table("exposure")
    unique = replace(table.constraints[0], columns=("exposure_id", "band"))
    after = changed(
        "exposure",
        primary_key=("exposure_id",),
        constraints=(unique, Constraint("unique", "un_new", "#n", columns=("band",))),
        indexes=(Index("ix_new", "#i", expressions=("lower(band)",)),),
        description="New words.",
    )
    delta = compare(small(), after)
    assert [str(statement) for statement in describe(delta)] == [
        'table exposure: description "One row per raw image." → "New words."',
        "primary key: day_obs, seq_num → exposure_id",
        "check ck_exposure_seq removed",
        "new unique un_new on band",
        "constraint un_exposure_id: columns exposure_id → exposure_id, band",
        "index ix_exposure_band removed",
        "new index ix_new on lower(band)",
    ]


def test_names_and_texts_are_marked_in_the_words() -> None:
    column = Column("x", "#x", "double", description="`@x` | <b>", unit="s")
    table = small().table("exposure")
    delta = compare(small(), changed("exposure", columns=(*table.columns, column)))
    words = describe(delta)[0].text
    assert [word for word in words if isinstance(word, Code)] == ["x", "double", "s"]
    assert [word for word in words if isinstance(word, Quote)] == ["`@x` | <b>"]


def test_new_gone_and_renamed_schemas() -> None:
    schema = small()
    created, removed = compare(None, schema), compare(schema, None)
    assert created.tables_added == removed.tables_removed == schema.tables
    assert (created.created, removed.removed) == (True, True)
    assert str(describe(created)[0]) == "schema cdb_demo is new"
    assert str(describe(removed)[0]) == "schema cdb_demo is gone"
    renamed = compare(schema, replace(schema, name="cdb_two"))
    assert renamed.changes_structure
    assert str(describe(renamed)[0]) == "schema cdb_demo is now called cdb_two"
    with pytest.raises(ValueError, match="must exist"):
        compare(None, None)


def test_a_version_alone_is_no_change_of_the_schema() -> None:
    delta = compare(small(), replace(small(), version="9.9.9"))
    assert delta.is_empty
    assert delta.version == Change("version", "1.2.3", "9.9.9")


def test_lookups() -> None:
    schema = small()
    assert "exposure" in schema
    assert "band" in schema.table("exposure")
    assert schema.table("exposure").column("band").type_text == "string(8)"
    with pytest.raises(KeyError, match=r"cdb_demo\.nope"):
        schema.table("nope")
    with pytest.raises(KeyError, match=r"exposure\.nope"):
        schema.table("exposure").column("nope")
    assert SchemaDelta("x").table("y") is None
    assert Table("t", "#t").foreign_keys == ()


@given(schemas(), st.randoms(use_true_random=False))
def test_order_ids_and_version_do_not_enter(schema: Schema, random: object) -> None:
    shuffle = random.shuffle  # type: ignore[attr-defined]

    def shuffled(items: tuple[object, ...]) -> tuple[object, ...]:
        copy = list(items)
        shuffle(copy)
        return tuple(copy)

    tables = [
        replace(
            table,
            id="#x",
            columns=shuffled(table.columns),  # type: ignore[arg-type]
            constraints=shuffled(table.constraints),  # type: ignore[arg-type]
        )
        for table in schema
    ]
    shuffle(tables)
    other = replace(schema, id="#y", version="9.0.0", tables=tuple(tables))
    assert digest_schema(schema) == digest_schema(other)


@given(schemas(), schemas())
def test_equal_digests_mean_no_difference(one: Schema, two: Schema) -> None:
    delta = compare(one, two)
    first, second = digest_schema(one), digest_schema(two)
    assert (first == second) == delta.is_empty
    assert (first.structure == second.structure) == (not delta.changes_structure)


@given(schemas(), schemas(), schemas())
def test_the_digest_of_a_delta_tells_changes_apart(base: Schema, one: Schema, two: Schema) -> None:
    assert (digest_delta(compare(base, one)) == digest_delta(compare(base, two))) == compare(
        one, two
    ).is_empty


def test_formatting_anchors_and_comments_do_not_enter() -> None:
    other = SMALL.replace("datatype: long", "datatype:    'long'  # wide").replace(
        'description: "x"', "description: x"
    )
    folded = other.replace(
        "description: Unique number of the exposure.",
        "description: >-\n      Unique number\n      of the exposure.",
    )
    assert digest_schema(read_yaml(folded, source="x").schema) == digest_schema(small())


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("Number within the day.", "Number of the image.", {"text"}),
        ("deg_C", "K", {"text"}),
        ("phys.temperature", "phys", {"text"}),
        ("One row per raw image.", "A row per raw image.", {"text"}),
        ("What a small camera saw.", "What it saw.", {"text"}),
        ("Points to the exposure.", "Goes there.", {"text"}),
        ("length: 8", "length: 9", {"structure"}),
        ("seq_num > 0", "seq_num > 1", {"structure"}),
        ("on_delete: CASCADE", "on_delete: RESTRICT", {"structure"}),
        ("precision: 6", "precision: 3", {"structure"}),
        ("name: ix_exposure_band", "name: ix_band", {"structure", "text"}),
        ("1.2.3", "1.2.4", set()),
        ("#exposure.band", "#exposure.b", set()),
    ],
)
def test_parts(old: str, new: str, parts: set[str]) -> None:
    assert old in SMALL
    before, after = small(), read_yaml(SMALL.replace(old, new), source="x").schema
    one, two = digest_schema(before), digest_schema(after)
    assert {part for part in ("structure", "text") if getattr(one, part) != getattr(two, part)} == parts
    nothing, something = digest_delta(compare(before, before)), digest_delta(compare(before, after))
    assert {
        part for part in ("structure", "text") if getattr(nothing, part) != getattr(something, part)
    } == parts


def test_the_delta_is_the_same_on_another_base() -> None:
    """A rebase on a change elsewhere keeps the digest of the delta."""
    other = replace(small(), description="Elsewhere.", version="1.3.0")
    change = SMALL.replace("length: 8", "length: 9")
    rebased = replace(read_yaml(change, source="x").schema, description="Elsewhere.", version="1.4.0")
    here = digest_delta(compare(small(), read_yaml(change, source="x").schema))
    assert here == digest_delta(compare(other, rebased))
    assert here != digest_delta(compare(small(), small()))
