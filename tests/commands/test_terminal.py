"""Rule U3: what people see on a terminal fits it, and can be had shorter, longer and completed."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.cli import cli, main
from consdb_actions.commands.terminal import fold

TREE = Path(__file__).parents[2] / "migrations"


def leaves(
    command: click.Command, name: str = "", parent: click.Context | None = None
) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=parent)
    if not isinstance(command, click.Group):
        yield context
        return
    for below in command.list_commands(context):
        found = command.get_command(context, below)
        assert found is not None
        yield from leaves(found, below, context)


COMMANDS = list(leaves(cli, "consdb-actions"))


@pytest.mark.parametrize("context", COMMANDS, ids=lambda context: context.command_path)
def test_every_help_has_examples_that_the_command_accepts(context: click.Context) -> None:
    command = context.command
    assert command.epilog is not None
    examples = command.epilog.replace(" \\\n     ", "").splitlines()[2:]
    assert examples
    assert all(len(line) + 2 <= 80 for line in command.epilog.splitlines())
    for example in examples:
        words = shlex.split(example)
        path = context.command_path.split()
        assert words[: len(path)] == path
        command.make_context(path[-1], words[len(path) :])


@pytest.mark.parametrize("context", COMMANDS, ids=lambda context: context.command_path)
def test_u3_every_command_can_be_quiet_and_verbose(context: click.Context) -> None:
    flags = {flag for parameter in context.command.params for flag in parameter.opts}
    assert {"-q", "--quiet", "-v", "--verbose"} <= flags


@pytest.mark.parametrize(
    ("words", "begun", "values"),
    [
        (["migrations", "lint", "--consdb", str(TREE), "--section"], "star", {"startrackerwide"}),
        (["process", "runbook", "--consdb", str(TREE), "--section"], "efd_l", {"efd_latiss", "efd_lsstcam"}),
        (["migrations", "apply", "--site"], "", {"bts", "summit", "usdf"}),
        (["deploy", "plan", "--stage"], "", {"test-stands", "summit", "usdf", "prod"}),
        (["deploy", "open", "--env"], "usdf", {"usdfdev", "usdfint", "usdfprod"}),
    ],
)
def test_u3_completion_knows_values(
    words: list[str], begun: str, values: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shell = ShellComplete(cli, {}, "consdb-actions", "_CONSDB_ACTIONS_COMPLETE")
    found = {item.value for item in shell.get_completions(words, begun)}
    assert values <= found
    assert all(item.startswith(begun) for item in found)


def test_u3_completion_is_silent_where_nothing_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shell = ShellComplete(cli, {}, "consdb-actions", "_CONSDB_ACTIONS_COMPLETE")
    assert shell.get_completions(["migrations", "lint", "--section"], "") == []
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github" / "consdb-actions.yaml").write_text("nonsense: [\n")
    assert shell.get_completions(["deploy", "plan", "--stage"], "") == []


@given(st.text(st.sampled_from("ab  \t-é"), max_size=200), st.integers(20, 100))
def test_u3_folding_keeps_every_word_and_the_width(line: str, width: int) -> None:
    painted = click.style(line, fg="red")
    for text in (line, painted):
        folded = fold(text, width)
        assert click.unstyle(folded).split() == line.split()
        for part in click.unstyle(folded).split("\n"):
            assert len(part) <= width or len(part.split()) <= 1


@pytest.mark.parametrize(("flags", "lines"), [((), None), (("-q",), 1)])
def test_u3_quiet_leaves_the_result(
    flags: tuple[str, ...], lines: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    schemas = Path(__file__).parents[2] / "examples" / "schemas"
    args = ["migrations", "preview", str(schemas / "before"), str(schemas / "after"), "--fail-on", "never"]
    assert main([*args, *flags]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == lines if lines else len(out) > 20


def test_u3_a_terminal_of_80_columns() -> None:
    schemas = Path(__file__).parents[2] / "examples" / "schemas"
    args = ["migrations", "preview", str(schemas / "before"), str(schemas / "after"), "--fail-on", "never"]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    command = [sys.executable, "-m", "consdb_actions", *args]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        data = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            data += part
    os.close(ours)
    assert process.returncode == 0
    shown = click.unstyle(data.decode()).splitlines()
    assert len(shown) > 20
    assert max(len(line) for line in shown) <= 80
    assert b"\x1b[" in data, "colours"


def test_help_and_completion_import_neither_felis_nor_a_database_nor_github() -> None:
    """That is what keeps them quick; apply and publish are the exceptions."""
    names = sorted(
        path.stem
        for path in (Path(__file__).parents[2] / "consdb_actions" / "commands").glob("*.py")
        if path.stem not in {"apply", "deployment", "publication", "pull_requests"}
    )
    heavy = ("felis", "astropy", "pydantic", "sqlalchemy", "alembic", "psycopg", "pglast", "github")
    script = (
        f"import sys, importlib\nfor name in {names}:\n"
        "    importlib.import_module('consdb_actions.commands.' + name)\n"
        f"    assert not (found := [m for m in {heavy} if m in sys.modules]), (name, found)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
