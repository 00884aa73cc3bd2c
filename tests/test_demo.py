"""``nox -s demo``: one run of the example change, and what it shows of the rules."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
CHANGED = ["latiss", "lsstcam", "startrackerwide"]


@dataclass(frozen=True)
class Demo:
    """What a run printed and made."""

    printed: str
    report: dict[str, Any]
    output: Path

    def section(self, name: str) -> dict[str, Any]:
        (found,) = (s for s in self.report["sections"] if s["name"] == name)
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    output = tmp_path_factory.mktemp("demo") / "out"
    done = subprocess.run(
        [sys.executable, "-B", "examples/demo.py", "--output", str(output)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return Demo(done.stdout, report, output)


def test_m1_only_sections_that_change_get_a_revision(demo: Demo) -> None:
    old = {p.name for p in (ROOT / "migrations").glob("alembic/*/versions/*.py")}
    made = {p for p in (demo.output / "consdb").glob("alembic/*/versions/*.py") if p.name not in old}
    assert sorted(p.parent.parent.name for p in made) == CHANGED


def test_m2_view_statements_stand_only_where_a_table_under_a_view_changes(demo: Demo) -> None:
    sources = {name: demo.section(name)["source"] for name in CHANGED}
    assert {name for name, source in sources.items() if "VIEW" in source} == {"lsstcam"}
    upgrade, downgrade = sources["lsstcam"].split("def downgrade()")
    for script in (upgrade, downgrade):
        assert script.index("DROP VIEW") < script.index("column(") < script.index("CREATE VIEW")
        for role in ("oods", "usdf"):
            assert f"GRANT SELECT ON cdb_lsstcam.visit1 TO {role}" in script


def test_m3_a_new_table_can_be_read_by_the_roles_of_consdb(demo: Demo) -> None:
    operations = [op["text"] for op in demo.section("lsstcam")["upgrade"]]
    for role in ("oods", "usdf"):
        assert f"grant SELECT on ccdvisit1_quicklook to {role}" in operations


def test_m4_the_same_id_under_another_name_is_a_rename(demo: Demo) -> None:
    source = demo.section("latiss")["source"]
    assert "RENAME" in source or "new_column_name" in source
    assert "drop_column" not in source.split("def downgrade()")[0]


def test_m10_what_the_downgrade_loses_is_said_by_column(demo: Demo) -> None:
    lost = {(loss["table"], loss["column"]) for loss in demo.section("startrackerwide")["losses"]}
    assert lost == {("exposure", "camera_temperature")}


@pytest.mark.slow
def test_m11_sets_and_hashes_leave_no_trace() -> None:
    """Python orders sets of texts again in each process, unless told how."""
    command = [sys.executable, "-B", "-m", "consdb_actions", "migrations", "generate", "--dry-run"]
    command += ["--consdb", "migrations", "--sdm-schemas", "examples/schemas/after", "--format", "json"]
    command += ["--sdm-schemas-base", "examples/schemas/before", "--message", "m", "--date", "2026-01-01"]
    reports = {
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(reports) == 1


def test_m15_the_proof_holds_in_every_statement(demo: Demo) -> None:
    for name in CHANGED:
        checks = demo.section(name)["checks"]
        assert len(checks) >= 4
        assert all(check["holds"] for check in checks)


def test_m16_the_real_alembic_goes_up_and_down(demo: Demo) -> None:
    ran = re.findall(r"^\$ alembic -n (\w+) (upgrade head|downgrade -1) ", demo.printed, re.MULTILINE)
    assert ran == [(n, how) for n in CHANGED for how in ("upgrade head", "downgrade -1")]


def test_readme_shows_what_the_demo_really_prints(demo: Demo) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("<!-- demo: begin -->")[2].partition("<!-- demo: end -->")[0]
    printed = demo.printed.replace(str(demo.output), "demo-output")

    def lines(text: str) -> list[str]:
        return [
            line.rstrip() for line in text.splitlines() if line.strip() and line[:3] not in {"```", "Pos"}
        ]

    assert sorted(lines(shown)) == sorted(lines(printed)), "run `nox -s docs`"


def test_readme_shows_how_the_report_begins(demo: Demo) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("<!-- report: begin -->\n")[2].partition("<!-- report: end -->")[0]
    report = (demo.output / "report.md").read_text(encoding="utf-8").splitlines()
    quoted = [line.removeprefix(">").removeprefix(" ") for line in shown.splitlines()]
    assert len(quoted) > 5
    assert quoted == report[: len(quoted)], "run `nox -s docs`"


def test_a_folder_that_is_no_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("dear", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-B", "examples/demo.py", "--output", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1
    assert "is not a demo's" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def tour() -> Any:
    """Import the script of the tour, which is not in a package."""
    spec = importlib.util.spec_from_file_location("tour", ROOT / "examples" / "tour.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("steps", [3, 5])
def test_the_tour_is_current(steps: int) -> None:
    page = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    assert page.startswith(tour().render(steps)), "run `nox -s docs`, or `python examples/tour.py`"
    assert len(page) < 20_000
