"""``migrations plan``: which sections a change is about, as a matrix for jobs."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from consdb_actions import report
from consdb_actions.cli import main
from tests.support.ground import Ground

SCHEMAS = Path(report.__file__).with_name("schemas")


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
    printed = json.loads(capsys.readouterr().out)
    jsonschema.validate(printed, json.loads((SCHEMAS / "migration_plan.schema.json").read_text()))
    assert printed["changed"] is True
    assert printed["sections"] == ["latiss", "lsstcam", "startrackerwide"]
    assert printed["matrix"]["include"][0] == {"section": "latiss", "schema": "cdb_latiss"}
    written = output.read_text()
    assert '["latiss", "lsstcam", "startrackerwide"]' in written
    assert "changed<<" in written


def test_nothing_changes(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--sdm-schemas-base", str(ground.after)]
    assert main(ground.args("plan", *base, section=None)) == 0
    assert capsys.readouterr().out == "No schema changes.\n"


def test_without_a_base_every_section_with_a_file_is_meant(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(ground.args("plan", section="latiss")) == 0
    assert capsys.readouterr().out == "latiss  cdb_latiss\n"
    ground.schema("cdb_latiss").unlink()
    assert main(ground.args("plan", section=None)) == 0
    assert "latiss  cdb_latiss" not in capsys.readouterr().out


@pytest.mark.parametrize("more", [["--section", "none"], ["--sdm-schemas", "/nowhere"]])
def test_what_a_user_can_get_wrong(ground: Ground, more: list[str]) -> None:
    assert plan(ground, *more) == 2
