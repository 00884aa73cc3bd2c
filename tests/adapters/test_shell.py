"""Running other programs."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consdb_actions
from consdb_actions.adapters.shell import (
    TerminationSignal,
    UserAccount,
    run,
    shielded,
    start,
    tail,
    unwinding_on_signals,
)
from consdb_actions.errors import ExternalError
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("default_signals")

PACKAGE = Path(consdb_actions.__file__).parent
STARTERS = ("system", "popen", "exec", "spawn", "posix_spawn", "startfile", "fork")


def starts_programs(tree: ast.AST) -> list[int]:
    """Return the lines of a module that start a program, or import what does nothing else."""
    lines = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [(node.module or "").split(".")[0]]
            if node.module == "os":
                names += [f"os.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = [f"{node.value.id}.{node.attr}"]
        starters = {
            "subprocess",
            "pty",
            "pexpect",
            "sh",
            "plumbum",
            "commands",
            "asyncio.create_subprocess_exec",
        }
        if any(name in starters or name.startswith(tuple(f"os.{s}" for s in STARTERS)) for name in names):
            lines.append(getattr(node, "lineno", 0))
    return lines


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess",
        "from subprocess import run",
        "import os\nos.system('x')",
        "from os import popen",
        "os.execv(a)",
    ],
)
def test_the_detector_detects(code: str) -> None:
    assert starts_programs(ast.parse(code))


def test_no_other_module_starts_programs() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    found = {
        str(module.relative_to(PACKAGE)): lines
        for module in modules
        if (lines := starts_programs(ast.parse(module.read_text())))
    }
    # forks.py copies this program, and starts no other.
    assert list(found) == ["adapters/pool.py", "adapters/shell.py"]
    assert len(found["adapters/pool.py"]) == 1


def test_output_input_and_environment(tmp_path: Path) -> None:
    done = run(
        ["sh", "-c", "cat; pwd >&2; echo $X"], cwd=tmp_path, env={"X": "y", "PATH": os.defpath}, input="é\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("é\ny\n", f"{tmp_path}\n", 0)


def test_bytes_pass_unchanged_and_text_is_made_of_them() -> None:
    done = run(["cat"], input=b"\xff\r\n\x00")
    assert done.stdout_bytes == b"\xff\r\n\x00"
    assert done.stdout == "\ufffd\r\n\x00"


def test_without_input_there_is_none() -> None:
    assert run(["cat"], timeout=30).stdout == ""


def test_arguments_are_not_parsed() -> None:
    assert run(["printf", "%s|", "a b", "$(id)", "*", Path("x;y")]).stdout == "a b|$(id)|*|x;y|"


def test_a_failure_names_command_code_and_last_words() -> None:
    script = "for i in $(seq 100); do echo line $i >&2; done; exit 7"
    with pytest.raises(ExternalError) as caught:
        run(["sh", "-c", script])
    assert "`sh -c '" in caught.value.cause
    assert "failed with exit code 7" in caught.value.cause
    assert "line 100" in caught.value.cause
    assert "line 80\n" not in caught.value.cause


def test_output_stands_in_for_an_empty_error_stream() -> None:
    with pytest.raises(ExternalError, match="the reason"):
        run(["sh", "-c", "echo the reason; exit 1"])


def test_a_failure_can_be_expected() -> None:
    assert run(["false"], check=False).returncode == 1


def test_a_signal_is_named() -> None:
    with pytest.raises(ExternalError, match="was ended by signal 9"):
        run(["sh", "-c", "kill -9 $$"])


@pytest.mark.parametrize("program", ["no-such-program", "/etc/passwd", "a\0b"])
def test_a_program_that_cannot_be_started(program: str) -> None:
    with pytest.raises(ExternalError, match="cannot be started"):
        run([program])


def test_secrets_are_not_shown() -> None:
    url = "https://x-access-token:ghs_0123456789abcdefABCD@github.com/a/b"
    with pytest.raises(ExternalError) as caught:
        run(["sh", "-c", f"echo fetching {url} with hunter2 >&2; exit 1", "hunter2"], secrets=["hunter2"])
    assert "ghs_" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "https://***@github.com/a/b" in caught.value.cause


def test_a_program_that_takes_too_long_goes_with_all_it_started() -> None:
    long = f"600.{os.getpid()}"
    with pytest.raises(ExternalError, match=r"did not end within 0\.5 seconds"):
        run(["sh", "-c", f"sleep {long} & sleep {long}; wait"], timeout=0.5)
    until(lambda: f"sleep {long}" not in run(["ps", "-ww", "-eo", "args="]).stdout)


def test_an_interrupt_ends_the_program_with_all_it_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {pid_file}; kill -INT {os.getpid()}; wait"
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", script], timeout=30)
    wait_for_end(int(pid_file.read_text()))


def test_an_interrupt_while_a_program_starts_does_not_leave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self.pid)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(["sleep", "60"])
    monkeypatch.undo()
    wait_for_end(started[0])


def wait_for_end(pid: int) -> None:
    # One that waits for its new parent is as good as gone.
    until(lambda: run(["ps", "-o", "stat=", "-p", str(pid)], check=False).stdout.strip() in ("", "Z", "Zs"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs programs as somebody else")
def test_another_account() -> None:
    account = UserAccount("x", 54321, 54322)
    assert run(["id", "-u"], account=account, cwd=Path("/")).stdout == "54321\n"
    assert run(["id", "-G"], account=account, cwd=Path("/")).stdout == "54322\n"


def test_a_program_beside_this_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(
        ["sh", "-c", "read x; echo got $x; read y"], cwd=tmp_path, env={}, log=log, piped_input=True
    )
    assert process.returncode is None
    process.tell("hello\n")
    process.close_input()
    process.stop(0, patience=30)
    assert process.returncode == 1
    assert log.read_text() == "got hello\n"


def test_a_program_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    process = start(
        ["sh", "-c", "trap '' TERM; echo ready; sleep 60 & wait; wait"],
        cwd=tmp_path,
        env={},
        log=tmp_path / "log",
    )
    until(lambda: "ready" in (tmp_path / "log").read_text())
    process.stop(signal.SIGTERM, patience=0.2)
    assert process.returncode == -signal.SIGKILL


def test_a_program_that_ignores_the_first_signal_is_sent_another(tmp_path: Path) -> None:
    command = "trap '' TERM; echo ready; sleep 0.2; trap - TERM; exec sleep 60"
    process = start(["sh", "-c", command], cwd=tmp_path, env={}, log=tmp_path / "log")
    until(lambda: "ready" in (tmp_path / "log").read_text())
    process.stop(signal.SIGTERM, patience=30)
    assert process.returncode == -signal.SIGTERM


def test_telling_one_that_is_gone_does_nothing(tmp_path: Path) -> None:
    process = start(["true"], cwd=tmp_path, env={}, piped_input=True)
    process.wait(30)
    process.tell("x")
    process.close_input()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [("", ""), ("a\n\n  b  \n\n", "a\n  b"), ("1\n2\n3\n", "2\n3"), ("token=abc", "token=***")],
)
def test_tail(text: str, words: str) -> None:
    assert tail(text, lines=2) == words


class Work:
    """Something that a signal interrupts, and what was done of it."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self.interrupt = interrupt
        self.done: list[str] = []

    def open(self) -> None:
        try:
            self.interrupt()
            self.done.append("all")
        finally:
            self.done.append("cleaned up")

    def behind_a_shield(self) -> None:
        with shielded():
            self.interrupt()
            self.done.append("inside")
        self.done.append("after")


