"""Whole runs of ``migrations generate``: all or nothing, the same bytes, its outputs, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.forms import json_schema
from consdb_actions.migration.outcome import RunOutcome
from tests.support.trees import SECTION, Ground, share_postgres
from tests.support.waiting import PATIENCE

DATE = ("--date", "2026-05-14T16:00:00Z")
AS_BASE = "--sdm-schemas-base"


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Give a fresh copy of the tree and the schemas."""
    return Ground(tmp_path / "ground")


@pytest.fixture(autouse=True)
def shared(monkeypatch: pytest.MonkeyPatch, server: ScratchServer) -> None:
    """Start no server for each run."""
    share_postgres(monkeypatch, server)


def checked(text: str) -> dict[str, Any]:
    """Read a report, and hold it against its JSON Schema."""
    schema = json_schema(RunOutcome)
    Draft202012Validator.check_schema(schema)
    report: dict[str, Any] = json.loads(text)
    Draft202012Validator(schema).validate(report)
    return report


def test_m11_a_question_in_one_section_keeps_all_from_being_written(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    ground.edit("azimuth", "pointing_az")
    ground.edit(
        "  - name: azimuth\n",
        "  - {name: gain, '@id': '#exposure.gain', datatype: double, description: The gain.}\n"
        "  - name: azimuth\n",
        "cdb_startrackernarrow",
    )
    with ground.untouched():
        args = ("--section", SECTION, "--format", "json")
        assert ground.run("generate", *args, section="startrackernarrow") == 1
    report = checked(capsys.readouterr().out)
    assert (report["verdict"], report["written"]) == ("question", False)
    assert {s["name"]: s["status"] for s in report["sections"]} == {
        SECTION: "question",
        "startrackernarrow": "changed",
    }


def test_m11_the_same_bytes_twice_and_then_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grounds = [Ground(tmp_path / name) for name in ("one", "two")]
    before = grounds[0].contents()
    with grounds[0].untouched():
        assert grounds[0].run("generate", *DATE, "--dry-run", "--format", "json") == 0
    planned = checked(capsys.readouterr().out)
    assert (planned["verdict"], planned["written"]) == ("changed", False)

    message = ("--message", 'It\'s """quoted"""\nand ${x} %s :y \\ "')
    made = []
    for ground in grounds:
        outside = ground.root.parent / f"{ground.root.name}-out"
        outside.mkdir()
        files = ("--report", str(outside / "r.json"), "--summary", str(outside / "s.md"))
        assert ground.run("generate", *DATE, *message, *files, "--format", "json") == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert (outside / "r.json").read_text(encoding="utf-8") == out
        assert (outside / "s.md").read_text(encoding="utf-8").startswith("### 1 verified revision")
        made.append(checked(out))
    assert made[0] == made[1]
    (section,) = made[0]["sections"]
    assert made[0]["written"]
    assert all(check["holds"] for check in section["checks"])

    after = grounds[0].contents()
    assert after == grounds[1].contents()
    assert set(after) - set(before) == {f"consdb/{section['path']}"}
    assert after[f"consdb/{section['path']}"] == section["source"].encode()
    assert b"2026-05-14 16:00:00" in section["source"].encode()

    with grounds[0].untouched():
        assert grounds[0].run("generate", "--format", "json") == 0
    again = checked(capsys.readouterr().out)
    assert (again["verdict"], again["written"]) == ("unchanged", False)


def test_m1_without_a_change_nothing_is_made(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    with ground.untouched():
        options = (AS_BASE, str(ground.after), "--format", "json")
        assert ground.run("generate", *options, section=None) == 0
    report = checked(capsys.readouterr().out)
    assert report["verdict"] == "unchanged"
    assert not any(s["path"] or s["upgrade"] for s in report["sections"])


def test_m12_two_heads_of_a_section_that_does_not_change_stop_nothing(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ground.section("startrackernarrow")
    head = other.head()
    for name in ("0000deadbeef", "0001deadbeef"):
        other.add("def upgrade() -> None: pass", down=head, name=name)
    for path in ground.after.glob("*.yaml"):
        shutil.copy(ground.before / path.name, path)
    ground.edit("description: ", "description: New. ")
    options = (AS_BASE, str(ground.before), "--format", "json")
    assert ground.run("generate", *options, section=None) == 0
    report = checked(capsys.readouterr().out)
    status = {s["name"]: s["status"] for s in report["sections"]}
    assert (status[SECTION], status["startrackernarrow"]) == ("changed", "skipped")
    assert ground.run("generate", *options, section="startrackernarrow") == 2


def test_m11_a_report_that_cannot_be_written_takes_the_revisions_back(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from consdb_actions.adapters import files

    stage = files._stage

    def full(path: Path, *rest: Any) -> Path:
        if path.name == "report.json":
            raise OSError(28, "No space left on device")
        return stage(path, *rest)

    monkeypatch.setattr(files, "_stage", full)
    with ground.untouched():
        assert ground.run("generate", "--report", str(ground.root / "report.json")) == 3
    err = capsys.readouterr().err
    assert "No space left" in err
    assert "nothing was changed" in err


def test_f3_a_runner_gets_outputs_a_summary_and_annotations(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")}
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    for name, path in places.items():
        path.touch()
        monkeypatch.setenv(name, str(path))
    unchanged = [AS_BASE, str(ground.after), "--format", "json"]
    assert ground.run("generate", *unchanged, section=None) == 0
    assert checked(capsys.readouterr().out)["verdict"] == "unchanged"
    output = places["GITHUB_OUTPUT"].read_text()
    assert "changed" in output
    assert "false" in output
    assert "unchanged" in output
    assert "Nothing was written" in places["GITHUB_STEP_SUMMARY"].read_text()

    assert ground.run("generate", section="nosuch") == 2
    assert "::error " in capsys.readouterr().err
    assert "no section 'nosuch'" in places["GITHUB_STEP_SUMMARY"].read_text()


STOPPING = """
import sys, time
from pathlib import Path
from consdb_actions.adapters import postgres_server
from consdb_actions.adapters.autogenerate.engine import Engine
from consdb_actions.cli import main

postgres_server._MEMORY = Path("/nonexistent")  # so that all that is left is below TMPDIR


def wait(*_args, **_options):
    print("verifying", flush=True)
    time.sleep(600)


Engine.verify = wait
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a directory with a path short enough for a socket, open to the user who runs the server."""
    directory = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_f2_a_signal_in_the_middle_leaves_nothing(
    ground: Ground, base: Path, number: signal.Signals, code: int
) -> None:
    with ground.untouched():
        run = subprocess.Popen(
            [sys.executable, "-c", STOPPING, *ground.args("generate")],
            env={**os.environ, "TMPDIR": str(base)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert run.stdout is not None
        assert run.stdout.readline() == "verifying\n"
        assert list(base.iterdir()), "the server's files are elsewhere"
        run.send_signal(number)
        _, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == code
    assert "Traceback" not in err
    assert list(base.iterdir()) == []
    listing = subprocess.run(["ps", "-ww", "-eo", "args="], capture_output=True, text=True, check=True)
    assert f"{base}/" not in listing.stdout
