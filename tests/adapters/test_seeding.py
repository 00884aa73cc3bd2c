"""Rows that meet keys, CHECKs and what a migration will ask, tried on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.rows import read_rows, seed
from consdb_actions.migration.seed import demands_of
from tests.support.tables import SCHEMA, column, database, filled, run


@pytest.fixture(scope="module")
def connection(embedded_server: ScratchServer) -> Iterator[sa.Connection]:
    """Give one database to all tests here; each works in a transaction that is taken back."""
    with database(embedded_server, "seeding") as open_connection:
        open_connection.commit()
        yield open_connection


@pytest.fixture(autouse=True)
def _clean(connection: sa.Connection) -> Iterator[None]:
    yield
    connection.rollback()


@pytest.mark.parametrize(
    "check",
    [
        "n > 0",
        "n >= 3 AND n <= 9",
        "n BETWEEN -5 AND -1",
        "0 < n",
        "n IN (3, 7, 11)",
        "n <> 4",
        "n NOT IN (1, 2, 3)",
        "n > 2147483640",
        "x > 0.5 AND x < 0.75",
        "x >= -1.5",
        "x < 1e-3",
        "band IN ('u', 'g')",
        "band = 'it''s'",
        "char_length(band) > 2",
        "length(band) = 4",
        "band <> ''",
        "band IS NOT NULL",
        "x IS NOT NULL AND n IS NOT NULL",
        "n IS NULL",
        "n IS NULL OR n > 100",
        "lower(band) = 'zzz' OR n > 100",
        "n < m",
        "n <= m AND m <= k",
        "good",
        "NOT good",
        "good IS TRUE",
        "good = false",
        "started < ended",
        "started >= '2030-01-01'",
        "started > '2020-01-01 00:00:00' AND started < '2020-01-02'",
        "amount > 10 AND amount <= 10.02",
    ],
)
def test_checks_are_met(connection: sa.Connection, check: str) -> None:
    """Not a single row is refused."""
    _, result = filled(
        connection,
        f"""CREATE TABLE t (id integer PRIMARY KEY, n integer, m integer, k integer, x double precision,
        band varchar(10), good boolean, started timestamp, ended timestamp, amount numeric(6,2),
        CHECK ({check}))""",
    )
    assert (result.seeded, result.refused) == ({"t": 8}, {})


@pytest.mark.parametrize(
    ("sql", "blank"),
    [
        ("CREATE TABLE t (id integer PRIMARY KEY, up integer REFERENCES t)", ()),
        ("CREATE TABLE t (id integer PRIMARY KEY, up integer NOT NULL REFERENCES t)", ()),
        (
            "CREATE TABLE t (site integer, id integer, up integer NOT NULL, PRIMARY KEY (site, id),"
            " FOREIGN KEY (site, up) REFERENCES t)",
            (),
        ),
        (
            "CREATE TABLE a (id integer PRIMARY KEY, b integer);"
            "CREATE TABLE b (id integer PRIMARY KEY, a integer NOT NULL REFERENCES a);"
            "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b",
            (("a", "b"),),
        ),
        (
            "CREATE TABLE a (id integer PRIMARY KEY, b integer NOT NULL);"
            "CREATE TABLE b (id integer PRIMARY KEY, a integer NOT NULL REFERENCES a);"
            "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE",
            (),
        ),
        (
            "CREATE TABLE a (id integer PRIMARY KEY);"
            "CREATE TABLE b (id integer PRIMARY KEY);"
            "CREATE TABLE c (id integer PRIMARY KEY REFERENCES a, FOREIGN KEY (id) REFERENCES b)",
            (),
        ),
        (
            "CREATE TABLE p (a integer, b integer, PRIMARY KEY (a, b));"
            "CREATE TABLE q (b integer, c integer, PRIMARY KEY (b, c));"
            "CREATE TABLE r (a integer, b integer, c integer, PRIMARY KEY (a, b, c),"
            " FOREIGN KEY (a, b) REFERENCES p, FOREIGN KEY (b, c) REFERENCES q)",
            (),
        ),
        (
            "CREATE TABLE p (a integer, b integer, PRIMARY KEY (a, b));"
            "CREATE TABLE r (id integer PRIMARY KEY, a integer, b integer,"
            " FOREIGN KEY (a, b) REFERENCES p MATCH FULL)",
            (),
        ),
        ("CREATE TABLE p (a smallint UNIQUE); CREATE TABLE r (a bigint REFERENCES p (a))", ()),
        ("CREATE TABLE p (a bigint UNIQUE); CREATE TABLE r (a smallint REFERENCES p (a))", ()),
        ("CREATE TABLE t (a integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b text)", ()),
        ("CREATE TABLE t (a integer, b integer GENERATED ALWAYS AS (a * 2) STORED)", ()),
        ("CREATE TABLE t (a text); CREATE UNIQUE INDEX ON t (lower(a)); CREATE INDEX ON t (a)", ()),
        (
            'CREATE TABLE "T %s" ("a b" integer PRIMARY KEY); CREATE TABLE r (x integer REFERENCES "T %s")',
            (),
        ),
    ],
)
def test_keys_of_every_shape(connection: sa.Connection, sql: str, blank: tuple[tuple[str, str], ...]) -> None:
    snapshot, result = filled(connection, sql)
    assert (set(result.seeded), result.unseeded, result.refused) == (set(snapshot.tables), {}, {})
    assert result.blank == blank


def test_fewer_rows_where_the_key_has_no_room(connection: sa.Connection) -> None:
    _, result = filled(connection, "CREATE TABLE t (flag boolean PRIMARY KEY)")
    assert (result.seeded, result.refused) == ({"t": 2}, {})


def test_demands_make_every_conversion_possible(connection: sa.Connection) -> None:
    old = {
        "a": "varchar(20)", "b": "varchar(64)", "c": "double precision", "d": "double precision",
        "e": "bigint", "f": "text", "g": "boolean", "h": "timestamp", "i": "timestamp(6)", "j": "text",
        "k": "varchar(100)", "l": "integer", "m": "numeric(10,4)", "n": "smallint",
    }  # fmt: skip
    new = {
        "a": "integer", "b": "timestamp", "c": "real", "d": "integer",
        "e": "smallint", "f": "double precision", "g": "integer", "h": "date", "i": "timestamp(0)",
        "j": "boolean", "k": "varchar(3)", "l": "varchar(4)", "m": "double precision", "n": "text",
    }  # fmt: skip
    run(connection, f"CREATE TABLE t ({', '.join(f'{c} {t}' for c, t in old.items())})")
    before = read_snapshot(connection, SCHEMA)
    savepoint = connection.begin_nested()
    run(
        connection,
        "DROP TABLE t; CREATE TABLE t (id integer NOT NULL DEFAULT 0, "
        + ", ".join(f"{c} {t} NOT NULL" for c, t in new.items())
        + ", UNIQUE (a, b), CHECK (d > 10))",
    )
    after = read_snapshot(connection, SCHEMA)
    savepoint.rollback()
    result = seed(connection, before, demands=demands_of(before, after))
    assert result.seeded == {"t": 8}
    for name, type_ in new.items():
        back = f"{old[name]} USING {name}::text::{old[name]}"
        using = f"{name}::text::{type_}" if name != "g" else "g::integer"
        was = column(read_rows(connection, before), "t", name)
        run(connection, f"ALTER TABLE t ALTER {name} TYPE {type_} USING {using}, ALTER {name} SET NOT NULL")
        run(connection, f"ALTER TABLE t ALTER {name} TYPE {back}")
        now = column(read_rows(connection, before), "t", name)
        assert len(now) == len(was) == 8
        if name != "g":
            assert sorted(map(str, now)) == sorted(map(str, was)), name
    run(connection, "ALTER TABLE t ADD UNIQUE (a, b), ADD CHECK (d > 10)")


def test_a_new_foreign_key_holds_on_the_seeded_rows(connection: sa.Connection) -> None:
    run(
        connection,
        "CREATE TABLE p (id integer PRIMARY KEY, name text UNIQUE);"
        "CREATE TABLE c (id integer PRIMARY KEY, p integer, other integer)",
    )
    before = read_snapshot(connection, SCHEMA)
    savepoint = connection.begin_nested()
    run(connection, "ALTER TABLE c RENAME p TO parent; ALTER TABLE c ADD FOREIGN KEY (parent) REFERENCES p")
    after = read_snapshot(connection, SCHEMA)
    savepoint.rollback()
    demands = demands_of(before, after, renamed_columns={("c", "p"): "parent"})
    assert seed(connection, before, demands=demands).seeded == {"p": 8, "c": 8}
    run(connection, "ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES p")


@st.composite
def families(draw: st.DrawFn) -> str:
    """Draw tables with keys of one to three columns and foreign keys between any of them."""
    count = draw(st.integers(1, 5))
    types = st.sampled_from(["integer", "bigint", "varchar(12)", "smallint", "double precision", "boolean"])
    keys, out, late = [], [], []
    for number in range(count):
        key_types = draw(st.lists(st.sampled_from(["integer", "varchar(12)"]), min_size=1, max_size=3))
        columns = [f"k{i} {t} NOT NULL" for i, t in enumerate(key_types)]
        columns += [f"c{i} {t}" for i, t in enumerate(draw(st.lists(types, max_size=3)))]
        keys.append(key_types)
        links = []
        for link in range(draw(st.integers(0, 2))):
            target = draw(st.integers(0, number))
            null = "" if draw(st.booleans()) or target == number else " NOT NULL"
            wanted = keys[target]
            # Columns of the key are used again where their types fit, so that keys share columns.
            mine = [
                f"k{i}"
                if target != number and i < len(key_types) and key_types[i] == t and draw(st.booleans())
                else f"f{link}_{i}"
                for i, t in enumerate(wanted)
            ]
            columns += [f"{m} {t}{null}" for m, t in zip(mine, wanted, strict=True) if m.startswith("f")]
            theirs = ", ".join(f"k{i}" for i in range(len(wanted)))
            links.append(f"FOREIGN KEY ({', '.join(mine)}) REFERENCES t{target} ({theirs})")
            if draw(st.booleans()):
                links.append(f"UNIQUE ({', '.join(mine)})")
        key = ", ".join(f"k{i}" for i in range(len(key_types)))
        out.append(f"CREATE TABLE t{number} ({', '.join([*columns, f'PRIMARY KEY ({key})', *links])})")
        if draw(st.booleans()):
            deferrable = draw(st.sampled_from(["", " DEFERRABLE"]))
            target = draw(st.integers(0, number))
            late.append(f"ALTER TABLE t{target} ADD COLUMN late{number} {key_types[0]}")
            if len(key_types) == 1:
                late.append(
                    f"ALTER TABLE t{target} ADD FOREIGN KEY (late{number}) REFERENCES t{number}{deferrable}"
                )
    return ";".join([*out, *late])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(families(), st.integers(1, 9))
def test_random_families_are_seeded(connection: sa.Connection, sql: str, rows: int) -> None:
    try:
        snapshot, result = filled(connection, sql, rows)
        assert (result.unseeded, result.refused) == ({}, {})
        assert set(result.seeded) == set(snapshot.tables)
    finally:
        connection.rollback()
