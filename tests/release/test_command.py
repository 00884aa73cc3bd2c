"""``consdb-actions release`` as its users call it: options, exit codes, output (F3, S1, S4)."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from consdb_actions.release.versions import NextVersion
from consdb_actions.report.release import ReleaseOutcome
from tests.support.github import Fault, GitHubDouble, Kind
from tests.support.github.plugin import Double, Run
from tests.support.registry import RegistryDouble
from tests.support.releases import REPOSITORY, TOKEN, ReleaseScene
from tests.support.reports import checked

NOW = ("--now", "2026-06-20T12:00:00Z")
REPO = ("--repo", REPOSITORY)
IMAGES = ("consdb-hinfo", "consdb-pq", "consdb-transformed-efd")


@pytest.fixture
def run(command: Run) -> Run:
    return partial(command, "release")


@pytest.fixture
def double(scene: ReleaseScene, connected: Double) -> GitHubDouble:
    return connected(scene.world)


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    files = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name, path in files.items():
        monkeypatch.setenv(name, str(path))
    return files


def outputs(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    found = {}
    while lines:
        name, delimiter = lines.pop(0).split("<<")
        end = lines.index(delimiter)
        found[name], lines = "\n".join(lines[:end]), lines[end + 1 :]
    return found


@pytest.mark.usefixtures("double")
def test_r1_next_prints_the_bare_version(run: Run) -> None:
    code, out, err = run("next", *REPO, *NOW)
    assert (code, out) == (0, "26.6.2\n")
    assert "the newest is 26.6.1, and it is June 2026 in UTC" in err


@pytest.mark.usefixtures("double")
def test_r1_next_as_json_and_markdown(run: Run) -> None:
    _, out, _ = run("next", *REPO, "--now", "2026-07-01", "--format", "json")
    data = checked(out, NextVersion)
    assert (data["version"], data["newest"]) == ("26.7.1", "26.6.1")
    _, out, _ = run("next", *REPO, *NOW, "--format", "markdown")
    assert out.startswith("The next version of lsst-dm/consdb is **26.6.2**")


@pytest.mark.usefixtures("double")
def test_r1_an_earlier_month_is_refused_with_exit_code_1(run: Run) -> None:
    code, out, err = run("next", *REPO, "--now", "2026-05-31")
    assert (code, out) == (1, "")
    assert "the newest tag, 26.6.1, is of June 2026" in err


def test_r1_next_of_a_clone_needs_no_token(run: Run, scene: ReleaseScene) -> None:
    assert run("next", "--git", str(scene.repo.store.path), *NOW)[:2] == (0, "26.6.2\n")


def test_r1_next_of_a_clone_knows_its_configuration(run: Run, scene: ReleaseScene) -> None:
    scene.world.commit(scene.repo, "main", {".github/consdb-actions.yaml": "release: {padded: true}\n"})
    assert run("next", "--git", str(scene.repo.store.path), *NOW)[1] == "26.06.2\n"


def test_r1_next_of_a_shallow_clone_is_refused(run: Run, scene: ReleaseScene, tmp_path: Path) -> None:
    source, target = f"file://{scene.repo.store.path}", tmp_path / "shallow"
    git = ["git", "-c", "init.defaultBranch=main", "clone", "--quiet", "--depth=1", source, str(target)]
    subprocess.run(git, check=True, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    code, _, err = run("next", "--git", str(target), *NOW)
    assert code == 2
    assert "git fetch --unshallow --tags" in err


def test_f3_next_of_what_is_no_clone(run: Run, tmp_path: Path) -> None:
    code, _, err = run("next", "--git", str(tmp_path), *NOW)
    assert code == 2
    assert "Give --git the folder of a clone" in err


def test_r1_padding_comes_from_the_configuration(
    run: Run, scene: ReleaseScene, double: GitHubDouble, tmp_path: Path
) -> None:
    scene.world.commit(scene.repo, "main", {".github/consdb-actions.yaml": "release: {padded: true}\n"})
    assert run("next", *REPO, *NOW)[1] == "26.06.2\n"
    config = tmp_path / "config.yaml"
    config.write_text("release: {padded: false}\n")
    assert run("next", *REPO, *NOW, "--config", str(config))[1] == "26.6.2\n"


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("release: {padding: true}", "unknown key release.padding"),
        ("release: {images: [1]}", "release.images[0] must be text"),
        ("release: {checks: {required: test}}", "release.checks.required must be a list"),
        ("release: {migrations: [/etc/passwd]}", "release.migrations[0]"),
    ],
)
def test_f3_a_mistake_in_the_configuration(run: Run, tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    code, _, err = run("tag", *REPO, *NOW, "--config", str(config))
    assert code == 2
    assert words in err


def test_r2_tag_says_what_it_did_to_people_and_to_the_runner(
    run: Run, scene: ReleaseScene, double: GitHubDouble, runner: dict[str, Path]
) -> None:
    code, out, err = run("tag", *REPO, *NOW)
    assert code == 0
    assert out.splitlines()[0] == f"26.6.2 is tagged on {scene.head[:12]}"
    assert "holds  1 migration, 2 pull requests, 1 ticket, 4 commits since 26.6.1" in out
    said = outputs(runner["GITHUB_OUTPUT"])
    url = said.pop("url")
    assert said == {"tag": "26.6.2", "sha": scene.head, "created": "true"}
    assert url.endswith("/releases/tag/26.6.2")
    summary = runner["GITHUB_STEP_SUMMARY"].read_text()
    assert summary.startswith(f"## 26.6.2 is tagged on {scene.head[:12]}")
    assert "GitHub starts no workflow" in summary
    assert "::warning::the tag was made with the workflow's own token" in err
    assert TOKEN not in out + err + summary
    run("tag", *REPO, *NOW)
    assert outputs(runner["GITHUB_OUTPUT"])["created"] == "false"


def test_r2_tag_as_json(run: Run, scene: ReleaseScene, double: GitHubDouble) -> None:
    _, out, _ = run("tag", *REPO, *NOW, "--format", "json", "--dry-run")
    data = checked(out, ReleaseOutcome)
    assert (data["tag"], data["sha"], data["created"], data["dry_run"]) == ("26.6.2", scene.head, False, True)
    assert data["contents"]["tickets"] == ["DM-7"]
    topics, others = data["contents"]["topics"], data["contents"]["others"]
    assert [pull["number"] for pull in (*topics[0]["pulls"], *others)] == [1, 2]
    assert data["contents"]["migrations"][0]["operations"] == ["add 2 columns to exposure: azimuth, altitude"]
    assert "26.6.2" not in scene.tags


@pytest.mark.usefixtures("double")
def test_r2_a_dry_run_shows_all_texts(run: Run, scene: ReleaseScene) -> None:
    _, out, _ = run("tag", *REPO, *NOW, "--dry-run")
    assert out.startswith(f"26.6.2 would be tagged on {scene.head[:12]}; this is a dry run\n")
    assert "  Tagged by consdb-actions." in out
    _, out, _ = run("tag", *REPO, *NOW, "--dry-run", "--format", "markdown")
    assert "### Migrations" in out


def test_r2_red_checks_exit_with_1_and_all_reasons(
    run: Run, scene: ReleaseScene, double: GitHubDouble
) -> None:
    scene.check("docker", "failure")
    scene.check("lint", None)
    code, out, err = run("tag", *REPO, *NOW)
    assert (code, out) == (1, "")
    assert "checks have failed: docker (failure); checks have not finished: lint (in progress)" in err
    assert "run them again" in err


@pytest.mark.parametrize(
    "commit", ["main", "abc", "A" * 40, "a" * 39, "a" * 41, "a" * 40 + "\n", "--help", "$(id)"]
)
def test_s1_a_commit_that_is_no_full_id(run: Run, double: GitHubDouble, commit: str) -> None:
    code, _, err = run("tag", *REPO, *NOW, "--commit", commit)
    assert code == 2
    assert "not a full commit id" in err
    assert double.log == []


def test_s1_inputs_come_from_the_environment(
    run: Run, scene: ReleaseScene, double: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = scene.first.merge_sha
    assert older is not None
    scene.green(older)
    values = {
        "REPO": REPOSITORY,
        "COMMIT": older,
        "NOW": NOW[1],
        "DRY_RUN": "true",
        "FORMAT": "json",
        "TAG": "26.6.2",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"CONSDB_{name}", value)
    code, out, _ = run("tag")
    assert code == 0
    assert (json.loads(out)["sha"], json.loads(out)["dry_run"]) == (older, True)


def test_f3_github_that_stays_away(run: Run, double: GitHubDouble) -> None:
    double.faults.append(Fault(Kind.BAD_GATEWAY, times=1000))
    code, out, err = run("tag", *REPO, *NOW)
    assert (code, out) == (3, "")
    assert "GitHub failed with HTTP 502" in err


def test_f3_without_a_token(run: Run) -> None:
    code, _, err = run("next", *REPO)
    assert code == 2
    assert "there is no token" in err


def test_r4_the_images_are_waited_for(
    run: Run,
    scene: ReleaseScene,
    double: GitHubDouble,
    registry_double: RegistryDouble,
    runner: dict[str, Path],
) -> None:
    for name in IMAGES:
        registry_double.push(f"lsst-dm/{name}")
    looks = []

    def build(method: str, path: str) -> None:
        looks.append(path)
        if len(looks) == 12:
            for name in IMAGES:
                registry_double.push(f"lsst-dm/{name}", "26.6.2")

    registry_double.before = build
    code, out, err = run(
        "tag", *REPO, *NOW, "--wait-images", "600", "--registry-url", registry_double.url, "--format", "json"
    )
    assert code == 0
    assert {Path(image).name for image in checked(out, ReleaseOutcome)["images"]} == set(IMAGES)
    assert all(digest.startswith("sha256:") for digest in json.loads(out)["images"].values())
    assert "of 600 s: waiting for ghcr.io/lsst-dm/consdb-hinfo" in err
    assert "✅ `ghcr.io/lsst-dm/consdb-hinfo:26.6.2`" in runner["GITHUB_STEP_SUMMARY"].read_text()


def test_r4_images_that_do_not_come(
    run: Run,
    scene: ReleaseScene,
    double: GitHubDouble,
    registry_double: RegistryDouble,
    runner: dict[str, Path],
) -> None:
    registry_double.push("lsst-dm/consdb-hinfo", "26.6.2")
    for name in IMAGES[1:]:
        registry_double.push(f"lsst-dm/{name}")
    arguments = ("tag", *REPO, *NOW, "--wait-images", "60", "--registry-url", registry_double.url)
    code, _, err = run(*arguments)
    assert code == 3
    assert "missing after 60 s: ghcr.io/lsst-dm/consdb-pq:26.6.2" in err
    assert "The tag 26.6.2 exists" in err
    assert outputs(runner["GITHUB_OUTPUT"])["tag"] == "26.6.2", "what was done is told all the same"
    assert "❌ `ghcr.io/lsst-dm/consdb-pq:26.6.2` is missing" in runner["GITHUB_STEP_SUMMARY"].read_text()
    for name in IMAGES[1:]:
        registry_double.push(f"lsst-dm/{name}", "26.6.2")
    assert run(*arguments)[0] == 0
    assert sorted(scene.tags) == ["26.6.1", "26.6.2", "3.0.0"]


@pytest.mark.usefixtures("double")
def test_r4_an_image_that_is_private(run: Run, scene: ReleaseScene, registry_double: RegistryDouble) -> None:
    code, out, err = run("tag", *REPO, *NOW, "--wait-images", "0", "--registry-url", registry_double.url)
    assert code == 3
    assert "denies access to lsst-dm/consdb-hinfo" in err
    assert out.startswith("26.6.2 is tagged")
