from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.rows import SeedResult, insert_rows, read_rows, seed
from consdb_actions.errors import CheckFailed
from consdb_actions.migration.rows import TableRows
from consdb_actions.migration.seed import Demands, Seeding, plan_rows
from tests.support.tables import FAMILY, SCHEMA, column, database, filled, run

TYPES = """smallint; integer; bigint; numeric; numeric(4,2); numeric(3); real; double precision; boolean;
text; varchar; varchar(1); varchar(2); varchar(5); char(1); char(3); name; date; time; time(0); timetz;
timestamp; timestamp(0); timestamp(3); timestamptz; interval; bytea; uuid; json; jsonb; inet; oid; spoly;
integer[]; text[]; text[][]; varchar(7)[]; timestamp[]"""


@pytest.fixture(scope="module")
def connection(embedded_server: ScratchServer) -> Iterator[sa.Connection]:
    """Give one database to all tests here; each works in a transaction that is taken back."""
    with database(embedded_server, "rows") as open_connection:
        open_connection.commit()
        yield open_connection


@pytest.fixture(autouse=True)
def _clean(connection: sa.Connection) -> Iterator[None]:
    yield
    connection.rollback()


def test_every_table_of_a_family_is_seeded(connection: sa.Connection) -> None:
    snapshot, result = filled(connection, FAMILY)
    assert result == SeedResult(seeded=dict.fromkeys(snapshot.tables, 8))


def test_the_same_on_the_server_of_this_machine(server: ScratchServer) -> None:
    with database(server, "rows", FAMILY) as connection:
        snapshot = read_snapshot(connection, SCHEMA)
        assert seed(connection, snapshot).seeded == dict.fromkeys(snapshot.tables, 8)


@pytest.mark.pgsphere
def test_the_same_with_the_real_polygons(pgsphere_server: ScratchServer) -> None:
    with database(pgsphere_server, "rows", FAMILY) as connection:
        snapshot = read_snapshot(connection, SCHEMA)
        result = seed(connection, snapshot)
        assert (result.unseeded, result.refused, result.blank) == ({}, {}, ())
        first = read_rows(connection, snapshot)
        assert read_rows(connection, snapshot) == first


def test_what_was_planned_is_what_is_read(connection: sa.Connection) -> None:
    """Every value is already as Postgres prints it, so that nothing is lost on the way in."""
    run(connection, FAMILY)
    snapshot = read_snapshot(connection, SCHEMA)
    seeding = plan_rows(snapshot)
    insert_rows(connection, snapshot, seeding)
    found = read_rows(connection, snapshot)
    for table in seeding.tables:
        assert found[table.table].columns == table.columns
        assert sorted(map(str, found[table.table].rows)) == sorted(map(str, table.rows))


def test_children_share_parents_and_composite_keys_share_parts(connection: sa.Connection) -> None:
    snapshot, _ = filled(connection, FAMILY)
    rows = read_rows(connection, snapshot)
    assert len(set(column(rows, "exposure", "day_obs"))) < 8
    assert len(set(column(rows, "ccdexposure", "exposure_id"))) < 8


def test_awkward_values_and_nulls_are_there(connection: sa.Connection) -> None:
    snapshot, _ = filled(connection, FAMILY, rows=24)
    rows = read_rows(connection, snapshot)
    texts = "".join(v or "" for v in column(rows, "exposure", 'odd "name" %s :x'))
    for awkward in ("'", '"', "\\", "%", ":name", "$", "\n", "Ω", "🔭"):
        assert awkward in texts
    assert "" in column(rows, "schedule", "status")
    assert {"NaN", "-Infinity"} <= set(column(rows, "exposure", "airmass"))
    assert {"32767", "-32768"} <= set(column(rows, "ccdexposure", "flags"))
    assert any("." in (v or "") for v in column(rows, "exposure", "obs_start"))
    for table in snapshot.tables.values():
        for name, fact in table.columns.items():
            assert (None in column(rows, table.name, name)) == fact.nullable, (table.name, name)


def test_values_differ_between_rows_and_columns(connection: sa.Connection) -> None:
    snapshot, _ = filled(connection, "CREATE TABLE t (" + ", ".join(f"c{n} integer" for n in range(40)) + ")")
    rows = read_rows(connection, snapshot)
    assert len({tuple(column(rows, "t", f"c{n}")) for n in range(40)}) == 40
    assert len(set(rows["t"].rows)) == 8


