"""Scratch databases, and the type spoly: from the extension, or a stand-in."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from consdb_actions.adapters.postgres import (
    EXTENSION,
    STAND_IN,
    Connection,
    ScratchServer,
    ServerInfo,
    connect,
    make_spoly_available,
    scratch_server,
)
from consdb_actions.errors import ExternalError


@pytest.fixture(params=["server", "embedded_server"])
def any_server(request: pytest.FixtureRequest) -> ScratchServer:
    scratch: ScratchServer = request.getfixturevalue(request.param)
    return scratch


@pytest.fixture
def database(any_server: ScratchServer) -> Iterator[str]:
    any_server.create_database("tested")
    yield "tested"
    any_server.drop_database("tested")


def ask(url: URL, sql: str) -> object:
    engine = sa.create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return connection.execute(sa.text(sql)).scalar()


def test_the_facts(embedded_server: ScratchServer) -> None:
    version = ask(embedded_server.url("postgres"), "SELECT current_setting('server_version')")
    assert embedded_server.info == ServerInfo("embedded", str(version), "stand-in")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen_addresses", ""),
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        ("TimeZone", "UTC"),
        ("server_encoding", "UTF8"),
        ("unix_socket_permissions", "0700"),
    ],
)
def test_settings(any_server: ScratchServer, database: str, setting: str, value: str) -> None:
    assert ask(any_server.url(database), f"SELECT current_setting('{setting}')") == value


def test_text_sorts_by_code_point(any_server: ScratchServer, database: str) -> None:
    order = "SELECT string_agg(x, '' ORDER BY x) FROM unnest(ARRAY['b', 'B', 'a', 'é', '_']) x"
    assert ask(any_server.url(database), order) == "B_abé"


def test_a_new_database_has_the_type_spoly_and_the_cluster_has_the_roles(
    any_server: ScratchServer, database: str
) -> None:
    any_server.execute(database, "CREATE TABLE t (s spoly); GRANT SELECT ON t TO usdf, oods")
    type_name = (
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 't'::regclass AND attnum = 1"
    )
    assert ask(any_server.url(database), type_name) == "spoly"
    assert ask(any_server.url(database), "SELECT has_table_privilege('oods', 't', 'SELECT')") is True


def test_the_stand_in_keeps_values_as_text(embedded_server: ScratchServer) -> None:
    url = embedded_server.create_database("values")
    region = "{(10d,20d),(11d,20d),(11d,21d)}"
    assert ask(url, f"SELECT '{region}'::spoly::text") == region
    assert ask(url, "SELECT extname FROM pg_extension WHERE extname = 'pg_sphere'") is None
    embedded_server.drop_database("values")


@pytest.mark.pgsphere
def test_the_real_extension_where_there_is_one(pgsphere_server: ScratchServer) -> None:
    url = pgsphere_server.create_database("sphere")
    assert ask(url, "SELECT '{(10d,20d),(11d,20d),(11d,21d)}'::spoly ~ '(10.9d,20.1d)'::spoint") is True
    with pytest.raises(sa.exc.InternalError, match="syntax error"):
        ask(url, "SELECT 'nonsense'::spoly")


def test_a_copy_has_the_data_of_its_template(any_server: ScratchServer, database: str) -> None:
    any_server.execute(database, "CREATE TABLE t AS SELECT 7 AS x")
    copy = any_server.create_database("copy", template=database)
    any_server.execute(database, "UPDATE t SET x = 8")
    assert ask(copy, "SELECT x FROM t") == 7
    any_server.drop_database("copy")


@pytest.mark.parametrize("name", ['odd "name"; --', "Große Datenbank", "%s {x}", "a" * 63])
def test_any_name_will_do(embedded_server: ScratchServer, name: str) -> None:
    url = embedded_server.create_database(name)
    assert ask(url, "SELECT current_database()") == name
    embedded_server.drop_database(name)
    with pytest.raises(sa.exc.OperationalError, match="does not exist"):
        ask(url, "SELECT 1")


def test_dropping_ends_open_connections_and_passes_over_what_is_not_there(
    embedded_server: ScratchServer,
) -> None:
    url = embedded_server.create_database("busy")
    with psycopg.connect(
        host=str(url.query["host"]), port=url.port, user=url.username, dbname="busy"
    ) as busy:
        embedded_server.drop_database("busy")
        embedded_server.drop_database("busy")
        with pytest.raises(psycopg.errors.AdminShutdown):
            busy.execute("SELECT 1")


def test_execute_takes_any_sql_as_it_is(embedded_server: ScratchServer) -> None:
    url = embedded_server.create_database("sql")
    embedded_server.execute("sql", "CREATE TABLE a (x text); INSERT INTO a VALUES ('100 %s %(y)s {z} :w é')")
    assert ask(url, "SELECT x FROM a") == "100 %s %(y)s {z} :w é"
    embedded_server.drop_database("sql")


def test_a_refused_statement_is_an_error_with_the_database_and_its_words(
    embedded_server: ScratchServer,
) -> None:
    with pytest.raises(ExternalError) as caught:
        embedded_server.execute("postgres", "SELECT * FROM no_such_table")
    assert caught.value.place == "database postgres"
    assert 'relation "no_such_table" does not exist' in caught.value.cause


def test_connection_settings_of_the_environment_do_not_matter(
    embedded_server: ScratchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPORT": "1", "PGHOST": "192.0.2.1", "PGUSER": "nobody", "PGDATABASE": "x"}.items():
        monkeypatch.setenv(name, value)
    assert ask(embedded_server.url("postgres"), "SELECT current_user") == "postgres"
    with scratch_server(prefer="embedded") as second:
        assert ask(second.create_database("d"), "SELECT 1") == 1


def test_nobody_else_can_enter_the_directory_of_the_socket(embedded_server: ScratchServer) -> None:
    socket = Path(str(embedded_server.url("postgres").query["host"]))
    assert len(bytes(socket / ".s.PGSQL.5432")) <= 100
    assert socket.parent.stat().st_mode & 0o007 == 0


def test_roles_are_as_asked_for() -> None:
    roles = ["reader", 'odd "role"', "postgres", "pg_monitor"]
    with scratch_server(prefer="embedded", roles=roles) as server:
        known = "SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_'"
        assert ask(server.url("postgres"), known) == 'odd "role",postgres,reader'


def test_one_session_serves_a_database_and_forgets_what_it_was_told(
    any_server: ScratchServer, database: str
) -> None:
    asked = "SELECT pg_backend_pid(), current_setting('search_path'), to_regclass('pg_temp.left') IS NULL"
    with any_server.open_database(database) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql('SET search_path = elsewhere; CREATE TEMPORARY TABLE "left" (n int)')
            first = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with any_server.open_database(database) as inner, inner.connect() as connection:
            pid, path, gone = connection.exec_driver_sql(asked).one()
    assert (pid, gone) == (first, True)
    assert path != "elsewhere"


def test_an_engine_turns_to_another_database_and_back(any_server: ScratchServer, database: str) -> None:
    asked = "SELECT current_database()"
    any_server.create_database("other")
    try:
        with any_server.open_database(database) as outer:
            with outer.connect() as connection:
                assert connection.exec_driver_sql(asked).scalar() == database
            with any_server.open_database("other") as inner, inner.connect() as connection:
                assert connection.exec_driver_sql(asked).scalar() == "other"
            with outer.connect() as connection:
                assert connection.exec_driver_sql(asked).scalar() == database
        any_server.create_database("copy", template=database)  # no session of ours is left there
    finally:
        any_server.drop_database("copy")
        any_server.drop_database("other")


def test_two_connections_at_once_are_two_sessions(any_server: ScratchServer, database: str) -> None:
    asked = "SELECT pg_backend_pid()"
    with (
        any_server.open_database(database) as engine,
        engine.connect() as one,
        engine.connect() as other,
    ):
        assert one.exec_driver_sql(asked).scalar() != other.exec_driver_sql(asked).scalar()


def test_a_database_lasts_as_long_as_its_block(embedded_server: ScratchServer) -> None:
    for _ in range(2):
        with (
            embedded_server.database("short"),
            embedded_server.open_database("short") as engine,
            engine.connect(),
        ):
            pass
    with pytest.raises(RuntimeError), embedded_server.database("short"):
        raise RuntimeError
    embedded_server.create_database("short")
    embedded_server.drop_database("short")


@pytest.fixture
def bare(embedded_server: ScratchServer) -> Iterator[Connection]:
    """Give a connection to a database that has no type spoly."""
    embedded_server.execute("postgres", "CREATE DATABASE bare TEMPLATE template0")
    with connect(embedded_server.url("bare")) as connection:
        yield connection
    embedded_server.drop_database("bare")


@pytest.fixture
def extension(bare: Connection) -> Iterator[Path]:
    """Give the script of an extension named pg_sphere that the database finds."""
    if bare.info.server_version < 180000:
        pytest.skip("extensions outside of the installation need Postgres 18")
    home = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    home.chmod(0o755)
    (home / "extension").mkdir()
    (home / "extension" / "pg_sphere.control").write_text("default_version = '1'\nrelocatable = true\n")
    bare.execute(f"SET extension_control_path = '{home}'".encode())
    yield home / "extension" / "pg_sphere--1.sql"
    shutil.rmtree(home)


def test_without_the_extension(bare: Connection) -> None:
    assert make_spoly_available(bare) == STAND_IN
    assert bare.execute("SELECT 'x'::spoly::text").fetchone() == ("x",)
    comment = bare.execute("SELECT obj_description('spoly'::regtype)").fetchone()
    assert comment == ("stand-in for the pgSphere type: text without geometry",)


def test_with_the_extension(bare: Connection, extension: Path) -> None:
    extension.write_text("CREATE DOMAIN spoly AS text;")
    assert make_spoly_available(bare) == EXTENSION


def test_with_an_extension_that_is_broken(bare: Connection, extension: Path) -> None:
    extension.write_text("CREATE TABLE half_way (); SELECT 1/0;")
    assert make_spoly_available(bare) == STAND_IN
    assert bare.execute("SELECT to_regclass('half_way')").fetchone() == (None,)


@pytest.mark.parametrize("with_extension", [True, False])
def test_once_it_is_there_nothing_is_done(
    bare: Connection, with_extension: bool, request: pytest.FixtureRequest
) -> None:
    if with_extension:
        request.getfixturevalue("extension").write_text("CREATE DOMAIN spoly AS text;")
    first = make_spoly_available(bare)
    bare.execute("RESET extension_control_path")
    assert make_spoly_available(bare) == first == (EXTENSION if with_extension else STAND_IN)


def test_a_user_who_may_do_neither(bare: Connection) -> None:
    bare.execute("CREATE ROLE weak; SET ROLE weak")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        make_spoly_available(bare)
    bare.execute("RESET ROLE; DROP ROLE weak")
