"""Directories that go with the run that made them."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters import scratch
from consdb_actions.adapters.files import temporary_directory
from consdb_actions.adapters.scratch import remove_tree, scratch_directory, temporary_base
from consdb_actions.adapters.shell import TerminationSignal
from consdb_actions.errors import ExternalError, InputError

pytestmark = pytest.mark.usefixtures("default_signals")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_private_and_goes_with_all_it_holds(base: Path) -> None:
    with temporary_directory() as directory:
        assert directory.parent == base
        assert directory.stat().st_mode & 0o777 == 0o700
        (directory / "a").mkdir()
        (directory / "a" / "b").write_text("x")
    assert list(base.iterdir()) == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_goes_on_a_signal(base: Path, signum: signal.Signals) -> None:
    with pytest.raises((KeyboardInterrupt, TerminationSignal)), temporary_directory():
        signal.raise_signal(signum)
    assert list(base.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next_one(base: Path) -> None:
    script = (
        "import os, signal\n"
        "from consdb_actions.adapters.files import temporary_directory\n"
        "with temporary_directory() as directory:\n"
        "    (directory / 'big').write_text('x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], env=os.environ | {"TMPDIR": str(base)})
    assert done.returncode == -signal.SIGKILL
    (left,) = base.iterdir()
    with temporary_directory():
        assert not left.exists()
    assert list(base.iterdir()) == []


def test_what_lives_or_belongs_to_others_stays(base: Path) -> None:
    (base / "consdb-actions-tmp-new").mkdir()  # in the making: it has no lock yet
    (base / "consdb-actions-tmp-file").touch()
    (base / "consdb-actions-tmp-link").symlink_to(base)
    (base / "elsewhere").mkdir()
    with temporary_directory() as outer, temporary_directory() as inner:
        assert outer.exists()
        assert inner.exists()
    assert len(list(base.iterdir())) == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_root_leaves_the_directories_of_other_users_alone(base: Path) -> None:
    other = base / "consdb-actions-tmp-other"
    other.mkdir()
    (other / "lock").touch()
    os.chown(other, 54321, 54321)
    with temporary_directory():
        assert other.exists()


def test_a_forked_child_leaves_it_to_its_parent(base: Path) -> None:
    with scratch_directory(base, "t-") as directory:
        child = subprocess.run(
            [sys.executable, "-c", FORKING],
            capture_output=True,
            text=True,
            env=os.environ | {"TMPDIR": str(base)},
        )
        assert (child.stdout, child.stderr) == ("still there\n", "")
        assert directory.exists()


FORKING = """
import os, sys
from consdb_actions.adapters.files import temporary_directory
with temporary_directory() as directory:
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
    print("still there" if directory.exists() else "gone")
"""


def test_a_full_disk_leaves_nothing_and_says_so(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(scratch, "_take_lock", full)
    with pytest.raises(ExternalError, match="No space left on device") as caught, temporary_directory():
        pytest.fail("there is none")
    assert caught.value.place == str(base)
    assert list(base.iterdir()) == []


def test_without_locks_it_works_and_is_never_taken_for_abandoned(base: Path) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fcntl, "flock", unsupported)
            outer = stack.enter_context(temporary_directory())
        with temporary_directory():
            assert outer.exists()
    assert list(base.iterdir()) == []


def test_an_interrupt_while_python_looks_for_a_place_leaves_no_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def interrupted(*args: Any, **kwargs: Any) -> int:
        descriptor = real(*args, **kwargs)
        signal.raise_signal(signal.SIGINT)
        return descriptor

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path)])
    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        temporary_base()
    assert list(tmp_path.iterdir()) == []


def test_no_place_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nonexistent"])
    with pytest.raises(InputError, match="no directory for temporary files") as caught, temporary_directory():
        pytest.fail("there is none")
    assert "TMPDIR" in caught.value.remedy


def test_a_base_that_is_not_there() -> None:
    with pytest.raises(InputError, match="No such file"), scratch_directory(Path("/nonexistent"), "t-"):
        pytest.fail("there is none")


def test_removing_wins_against_a_program_that_still_writes(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set() and number < 3000:
            number += 1
            try:
                (directory / str(number)).touch()
            except OSError:
                return

    writer = threading.Thread(target=write)
    writer.start()
    remove_tree(directory)
    stop.set()
    writer.join()
    assert not directory.exists()
    remove_tree(directory)
