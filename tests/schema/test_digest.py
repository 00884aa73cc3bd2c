from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.schema.delta import compare
from consdb_actions.schema.digest import digest_delta, digest_schema
from consdb_actions.schema.model import Schema
from tests.support.schemas import SMALL, schemas, small


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
