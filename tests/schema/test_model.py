from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.schema import model

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=90)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a" * 63, "a" * 63),
        ("a" * 64, "a" * 63),
        ("é" * 31 + "a", "é" * 31 + "a"),
        ("é" * 32, "é" * 31),
        ("a" * 62 + "é", "a" * 62),
        ("x" + "😀" * 16, "x" + "😀" * 15),
    ],
)
def test_m9_limit_is_63_bytes_and_no_character_is_split(name: str, kept: str) -> None:
    assert model.cut(name) == kept
    assert model.is_too_long(name) == (name != kept)


@given(TEXT)
def test_cut_is_the_longest_start_that_fits(name: str) -> None:
    kept = model.cut(name)
    assert name.startswith(kept)
    assert len(kept.encode()) <= model.MAX_BYTES
    assert kept == name or len(name[: len(kept) + 1].encode()) > model.MAX_BYTES


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        *((name, True) for name in ("a", "a_b2", "z10")),
        *((name, False) for name in ("A", "aB", "a__b", "_a", "a_", "2a", "a-b", "", "é", "a\n")),
    ],
)
def test_snake_case(name: str, fine: bool) -> None:
    assert model.is_snake_case(name) is fine


@given(TEXT)
def test_made_names_fit_and_keep_their_label(table: str) -> None:
    made = model.primary_key_name(table)
    assert len(made.encode()) <= model.MAX_BYTES
    assert made.endswith("_pkey")


@pytest.mark.parametrize("table", ["t", "exposure_with_a_rather_long_name" * 2, "é" * 29, "é" * 30, "a" * 58])
def test_made_names_are_those_of_postgres(server: ScratchServer, table: str) -> None:
    url = server.create_database("names")
    try:
        with create_engine(url).connect() as connection:
            run = connection.exec_driver_sql
            run(f'CREATE TABLE "{table}" (a int PRIMARY KEY)')
            made = run(
                "SELECT conname FROM pg_constraint WHERE contype = 'p' AND conrelid > 16384"
            ).scalar_one()
    finally:
        server.drop_database("names")
    assert made == model.primary_key_name(table)
