"""Files: what may be read, what is written as a whole, and temporary directories."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.adapters import files
from consdb_actions.adapters.files import (
    remove_tree,
    scratch_directory,
    temporary_base,
    temporary_directory,
    write_all,
)
from consdb_actions.adapters.shell import TerminationSignal
from consdb_actions.errors import ExternalError, InputError

Tree = dict[str, bytes]


def tree(directory: Path) -> Tree:
    """Return all that a directory holds, hidden files and empty directories included."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else b"a directory"
        for path in directory.rglob("*")
    }


def test_text_and_bytes_with_line_ends_as_they_are(tmp_path: Path) -> None:
    write_all({tmp_path / "a.py": "é\r\nx\n", tmp_path / "new" / "deep" / "b": b"\xff\x00"})
    assert tree(tmp_path) == {
        "a.py": "é\r\nx\n".encode(),
        "new": b"a directory",
        "new/deep": b"a directory",
        "new/deep/b": b"\xff\x00",
    }


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_all({tmp_path / "a": "x"})
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_nothing_is_replaced_unless_told(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("before")
    with pytest.raises(InputError, match="this file exists") as caught:
        write_all({tmp_path / "new": "x", tmp_path / "old": "after"})
    assert caught.value.place == str(tmp_path / "old")
    assert tree(tmp_path) == {"old": b"before"}


def test_replacing_keeps_the_mode_and_leaves_no_backup(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("before")
    (tmp_path / "old").chmod(0o751)
    write_all({tmp_path / "old": "after"}, overwrite=True)
    assert tree(tmp_path) == {"old": b"after"}
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o751


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    write_all({tmp_path / "link": "after"}, overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "after"


def test_nothing_to_write_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_all({})
    assert list(tmp_path.iterdir()) == []


CONTENTS = {"old-1": "after", "new/a/b": "x", "new/a/c": "y", "old-2": "after", "z": "z"}


def write_on(directory: Path) -> None:
    write_all({directory / name: text for name, text in CONTENTS.items()}, overwrite=True)


def failing_at(call: int, real: Callable[..., object], error: BaseException) -> Callable[..., object]:
    """Return a function that does its work but for one call, which fails before or after it."""
    calls = iter(range(1, 1000))

    def fail(*args: object, **kwargs: object) -> object:
        if next(calls) == call:
            raise error
        return real(*args, **kwargs)

    return fail


@pytest.fixture
def before(tmp_path: Path) -> Tree:
    for name in ("old-1", "old-2"):
        (tmp_path / name).write_text("before")
    return tree(tmp_path)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
@pytest.mark.parametrize(
    ("owner", "name", "calls"),
    [
        (os, "open", 6),
        (os, "fsync", 7),
        (os, "fdopen", 5),
        (Path, "mkdir", 2),
        (files, "_keep", 2),
        (files, "_sync_directory", 2),
    ],
)
def test_a_failure_at_any_step_puts_everything_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: Tree,
    owner: object,
    name: str,
    calls: int,
    error: Exception,
) -> None:
    real = getattr(owner, name)
    expected = ExternalError if isinstance(error, OSError) else MemoryError
    for call in range(1, calls + 1):
        monkeypatch.setattr(owner, name, failing_at(call, real, error))
        with pytest.raises(expected):
            write_on(tmp_path)
        monkeypatch.setattr(owner, name, real)
        assert tree(tmp_path) == before


@pytest.mark.parametrize("call", range(1, 6))
def test_a_failed_rename_puts_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Tree, call: int
) -> None:
    real = Path.replace
    monkeypatch.setattr(Path, "replace", failing_at(call, real, OSError(errno.EACCES, "Permission denied")))
    with pytest.raises(InputError, match="Permission denied; nothing was changed") as caught:
        write_on(tmp_path)
    assert Path(caught.value.place).relative_to(tmp_path).as_posix() == list(CONTENTS)[call - 1]
    assert tree(tmp_path) == before


def test_a_full_disk_asks_for_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        os, "fsync", failing_at(1, os.fsync, OSError(errno.ENOSPC, "No space left on device"))
    )
    with pytest.raises(ExternalError, match="No space left") as caught:
        write_on(tmp_path)
    assert "Free some space" in caught.value.remedy


def test_without_hard_links_a_copy_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Tree
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", none)
    real = files._sync_directory
    monkeypatch.setattr(files, "_sync_directory", failing_at(1, real, OSError(errno.EIO, "I/O error")))
    with pytest.raises(InputError, match="I/O error"):
        write_on(tmp_path)
    assert tree(tmp_path) == before
    monkeypatch.setattr(files, "_sync_directory", real)
    write_on(tmp_path)
    assert {name: text for name, text in tree(tmp_path).items() if text != b"a directory"} == {
        name: text.encode() for name, text in CONTENTS.items()
    }


@pytest.mark.usefixtures("default_signals")
def test_a_signal_waits_until_all_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_on(tmp_path)
    assert set(tree(tmp_path)) == {*CONTENTS, "new", "new/a"}


@pytest.mark.parametrize("name", ["file/below", "directory"])
def test_what_is_in_the_way(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"Is a directory|Not a directory") as caught:
        write_all({tmp_path / "new": "x", tmp_path / name: "y"}, overwrite=True)
    assert caught.value.place == str(tmp_path / name)
    assert tree(tmp_path) == before


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/consdb-actions-test")  # where not even root can make a file
    else:
        tmp_path.chmod(0o500)
        target = tmp_path / "a"
    with pytest.raises(InputError, match="cannot be written") as caught:
        write_all({target: "x"})
    assert caught.value.place == str(target)
    assert "who owns the directory" in caught.value.remedy


def test_two_ways_to_one_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="would be written twice") as caught:
        write_all({tmp_path / "a": "x", tmp_path / "link" / "a": "y"})
    assert caught.value.place == str(tmp_path / "a")
    assert not (tmp_path / "a").exists()


PATHS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join)


@given(contents=st.dictionaries(PATHS, st.binary(max_size=20), max_size=6))
def test_all_or_none_of_any_files(contents: dict[str, bytes]) -> None:
    with temporary_directory() as directory:
        before = tree(directory)
        try:
            write_all({directory / name: data for name, data in contents.items()})
        except InputError:
            assert tree(directory) == before
        else:
            assert {name: data for name, data in tree(directory).items() if name in contents} == contents


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

    monkeypatch.setattr(files, "_take_lock", full)
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
