"""``migrations plan``: which sections a change is about, as a matrix for jobs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consdb_actions.cli import main
from consdb_actions.commands.migrations import SectionMatrix
from tests.support.reports import checked
from tests.support.repository import Repository
from tests.support.trees import Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def plan(ground: Ground, *more: str) -> int:
    base = ["--sdm-schemas-base", str(ground.before)]
    return main([*ground.args("plan", *base, *more, section=None)])


def test_the_sections_whose_schema_changes_are_a_matrix(
    ground: Ground,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    output = tmp_path_factory.mktemp("runner") / "output"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    with ground.untouched():
        assert plan(ground, "--format", "json") == 0
    printed = checked(capsys.readouterr().out, SectionMatrix)
    assert printed["changed"] is True
    assert printed["sections"] == ["latiss", "lsstcam", "startrackerwide"]
    assert (printed["base"], printed["base_problem"]) == (str(ground.before), "")
    assert printed["matrix"]["include"][0] == {"section": "latiss", "schema": "cdb_latiss"}
    written = output.read_text()
    assert '["latiss", "lsstcam", "startrackerwide"]' in written
    assert "changed<<" in written


def test_nothing_changes(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--sdm-schemas-base", str(ground.after)]
    assert main(ground.args("plan", *base, section=None)) == 0
    printed = capsys.readouterr()
    assert printed.out == "No schema changes.\n"
    assert str(ground.after) in printed.err


@pytest.fixture
def checkout(ground: Ground) -> Repository:
    """Give a git checkout with the schemas before the change as ``main``; those after are not committed."""
    made = Repository(ground.after.parent / "checkout")
    for folder in (ground.before, ground.after):
        for path in folder.iterdir():
            made.put(f"yml/{path.name}", path.read_text(encoding="utf-8"))
        if folder == ground.before:
            made.commit("before")
    return made


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("base", [None, "main"])
def test_m18_a_checkout_knows_what_was_before(
    ground: Ground,
    checkout: Repository,
    capsys: pytest.CaptureFixture[str],
    base: str | None,
    committed: bool,
) -> None:
    checkout.git("checkout", "-q", "-b", "tickets/DM-1")
    if committed:
        checkout.commit("after")
    args = ["migrations", "plan", "--consdb", str(ground.consdb), "--sdm-schemas", str(checkout.path)]
    args += ["--sdm-schemas-base", base] if base else []
    for form in ("json", "text", "markdown"):
        assert main([*args, "--format", form]) == 0
        printed = capsys.readouterr()
        if form == "json":
            facts = json.loads(printed.out)
            assert facts["sections"] == ["latiss", "lsstcam", "startrackerwide"]
            assert "main" in facts["base"]
        assert "main" in printed.out + printed.err
    assert main([*args, "--sdm-schemas-base", "nope"]) == 2
    assert "neither a directory nor a revision" in capsys.readouterr().err


def test_m18_a_file_before_the_change_that_cannot_be_read_counts_as_changed(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    (ground.before / "cdb_lsstcomcam.yaml").write_text("no: [schema", encoding="utf-8")
    assert plan(ground, "--format", "json") == 0
    assert "lsstcomcam" in json.loads(capsys.readouterr().out)["sections"]


def test_without_a_base_every_section_with_a_file_is_meant(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(ground.args("plan", section="latiss")) == 0
    printed = capsys.readouterr()
    assert printed.out == "latiss  cdb_latiss\n"
    assert "not in a git checkout" in printed.err
    ground.schema("cdb_latiss").unlink()
    assert main(ground.args("plan", section=None)) == 0
    assert "latiss  cdb_latiss" not in capsys.readouterr().out


@pytest.mark.parametrize("more", [["--section", "none"], ["--sdm-schemas", "/nowhere"]])
def test_what_a_user_can_get_wrong(ground: Ground, more: list[str]) -> None:
    assert plan(ground, *more) == 2
