"""What is printed on a runner, where both streams are read for commands."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from rich.console import Console

from consdb_actions.adapters.runner import Runner, quoted_streams
from consdb_actions.cli import main
from consdb_actions.redaction import UNSEEN


def test_s5_what_is_printed_on_a_runner_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with quoted_streams(on_runner=True):
        sys.stdout.write("::error::one\nmore ##[error]two\n")
        click.echo("  ::add-mask::three", err=True)
        sys.stdout.writelines(["four\n", "::debug::five\n"])
        Console(soft_wrap=True).print("::warning::six")
        Runner(on_runner=True).annotation("notice", "::ours\n##[x]")
    assert (sys.stdout, sys.stderr) == before
    printed = capsys.readouterr()
    assert printed.out == ("> ::error::one\nmore ## [error]two\nfour\n> ::debug::five\n> ::warning::six\n")
    assert printed.err == ">   ::add-mask::three\n::notice::::ours%0A##[x]\n"


@pytest.mark.parametrize("on_runner", [True, False])
def test_s5_words_of_usage_errors_too(
    on_runner: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if on_runner:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["migrations", "generate", "--format", "##[error]forged"]) == 2
    printed = capsys.readouterr().err
    assert ("##[" in printed) is not on_runner


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


HOSTILE = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "\x1b[8m",
    "\x1b[1A\x1b[2K",
    "\x1bc",
    "\x9b2J",
    "\x9d0;x\x9c",
    "\x1bP+q\x1b\\",
    "a\rb",
    "a\x08b",
    "\x07",
    "\x00",
    "\x7f",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\u061c\u200e\u200f",
    "\u2028::error::x",
    "\u0085::error::x",
    "\ufeff",
    "\ud800",
    "\U000e0041",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("on_runner", [True, False])
def test_s5_no_name_acts_on_a_terminal(text: str, on_runner: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "stderr", shown)
    with quoted_streams(on_runner=on_runner):
        sys.stdout.write(text)
        click.secho(f"{text}, red", fg="red", bold=True)
        click.echo(text, err=True)
        sys.stdout.writelines([text])
        Runner(on_runner=on_runner).annotation("error", text, file=text, title=text)
    kept = shown.getvalue().replace("\x1b[31m\x1b[1m", "").replace("\x1b[0m", "")
    assert not UNSEEN.search(kept)
    assert "red" in kept


def test_what_goes_into_a_file_goes_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with quoted_streams(on_runner=False):
        click.echo("\u202e\x1b[2J", color=True)
    assert capsys.readouterr().out == "\u202e\x1b[2J\n"


def run(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "consdb_actions", *args]
    environ = {**os.environ, **options.pop("env", {})}  # type: ignore[dict-item]
    return subprocess.run(command, text=True, check=False, env=environ, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("args", [["--help"], ["migrations", "preview", "FILE", "FILE2"]])
def test_f3_output_that_cannot_be_written_is_exit_3(tmp_path: Path, args: list[str]) -> None:
    for name, column in (("FILE", "a"), ("FILE2", "b")):
        (tmp_path / name).write_text(
            "name: cdb_x\ndescription: X.\nversion: {current: '1.0.0'}\n"
            "tables: [{name: t, '@id': '#t', description: T., columns: "
            f"[{{name: {column}, '@id': '#t.{column}', datatype: int, description: Ä.}}]}}]\n",
            encoding="utf-8",
        )
    with Path("/dev/full").open("w") as full:
        done = run(
            *args, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, env={"PYTHONPATH": str(Path.cwd())}
        )
        assert done.returncode == 3
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        quiet = run(*args, cwd=tmp_path, stdout=full, stderr=full, env={"PYTHONPATH": str(Path.cwd())})
        assert quiet.returncode == 3


def test_f3_a_stream_that_is_not_utf_8_takes_every_text(tmp_path: Path) -> None:
    file = tmp_path / "ä\u202e.yaml"
    environ = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for more in ({}, {"GITHUB_ACTIONS": "true"}):
        args = ["migrations", "preview", f"{file}\n::error::x", str(file)]
        done = run(*args, capture_output=True, env={**environ, **more})
        assert done.returncode == 2
        assert "\\xe4" in done.stderr
        assert more == {} or "\n::error::x" not in done.stderr


def test_f3_closed_streams_change_no_exit_code() -> None:
    command = f"{sys.executable} -m consdb_actions --version >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
