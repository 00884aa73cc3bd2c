"""Permissions that calls need, in docs/permissions.md, and those that workflows request (rule G1)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.budget.flows import AGAIN, FAMILIES, Ground
from tests.support.approvals import REPOSITORY as SCHEMAS
from tests.support.budget_scene import Town
from tests.support.github.permissions import Need
from tests.support.github.plugin import Double
from tests.support.goldens import Golden
from tests.support.phalanx import PHALANX
from tests.support.registry import RegistryDouble
from tests.support.releases import REPOSITORY as CONSDB

ROOT = Path(__file__).parents[2]
Calls = dict[str, dict[str, set[tuple[str, Need]]]]
"""By flow and repository: method and path of a call, with what it needs."""

TOKENS = {
    ("approvals", "approvals", "token"): (SCHEMAS, "approvals sync"),
    ("process", "process", "token"): (SCHEMAS, "process sync"),
    ("migrate", "publish", "schemas"): (SCHEMAS, "migrations publish"),
    ("migrate", "publish", "target"): (CONSDB, "migrations publish"),
    ("efd-sync", "sync", "token"): (SCHEMAS, "process efd-sync"),
    ("release", "tag", "token"): (CONSDB, "release tag"),
    ("release", "deploy", "token"): (PHALANX, "deploy open"),
    ("deploy", "open", "token"): (PHALANX, "deploy open"),
}
"""The steps that ask for a token of an app, with what is done with it."""

OWN = {
    ("approvals", "approvals"): (SCHEMAS, "approvals sync"),
    ("process", "process"): (SCHEMAS, "process sync"),
    ("migrate", "source"): (SCHEMAS, "migrations source"),
    ("migrate", "publish"): (SCHEMAS, "migrations publish"),
    ("regenerate", "find"): (CONSDB, "migrations outdated"),
    ("release", "plan"): (CONSDB, "release tag, dry run"),
    ("deploy", "plan"): (CONSDB, "deploy plan"),
    ("board", "board"): (CONSDB, "process board"),
}
"""The jobs that use the workflow's own token, which is good for the repository where they run."""

INTRO = """\
# Permissions

Every call to GitHub of every flow, with the permission that it needs of the repository. This page is
written by `pytest tests/budget/test_permissions.py --update-goldens` from what the flows do. The same
test compares it with what the workflows request, and the double of GitHub refuses what a token was not
given.

In a public repository, most reads need no permission. A token requests all the same what it uses: then it
works in a private one, too. Permission for issues is never needed: what issues and pull requests share
comes with that for pull requests.

## What the workflows request

| workflow, job | whose token | repository | permissions |
| --- | --- | --- | --- |
"""


@pytest.fixture
def calls(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    connected: Double,
    registry_double: RegistryDouble,
    town: Town,
) -> Calls:
    """Run every flow, and give the calls that it made."""
    found: Calls = defaultdict(lambda: defaultdict(set))
    for number, family in enumerate(FAMILIES):
        folder = tmp_path / str(number)
        folder.mkdir()
        ground = Ground(folder, monkeypatch, connected, registry_double, town)
        for name, measured in family.run(ground):
            flow = name.removesuffix(AGAIN).removesuffix(", after a push")
            for call in measured.served:
                for where, need in call.needs:
                    repository = SCHEMAS if where == SCHEMAS.partition("/")[0] else where
                    if need.name:
                        found[flow][repository].add((f"{call.method} {call.template}", need))
    for repository, made in found["release tag"].items():
        reads = {item for item in made if item[1].level == "read"}
        found["release tag, dry run"][repository] = reads
    return found


def total(calls: set[tuple[str, Need]]) -> dict[str, str]:
    """Return the level of each permission that some calls need together."""
    needed: dict[str, str] = {}
    for _, need in calls:
        if need.name != "metadata" and needed.get(need.name) != "write":
            needed[need.name] = need.level
    return needed


def load(workflow: str) -> Any:
    text = (ROOT / ".github" / "workflows" / f"{workflow}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["jobs"]


def requested(workflow: str, job: str, step: str) -> dict[str, str]:
    """Return the permissions that a step asks for; those on demand count."""
    (found,) = [item for item in load(workflow)[job]["steps"] if item.get("id") == step]
    given = {
        name.removeprefix("permission-").replace("-", "_"): value
        for name, value in found["with"].items()
        if name.startswith("permission-")
    }
    return {name: re.sub(r".*'(read|write)'.*", r"\1", value) for name, value in given.items()}


def shown(permissions: Mapping[str, str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {level}" for name, level in sorted(permissions.items()))


def test_g1_every_call_and_what_the_workflows_request(calls: Calls, golden: Golden) -> None:
    for (workflow, job, step), (repository, flow) in TOKENS.items():
        assert requested(workflow, job, step) == total(calls[flow][repository]), (workflow, job, step)
    for (workflow, job), (repository, flow) in OWN.items():
        given = {name.replace("-", "_"): level for name, level in load(workflow)[job]["permissions"].items()}
        needed = total(calls[flow][repository])
        needed.pop("members", None)  # the workflow's own token cannot have it
        assert given == {"contents": "read", **needed}, (workflow, job)
    golden("../../docs/permissions.md", document(calls))


def test_g1_every_step_and_job_with_a_token_is_known() -> None:
    found = {
        (path.stem, name, step["id"])
        for path in (ROOT / ".github" / "workflows").glob("*.yaml")
        for name, job in load(path.stem).items()
        for step in job.get("steps", [])
        if "create-github-app-token" in step.get("uses", "")
    }
    assert found == set(TOKENS)
    calling = {
        (path.stem, name)
        for path in (ROOT / ".github" / "workflows").glob("*.yaml")
        if "workflow_call" in path.read_text(encoding="utf-8")
        for name, job in load(path.stem).items()
        if "github.token" in str(job)
    }
    assert calling == set(OWN), "jobs that call GitHub with the workflow's own token"


def document(calls: Calls) -> str:
    """Write docs/permissions.md."""
    lines = [INTRO.rstrip("\n")]
    for (workflow, job, step), (repository, _) in TOKENS.items():
        whose = "releases app" if workflow in ("release", "deploy") else "migrations app"
        asked = requested(workflow, job, step)
        text = shown(asked).replace("members: read", "members: read (with `teams: true`)")
        lines.append(f"| {workflow}, {job} | {whose} | `{repository}` | {text} |")
    for (workflow, job), (repository, _) in OWN.items():
        own = {name.replace("-", "_"): level for name, level in load(workflow)[job]["permissions"].items()}
        lines.append(f"| {workflow}, {job} | the workflow's own | `{repository}` | {shown(own)} |")
    lines += ["", "## Every call", "", "Of other repositories only what is public is read."]
    for flow in sorted(name for name in calls if "," not in name):
        lines += ["", f"### {flow}", "", "| repository | call | permission |", "| --- | --- | --- |"]
        for repository, made in sorted(calls[flow].items()):
            lines += [f"| `{repository}` | `{call}` | {need} |" for call, need in sorted(made, key=str)]
    return "\n".join(lines)
