"""The type spoly: from the extension, or a stand-in where that is missing or broken."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from consdb_actions.adapters.postgres import (
    EXTENSION,
    STAND_IN,
    Connection,
    ScratchServer,
    connect,
    make_spoly_available,
)


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
    assert make_spoly_available(bare) == (STAND_IN, "")
    assert bare.execute("SELECT 'x'::spoly::text").fetchone() == ("x",)
    comment = bare.execute("SELECT obj_description('spoly'::regtype)").fetchone()
    assert comment == ("stand-in for the pgSphere type: text without geometry",)


def test_with_the_extension(bare: Connection, extension: Path) -> None:
    extension.write_text("CREATE DOMAIN spoly AS text;")
    assert make_spoly_available(bare) == (EXTENSION, "")


def test_with_an_extension_that_is_broken(bare: Connection, extension: Path) -> None:
    extension.write_text("CREATE TABLE half_way (); SELECT 1/0;")
    assert make_spoly_available(bare) == (STAND_IN, "division by zero")
    assert bare.execute("SELECT to_regclass('half_way')").fetchone() == (None,)


@pytest.mark.parametrize("with_extension", [True, False])
def test_once_it_is_there_nothing_is_done(
    bare: Connection, with_extension: bool, request: pytest.FixtureRequest
) -> None:
    if with_extension:
        request.getfixturevalue("extension").write_text("CREATE DOMAIN spoly AS text;")
    first = make_spoly_available(bare)
    bare.execute("RESET extension_control_path")
    assert make_spoly_available(bare) == first == (EXTENSION if with_extension else STAND_IN, "")


def test_a_user_who_may_do_neither(bare: Connection) -> None:
    bare.execute("CREATE ROLE weak; SET ROLE weak")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        make_spoly_available(bare)
    bare.execute("RESET ROLE; DROP ROLE weak")
