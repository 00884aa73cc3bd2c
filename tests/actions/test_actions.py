"""Actions, workflows and callers: what they promise is what the command line takes and gives."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from consdb_actions import commands
from consdb_actions.cli import cli

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = {path.parent.name: path for path in ROOT.glob("actions/*/action.yml")}
EVERY_ACTION = [ROOT / "action.yml", *ACTIONS.values()]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yaml"))
CALLERS = [p for p in sorted(ROOT.glob("examples/*/*.yaml")) if p.parent.name in ("consdb", "sdm_schemas")]
REUSABLE = {
    "approvals",
    "board",
    "deploy",
    "efd-sync",
    "migrate",
    "process",
    "regenerate",
    "release",
    "revisions",
}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@dataclass(frozen=True)
class Step:
    """A step of an action that runs a command, and the module that sets its outputs."""

    command: tuple[str, str]


STEPS = {
    ("generate", "generate"): Step(("migrations", "generate")),
    ("approvals", "sync"): Step(("approvals", "sync")),
    ("process", "sync"): Step(("process", "sync")),
    ("release", "tag"): Step(("release", "tag")),
    ("deploy", "deploy"): Step(("deploy", "open")),
}

NOT_OFFERED = {
    "migrations generate": {
        # Files for a person at a terminal; an action has its summary and its result.
        *("report", "summary", "format"),
        # Answers for a person at a terminal; in a pull request they are said in its text.
        *("fill", "no-fill", "rev-id-from", "take"),
    },
    "approvals sync": {"format", "dump-facts"},
    "process sync": {"format", "dump-facts"},
    "release tag": {"format"},
    "deploy open": {"format"},
}
"""Options that an action does not offer."""


def options_of(group: str, name: str) -> dict[str, click.Option]:
    """Return the options of a command by their variable."""
    found = cli.get_command(click.Context(cli), group)
    assert isinstance(found, click.Group)
    command = found.get_command(click.Context(found), name)
    assert command is not None
    return {str(p.envvar): p for p in command.params if isinstance(p, click.Option)}


def kebab(variable: str) -> str:
    return variable.removeprefix("CONSDB_").lower().replace("_", "-")


def test_every_step_that_runs_a_command_is_known() -> None:
    found = {
        (name, step["id"])
        for name, path in ACTIONS.items()
        for step in load(path)["runs"]["steps"]
        if "id" in step
    }
    assert found == set(STEPS)


@pytest.mark.parametrize("key", STEPS, ids="-".join)
def test_every_input_is_an_option_and_every_option_an_input(key: tuple[str, str]) -> None:
    action, step = load(ACTIONS[key[0]]), STEPS[key]
    (found,) = [item for item in action["runs"]["steps"] if item.get("id") == key[1]]
    options = options_of(*step.command)
    given = {name: value for name, value in found["env"].items() if name.startswith("CONSDB_")}
    assert set(given) <= set(options), "a variable that no option declares"
    for name, value in given.items():
        assert value == f"${{{{ inputs.{kebab(name)} }}}}", name
    text = " ".join(step.command)
    missing = {kebab(name) for name in set(options) - set(given)} - NOT_OFFERED[text] - {"quiet", "verbose"}
    assert not missing, "options without an input"
    if key[1] != "deploy":
        assert f"consdb-actions {text}" in found["run"] + _script(key[0])


def _script(action: str) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in ACTIONS[action].parent.glob("*.sh"))


@pytest.mark.parametrize("path", EVERY_ACTION, ids=short)
def test_every_input_is_described_and_used(path: Path) -> None:
    action, text = load(path), path.read_text(encoding="utf-8")
    for name, value in action["inputs"].items():
        assert value["description"].strip().endswith("."), name
        assert value.get("required") is True or "default" in value, name
        assert f"inputs.{name} " in text, f"{name} is used nowhere"


@pytest.mark.parametrize("path", EVERY_ACTION, ids=short)
def test_every_output_is_described_and_given(path: Path) -> None:
    action = load(path)
    for name, value in action["outputs"].items():
        assert value["description"].strip().endswith("."), name
        step, output = re.fullmatch(
            r"\$\{\{ steps\.([\w-]+)\.outputs\.([\w-]+) \}\}", value["value"]
        ).groups()  # type: ignore[union-attr]
        assert output in _given(path, step), name


def _given(path: Path, step: str) -> set[str]:
    """Return the outputs that a step sets, by the source of what it runs."""
    if path.parent == ROOT:
        return set(re.findall(r'echo "([\w-]+)=', (ROOT / "actions/install.sh").read_text(encoding="utf-8")))
    group, name = STEPS[path.parent.name, step].command
    files = [group, f"{group}_run", f"{name}_run", f"{group}_{name}"]
    files += ["pull_requests"] if group in ("approvals", "process") else []
    found: set[str] = set()
    for file in files:
        source = Path(commands.__file__).with_name(f"{file}.py")
        if source.exists():
            text = source.read_text(encoding="utf-8")
            found |= set(re.findall(r'runner\.output\(\s*"([\w-]+)"', text))
            for block in re.findall(
                r"present\(.*?^    \)$|outputs = \{.*?\}$", text, re.DOTALL | re.MULTILINE
            ):
                found |= set(re.findall(r'"([\w-]+)": ', block))
    return found


@pytest.mark.parametrize("base", ["folder", "HEAD^1"])
def test_the_configuration_is_that_of_the_base(tmp_path: Path, base: str) -> None:
    schemas, tools, config = tmp_path / "schemas", tmp_path / "bin", ".github/consdb-actions.yaml"
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}

    def git(*args: str) -> None:
        who = ("-c", "user.name=author", "-c", "user.email=author@example.org")
        subprocess.run(["git", "-C", schemas, *who, *args], env=env, check=True, capture_output=True)

    tools.mkdir()
    (tools / "consdb-actions").write_text('#!/bin/sh\ncat "$CONSDB_CONFIG"\n')
    (tools / "consdb-actions").chmod(0o755)
    (schemas / ".github").mkdir(parents=True)
    git("init", "--quiet")
    for text in ("before", "after"):
        (schemas / config).write_text(f"{text}\n")
        git("add", "-A")
        git("commit", "--quiet", "-m", text)
    if base == "folder":
        base = str(tmp_path / base)
        (Path(base) / ".github").mkdir(parents=True)
        (Path(base) / config).write_text("before\n")
    env |= {"CONSDB_SDM_SCHEMAS": str(schemas), "CONSDB_SDM_SCHEMAS_BASE": base}
    script = ACTIONS["generate"].with_name("generate.sh")
    done = subprocess.run(["bash", script], env=env, check=True, capture_output=True, text=True)
    assert done.stdout == "before\n"


# Shape


def steps_of(path: Path) -> Iterator[dict[str, Any]]:
    data = load(path)
    for job in data.get("jobs", {}).values():
        yield from job.get("steps", [])
    yield from data.get("runs", {}).get("steps", [])


@pytest.mark.parametrize("path", [*WORKFLOWS, *EVERY_ACTION], ids=short)
def test_s1_no_expression_stands_in_a_script(path: Path) -> None:
    for step in steps_of(path):
        assert "${{" not in step.get("run", ""), step


@pytest.mark.parametrize("path", [*WORKFLOWS, *EVERY_ACTION, *CALLERS], ids=short)
def test_s3_everything_of_others_is_pinned_to_a_commit(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for used in re.findall(r"(?m)^[ -]*uses: (\S+.*)$", text):
        assert re.fullmatch(r"\./\S*|[\w.-]+/[\w./-]+@[0-9a-f]{40} # (v\d+(\.\d+)*|main)", used), used


@pytest.mark.parametrize("path", WORKFLOWS, ids=short)
def test_s3_no_checkout_leaves_a_token_behind(path: Path) -> None:
    for step in steps_of(path):
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False, step


@pytest.mark.parametrize("path", [*WORKFLOWS, *CALLERS], ids=short)
def test_s3_each_job_asks_for_what_it_needs(path: Path) -> None:
    data = load(path)
    assert data["permissions"] == {}
    for name, job in data["jobs"].items():
        assert "permissions" in job, name
        assert "uses" in job or "timeout-minutes" in job, name


@pytest.mark.parametrize("path", WORKFLOWS, ids=short)
def test_s3_each_grant_has_a_reason(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.match(
            r"\s+(permission-)?(contents|pull-requests|statuses|checks|members|id-token|attestations): ", line
        ):
            assert re.search(r"# [a-z]", line), line


def test_s3_only_the_jobs_that_publish_can_write() -> None:
    writing = {
        (path.stem, name)
        for path in WORKFLOWS
        for name, job in load(path)["jobs"].items()
        if "write" in job["permissions"].values()
    }
    assert writing == {
        ("approvals", "approvals"),
        ("process", "process"),
        ("process", "migrate"),  # hands the right on to the job below
        ("regenerate", "migrate"),  # the same
        ("migrate", "publish"),
        ("publish", "release"),
        ("lock", "lock"),  # a branch and a pull request of this repository
    }
    secret = {
        (path.stem, name)
        for path in WORKFLOWS
        for name, job in load(path)["jobs"].items()
        if "secrets." in yaml.safe_dump(job)
    }
    assert secret == {
        ("approvals", "approvals"),
        ("process", "process"),
        ("process", "migrate"),
        ("regenerate", "migrate"),
        ("migrate", "publish"),
        ("efd-sync", "sync"),
        ("release", "tag"),
        ("release", "deploy"),
        ("deploy", "open"),
        ("live", "live"),
    }


@pytest.mark.parametrize("name", sorted(REUSABLE))
def test_every_input_secret_and_output_of_a_workflow_is_described(name: str) -> None:
    data = load(ROOT / ".github" / "workflows" / f"{name}.yaml")
    call = data[True]["workflow_call"]  # YAML takes the key "on" for a truth value
    for part in ("inputs", "secrets", "outputs"):
        for key, value in call.get(part, {}).items():
            assert value["description"].strip().endswith("."), key
    used = (ROOT / ".github" / "workflows" / f"{name}.yaml").read_text(encoding="utf-8")
    for key in call["inputs"]:
        assert f"inputs.{key}" in used, key
    for key in call.get("secrets", {}):
        assert f"secrets.{key}" in used, key


@pytest.mark.parametrize("path", WORKFLOWS, ids=short)
def test_what_a_workflow_gives_to_an_action_is_one_of_its_inputs(path: Path) -> None:
    for step in steps_of(path):
        used = step.get("uses", "")
        if used.startswith("./.consdb-actions"):
            action = load(ROOT / used.removeprefix("./.consdb-actions").lstrip("/") / "action.yml")
            given = step.get("with", {})
            assert set(given) <= set(action["inputs"]), used
            required = {name for name, value in action["inputs"].items() if value.get("required")}
            assert required <= set(given), used


def test_no_token_waits_for_images_before_it_is_used() -> None:
    steps = load(ROOT / ".github/workflows/release.yaml")["jobs"]["tag"]["steps"]
    waiting = next(at for at, step in enumerate(steps) if "wait-images" in step.get("with", {}))
    for at, step in enumerate(steps[:waiting]):
        if "create-github-app-token" in step.get("uses", ""):
            used = [n for n, other in enumerate(steps) if f"steps.{step['id']}.outputs.token" in str(other)]
            assert used == [waiting], steps[at]["name"]


def test_s4_no_token_leaves_its_job() -> None:
    # The real action takes its token back at the end of the job.
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            assert "token" not in str(job.get("outputs", {})), (path.stem, name)


def test_m17_changes_of_one_run_keep_their_artifacts_apart() -> None:
    steps = [
        step
        for job in load(ROOT / ".github/workflows/migrate.yaml")["jobs"].values()
        for step in job.get("steps", [])
    ]
    names = [
        step["with"].get("name") or step["with"]["pattern"]
        for step in steps
        if "load-artifact@" in step.get("uses", "")
    ]
    one = "migration-${{ inputs.pr }}-${{ needs.source.outputs.commit }}-"
    assert [name.startswith(one) for name in names] == [True, True]


# Callers


@pytest.mark.parametrize("path", CALLERS, ids=short)
def test_a_caller_is_read_at_a_glance(path: Path) -> None:
    inputs = (load(path)[True].get("workflow_dispatch") or {}).get("inputs", {})
    # Each input takes a line to declare and another to hand on.
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 19 + 2 * max(len(inputs) - 3, 0)


@pytest.mark.parametrize("path", CALLERS, ids=short)
def test_what_a_caller_offers_reaches_the_workflow(path: Path) -> None:
    data = load(path)
    inputs = (data[True].get("workflow_dispatch") or {}).get("inputs", {})
    if "repository_dispatch" in data[True]:
        return  # the workflow reads them from the event
    (job,) = data["jobs"].values()
    given = {name: value for name, value in job.get("with", {}).items() if "inputs." in str(value)}
    assert given == {name: f"${{{{ inputs.{name} }}}}" for name in inputs}


@pytest.mark.parametrize("path", CALLERS, ids=short)
def test_a_caller_gives_what_the_workflow_takes_and_all_that_it_asks(path: Path) -> None:
    (job,) = load(path)["jobs"].values()
    file = re.fullmatch(
        r"lsst-dm/consdb-actions/(\.github/workflows/[a-z-]+\.yaml)@[0-9a-f]{40}", job["uses"]
    )
    assert file is not None
    called = load(ROOT / file[1])
    call = called[True]["workflow_call"]
    assert set(job.get("with", {})) <= set(call["inputs"])
    assert _secrets(job, call) == set(call.get("secrets", {}))
    for name, inner in called["jobs"].items():
        for grant, level in inner["permissions"].items():
            assert job["permissions"].get(grant) in (level, "write"), f"{name} needs {grant}: {level}"


def _secrets(job: dict[str, Any], call: dict[str, Any]) -> set[str]:
    """Return the secrets that a caller hands on."""
    given = job.get("secrets", {})
    return set(call["secrets"]) if given == "inherit" else set(given)


def test_all_callers_use_one_commit() -> None:
    used = {job["uses"].partition("@")[2] for path in CALLERS for job in load(path)["jobs"].values()}
    assert len(used) == 1


@pytest.mark.parametrize("path", CALLERS, ids=short)
def test_the_commit_that_a_caller_names_takes_what_it_gives(path: Path) -> None:
    (job,) = load(path)["jobs"].values()
    file, _, commit = job["uses"].removeprefix("lsst-dm/consdb-actions/").partition("@")
    done = subprocess.run(
        ["git", "-C", str(ROOT), "show", f"{commit}:{file}"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("this is not a clone that has the commit")
    call = yaml.safe_load(done.stdout)[True]["workflow_call"]
    assert set(job.get("with", {})) <= set(call["inputs"])
    assert _secrets(job, call) <= set(call.get("secrets", {}))


# What is installed


def locked() -> dict[str, list[str]]:
    """Return the versions of each package in the lock file; each must have hashes and come from an index."""
    found: dict[str, list[str]] = {}
    entries = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / "requirements.lock").read_text(encoding="utf-8").strip())
    for entry in entries:
        head, *hashes = [line.strip().rstrip("\\").strip() for line in entry.splitlines()]
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([^ ;]+)( ; .+)?", head)
        assert match is not None, head
        assert hashes, head
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), head
        found.setdefault(canonicalize_name(match[1]), []).append(match[2])
    return found


def test_the_lock_file_holds_what_the_project_needs() -> None:
    versions = locked()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        Requirement(r) for r in (*project["project"]["dependencies"], *project["build-system"]["requires"])
    ]
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        assert name in versions, f"{name} is not locked: nox -s lock"
        for version in versions[name]:
            assert requirement.specifier.contains(version, prereleases=True), f"{name}: nox -s lock"


def test_u1_sessions_install_what_is_locked_and_every_tool_has_a_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins: dict[str, set[str]] = {}
    for pin in map(Requirement, lines):
        (version,) = pin.specifier
        assert (version.operator, pin.url) == ("==", None), pin
        pins.setdefault(canonicalize_name(pin.name), set()).add(version.version)
    for name, versions in locked().items():
        assert pins[name] == set(versions), f"{name}: nox -s lock"
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    for requirement in [
        Requirement(item) for group in groups.values() for item in group if isinstance(item, str)
    ]:
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} has no version: nox -s lock"
        assert all(requirement.specifier.contains(version) for version in pins[name]), f"{name}: nox -s lock"


def test_u1_nox_installs_nothing_without_constraints() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    for function in [node for node in tree.body if isinstance(node, ast.FunctionDef)]:
        for call in [node for node in ast.walk(function) if isinstance(node, ast.Call)]:
            text = ast.unparse(call)
            if text.startswith("session.install(") or "'pip', 'install'" in text:
                # minimum tests other versions: the oldest.
                allowed = "'--constraint', 'constraints.txt'" in text or "'--no-deps'" in text
                assert allowed or function.name == "minimum", f"{function.name}: {text}"


def test_the_lock_file_holds_what_is_installed_here() -> None:
    """Whatever the installed packages need is locked as well: nothing is missing on the way."""
    from importlib import metadata

    versions, todo, seen = locked(), ["consdb-actions"], set[str]()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for text in needs:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                todo.append(canonicalize_name(need.name))
    assert seen - {"consdb-actions"} <= set(versions), "nox -s lock"


def test_one_version_of_uv_is_used() -> None:
    used = {
        str(step["with"]["version"])
        for path in EVERY_ACTION
        for step in steps_of(path)
        if "astral-sh/setup-uv@" in step.get("uses", "")
    }
    # `nox -s lock` keeps them equal.
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [f"uv=={version}" for version in used] == [pin for pin in pins if pin.startswith("uv==")]


# The project's own workflows


def test_ci_runs_the_sessions_for_workflows() -> None:
    for path in (ROOT / ".ci" / "run", ROOT / ".github" / "workflows" / "ci.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "e2e" in text, path
        assert "security" in text, path


def test_ci_uses_every_action_without_a_secret() -> None:
    path = ROOT / ".github" / "workflows" / "ci.yaml"
    steps = load(path)["jobs"]["actions"]["steps"]
    used = {step["uses"]: step for step in steps if step.get("uses", "").startswith("./")}
    assert set(used) == {"./", *(f"./actions/{name}" for name in ACTIONS)}
    (compared,) = (str(step["env"]) for step in steps if "FOUND" in step.get("env", {}))
    for name, step in used.items():
        action = load(ROOT / name / "action.yml")
        given = step.get("with", {})
        assert set(given) <= set(action["inputs"]), name
        assert {key for key, value in action["inputs"].items() if value.get("required")} <= set(given), name
        assert f"steps.{step['id']}.outputs." in compared, f"{name}: what it gave is compared with nothing"
    assert "secrets." not in path.read_text(encoding="utf-8")
