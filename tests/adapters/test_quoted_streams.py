"""What is printed on a runner, where both streams are read for commands."""

from __future__ import annotations

import sys

import click
import pytest
from rich.console import Console

from consdb_actions.adapters.runner import Runner, quoted_streams
from consdb_actions.cli import main


def test_s5_what_is_printed_on_a_runner_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with quoted_streams():
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
