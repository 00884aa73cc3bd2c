"""The protocol between a step and the runner, read as the runner reads it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consdb_actions.adapters.files import temporary_directory
from consdb_actions.adapters.runner import SUMMARY_LIMIT, Level, Runner, inert, seen


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return runner_in(tmp_path)


def runner_in(directory: Path) -> Runner:
    return Runner.from_environ(
        {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(directory / "output"),
            "GITHUB_STEP_SUMMARY": str(directory / "summary"),
            "GITHUB_WORKSPACE": "/home/runner/work/repo",
        }
    )


def read_outputs(file: Path) -> dict[str, str]:
    """Read outputs as GitHub documents the format: ``name=value``, or ``name<<END``, the value, ``END``."""
    outputs = {}
    lines = iter(file.read_bytes().decode().split("\n"))
    for line in lines:
        if heredoc := re.fullmatch(r"([^=]+?)<<(.+)", line):
            value = []
            while (part := next(lines)) != heredoc[2]:
                value.append(part)
            outputs[heredoc[1]] = "\n".join(value)
        elif line:
            name, _, text = line.partition("=")
            outputs[name] = text
    return outputs


def read_command(line: str) -> tuple[str, dict[str, str], str]:
    """Read a workflow command as the runner does."""
    found = re.fullmatch(r"::([\w-]+)(?: ([^:]*))?::(.*)", line)
    assert found, line
    pairs = (pair.split("=", 1) for pair in (found[2] or "").split(",") if pair)
    return found[1], {name: unescape(value) for name, value in pairs}, unescape(found[3])


def unescape(text: str) -> str:
    for code, char in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, char)
    return text


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "false", "GITHUB_OUTPUT": "/nonexistent/x"}])
def test_off_a_runner_nothing_happens(environ: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    runner = Runner.from_environ(environ)
    assert not runner.on_runner
    runner.output("name", "value")
    runner.summary("text")
    runner.annotation("error", "message")
    assert runner.inert("::error::x") == "::error::x"
    assert capfd.readouterr() == ("", "")


def test_a_runner_without_files_takes_commands_only(capfd: pytest.CaptureFixture[str]) -> None:
    runner = Runner.from_environ({"GITHUB_ACTIONS": "true"})
    runner.output("name", "value")
    runner.summary("text")
    runner.annotation("notice", "message")
    assert capfd.readouterr() == ("", "::notice::message\n")


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]*", fullmatch=True), st.text()))
@example({"a": "x\nb=injected\nb<<EOF\ninjected\nEOF"})
@example({"a": "", "b": "\n", "c": "=", "d": "<<"})
def test_outputs_arrive_as_they_are(outputs: dict[str, str]) -> None:
    with temporary_directory() as directory:
        runner = runner_in(directory)
        (directory / "output").touch()
        for name, value in outputs.items():
            runner.output(name, value)
        assert read_outputs(directory / "output") == outputs


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a<<EOF", "a\nb", "1a", "ä"])
def test_what_is_no_name_of_an_output(runner: Runner, name: str) -> None:
    with pytest.raises(ValueError, match="not a name of an output"):
        runner.output(name, "x")


@given(
    st.sampled_from(["notice", "warning", "error"]),
    st.text(st.characters(codec="utf-8")),
    st.none() | st.text(st.characters(codec="utf-8"), min_size=1),
)
@example("error", "100%25\r\n::set-env name=a::b", "a, b: c%2C")
def test_annotations_arrive_as_they_are(level: Level, message: str, title: str | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr("sys.stderr.write", written.append)
        Runner(on_runner=True).annotation(level, message, title=title)
    (line,) = written
    assert line.count("\n") == 1
    assert "\r" not in line
    expected = {} if title is None else {"title": seen(title)}
    assert read_command(line.removesuffix("\n")) == (level, expected, seen(message))


@pytest.mark.parametrize(
    ("file", "line", "shown"),
    [
        ("a/b.yaml", 3, {"file": "a/b.yaml", "line": "3"}),
        (Path("/home/runner/work/repo/a/b.yaml"), None, {"file": "a/b.yaml"}),
        ("/elsewhere/b.yaml", 3, {"file": "/elsewhere/b.yaml", "line": "3"}),
        ("a,b:c.yaml", 1, {"file": "a,b:c.yaml", "line": "1"}),
        (None, 3, {}),
    ],
)
def test_the_place_of_an_annotation(
    runner: Runner,
    capfd: pytest.CaptureFixture[str],
    file: str | Path | None,
    line: int | None,
    shown: dict[str, str],
) -> None:
    runner.annotation("warning", "m", file=file, line=line)
    assert read_command(capfd.readouterr().err.strip()) == ("warning", shown, "m")


def test_standard_output_stays_free(runner: Runner, capfd: pytest.CaptureFixture[str]) -> None:
    runner.annotation("notice", "m")
    assert capfd.readouterr() == ("", "::notice::m\n")


def test_summaries_add_up(runner: Runner, tmp_path: Path) -> None:
    runner.summary("# One")
    runner.summary("two é\n")
    assert (tmp_path / "summary").read_text("utf-8") == "# One\ntwo é\n"


@pytest.mark.parametrize("line", ["x" * 79 + "\n", "é" * 30 + "\n", "€" * 1000 + "\n"])
def test_a_summary_that_is_too_long_is_cut_at_a_line(runner: Runner, tmp_path: Path, line: str) -> None:
    runner.summary("# Before\n")
    runner.summary(line * (2 * SUMMARY_LIMIT // len(line.encode())))
    data = (tmp_path / "summary").read_bytes()
    assert SUMMARY_LIMIT - len(line.encode()) - 1000 < len(data) <= SUMMARY_LIMIT
    text = data.decode()
    assert text.endswith("\n\n_The rest was cut off: GitHub shows at most 1 MiB for each step._\n")
    assert set(text.splitlines(keepends=True)[1:-2]) == {line}
    runner.summary("no room for this\n" * 100)
    runner.summary("x")
    assert len((tmp_path / "summary").read_bytes()) <= SUMMARY_LIMIT


def test_what_is_open_at_the_cut_is_closed(runner: Runner, tmp_path: Path) -> None:
    runner.summary("<details>\n\n````sql\n```\n" + "SELECT 1;\n" * SUMMARY_LIMIT + "````\n</details>\n")
    assert "SELECT 1;\n````\n\n</details>\n\n_The rest" in (tmp_path / "summary").read_text()


def test_what_is_closed_at_the_cut_is_not_closed_again(runner: Runner, tmp_path: Path) -> None:
    runner.summary("<details>\n```\nx\n```\n</details>\n" + "word\n" * SUMMARY_LIMIT)
    assert "word\n\n_The rest" in (tmp_path / "summary").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain :: text\nC++::x", "plain :: text\nC++::x"),
        ("::error::x", "> ::error::x"),
        ("a\n  \t::add-mask::a\r::stop-commands::x", "a\n>   \t::add-mask::a\r> ::stop-commands::x"),
        ("\ufeff::error::x", "> \ufeff::error::x"),
        ("text ##[error]x", "text ## [error]x"),
    ],
)
def test_inert_text(text: str, shown: str) -> None:
    assert inert(text) == shown
    assert Runner(on_runner=True).inert(text) == shown


@given(st.text(st.sampled_from(":# [\n\r\t\u2028\x0b\xa0ae>")))
def test_no_line_of_inert_text_is_a_command(text: str) -> None:
    for line in re.split(r"[\r\n]", inert(text)):
        assert not line.strip().startswith("::")
        assert "##[" not in line
