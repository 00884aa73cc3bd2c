from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.rows import read_rows
from consdb_actions.adapters.seeding import seed
from consdb_actions.migration.data import TableRows
from tests.support.tables import FAMILY, SCHEMA, blank, column, database, filled, run

TYPES = """smallint; integer; bigint; numeric; numeric(4,2); numeric(3); real; double precision; boolean;
text; varchar; varchar(1); varchar(2); varchar(5); char(1); char(3); name; date; time; time(0); timetz;
timestamp; timestamp(0); timestamp(3); timestamptz; interval; bytea; uuid; json; jsonb; inet; oid; spoly;
integer[]; text[]; text[][]; varchar(7)[]; timestamp[]"""
# Types that nothing is known of: the database is asked.
ASKED = (
    "bit(4); cidr; macaddr; int4range; tsrange; point; box; money; tsvector; pg_lsn; mood; positive; mood[]"
)


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
    assert (result.seeded, result.unseeded) == (dict.fromkeys(snapshot.tables, 8), {})


def test_the_same_on_the_server_of_this_machine(server: ScratchServer) -> None:
    with database(server, "rows", FAMILY) as connection:
        snapshot = read_snapshot(connection, SCHEMA)
        assert seed(connection, snapshot).seeded == dict.fromkeys(snapshot.tables, 8)


@pytest.mark.pgsphere
def test_the_same_with_the_real_polygons(pgsphere_server: ScratchServer) -> None:
    with database(pgsphere_server, "rows", FAMILY) as connection:
        snapshot = read_snapshot(connection, SCHEMA)
        result = seed(connection, snapshot)
        first = read_rows(connection, snapshot)
        assert (result.unseeded, blank(first)) == ({}, [])
        assert read_rows(connection, snapshot) == first


def test_what_was_inserted_is_what_is_read(connection: sa.Connection) -> None:
    """Every value is already as Postgres prints it, so that nothing is lost on the way in."""
    snapshot, result = filled(connection, FAMILY)
    found = read_rows(connection, snapshot)
    for table in result.made:
        assert found[table.table].columns == table.columns
        assert sorted(map(str, found[table.table].rows)) == sorted(map(str, table.rows))


def test_children_share_parents_and_composite_keys_share_parts(connection: sa.Connection) -> None:
    snapshot, _ = filled(connection, FAMILY)
    rows = read_rows(connection, snapshot)
    assert len(set(column(rows, "exposure", "day_obs"))) < 8
    assert len(set(column(rows, "ccdexposure", "exposure_id"))) < 8


def test_awkward_values_and_nulls_are_there(connection: sa.Connection) -> None:
    snapshot, _ = filled(connection, FAMILY, rows=32)
    rows = read_rows(connection, snapshot)
    texts = "".join(v or "" for v in column(rows, "exposure", 'odd "name" %s :x'))
    for awkward in ("'", '"', "\\", "%", ":name", "$", "\n", "Ω", "🔭"):
        assert awkward in texts
    assert {"", "007", "yes", "NULL", "2026-01-01 12:00:00+02", "blank at the end "} <= {
        *column(rows, "schedule", "status"),
        *column(rows, "exposure", 'odd "name" %s :x'),
    }
    assert "infinity" in column(rows, "exposure", "obs_start")
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
def test_values_of_each_type_come_back_as_they_were_inserted(connection: sa.Connection, type_: str) -> None:
    snapshot, result = filled(connection, f"CREATE TABLE t (id integer PRIMARY KEY, v {type_})", 30)
    assert (result.seeded, result.unseeded) == ({"t": 30}, {})
    found = dict(zip(*(column(read_rows(connection, snapshot), "t", c) for c in ("id", "v")), strict=True))
    assert {k: (v or "").rstrip() for k, v in found.items()} == {
        k: (v or "").rstrip() for k, v in result.made[0].rows
    }
    assert len(set(found.values())) > 2


@pytest.mark.parametrize("type_", [t.strip() for t in ASKED.split(";")])
def test_types_that_are_not_known_get_what_the_database_takes(connection: sa.Connection, type_: str) -> None:
    run(
        connection,
        "CREATE TYPE mood AS ENUM ('so so', 'it''s 5%');"
        "CREATE DOMAIN positive AS integer NOT NULL CHECK (VALUE > 41 AND VALUE < 100)",
    )
    snapshot, result = filled(connection, f"CREATE TABLE t (id integer PRIMARY KEY, v {type_})")
    assert result.unseeded == {}
    assert blank(read_rows(connection, snapshot)) == []


