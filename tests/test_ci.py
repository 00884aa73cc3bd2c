"""The project's own CI: hardened, and with one gate that waits for every job."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yaml"
TEXT = WORKFLOW.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(TEXT)
    return content


def test_the_gate_waits_for_every_other_job(workflow: dict[str, Any]) -> None:
    jobs = workflow["jobs"]
    assert sorted(jobs["gate"]["needs"]) == sorted(set(jobs) - {"gate"})
    # Without always() a failed job would skip the gate, and a skipped check counts as passed.
    assert jobs["gate"]["if"] == "always()"
    assert "if" not in {key for name, job in jobs.items() if name != "gate" for key in job}
    assert "continue-on-error" not in TEXT


@pytest.mark.parametrize("result", ["success", "failure", "cancelled", "skipped"])
def test_the_gate_opens_only_when_all_jobs_passed(workflow: dict[str, Any], result: str) -> None:
    (step,) = workflow["jobs"]["gate"]["steps"]
    results = {"tests": {"result": "success"}, "slow": {"result": result}}
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        env={"PATH": os.environ["PATH"], "RESULTS": json.dumps(results)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode == 0) == (result == "success")


def test_nothing_is_granted_but_what_a_job_asks_for(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"].items()) <= {("contents", "read")}
    grants = re.findall(r"^ +(?:contents|permissions): *(?:read|\{\})(.*)$", TEXT, re.MULTILINE)
    assert len(grants) == len(workflow["jobs"])
    assert all(re.match(r" # \w", reason) for reason in grants), "each grant says why"


def test_actions_are_pinned_to_a_release() -> None:
    uses = re.findall(r"uses: (?!\./)(.*)", TEXT)  # actions of this repository have no version of their own
    assert uses
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses)


def test_the_matrix_holds_the_pythons_of_the_project(workflow: dict[str, Any]) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pythons = re.findall(r"Python :: (3\.\d+)", project)
    assert workflow["jobs"]["tests"]["strategy"]["matrix"]["python"] == pythons
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert f"PYTHONS = {pythons}".replace("'", '"') in noxfile


def test_sessions_that_ci_runs_exist(workflow: dict[str, Any]) -> None:
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = set(re.findall(r"^def (\w+)\(session", noxfile, re.MULTILINE))
    commands = re.findall(
        r"--session \"?([a-z0-9]+)", TEXT + (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    )
    assert commands
    assert {*commands, *workflow["jobs"]["check"]["strategy"]["matrix"]["session"]} <= sessions
