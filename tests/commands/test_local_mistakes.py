"""Rule F4: what can be checked without network, terminal or database is checked first."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from consdb_actions.adapters.github.client import Budget
from consdb_actions.cli import cli, main

TREE = Path(__file__).parents[2] / "migrations"
DEPLOY = ("deploy", "plan", "--tag", "26.6.2", "--ticket", "DM-1", "--now", "2026-06-10")


@pytest.fixture(autouse=True)
def nothing_to_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take tokens and databases away, and stand in an empty folder."""
    for name in (
        "GITHUB_TOKEN",
        "CONSDB_SOURCE_TOKEN",
        "CONSDB_URL",
        "CONSDB_DATABASE_URL",
        "GITHUB_REPOSITORY",
    ):
        monkeypatch.delenv(name, raising=False)
    # Nobody answers there: a call would be exit 3.
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:1")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((*DEPLOY, "--stage", "sumit"), 'no stage "sumit"'),
        ((*DEPLOY, "--env", "usdfpro"), 'no environment "usdfpro"'),
        ((*DEPLOY, "--env", "base", "--component", "hnfo"), 'no component "hnfo"'),
        ((*DEPLOY, "--env", "base", "--component", "tap-schema"), 'no component "tap-schema"'),
        ((*DEPLOY, "--stage", "summit", "--env", "summit"), "either a stage or environments"),
        (DEPLOY, "either a stage or environments"),
        ((*DEPLOY, "--stage", "summit", "--waive-until", "2026-06-09"), "which is past"),
        ((*DEPLOY, "--stage", "summit", "--waive-until", "2026-07-11"), "more than 30 days away"),
        (("deploy", "plan", "--app", "consdbtap", "--repin", "--stage", "sumit"), 'no stage "sumit"'),
        (("migrations", "apply", "--section", "latiss", "--site", "sumit"), 'no site "sumit"'),
        (("migrations", "apply", "--section", "latis", "--consdb", str(TREE)), "no section 'latis'"),
        (("approvals", "status", "--repo", "a/b", "--pr", "abc"), "not a valid number of a pull request"),
        (("process", "status", "--repo", "a/b", "--pr", "12x"), "not a valid number of a pull request"),
        (("process", "sync", "--repo", "a/b", "--pr", "-1"), "'--pr'"),
        (
            ("process", "efd-sync", "--repo", "a/b", "--consdb-pr", "x"),
            "not a valid number of a pull request",
        ),
        (("doctor", "--migrations-app", "../x"), "not a name on GitHub"),
        (("doctor", "--releases-app", "a?b"), "not a name on GitHub"),
        (("init", "consdb", "--pin", "a" * 40, "--organization", "a/b?x=y"), "not a name on GitHub"),
        (("migrations", "source", "--pr", "abc"), "is not a number of a pull request"),
        (("process", "board", "--repo", "a/b", "--phalanx", "/nope", "--output", "out"), "no such directory"),
        (("release", "next", "--git", "/nope"), "does not exist"),
        (("deploy", "drift", "--phalanx", "/nope"), "no such directory"),
        (("migrations", "preview", "--git", "/nope"), "no such directory"),
        (("migrations", "preview", "/nope/dir"), "no such file or folder"),
        (("migrations", "preview", "./nope"), "no such file or folder"),
        (("process", "runbook", "--consdb", str(TREE), "--ticket", "XX-1"), "DM-123 or OSW-123"),
    ],
)
def test_f4_a_local_mistake_is_reported_before_a_missing_token_terminal_or_database(
    args: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(args)) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert words in err
    for other in ("no token", "no terminal", "no database", "not a git repository", "\\d", "[a-z]"):
        assert other not in err