def test_a_table_that_the_database_refuses_stays_empty_with_its_words(connection: sa.Connection) -> None:
    snapshot, result = filled(
        connection,
        """CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'nobody may write here'; END $$;
        CREATE TABLE parent (id integer PRIMARY KEY, band text NOT NULL CHECK (md5(band) = 'x'));
        CREATE TABLE child (id integer PRIMARY KEY REFERENCES parent);
        CREATE TABLE closed (id integer PRIMARY KEY);
        CREATE TRIGGER never BEFORE INSERT ON closed EXECUTE FUNCTION never();
        CREATE TABLE free (id integer PRIMARY KEY)""",
    )
    assert result.seeded == {"free": 8}
    assert "md5(band) = 'x'" in result.unseeded["parent"]
    assert "parent" in result.unseeded["child"]
    assert result.unseeded["closed"] == "nobody may write here"
    assert read_rows(connection, snapshot, ["parent"])["parent"].rows == ()


def test_rows_that_the_database_refuses_give_way_to_others(connection: sa.Connection) -> None:
    """The limit is known to the trigger alone."""
    _, result = filled(
        connection,
        """CREATE FUNCTION limits() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF new.n > 20000 OR new.x = 'Infinity' OR new.a IS NULL THEN
                RAISE EXCEPTION 'too large'; END IF; RETURN new; END $$;
        CREATE TABLE t (id integer PRIMARY KEY, n integer, x double precision, a text, twice integer
            GENERATED ALWAYS AS (n * 2) STORED);
        CREATE TRIGGER limits BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION limits()""",
    )
    assert (result.seeded["t"] >= 7, result.unseeded) == (True, {})


def test_exclusion_and_expressions_leave_what_fits(connection: sa.Connection) -> None:
    _, result = filled(
        connection,
        """CREATE TABLE r (during int4range, EXCLUDE USING gist (during WITH &&));
        CREATE TABLE u (id integer PRIMARY KEY, a text NOT NULL, b boolean);
        CREATE UNIQUE INDEX ON u (left(a, 1)) WHERE b""",
    )
    assert set(result.seeded) == {"r", "u"}
    assert result.seeded["u"] > 2


def test_what_cannot_be_seeded_is_explained(connection: sa.Connection) -> None:
    snapshot, result = filled(
        connection,
        """CREATE TYPE pair AS (a integer, b pg_snapshot);
        CREATE TABLE a (id integer PRIMARY KEY, b integer NOT NULL);
        CREATE TABLE b (id integer PRIMARY KEY, a integer NOT NULL REFERENCES a);
        ALTER TABLE a ADD CONSTRAINT fk_a_b FOREIGN KEY (b) REFERENCES b;
        CREATE TABLE c (id integer PRIMARY KEY, pair pair NOT NULL);
        CREATE TABLE d (id integer PRIMARY KEY, pair pair)""",
    )
    assert result.seeded == {"d": 8}
    assert blank(read_rows(connection, snapshot, ["d"])) == [("d", "pair")]
    assert "is part of a cycle" in result.unseeded["a"]
    assert "needs a row of a" in result.unseeded["b"]
    assert "no value is known for its column pair" in result.unseeded["c"]


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


def test_rows_that_wait_for_others_that_never_come_are_taken_out(connection: sa.Connection) -> None:
    snapshot, result = filled(
        connection,
        """CREATE TABLE p (id integer PRIMARY KEY, c integer NOT NULL, x text NOT NULL CHECK (md5(x) = 'x'));
        CREATE TABLE c (id integer PRIMARY KEY, p integer NOT NULL REFERENCES p DEFERRABLE);
        ALTER TABLE p ADD FOREIGN KEY (c) REFERENCES c""",
    )
    assert result.seeded == {}
    assert set(result.unseeded) == {"p", "c"}
    assert all(not table.rows for table in read_rows(connection, snapshot).values())


def test_reading_does_not_depend_on_the_order_of_rows(connection: sa.Connection) -> None:
    run(connection, "CREATE TABLE t (a integer); INSERT INTO t VALUES (3), (NULL), (1)")
    snapshot = read_snapshot(connection, SCHEMA)
    expected = {"t": TableRows("t", ("a",), ("integer",), (("1",), ("3",), (None,)))}
    assert read_rows(connection, snapshot) == expected


def test_seeding_is_the_same_each_time(connection: sa.Connection) -> None:
    run(connection, FAMILY)
    snapshot = read_snapshot(connection, SCHEMA)
    found = []
    for _ in range(2):
        with connection.begin_nested() as trial:
            seed(connection, snapshot)
            found.append(read_rows(connection, snapshot))
            trial.rollback()
    assert found[0] == found[1]


def test_rows_beside_rows_that_are_there(connection: sa.Connection) -> None:
    snapshot, _ = filled(connection, FAMILY)
    assert seed(connection, snapshot, start=100).seeded == dict.fromkeys(snapshot.tables, 16)
