from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL, create_engine

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


@given(TEXT, TEXT, st.sampled_from(["", "pkey", "key", "fkey"]))
def test_made_names_fit_and_keep_their_label(first: str, second: str, label: str) -> None:
    made = model.make_object_name(first, second, label)
    assert len(made.encode()) <= model.MAX_BYTES
    assert made.endswith(label)


def test_short_names_are_kept_whole() -> None:
    assert model.primary_key_name("exposure") == "exposure_pkey"
    assert model.unique_name("exposure", ["day_obs", "seq_num"]) == "exposure_day_obs_seq_num_key"
    assert model.foreign_key_name("visit", ["exposure_id"]) == "visit_exposure_id_fkey"
    assert model.check_name("t", ["a"]) == "t_a_check"
    assert model.check_name("t", ["a", "b"]) == "t_check"
    assert model.index_name("t", ["a", "b"]) == "t_a_b_idx"


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("t", ["a", "b"]),
        ("exposure_with_a_rather_long_name_indeed", ["first_long_column_name", "second_long_column_name"]),
        ("t", ["one_column_with_forty_five_characters_in_it_x", "second_column_of_thirty_characters", "c"]),
        ("ééééééééééééééééééééééééééééé", ["ünïcödé_ünïcödé_ünïcödé", "ö"]),
    ],
)
def test_made_names_are_those_of_postgres(server: ScratchServer, table: str, columns: list[str]) -> None:
    made = {
        model.primary_key_name(table),
        model.unique_name(table, columns),
        model.foreign_key_name(table, columns),
        model.check_name(table, columns),
        model.check_name(table, columns[:1]),
        model.index_name(table, columns),
    }
    url = server.create_database("names")
    try:
        rows = _names_in(url, table, columns)
    finally:
        server.drop_database("names")
    assert rows == made


def _names_in(url: URL, table: str, columns: list[str]) -> set[str]:
    """Make a table without any names of keys and return those that Postgres chose."""
    quoted = ", ".join(f'"{column}"' for column in columns)
    with create_engine(url).connect() as connection:
        body = ", ".join(f'"{column}" int' for column in columns)
        run = connection.exec_driver_sql
        run(f"CREATE TABLE parent ({body}, UNIQUE ({quoted}))")
        run(
            f'CREATE TABLE "{table}" ({body}, extra int, PRIMARY KEY (extra), UNIQUE ({quoted}),'
            f" FOREIGN KEY ({quoted}) REFERENCES parent ({quoted}),"
            f' CHECK ("{columns[0]}" > 0 AND "{columns[1]}" > 0), CHECK ("{columns[0]}" > 1))'
        )
        run(f'CREATE INDEX ON "{table}" ({quoted})')
        rows = run(
            f"SELECT conname FROM pg_constraint WHERE conrelid = '\"{table}\"'::regclass AND contype <> 'n'"
            " UNION SELECT relname FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid"
            f" WHERE indrelid = '\"{table}\"'::regclass"
        )
        return {row[0] for row in rows}