@pytest.mark.parametrize("type_", [t.strip() for t in TYPES.split(";")])
def test_values_of_each_type_come_back_as_they_were_planned(connection: sa.Connection, type_: str) -> None:
    run(connection, f"CREATE TABLE t (id integer PRIMARY KEY, v {type_})")
    snapshot = read_snapshot(connection, SCHEMA)
    seeding = plan_rows(snapshot, 30)
    result = insert_rows(connection, snapshot, seeding)
    assert (result.seeded, result.refused, result.blank) == ({"t": 30}, {}, ())
    found = dict(zip(*(column(read_rows(connection, snapshot), "t", c) for c in ("id", "v")), strict=True))
    assert {k: (v or "").rstrip() for k, v in found.items()} == {
        k: (v or "").rstrip() for k, v in seeding.tables[0].rows
    }


def test_a_table_that_the_database_refuses_is_told_with_its_words(connection: sa.Connection) -> None:
    snapshot, result = filled(
        connection,
        """CREATE TABLE parent (id integer PRIMARY KEY, band text NOT NULL CHECK (band ~ '^only this$'));
        CREATE TABLE child (id integer PRIMARY KEY REFERENCES parent);
        CREATE TABLE free (id integer PRIMARY KEY)""",
    )
    assert result.seeded == {"free": 8}
    assert "parent_band_check" in result.unseeded["parent"]
    assert "child" in result.unseeded
    assert read_rows(connection, snapshot, ["parent"])["parent"].rows == ()


def test_single_rows_that_the_database_refuses_are_counted(connection: sa.Connection) -> None:
    _, result = filled(connection, "CREATE TABLE t (id integer PRIMARY KEY, n integer CHECK (n * n < 100))")
    count, words = result.refused["t"]
    assert result.seeded["t"] == 8 - count > 0
    assert "t_n_check" in words


def test_what_cannot_be_seeded_is_explained(connection: sa.Connection) -> None:
    _, result = filled(
        connection,
        """CREATE TYPE mood AS ENUM ('good');
        CREATE TABLE a (id integer PRIMARY KEY, b integer NOT NULL);
        CREATE TABLE b (id integer PRIMARY KEY, a integer NOT NULL REFERENCES a);
        ALTER TABLE a ADD CONSTRAINT fk_a_b FOREIGN KEY (b) REFERENCES b;
        CREATE TABLE c (id integer PRIMARY KEY, mood mood NOT NULL);
        CREATE TABLE d (id integer PRIMARY KEY, mood mood)""",
    )
    assert result.seeded == {"d": 8}
    assert result.blank == (("d", "mood"),)
    assert "closes a circle" in result.unseeded["a"]
    assert "needs a row of a" in result.unseeded["b"]
    assert "no value is known for its column mood" in result.unseeded["c"]


def test_nothing_stays_pending_and_settings_come_back(connection: sa.Connection) -> None:
    connection.execute(sa.text("SET LOCAL DateStyle TO 'German'"))
    filled(
        connection,
        "CREATE TABLE p (id integer PRIMARY KEY);"
        "CREATE TABLE c (id integer REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
    )
    run(connection, "ALTER TABLE c ADD COLUMN x integer")
    assert connection.execute(sa.text("SHOW DateStyle")).scalar_one().startswith("German")


def test_sequences_go_on_behind_the_rows(connection: sa.Connection) -> None:
    filled(connection, "CREATE TABLE t (id serial PRIMARY KEY, x text)")
    run(connection, "INSERT INTO t (x) VALUES ('new')")
    last = connection.execute(sa.text(f"SELECT x FROM {SCHEMA}.t ORDER BY id DESC LIMIT 1")).scalar_one()
    assert last == "new"


def test_rows_left_dangling_by_a_refusal_stop_the_run(connection: sa.Connection) -> None:
    run(
        connection,
        """CREATE TABLE p (id integer PRIMARY KEY, x text NOT NULL CHECK (x ~ 'only this'));
        CREATE TABLE c (id integer PRIMARY KEY REFERENCES p DEFERRABLE)""",
    )
    with pytest.raises(CheckFailed, match="break a deferred constraint"):
        seed(connection, read_snapshot(connection, SCHEMA))


def test_reading_does_not_depend_on_the_order_of_rows(connection: sa.Connection) -> None:
    run(connection, "CREATE TABLE t (a integer); INSERT INTO t VALUES (3), (NULL), (1)")
    snapshot = read_snapshot(connection, SCHEMA)
    expected = {"t": TableRows("t", ("a",), ("integer",), (("1",), ("3",), (None,)))}
    assert read_rows(connection, snapshot) == expected


def test_seeding_is_the_same_each_time(connection: sa.Connection) -> None:
    run(connection, FAMILY)
    snapshot = read_snapshot(connection, SCHEMA)
    first: Seeding = plan_rows(snapshot)
    assert plan_rows(snapshot, demands=Demands()) == first
