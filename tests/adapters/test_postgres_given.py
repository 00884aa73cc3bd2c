"""A server that somebody else runs, named by a URL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from consdb_actions.adapters.postgres import GivenServer, ScratchServer, scratch_server
from consdb_actions.errors import ConsdbActionsError, ExternalError, InputError

SECRET = "p@ss/word"


@pytest.fixture(scope="module")
def host() -> Iterator[ScratchServer]:
    """Give a server that plays somebody else's: it has none of our roles, and users with less rights."""
    with scratch_server(prefer="embedded", roles=()) as server:
        server.execute(
            "postgres",
            "CREATE ROLE plain LOGIN; CREATE ROLE maker LOGIN CREATEDB;"
            "CREATE ROLE owner LOGIN CREATEDB CREATEROLE",
        )
        yield server


def address(host: ScratchServer, user: str = "postgres", database: str = "postgres") -> str:
    url = host.url(database).set(username=user, password=SECRET, drivername="postgresql")
    return url.render_as_string(hide_password=False)


def names(host: ScratchServer) -> set[str]:
    """Return the names of all databases and roles."""
    return set(
        ask(host.url("postgres"), "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles")
    )


def ask(url: URL, sql: str) -> list[Any]:
    engine = sa.create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return list(connection.execute(sa.text(sql)).scalars())


def test_databases_have_names_of_their_own_and_all_goes_at_the_end(host: ScratchServer) -> None:
    before = names(host)
    with (
        scratch_server(database_url=address(host)) as first,
        scratch_server(database_url=address(host)) as second,
    ):
        assert (first.info.source, first.info.pgsphere) == ("given URL", "stand-in")
        urls = [first.create_database("tested"), second.create_database("tested")]
        first.execute("tested", "CREATE TABLE t (s spoly); GRANT SELECT ON t TO usdf, oods")
        first.create_database("copy", template="tested")
        assert ask(first.url("copy"), "SELECT count(*) FROM t") == [0]
        assert urls[0].database != urls[1].database
        first.drop_database("tested")
        assert ask(urls[1], "SELECT 1") == [1]
    assert names(host) == before


def test_the_version_is_that_of_the_server(host: ScratchServer) -> None:
    with scratch_server(database_url=address(host)) as server:
        assert server.info.version == host.info.version


def test_after_an_error_and_with_connections_open_all_goes_too(host: ScratchServer) -> None:
    before = names(host)

    def fail_with_a_connection_open() -> None:
        with scratch_server(database_url=address(host)) as server:
            connections.append(sa.create_engine(server.create_database("busy")).connect())
            connections[0].execute(sa.text("SELECT 1"))
            raise ZeroDivisionError

    connections: list[sa.Connection] = []
    with pytest.raises(ZeroDivisionError):
        fail_with_a_connection_open()
    assert names(host) == before
    connections[0].invalidate()


def test_a_database_is_copied_with_what_it_holds(host: ScratchServer) -> None:
    host.create_database("held")
    host.execute("held", "CREATE TABLE t AS SELECT 7 AS x")
    before = names(host)
    with scratch_server(database_url=address(host, database="held")) as server:
        assert ask(server.copy_given("copy"), "SELECT x FROM t") == [7]
        assert len(names(host) - before) == 4, "the template, the copy and two roles"
    assert names(host) == before
    host.drop_database("held")


def test_who_does_not_own_a_database_may_not_copy_it(host: ScratchServer) -> None:
    host.create_database("held")
    host.execute("postgres", "CREATE ROLE usdf; CREATE ROLE oods")
    with (
        pytest.raises(InputError, match='user "maker" may not copy the database "held"') as caught,
        scratch_server(database_url=address(host, "maker", "held")) as server,
    ):
        server.copy_given("copy")
    assert 'ALTER DATABASE "held" OWNER TO "maker"' in caught.value.remedy
    host.execute("postgres", "DROP ROLE usdf; DROP ROLE oods")
    host.drop_database("held")


def test_a_role_that_was_there_stays(host: ScratchServer) -> None:
    host.execute("postgres", "CREATE ROLE usdf")
    with scratch_server(database_url=address(host)):
        assert {"usdf", "oods"} <= names(host)
    assert "usdf" in names(host)
    assert "oods" not in names(host)
    host.execute("postgres", "DROP ROLE usdf")


