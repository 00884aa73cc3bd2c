"""``consdb-actions deploy`` as its users call it: options, exit codes, output (F3, S1, S4)."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from consdb_actions.deploy.drift import TagDrift
from consdb_actions.report.deploy import DeploymentReport
from tests.support.github import Fault, GitHubDouble, Kind, World
from tests.support.github.plugin import Double, Run
from tests.support.phalanx import PHALANX, TOKEN, Site, consdb_file, files_of, tap_file
from tests.support.registry import RegistryDouble
from tests.support.reports import checked

NOW = ("--now", "2026-06-10T12:00:00Z")
SUMMIT = ("--stage", "summit", "--tag", "26.6.2", "--ticket", "DM-1", *NOW)
STANDS = ("--stage", "test-stands", "--tag", "26.6.2", "--ticket", "DM-1", *NOW)


@pytest.fixture
def run(command: Run) -> Run:
    return partial(command, "deploy")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(World(tmp_path_factory.mktemp("site") / "github"))


@pytest.fixture
def site(template: Site, tmp_path: Path, registry_double: RegistryDouble) -> Site:
    return template.copy(tmp_path / "site", registry_double)


@pytest.fixture
def double(
    site: Site, connected: Double, registry_double: RegistryDouble, monkeypatch: pytest.MonkeyPatch
) -> GitHubDouble:
    monkeypatch.setenv("CONSDB_REGISTRY_URL", registry_double.url)
    return connected(site.world)


def test_open_then_again_then_refused(run: Run, double: GitHubDouble, site: Site) -> None:
    code, out, err = run("open", *STANDS)
    assert code == 0
    assert out.splitlines()[0] == "DM-1: consdb 26.6.2 at base and tucson-teststand"
    assert "  base              hinfo.latiss   26.5.1 -> 26.6.2\n" in out
    assert out.endswith("pull request opened: https://github.com/lsst-sqre/phalanx/pull/1\n")
    assert TOKEN not in out + err
    code, out, _ = run("open", *STANDS)
    assert (code, out.splitlines()[-1].partition(":")[0]) == (0, "the pull request is up to date already")
    code, out, err = run("open", *SUMMIT)
    assert (code, out) == (1, "")
    assert "R6: summit comes after test-stands, and test-stands is not finished" in err
    assert "--force-order" in err
    assert len(site.repo.pulls) == 1


def test_plan_of_what_is_refused_is_shown_and_exits_with_1(run: Run, double: GitHubDouble) -> None:
    code, out, _ = run("plan", *SUMMIT)
    assert code == 1
    assert "refused by R6" in out
    code, out, _ = run("plan", *SUMMIT, "--format", "markdown")
    assert code == 1
    assert "**Refused by R6**" in out
    code, out, _ = run("plan", *SUMMIT, "--format", "json")
    data = checked(out, DeploymentReport)
    assert (code, data["action"], data["plan"]["refusals"][0]["rule"]) == (1, "refused", "R6")
    assert not any(call.writes for call in double.log)


@pytest.mark.parametrize(
    "args",
    [
        STANDS,
        (*SUMMIT, "--force-order"),
        ("--app", "consdbtap", "--stage", "usdf", "--tag", "w.2026.23", "--ticket", "OSW-1", *NOW),
        ("--app", "consdbtap", "--repin", *NOW),
        ("--stage", "summit", "--tag", "26.5.1", "--ticket", "DM-1", *NOW),
    ],
)
def test_json_keeps_to_its_schema(run: Run, double: GitHubDouble, args: tuple[str, ...]) -> None:
    code, out, _ = run("plan", *args, "--format", "json")
    data = checked(out, DeploymentReport)
    assert code == 0
    assert (data["action"] == "nothing") is (not data["title"])


def test_the_runner_gets_outputs_and_a_summary(
    run: Run, double: GitHubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name, path in files.items():
        monkeypatch.setenv(name, str(path))
    assert run("open", *STANDS)[0] == 0
    written = files["GITHUB_OUTPUT"].read_text()
    assert "opened" in written
    assert "https://github.com/lsst-sqre/phalanx/pull/1" in written
    assert (
        "| base | hinfo (latiss, lsstcam), pq | `26.5.1` | `26.6.2` |"
        in files["GITHUB_STEP_SUMMARY"].read_text()
    )


def test_options_come_from_the_environment(
    run: Run, double: GitHubDouble, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    for name, value in {
        "APP": "consdb",
        "ENV": "base tucson-teststand",
        "COMPONENT": "pq hinfo.latiss",
        "TAG": "26.6.2",
        "TICKET": "DM-1",
        "NOW": "2026-06-10",
    }.items():
        monkeypatch.setenv(f"CONSDB_{name}", value)
    assert run("open")[0] == 0
    assert site.repo.pulls[1].title == "DM-1: consdb hinfo.latiss, pq 26.6.2 at base and tucson-teststand"


BAD: list[tuple[str, ...]] = (
    [
        ("--tag", "26.6.2", "--stage", "summit", "--ticket", ticket)
        for ticket in ("DM-1; rm -rf /", "DM-1\n", "../DM-1", "dm", "X-1", "$(id)", "DM-" + "1" * 50, "DM-1 ")
    ]
    + [
        ("--ticket", "DM-1", "--stage", "summit", "--tag", tag)
        for tag in ("a b", "`id`", "-x", "a/b", "x\ny")
    ]
    + [
        ("--ticket", "DM-1", "--tag", "26.6.2", "--stage", "summit`id`"),
        ("--ticket", "DM-1", "--tag", "26.6.2", "--env", "../../etc"),
        ("--ticket", "DM-1", "--tag", "26.6.2", "--env", "base", "--component", "pq;id"),
        ("--ticket", "DM-1", "--tag", "26.6.2", "--env", "base", "--waive-until", "tomorrow"),
        ("--ticket", "DM-1", "--tag", "26.6.2", "--env", "base", "--waive-until", "20260701"),
        ("--ticket", "DM-1", "--tag", "26.6.2", "--env", "base", "--waive-until", "2026-13-01"),
        ("--ticket", "DM-1", "--tag", "26.6.2", "--env", "base", "--repo", "../x"),
        ("--ticket", "DM-1", "--tag", "26.6.2", "--env", "base", "--now", "soon"),
        ("--ticket", "DM-1", "--tag", "26.6.2", "--env", "base", "--registry-url", "file:///etc/passwd"),
        ("--ticket", "DM-1", "--tag", "26.6.2"),
        ("--tag", "26.6.2", "--stage", "summit"),
        ("--ticket", "DM-1", "--stage", "summit"),
        ("--repin",),
        ("--repin", "--app", "consdbtap", "--tag", "w.2026.23"),
        ("--app", "nosuch"),
    ]
)


def test_s1_bad_input_is_refused_before_anything_is_written(run: Run, double: GitHubDouble) -> None:
    for args in BAD:
        code, _, err = run("open", *args)
        assert (code, bool(err)) == (2, True), args
    assert not any(call.writes for call in double.log)


def test_f1_a_service_that_fails_is_an_external_failure(run: Run, double: GitHubDouble) -> None:
    double.faults = [Fault(Kind.INTERNAL, times=100)]
    code, _, err = run("open", *STANDS)
    assert code == 3
    assert "GitHub failed with HTTP 500" in err


def test_a_configuration_changes_stages_and_labels(
    run: Run, double: GitHubDouble, site: Site, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "deploy:\n  stages:\n  - {name: first, environments: [summit], finished: any}\n"
        "  - {name: second, environments: [base]}\n  labels: [consdb]\n"
    )
    args = ("--tag", "26.6.2", "--ticket", "DM-1", *NOW, "--config", str(config))
    assert run("open", "--stage", "first", *args)[0] == 0
    assert site.repo.pulls[1].labels == ["consdb"]
    assert run("open", "--stage", "second", *args)[0] == 1


# Drift


def checkout(site: Site, folder: Path) -> Path:
    subprocess.run(["git", "clone", "-q", site.repo.store.path, folder], check=True)
    return folder


def test_drift_of_a_checkout_needs_no_token(run: Run, site: Site, tmp_path: Path) -> None:
    text = consdb_file("summit", "main")
    site.world.commit(site.repo, "main", {"applications/consdb/values-summit.yaml": text}, author="po-1")
    folder = checkout(site, tmp_path / "phalanx")
    code, out, err = run("drift", "--phalanx", str(folder), "--now", "2026-06-10")
    assert (code, err) == (1, "")
    assert "error    summit consdb hinfo, pq: on main since 2026-03-02 (100 days)" in out
    assert out.startswith(f"2026-06-10: {folder} at ")
    assert "of 2026-03-02, 100 days old" in out.splitlines()[0]
    assert "consdb: newest in use 26.5.1" in out
    code, out, _ = run("drift", "--phalanx", str(folder), "--now", "2026-06-10", "--format", "json")
    data = checked(out, TagDrift)
    assert data["findings"][0]["severity"] == "error"
    code, out, _ = run("drift", "--phalanx", str(folder), "--now", "2026-06-10", "--format", "markdown")
    assert "| summit | `main` ❌ | `main` ❌ | `main` ❌ |" in out


def test_r7_the_newest_release_is_read_from_the_tags_of_a_clone(run: Run, site: Site, tmp_path: Path) -> None:
    folders = ("--phalanx", str(checkout(site, tmp_path / "phalanx")))
    code, out, _ = run("drift", *folders, "--consdb", str(site.consdb.store.path), *NOW, "--format", "json")
    data = checked(out, TagDrift)
    assert (code, data["newest"]["consdb"]["text"], data["released"]) == (0, "26.6.2", ["consdb"])
    code, _, err = run("drift", *folders, "--consdb", str(tmp_path), *NOW)
    assert (code, "clone of consdb" in err) == (2, True)


def test_plan_works_on_a_clone_without_a_token(run: Run, site: Site, tmp_path: Path) -> None:
    folder = checkout(site, tmp_path / "phalanx")
    clones = ("--phalanx", str(folder), "--consdb", str(site.consdb.store.path))
    code, out, err = run("plan", *clones, *STANDS, "--format", "json")
    data = checked(out, DeploymentReport)
    assert (code, err, data["action"], data["plan"]["tag"]) == (0, "", "opened", "26.6.2")
    code, _, err = run("plan", *clones, *(word.replace("26.6.2", "26.6.9") for word in STANDS))
    assert (code, "no release 26.6.9" in err) == (2, True)
    assert run("plan", *clones[:2], *(word.replace("26.6.2", "26.6.9") for word in STANDS))[0] == 0
    assert run("plan", *clones, *SUMMIT)[0] == 1, "the test stands come first"
    assert run("plan", *clones, "--app", "consdbtap", "--repin", *NOW)[0] == 2


def test_drift_looks_at_any_commit_of_a_bare_clone(run: Run, site: Site) -> None:
    before = site.repo.tip("main")
    text = consdb_file("summit", "main")
    site.world.commit(site.repo, "main", {"applications/consdb/values-summit.yaml": text}, author="po-1")
    place = str(site.repo.store.path)
    assert run("drift", "--phalanx", place, *NOW)[0] == 1
    code, out, _ = run("drift", "--phalanx", place, "--ref", before, *NOW)
    assert (code, out.splitlines()[-1]) == (0, "Nothing has drifted.")
    for bad in ("--output=x", "nosuch", "HEAD;id"):
        code, _, err = run("drift", "--phalanx", place, f"--ref={bad}", *NOW)
        assert (code, "git has no commit" in err) == (2, True)


def test_drift_of_a_plain_folder_says_that_it_knows_no_days(run: Run, tmp_path: Path) -> None:
    for path, text in files_of(summit=consdb_file("summit", "main")).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    code, out, err = run("drift", "--phalanx", str(tmp_path), *NOW)
    assert code == 1
    assert "summit consdb hinfo, pq: on main\n" in out
    assert "no whole history" in err


def test_drift_of_a_shallow_clone_counts_no_days(run: Run, site: Site, tmp_path: Path) -> None:
    site.world.commit(site.repo, "main", {"other.txt": "x\n"})
    site.world.commit(
        site.repo, "main", {"applications/consdb/values-summit.yaml": consdb_file("summit", "main")}
    )
    folder = tmp_path / "shallow"
    source = f"file://{site.repo.store.path}"
    subprocess.run(["git", "clone", "-q", "--depth", "1", source, folder], check=True)
    _, out, err = run("drift", "--phalanx", str(folder), *NOW)
    assert "since" not in out
    assert "no whole history" in err


def test_drift_over_the_api_knows_days_and_releases(run: Run, double: GitHubDouble, site: Site) -> None:
    text = tap_file("usdfprod", "tickets-OSW-7", "w.2026.18")
    site.world.commit(site.repo, "main", {"applications/consdbtap/values-usdfprod.yaml": text}, author="po-1")
    code, out, _ = run("drift", "--repo", PHALANX, "--now", "2026-06-10")
    assert code == 1
    assert "consdb: newest release 26.6.2" in out
    assert "tap-schema: on the ticket image tickets-OSW-7 since 2026-03-02 (100 days)" in out
    assert not any(call.writes for call in double.log)


@pytest.mark.parametrize(("level", "code"), [("error", 0), ("warning", 1), ("info", 1)])
def test_drift_exits_with_1_at_a_level(run: Run, site: Site, level: str, code: int) -> None:
    text = consdb_file("usdfdev", "26.4.1")
    site.world.commit(site.repo, "main", {"applications/consdb/values-usdfdev.yaml": text})
    assert run("drift", "--phalanx", str(site.repo.store.path), *NOW, "--level", level)[0] == code


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--phalanx", ".", "--repo", PHALANX),
        ("--phalanx", "/nonexistent"),
        ("--phalanx", os.sep),
        ("--phalanx", ".", "--release", "main"),
        ("--phalanx", ".", "--release", "26.6.2\n"),
    ],
)
def test_drift_refuses_bad_input(run: Run, args: tuple[str, ...]) -> None:
    assert run("drift", *args)[0] == 2


def test_s5_what_values_files_say_does_no_harm(run: Run, tmp_path: Path) -> None:
    evil = "x|y<!-- -->@everyone\x1b[31m::error::x"
    text = consdb_file("base", "26.5.1").replace('"26.5.1"  # one camera', json.dumps(evil))
    for path, content in files_of(base=text).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    for style in ("text", "markdown"):
        _, out, _ = run("drift", "--phalanx", str(tmp_path), *NOW, "--format", style)
        assert "\x1b" not in out
        assert not any(line.startswith("::") for line in out.splitlines())
    assert "<!--" not in out
    assert "x\\|y" in out