@pytest.mark.parametrize(
    "args",
    [
        ("deploy", "plan", "--tag", "26.6.2", "--ticket", "DM-1", "--stage", "summit"),
        ("deploy", "drift", "--repo", "a/b"),
        ("approvals", "status", "--repo", "a/b", "--pr", "1"),
        ("approvals", "sync", "--repo", "a/b"),
        ("process", "status", "--repo", "a/b", "--pr", "1"),
        ("process", "sync", "--repo", "a/b", "--pr", "1"),
        ("process", "sync", "--repo", "a/b"),
        ("process", "efd-sync", "--repo", "a/b", "--ticket", "DM-1"),
        ("process", "board", "--repo", "a/b", "--output", "out"),
        ("release", "next", "--repo", "a/b"),
        ("release", "tag", "--repo", "a/b"),
        ("migrations", "apply", "--section", "latiss", "--site", "summit"),
    ],
    ids=" ".join,
)
def test_f4_a_mistake_in_the_configuration_is_reported_first(
    args: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("deploy: {stagess: []}\n")
    assert main([*args, "--config", "config.yaml"]) == 2
    err = capsys.readouterr().err
    assert 'Did you mean "stages"?' in err
    if args[:2] != ("migrations", "apply"):
        assert main(list(args)) == 2
        err = capsys.readouterr().err
        assert "there is no token for GitHub" in err
        assert "calls to GitHub" not in err


@pytest.mark.parametrize(
    "args",
    [
        (
            "migrations",
            "generate",
            "--consdb",
            str(TREE),
            "--message",
            "DM-1: x",
            "--sdm-schemas",
            ".",
            "--report",
        ),
        ("migrations", "apply", "--section", "latiss", "--consdb", str(TREE), "--evidence"),
        ("process", "rehearse", "--consdb", str(TREE), "--report"),
        ("process", "runbook", "--consdb", str(TREE), "--ticket", "DM-1", "--output"),
        ("process", "status", "--repo", "a/b", "--pr", "1", "--dump-facts"),
        ("process", "sync", "--repo", "a/b", "--pr", "1", "--dump-facts"),
        ("approvals", "status", "--repo", "a/b", "--pr", "1", "--dump-facts"),
        ("process", "board", "--repo", "a/b", "--output"),
    ],
    ids=lambda args: f"{args[0]} {args[1]}",
)
def test_f4_no_folder_is_made_for_a_mistyped_path(
    args: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*args, str(tmp_path / "nope" / "dir" / "x.json")]) == 2
    assert "there is no such directory" in capsys.readouterr().err
    assert not (tmp_path / "nope").exists()


def commands(command: click.Command) -> Iterator[click.Command]:
    if not isinstance(command, click.Group):
        yield command
        return
    for name in command.list_commands(click.Context(command)):
        found = command.get_command(click.Context(command), name)
        assert found is not None
        yield from commands(found)


def test_u5_consdb_repo_is_a_repository_on_github_everywhere() -> None:
    forms = defaultdict(set)
    for command in commands(cli):
        for parameter in command.params:
            forms[str(parameter.envvar)].add(parameter.make_metavar(click.Context(command)))
    assert forms["CONSDB_REPO"] == {"OWNER/NAME"}
    assert forms["CONSDB_GIT"] == {"DIRECTORY"}


@pytest.mark.parametrize(("calls", "words"), [(0, "0 calls to"), (1, "1 call to"), (2, "2 calls to")])
def test_counts_agree_with_their_nouns(calls: int, words: str) -> None:
    assert str(Budget(calls=calls)).startswith(words)


EVENT = ("--repo", "a/b", "--event-name", "pull_request", "--event")
SCHEMAS = TREE.parent / "examples" / "schemas"
GENERATE = (
    *("migrations", "generate", "--consdb", str(TREE), "--message", "DM-1", "--dry-run"),
    *("--sdm-schemas", str(SCHEMAS / "after"), "--sdm-schemas-base", str(SCHEMAS / "before")),
)


@pytest.mark.parametrize("file", ["pipe", "/dev/zero", "latin.txt"])
@pytest.mark.parametrize(
    "args",
    [
        ("migrations", "source", *EVENT),
        ("approvals", "sync", *EVENT),
        ("process", "sync", *EVENT),
        ("approvals", "status", "--facts"),
        ("process", "status", "--facts"),
        (*GENERATE, "--renames-file"),
        (*GENERATE, "--pull-request-body"),
        (*GENERATE, "--config"),
        ("process", "rehearse", "--consdb", str(TREE), "--runbook"),
    ],
)
def test_s2_what_is_no_text_file_is_neither_waited_for_nor_read_without_end(
    args: tuple[str, ...], file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin.txt").write_bytes(b"\xe4")
    assert main([*args, file]) == 2
    assert file in capsys.readouterr().err