def elsewhere(signum: signal.Signals) -> None:
    """Have a signal arrive at another thread than the main one."""
    thread = threading.Thread(target=signal.raise_signal, args=(signum,))
    thread.start()
    thread.join()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_unwinds_and_the_default_comes_back(signum: signal.Signals, code: int) -> None:
    work = Work(lambda: signal.raise_signal(signum))
    with pytest.raises(TerminationSignal) as caught, unwinding_on_signals():
        work.open()
    assert work.done == ["cleaned up"]
    assert caught.value.code == code
    assert signal.getsignal(signum) is signal.SIG_DFL


def test_nesting_changes_nothing() -> None:
    with unwinding_on_signals():
        outer = signal.getsignal(signal.SIGTERM)
        with unwinding_on_signals():
            assert signal.getsignal(signal.SIGTERM) is outer
        assert signal.getsignal(signal.SIGTERM) is outer


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_what_somebody_set_stays(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGHUP, handler)
    try:
        with unwinding_on_signals():
            assert signal.getsignal(signal.SIGHUP) is handler
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("send", [signal.raise_signal, elsewhere])
def test_a_shield_holds_an_interrupt_off_until_its_end(send: Callable[[signal.Signals], None]) -> None:
    work = Work(lambda: send(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        work.behind_a_shield()
    assert work.done == ["inside"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_shield_inside_of_unwinding() -> None:
    work = Work(lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(TerminationSignal), unwinding_on_signals():
        work.behind_a_shield()
    assert work.done == ["inside"]


def test_an_error_inside_of_a_shield_passes() -> None:
    with pytest.raises(ZeroDivisionError), shielded():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_change_no_handlers() -> None:
    seen = []

    def work() -> None:
        with unwinding_on_signals(), shielded():
            seen.append([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[signal.default_int_handler, signal.SIG_DFL]]
