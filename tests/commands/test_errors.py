"""Rule F3: an error names its cause, its place and the remedy, on the terminal and on a runner."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from consdb_actions.adapters.runner import Runner
from consdb_actions.cli import cli, main
from consdb_actions.commands.terminal import show_bug, show_error
from consdb_actions.errors import CheckFailed, ConsdbActionsError, ExternalError, InputError
from consdb_actions.redaction import UNSEEN

ERROR = InputError(
    "there are two heads:\nabc\ndef",
    place="alembic/latiss/versions/abc.py:12",
    remedy="Merge them with `alembic merge`.",
)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner.from_environ({"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")})


def summary(runner: Runner) -> str:
    assert runner.summary_file is not None
    return runner.summary_file.read_text("utf-8")


def test_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(ERROR)
    assert capsys.readouterr() == (
        "",
        "Bad input: there are two heads:\n"
        "  abc\n"
        "  def\n"
        "  where:      alembic/latiss/versions/abc.py:12\n"
        "  what to do: Merge them with `alembic merge`.\n",
    )


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (CheckFailed("one question is open"), "Check failed: one question is open\n"),
        (ExternalError("no answer", place="url"), "External failure: no answer\n  where:      url\n"),
        (
            InputError("bad", remedy="do this\nand that"),
            "Bad input: bad\n  what to do: do this\n              and that\n",
        ),
    ],
)
def test_only_what_is_known_is_shown(
    error: ConsdbActionsError, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_error(error)
    assert capsys.readouterr().err == shown


def test_on_a_runner(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    show_error(ERROR, runner)
    err = capsys.readouterr().err
    assert err.startswith("Bad input: there are two heads:\n  abc\n")
    assert err.splitlines()[-1] == (
        "::error file=alembic/latiss/versions/abc.py,line=12,title=Bad input::"
        "there are two heads:%0Aabc%0Adef%0AMerge them with `alembic merge`."
    )
    assert summary(runner) == (
        "### Bad input\n\n```text\nthere are two heads:\n  abc\n  def\n"
        "  where:      alembic/latiss/versions/abc.py:12\n"
        "  what to do: Merge them with `alembic merge`.\n```\n"
    )


@pytest.mark.parametrize(
    ("place", "properties"),
    [
        ("a/b.yaml", "file=a/b.yaml,"),
        ("a/b.yaml:7", "file=a/b.yaml,line=7,"),
        ("a/b.yaml:7:3", "file=a/b.yaml,line=7,"),
        ("section latiss", ""),
        ("--database-url", ""),
        ("https://api.github.com/repos", ""),
        ("", ""),
    ],
)
def test_a_place_that_is_a_file_leads_there(
    runner: Runner, capsys: pytest.CaptureFixture[str], place: str, properties: str
) -> None:
    show_error(InputError("bad", place=place), runner)
    command = capsys.readouterr().err.splitlines()[-1]
    assert command.startswith(f"::error {properties}title=Bad input::bad")
    assert command.endswith("::bad" if properties or not place else f"%0A{place}")


def test_the_words_of_others_are_harmless_on_a_runner(
    runner: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "column\n::add-mask::a\n````\n</details> @everyone <!-- marker -->"
    show_error(ExternalError(words, place="::stop-commands::x"), runner)
    err = capsys.readouterr().err
    assert [line for line in err.splitlines() if line.strip().startswith("::")] == [err.splitlines()[-1]]
    assert summary(runner).startswith("### External failure\n\n`````text\n")
    assert summary(runner).endswith("\n`````\n")


def test_credentials_are_hidden(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://x:ghp_0123456789abcdefghij@github.com/a"
    show_error(ExternalError(f"cannot reach {url}", place=url, remedy=f"Try {url}."), runner)
    show_bug(ValueError(url), "https://example.org/issues", runner)
    assert "ghp_" not in capsys.readouterr().err + summary(runner)


def fail(depth: int = 12) -> None:
    if depth == 0:
        raise KeyError("exposure\n::error::x")
    fail(depth - 1)


def test_a_bug_shows_what_a_report_needs(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError) as caught:
        fail()
    show_bug(caught.value, "https://example.org/issues", runner)
    err = capsys.readouterr().err
    lines = err.splitlines()
    assert lines[0] == "Unexpected error: KeyError"
    assert "https://example.org/issues" in lines
    assert any(line.startswith("  consdb-actions ") and "Python 3." in line for line in lines)
    assert sum("test_errors.py:" in line and line.endswith(" in fail") for line in lines) == 6
    assert str(Path(__file__).parent) not in err
    assert "CONSDB_DEBUG=1" in err
    assert [line[:20] for line in lines if line.strip().startswith("::")] == ["::error title=Unexpe"]
    assert "KeyError" in summary(runner)


@pytest.mark.parametrize(
    ("error", "code"),
    [(CheckFailed("c"), 1), (InputError("c"), 2), (ExternalError("c"), 3), (ZeroDivisionError("c"), 4)],
)
def test_the_command_line_turns_errors_into_exit_codes_and_summaries(
    error: Exception,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "main", fail)
    assert main([]) == code
    assert "::error" not in capsys.readouterr().err
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    assert main([]) == code
    assert "::error" in capsys.readouterr().err
    assert (tmp_path / "summary").read_text().startswith("### ")


def test_showing_an_error_imports_little() -> None:
    script = (
        "import sys; import consdb_actions.commands.terminal, consdb_actions.adapters.runner;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "alembic", "felis", "psycopg", "rich", "github"} & set(done.stdout.split())


def test_s5_a_summary_holds_nothing_that_cannot_be_seen(runner: Runner) -> None:
    show_error(InputError("\u202ea\x1b[2J```", place="\u2066x", remedy="\x9b"), runner)
    runner.summary("\u202e \U000e0041 \x1b]0;x\x07 \u2028\r\n")
    assert not UNSEEN.search(summary(runner))
