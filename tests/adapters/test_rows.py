"""Rows: reading, hashing, and filling tables with what the database accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.rows import read_rows, seed
from consdb_actions.catalog import Snapshot
from consdb_actions.migration.data import ColumnFill, KeyLink, MovedColumn, TableRows, compare_rows
from consdb_actions.migration.rewrite.retype import base_type, using
from consdb_actions.migration.row_rules import RowMigration
from consdb_actions.migration.types import alteration
from tests.support.tables import FAMILY, SCHEMA, blank, column, database, families, filled, run

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
    assert (result.seeded, result.unseeded) == ({"t": 8}, {})


@pytest.mark.parametrize(
    ("sql", "empty"),
    [
        ("CREATE TABLE t (id integer PRIMARY KEY, up integer REFERENCES t)", []),
        ("CREATE TABLE t (id integer PRIMARY KEY, up integer NOT NULL REFERENCES t)", []),
        (
            "CREATE TABLE t (site integer, id integer, up integer NOT NULL, PRIMARY KEY (site, id),"
            " FOREIGN KEY (site, up) REFERENCES t)",
            [],
        ),
        (
            "CREATE TABLE a (id integer PRIMARY KEY, b integer);"
            "CREATE TABLE b (id integer PRIMARY KEY, a integer NOT NULL REFERENCES a);"
            "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b",
            [],
        ),
        (
            "CREATE TABLE a (id integer PRIMARY KEY, b integer NOT NULL);"
            "CREATE TABLE b (id integer PRIMARY KEY, a integer NOT NULL REFERENCES a);"
            "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE",
            [],
        ),
        (
            # Seen: values for the late key were made that no row of b could have.
            "CREATE TABLE a (x integer, y integer, late integer, PRIMARY KEY (x, y));"
            "CREATE TABLE b (x integer PRIMARY KEY, y integer, FOREIGN KEY (x, y) REFERENCES a);"
            "ALTER TABLE a ADD FOREIGN KEY (late) REFERENCES b DEFERRABLE",
            [],
        ),
        (
            "CREATE TABLE a (id integer PRIMARY KEY);"
            "CREATE TABLE b (id integer PRIMARY KEY);"
            "CREATE TABLE c (id integer PRIMARY KEY REFERENCES a, FOREIGN KEY (id) REFERENCES b)",
            [],
        ),
        (
            "CREATE TABLE p (a integer, b integer, PRIMARY KEY (a, b));"
            "CREATE TABLE q (b integer, c integer, PRIMARY KEY (b, c));"
            "CREATE TABLE r (a integer, b integer, c integer, PRIMARY KEY (a, b, c),"
            " FOREIGN KEY (a, b) REFERENCES p, FOREIGN KEY (b, c) REFERENCES q)",
            [],
        ),
        (
            "CREATE TABLE p (a integer, b integer, PRIMARY KEY (a, b));"
            "CREATE TABLE r (id integer PRIMARY KEY, a integer, b integer,"
            " FOREIGN KEY (a, b) REFERENCES p MATCH FULL)",
            [],
        ),
        ("CREATE TABLE p (a smallint UNIQUE); CREATE TABLE r (a bigint REFERENCES p (a))", []),
        ("CREATE TABLE p (a bigint UNIQUE); CREATE TABLE r (a smallint REFERENCES p (a))", []),
        ("CREATE TABLE t (a integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b text)", []),
        ("CREATE TABLE t (a integer, b integer GENERATED ALWAYS AS (a * 2) STORED)", []),
        ("CREATE TABLE t (a text); CREATE UNIQUE INDEX ON t (lower(a)); CREATE INDEX ON t (a)", []),
        (
            'CREATE TABLE "T %s" ("a b" integer PRIMARY KEY); CREATE TABLE r (x integer REFERENCES "T %s")',
            [],
        ),
    ],
)
def test_keys_of_every_shape(connection: sa.Connection, sql: str, empty: list[tuple[str, str]]) -> None:
    snapshot, result = filled(connection, sql)
    assert (set(result.seeded), result.unseeded) == (set(snapshot.tables), {})
    assert blank(read_rows(connection, snapshot)) == empty


def test_fewer_rows_where_the_key_has_no_room(connection: sa.Connection) -> None:
    _, result = filled(connection, "CREATE TABLE t (flag boolean PRIMARY KEY)")
    assert (result.seeded, result.unseeded) == ({"t": 2}, {})


def test_rows_that_wait_for_impossible_ones_leave_their_tables_empty(connection: sa.Connection) -> None:
    """The key of a is checked late, so that its rows come before those of b, and c holds on to them."""
    _, result = filled(
        connection,
        "CREATE TABLE a (id integer PRIMARY KEY, b integer NOT NULL);"
        "CREATE TABLE b (id integer PRIMARY KEY, x integer NOT NULL CHECK (x < 3 AND x > 3),"
        " a integer NOT NULL REFERENCES a ON DELETE RESTRICT);"
        "CREATE TABLE c (id integer PRIMARY KEY, a integer NOT NULL REFERENCES a ON DELETE RESTRICT);"
        "CREATE TABLE d (id integer PRIMARY KEY, a integer REFERENCES a ON DELETE RESTRICT);"
        "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED",
    )
    assert (result.seeded, set(result.unseeded)) == ({"d": 8}, {"a", "b", "c"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("varchar(20)", "integer"),
        ("varchar(4)", "numeric(6,0)"),
        ("text", "boolean"),
        ("text", "bytea"),
        ("bytea", "text"),
        ("varchar(9)", "char(12)"),
        ("numeric", "double precision"),
        ("numeric", "integer"),
        ("bigint", "real"),
        ("double precision", "numeric"),
        ("text", "date"),
        ("text", "timestamptz"),
        ("text", "jsonb"),
        ("json", "jsonb"),
        ("timestamptz", "timestamp"),
        ("double precision", "boolean"),
        ("text", "double precision"),
        ("varchar(64)", "timestamp"),
        ("varchar(19)", "timestamp"),
        ("varchar(100)", "varchar(3)"),
        ("char(20)", "varchar(12)"),
        ("double precision", "real"),
        ("double precision", "integer"),
        ("double precision", "numeric(6,3)"),
        ("numeric(10,4)", "double precision"),
        ("bigint", "smallint"),
        ("bigint", "double precision"),
        ("integer", "varchar(4)"),
        ("smallint", "text"),
        ("boolean", "integer"),
        ("boolean", "varchar(5)"),
        ("integer", "boolean"),
        ("timestamp", "date"),
        ("timestamp(6)", "timestamp(0)"),
        ("timestamp", "timestamptz"),
        ("timestamp", "varchar(30)"),
        ("date", "text"),
    ],
)
def test_m15_values_survive_a_change_of_type_there_and_back(
    connection: sa.Connection, old: str, new: str
) -> None:
    """Compared in between and at the end as the proof does; what comes back altered has a name."""
    before, after = retyped(connection, old, f"{new} NOT NULL")
    result = seed(connection, before, change=RowMigration(after))
    assert (result.seeded, result.unseeded) == ({"t": 8}, {})
    first = read_rows(connection, before)
    if "boolean" not in {old, new}:
        assert len(set(column(first, "t", "v"))) > 4
    change(connection, before, after)
    run(connection, "ALTER TABLE t ALTER v SET NOT NULL")
    assert compare_rows(first, read_rows(connection, after)) == []
    run(connection, "ALTER TABLE t ALTER v DROP NOT NULL")
    change(connection, after, before)
    back = read_rows(connection, before)
    kinds = before.tables["t"].columns["v"].type, after.tables["t"].columns["v"].type
    assert compare_rows(first, back, via={("t", "v"): kinds[1]}) == []
    assert bool(alteration(*kinds)) or compare_rows(first, back) == []


@pytest.mark.parametrize(
    ("old", "new", "patterns"),
    [
        ("text", "integer", ["0+[1-9]+", " .* ", "\\+.*"]),
        ("text", "boolean", ["yes", "no", "t", "1"]),
        ("text", "timestamp", [".*T.*\\+02", ".* .*\\+02"]),
        ("varchar(9)", "char(9)", [".* "]),
        ("numeric", "double precision", ["1234567890.*12345678"]),
        ("timestamp(6)", "timestamp(3)", [".*\\.[0-9]{6}"]),
    ],
)
def test_m15_values_that_a_change_of_type_alters_are_among_the_rows(
    connection: sa.Connection, old: str, new: str, patterns: list[str]
) -> None:
    before, after = retyped(connection, old, new)
    seed(connection, before, rows=24, change=RowMigration(after))
    first = {v for v in column(read_rows(connection, before), "t", "v") if v is not None}
    change(connection, before, after)
    change(connection, after, before)
    altered = first - set(column(read_rows(connection, before), "t", "v"))
    for pattern in patterns:
        assert any(re.fullmatch(pattern, value) for value in altered), altered


@pytest.mark.parametrize(("old", "new"), [("varchar(1)", "boolean"), ("varchar(10)", "timestamp")])
def test_m15_a_column_whose_values_cannot_come_back_holds_none(
    connection: sa.Connection, old: str, new: str
) -> None:
    before, after = retyped(connection, old, new)
    assert seed(connection, before, change=RowMigration(after)).seeded == {"t": 8}
    assert blank(read_rows(connection, before)) == [("t", "v")]
    run(connection, "DROP TABLE t")
    before, after = retyped(connection, old, f"{new} NOT NULL")
    assert "column v" in seed(connection, before, change=RowMigration(after)).unseeded["t"]


def retyped(connection: sa.Connection, old: str, new: str) -> tuple[Snapshot, Snapshot]:
    """Make a table with a column of a type; return the states with this type and another."""
    run(connection, f"CREATE TABLE t (id integer PRIMARY KEY, v {old}); SET TIME ZONE 'UTC'")
    before = read_snapshot(connection, SCHEMA)
    savepoint = connection.begin_nested()
    run(connection, f"DROP TABLE t; CREATE TABLE t (id integer PRIMARY KEY, v {new})")
    after = read_snapshot(connection, SCHEMA)
    savepoint.rollback()
    return before, after


def change(connection: sa.Connection, before: Snapshot, after: Snapshot) -> None:
    """Change the type of the column as a revision does."""
    query = (
        "SELECT format_type(castsource, NULL), format_type(casttarget, NULL) FROM pg_cast"
        " WHERE castcontext IN ('a', 'i')"
    )
    casts = frozenset((str(a), str(b)) for a, b in connection.execute(sa.text(query)))
    old, new = (state.tables["t"].columns["v"].type for state in (before, after))
    expression = using("v", base_type(old), base_type(new), new, casts)
    run(connection, f"ALTER TABLE t ALTER v TYPE {new}" + (f" USING {expression}" if expression else ""))


def test_what_comes_later_holds_on_the_seeded_rows(connection: sa.Connection) -> None:
    run(connection, "CREATE TABLE t (a integer, b boolean, c double precision, d text, e text)")
    before = read_snapshot(connection, SCHEMA)
    later = """ALTER TABLE t ALTER a SET NOT NULL, ADD UNIQUE (a, b), ADD UNIQUE (d), ADD CHECK (c > 10),
        ADD CHECK (d < e)"""
    savepoint = connection.begin_nested()
    run(connection, later)
    after = read_snapshot(connection, SCHEMA)
    savepoint.rollback()
    assert seed(connection, before, change=RowMigration(after)).seeded == {"t": 8}
    run(connection, later)


@pytest.mark.parametrize("relation", ["many to one", "one to one"])
def test_rows_that_share_the_target_of_a_move_agree(connection: sa.Connection, relation: str) -> None:
    key = "REFERENCES p" if relation == "many to one" else "UNIQUE REFERENCES p"
    run(
        connection,
        f"""CREATE TABLE p (id integer PRIMARY KEY);
        CREATE TABLE c (n integer PRIMARY KEY, p integer {key}, v text)""",
    )
    before = read_snapshot(connection, SCHEMA)
    savepoint = connection.begin_nested()
    run(connection, "ALTER TABLE c DROP v; ALTER TABLE p ADD v text")
    after = read_snapshot(connection, SCHEMA)
    savepoint.rollback()
    move = MovedColumn("c", "v", "p", "v", ("p",), ("id",))
    assert seed(connection, before, change=RowMigration(after, moves=(move,))).seeded == {
        "p": 8,
        "c": 8,
    }
    first = read_rows(connection, before)
    assert None not in column(first, "c", "p")
    assert len(set(column(first, "c", "p"))) == (4 if relation == "many to one" else 8)
    run(
        connection,
        "ALTER TABLE p ADD v text; UPDATE p SET v = c.v FROM c WHERE c.p = p.id; ALTER TABLE c DROP v",
    )
    assert compare_rows(first, read_rows(connection, after), moved=[move]) == []
    run(connection, "UPDATE p SET v = 'wrong' WHERE id = (SELECT min(id) FROM p)")
    assert len(compare_rows(first, read_rows(connection, after), moved=[move])) == 1


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
    change = RowMigration(after, columns={("c", "p"): "parent"})
    assert seed(connection, before, change=change).seeded == {"p": 8, "c": 8}
    run(connection, "ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES p")


def test_columns_that_a_migration_fills_lack_some_values_but_not_the_way_to_them(
    connection: sa.Connection,
) -> None:
    run(
        connection,
        "CREATE TABLE p (id integer PRIMARY KEY, day integer);"
        "CREATE TABLE c (id integer PRIMARY KEY, p integer REFERENCES p, day integer, one integer UNIQUE)",
    )
    before = read_snapshot(connection, SCHEMA)
    savepoint = connection.begin_nested()
    run(
        connection,
        "ALTER TABLE p ALTER day SET NOT NULL;"
        "ALTER TABLE c ALTER day SET NOT NULL; ALTER TABLE c ALTER one SET NOT NULL",
    )
    after = read_snapshot(connection, SCHEMA)
    savepoint.rollback()
    way = (KeyLink(("p",), "p", ("id",)),)
    fills = [
        ColumnFill("p", "day", "1"),
        ColumnFill("c", "one", "1"),
        ColumnFill("c", "day", path=way, source="day"),
    ]
    for order in (fills, fills[::-1]):
        seed(connection, before, change=RowMigration(after, filled=tuple(order)))
        rows = read_rows(connection, before)
        assert None in column(rows, "c", "day")
        assert None not in column(rows, "c", "p"), "the way to the parent"
        assert None not in column(rows, "p", "day"), "what the child is filled with"
        assert None not in column(rows, "c", "one"), "a constant could not fill two of them"
        run(connection, "TRUNCATE p, c")


def try_family(connection: sa.Connection, sql: str, rows: int) -> None:
    try:
        snapshot, result = filled(connection, sql, rows)
        assert result.unseeded == {}
        assert set(result.seeded) == set(snapshot.tables)
    finally:
        connection.rollback()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(families(), st.integers(1, 9))
def test_random_families_are_seeded(connection: sa.Connection, sql: str, rows: int) -> None:
    try_family(connection, sql, rows)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(families(), st.integers(1, 9))
def test_many_random_families_are_seeded(connection: sa.Connection, sql: str, rows: int) -> None:
    try_family(connection, sql, rows)