def test_a_role_that_another_run_still_uses_goes_with_the_last_one(host: ScratchServer) -> None:
    url = address(host)
    with scratch_server(database_url=url) as outer:
        with scratch_server(database_url=url):
            outer.create_database("mine")
            outer.execute("mine", "CREATE TABLE t (); GRANT SELECT ON t TO usdf")
        assert "usdf" in names(host)
    assert "usdf" not in names(host)


def test_a_user_who_may_do_little_needs_the_type_in_template1(host: ScratchServer) -> None:
    before = names(host)
    host.execute("postgres", "CREATE ROLE usdf; CREATE ROLE oods")
    host.execute("template1", "CREATE DOMAIN public.was_here AS int")
    with scratch_server(database_url=address(host, "maker")) as server:
        # The host's template has the stand-in, put there when it started.
        server.create_database("tested")
        server.execute("tested", "CREATE TABLE t (s spoly, w was_here)")
    host.execute("template1", "DROP DOMAIN public.was_here")
    host.execute("postgres", "DROP ROLE usdf; DROP ROLE oods")
    assert names(host) == before


def test_without_the_type_and_the_right_to_make_it(host: ScratchServer) -> None:
    before = names(host)
    host.execute("template1", "ALTER TYPE spoly RENAME TO hidden")
    try:
        with pytest.raises(InputError) as caught, scratch_server(database_url=address(host, "owner")):
            pytest.fail("it must not start")
    finally:
        host.execute("template1", "ALTER TYPE hidden RENAME TO spoly")
    assert "lacks the type spoly" in caught.value.cause
    assert "CREATE EXTENSION pg_sphere" in caught.value.remedy
    assert names(host) == before


@pytest.mark.parametrize(
    ("user", "words", "remedy"),
    [
        ("plain", 'user "plain" may not create databases', 'ALTER ROLE "plain" CREATEDB'),
        ("maker", "the roles usdf, oods are not on the server", 'CREATE ROLE "usdf"; CREATE ROLE "oods"'),
    ],
)
def test_rights_that_are_missing(host: ScratchServer, user: str, words: str, remedy: str) -> None:
    before = names(host)
    with pytest.raises(InputError) as caught, scratch_server(database_url=address(host, user)):
        pytest.fail("it must not start")
    assert words in caught.value.cause
    assert remedy in caught.value.remedy
    assert names(host) == before


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        f"mysql://user:{SECRET}@localhost/x",
        f"postgresql://user:{SECRET}@localhost:port/x",
        f"postgresql://user:{SECRET}@[bad/x",
        "postgresql://user:p@ssw@localhost/x",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InputError, match="not the address of a Postgres database") as caught:
        scratch_server(database_url=url).__enter__()
    assert "ss" not in caught.value.cause.replace("address", "")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:p%40ss%2Fword@127.0.0.1:1/x?connect_timeout=2",
        "postgres://user:p%40ss%2Fword@127.0.0.1:1",
        "postgresql+psycopg2://user:p%40ss%2Fword@/x?host=/nonexistent",
        "postgresql://user:p%40ss%2Fword@127.0.0.1:1/x?no_such_option=1",
    ],
)
def test_a_server_that_cannot_be_reached(url: str) -> None:
    with pytest.raises(ExternalError, match="cannot be reached") as caught:
        scratch_server(database_url=url).__enter__()
    chain: BaseException | None = caught.value
    while isinstance(chain, ConsdbActionsError | psycopg.Error):
        assert SECRET not in str(chain)
        chain = chain.__cause__
    assert caught.value.place == "--database-url"


@pytest.mark.parametrize("name", ["short", "x" * 63, "ä" * 40, "x" * 62 + "y"])
def test_names_stay_short_and_apart(name: str) -> None:
    server = GivenServer(URL.create("postgresql"), "consdb_actions_01234567_", "15.1", superuser=True)
    physical = server.physical(name)
    assert physical.startswith(server.prefix)
    assert len(physical.encode()) <= 63
    assert physical != server.physical(name + "2")
