"""Rule F2: nothing of a scratch server is left, however its owner ends."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from consdb_actions.adapters import postgres_server
from consdb_actions.adapters.postgres_server import server_process
from consdb_actions.errors import ExternalError
from tests.support.waiting import PATIENCE, until

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("default_signals")]

HOLDER = Path(__file__).parents[1] / "support" / "holder.py"

Hold = Callable[..., "subprocess.Popen[str]"]


def test_shared_memory_that_is_full_is_said_before_anything_is_left_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postgres_server, "_SHARED", tmp_path)
    monkeypatch.setattr(postgres_server, "_ROOM", 1 << 60)
    with pytest.raises(ExternalError, match="shared memory has only") as caught, server_process():
        pass
    assert caught.value.place == str(tmp_path)


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a directory with a path short enough for a socket, open to the user who runs the server."""
    memory = Path("/dev/shm")  # faster than a disk
    directory = Path(tempfile.mkdtemp(prefix="t", dir=memory if os.access(memory, os.W_OK) else "/tmp"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def hold(base: Path) -> Iterator[Hold]:
    """Start holders; end them after the test."""
    holders = []

    def start(how: str, *, prefer: str = "embedded", wrapper: Sequence[str] = ()) -> subprocess.Popen[str]:
        holder = subprocess.Popen(
            [*wrapper, sys.executable, HOLDER, how, prefer],
            env=os.environ | {"TMPDIR": str(base), "PYTHONPATH": str(HOLDER.parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        holders.append(holder)
        return holder

    yield start
    for holder in holders:
        if holder.poll() is None:
            holder.kill()
        holder.communicate()


def processes(base: Path) -> list[tuple[int, str]]:
    """Return id and command line of the processes that have to do with a directory."""
    listing = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.strip().partition(" ") for line in listing.splitlines())
    return [(int(pid), args) for pid, _, args in rows if f"{base}/" in args]


def leftovers(base: Path) -> list[object]:
    """Return what is left below a directory, after giving it time to go."""
    deadline = time.monotonic() + PATIENCE
    while True:
        left = [*base.iterdir(), *processes(base)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def ready(holder: subprocess.Popen[str]) -> Path:
    """Wait until the server runs and return its scratch directory."""
    assert holder.stdout is not None
    line = holder.stdout.readline()
    if not line.startswith("ready"):
        pytest.fail(f"the holder did not start: {holder.communicate()[1]}")
    return Path(line.split()[1]).parent


def run_once_more(hold: Hold) -> None:
    """Let another run remove what is left of one that was killed before its watchdog ran."""
    following = hold("leave")
    ready(following)
    following.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("prefer", [pytest.param("auto", marks=pytest.mark.slow), "embedded"])
def test_success_leaves_neither_files_nor_processes_nor_zombies(hold: Hold, base: Path, prefer: str) -> None:
    holder = hold("leave", prefer=prefer)
    directory = ready(holder)
    out, err = holder.communicate(timeout=PATIENCE)
    assert (holder.returncode, out.strip(), err) == (0, "no children", "")
    assert directory.parent == base
    assert leftovers(base) == []


def test_an_error_of_the_caller_passes_unchanged(hold: Hold, base: Path) -> None:
    _, err = hold("fail").communicate(timeout=PATIENCE)
    assert err.endswith("ZeroDivisionError\n")
    assert leftovers(base) == []


@pytest.mark.slow
def test_a_forked_child_that_exits_does_not_end_the_server(hold: Hold, base: Path) -> None:
    holder = hold("fork")
    assert (holder.communicate(timeout=PATIENCE)[1], holder.returncode) == ("", 0)
    assert leftovers(base) == []


@pytest.mark.parametrize(
    ("how", "signum", "code"),
    [
        ("wait", signal.SIGTERM, 143),
        pytest.param("query", signal.SIGTERM, 143, marks=pytest.mark.slow),
        ("query", signal.SIGINT, -signal.SIGINT),
        pytest.param("wait", signal.SIGINT, -signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("wait", signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_the_whole_process_group(
    hold: Hold, base: Path, how: str, signum: signal.Signals, code: int
) -> None:
    holder = hold(how)
    ready(holder)
    os.killpg(holder.pid, signum)
    _, err = holder.communicate(timeout=PATIENCE)
    assert holder.returncode == code
    assert "Postgres" not in err, "the server must not die before we stop it"
    assert leftovers(base) == []


@pytest.mark.parametrize(
    ("delay", "signum", "code"),
    [
        (0.1, signal.SIGTERM, 143),
        *(
            pytest.param(delay, signum, code, marks=pytest.mark.slow)
            for delay in (0.0, 0.03, 0.3, 0.6, 1.0)
            for signum, code in ((signal.SIGTERM, 143), (signal.SIGINT, -2), (signal.SIGKILL, -9))
        ),
    ],
)
def test_a_signal_while_a_server_starts_ahead(
    hold: Hold, base: Path, delay: float, signum: signal.Signals, code: int
) -> None:
    holder = hold("ahead")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "begun\n"
    time.sleep(delay)
    holder.send_signal(signum)
    holder.communicate(timeout=PATIENCE)
    assert holder.returncode == code
    if signum == signal.SIGKILL:
        run_once_more(hold)
    assert leftovers(base) == []


@pytest.mark.slow
def test_an_impatient_second_and_third_interrupt(hold: Hold, base: Path) -> None:
    holder = hold("wait")
    ready(holder)
    for _ in range(3):
        if holder.poll() is None:
            os.killpg(holder.pid, signal.SIGINT)
        time.sleep(0.01)
    holder.communicate(timeout=PATIENCE)
    assert leftovers(base) == []


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
def test_a_signal_while_the_server_starts(
    hold: Hold, base: Path, signum: signal.Signals, delay: float
) -> None:
    holder = hold("wait")
    until(lambda: any(base.iterdir()))
    time.sleep(delay)
    holder.send_signal(signum)
    holder.communicate(timeout=PATIENCE)
    if signum == signal.SIGKILL:
        run_once_more(hold)
    assert leftovers(base) == []


@pytest.mark.parametrize(
    "signum",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_the_setup_is_let_finish(
    hold: Hold, base: Path, monkeypatch: pytest.MonkeyPatch, signum: signal.Signals
) -> None:
    # Killed in the middle, initdb leaves shared memory that nobody can find again.
    finished = base.parent / f"{base.name}-finished"
    programs = {
        "postgres": "echo 'postgres (PostgreSQL) 17.0'",
        "initdb": f"touch {base}/begun; sleep 1; touch {finished}; rm {base}/begun; exit 1",
    }
    for name, script in programs.items():
        program = base.parent / f"{base.name}-bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("CONSDB_POSTGRES_BIN", str(program.parent))
    holder = hold("wait", prefer="system")
    try:
        until((base / "begun").exists)
        os.killpg(holder.pid, signum)
        holder.communicate(timeout=PATIENCE)
        assert leftovers(base) == []
        assert finished.exists()
    finally:
        finished.unlink(missing_ok=True)
        shutil.rmtree(program.parent)


@pytest.mark.parametrize("prefer", [pytest.param("auto", marks=pytest.mark.slow), "embedded"])
def test_when_the_owner_is_killed_the_watchdog_ends_the_server(hold: Hold, base: Path, prefer: str) -> None:
    holder = hold("wait", prefer=prefer)
    ready(holder)
    holder.kill()
    assert leftovers(base) == []


@pytest.mark.slow
def test_when_the_watchdog_is_killed_too_the_next_run_cleans_up(hold: Hold, base: Path) -> None:
    holder = hold("wait")
    directory = ready(holder)
    (watchdog,) = (pid for pid, command in processes(base) if command.startswith("/bin/sh -c"))
    os.kill(watchdog, signal.SIGKILL)
    holder.kill()
    holder.wait()
    assert any("postgres -D" in command for _, command in processes(directory))
    following = hold("leave")
    ready(following)
    assert not directory.exists()
    assert processes(directory) == []
    following.communicate(timeout=PATIENCE)
    assert leftovers(base) == []


@pytest.mark.slow
def test_a_server_in_use_is_left_alone_by_other_runs(hold: Hold, base: Path) -> None:
    first = hold("wait")
    directory = ready(first)
    second = hold("leave")
    ready(second)
    second.communicate(timeout=PATIENCE)
    assert any("postgres -D" in command for _, command in processes(directory))
    assert (directory / "data" / "postmaster.pid").exists()


@pytest.mark.parametrize("signum", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_server_that_dies_is_an_external_error_with_its_last_words(
    hold: Hold, base: Path, signum: signal.Signals
) -> None:
    holder = hold("query")
    directory = ready(holder)
    postmaster = int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
    backends = ["ps", "-ww", "-o", "args=", "--ppid", str(postmaster)]
    until(lambda: "SELECT" in subprocess.run(backends, capture_output=True, text=True).stdout)
    os.kill(postmaster, signum)
    _, err = holder.communicate(timeout=PATIENCE)
    assert holder.returncode == 3
    assert err.startswith("the scratch Postgres server ended unexpectedly")
    assert "database system is ready to accept connections" in err
    assert leftovers(base) == []


def test_no_room_at_the_start_is_an_external_error(hold: Hold, base: Path) -> None:
    holder = hold("small-files")
    _, err = holder.communicate(timeout=PATIENCE)
    assert holder.returncode == 3
    assert "cannot be set up" in err
    assert "set TMPDIR" in err
    assert leftovers(base) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted, which needs root")
def test_a_disk_that_fills_up_is_an_external_error(hold: Hold, base: Path) -> None:
    # In a mount namespace of its own: nobody else sees the small disk, and it goes with the process.
    mount = f'mount -t tmpfs -o size=120m,mode=777 none {base} && exec "$@"'
    wrapper = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*wrapper, "true"], capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    holder = hold("fill", wrapper=wrapper)
    _, err = holder.communicate(timeout=PATIENCE)
    assert holder.returncode == 3
    assert "No space left on device" in err
    assert leftovers(base) == []


@pytest.mark.parametrize("prefer", [pytest.param("auto", marks=pytest.mark.slow), "embedded"])
@pytest.mark.skipif(os.geteuid() != 0, reason="all other tests run as a normal user already")
def test_as_a_normal_user(hold: Hold, base: Path, prefer: str) -> None:
    user = pwd.getpwnam("daemon")
    # The capability lets the user read the interpreter, which may stand in root's home directory.
    wrapper = [
        "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
        "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
    ]  # fmt: skip
    holder = hold("wait", prefer=prefer, wrapper=wrapper)
    directory = ready(holder)
    assert directory.stat().st_uid == user.pw_uid
    assert directory.stat().st_mode & 0o777 == 0o700
    os.killpg(holder.pid, signal.SIGTERM)
    assert holder.wait(PATIENCE) == 143
    assert leftovers(base) == []
