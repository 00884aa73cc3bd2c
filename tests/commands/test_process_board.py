"""``consdb-actions process board`` as its users call it (F1, F3, S4)."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from consdb_actions.cli import main
from consdb_actions.forms import as_json
from tests.support.approvals import REPOSITORY, TOKEN, schema_yaml
from tests.support.board_scene import facts
from tests.support.github import Fault, GitHubDouble, Kind, World
from tests.support.github.plugin import Double, Run
from tests.support.page import Node, parse
from tests.support.process import PHALANX, ProcessScene
from tests.support.repository import Repository

NOW = ("--now", "2026-03-20T12:00:00Z")
OTHER = "python/lsst/sdm/schemas/cdb_lsstcam.yaml"


@pytest.fixture
def run(command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return partial(command, "process", "board", "--output", "out")


@pytest.fixture
def way(tmp_path: Path) -> ProcessScene:
    """Give three open pull requests: one tested, one new, and one without a schema."""
    made = ProcessScene(World(tmp_path / "github"))
    made.finish("bts")
    base = made.repo.tip("main")
    for branch, files in (
        ("tickets/DM-2", {OTHER: schema_yaml(name="cdb_lsstcam")}),
        ("u/kim/words", {"README.md": "Other words.\n"}),
    ):
        made.world.commit(made.repo, branch, files, onto=base)
        made.world.open_pull(made.repo, branch, title=f"{branch}: <b>bold</b>")
    return made


@pytest.fixture
def double(way: ProcessScene, connected: Double, monkeypatch: pytest.MonkeyPatch) -> GitHubDouble:
    monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
    return connected(way.world)


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Write the facts of the scene, as ``process status --dump-facts`` does."""
    folder = tmp_path_factory.mktemp("facts")
    options = []
    for item in facts():
        path = folder / f"{item.pull.number}.json"
        path.write_text(json.dumps(as_json(item, sparse=True)))
        options += ["--facts", str(path)]
    return options


def page() -> Node:
    return parse(Path("out/index.html").read_text("utf-8"))


def failing(target: str) -> Fault:
    return Fault(Kind.MISSING, "GET", target, times=99)


def test_all_open_changes_come_from_the_api_and_nothing_is_written_there(
    run: Run, double: GitHubDouble
) -> None:
    code, out, err = run(*NOW)
    assert code == 0
    assert "2 open changes\n" in out
    assert out.endswith("Written to out/index.html and out/board.json\n")
    data = json.loads(Path("out/board.json").read_text("utf-8"))
    assert [item["number"] for item in data["changes"]] == [1, 2]
    assert (data["finished"], data["unaffected"]) == (0, 1)
    assert data["environments"]["drift"]["source"].startswith(f"{PHALANX} at ")
    assert [item["tag"] for item in data["releases"]["items"]] == ["26.2.1"]
    assert "Next: merge the migration in consdb." in page().text
    assert not [call for call in double.log if call.writes]
    assert len(double.log) <= 75
    assert TOKEN not in out + err + Path("out/index.html").read_text("utf-8")


def test_one_pull_request_that_cannot_be_read_does_not_hide_the_others(
    run: Run, double: GitHubDouble
) -> None:
    double.faults = [failing(f"/repos/{REPOSITORY}/pulls/2")]
    code, out, err = run(*NOW)
    assert code == 0
    assert "1 open change, 1 could not be looked at" in out
    assert "Warning: #2 could not be looked at" in err
    (alert,) = [node for node in page().all("li") if "could not be looked at" in node.text]
    assert [node.attributes["href"] for node in alert.all("a")] == [f"https://github.com/{REPOSITORY}/pull/2"]
    assert page().all("article")[0].attributes["id"] == "change-1"


def test_f1_when_none_can_be_read_nothing_is_written(run: Run, double: GitHubDouble) -> None:
    double.faults = [failing(f"/repos/{REPOSITORY}/pulls/{number}") for number in (1, 2, 3)]
    code, _, err = run(*NOW)
    assert code == 3
    assert "404" in err
    assert not Path("out").exists()


def test_what_runs_where_and_releases_may_be_missing(run: Run, double: GitHubDouble) -> None:
    double.faults = [
        failing(f"/repos/{PHALANX}/git/ref/heads/main"),
        failing("/repos/lsst-dm/consdb/git/matching-refs/tags/"),
    ]
    code, out, _ = run(*NOW)
    assert code == 0
    assert "what runs where: not known" in out
    text = page().only("main").text
    assert "What runs where is not known: " in text
    assert "What is in the releases is not known: " in text
    assert "#1 " in text


def test_a_merged_change_stays_while_it_is_followed(
    run: Run, double: GitHubDouble, way: ProcessScene
) -> None:
    way.approve("dan", "olga", "carl")
    way.merge_schema()
    way.sync(double)
    code, _, _ = run(*NOW)
    assert code == 0
    (article,) = [node for node in page().all("article") if node.attributes.get("id") == "change-1"]
    assert "merged" in article.text


def test_facts_alone_make_a_page_that_is_the_same_each_time(run: Run, dumped: list[str]) -> None:
    code, out, err = run(*dumped)
    assert (code, err) == (0, "")
    assert "13 open changes, 4 need attention" in out
    assert "lsst/sdm_schemas, 2026-03-16 09:00 UTC" in out
    first = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    assert set(first) == {"index.html", "board.json"}
    assert run(*reversed_pairs(dumped))[0] == 0
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == first


def reversed_pairs(options: list[str]) -> list[str]:
    return [word for path in options[::-2] for word in ("--facts", path)]


def test_a_file_that_cannot_be_read_does_not_hide_the_others(run: Run, dumped: list[str]) -> None:
    Path("bad.json").write_text("{")
    data = json.loads(Path(dumped[1]).read_text())
    data["pull"]["number"] = "x"
    Path("wrong.json").write_text(json.dumps(data))
    code, out, err = run(*dumped[:4], "--facts", "bad.json", "--facts", "wrong.json")
    assert code == 0
    assert "2 open changes, 1 need" in out
    assert "bad.json could not be looked at: this is not JSON" in err
    assert 'wrong.json could not be looked at: pull.number must be a whole number, not "x"' in err
    assert "wrong.json" in page().text
    code, _, err = run("--facts", "bad.json")
    assert code == 2
    assert "bad.json" in err


def test_a_clone_tells_what_runs_where(run: Run, dumped: list[str], tmp_path: Path) -> None:
    phalanx = Repository(tmp_path / "phalanx")
    phalanx.put("applications/consdb/values-summit.yaml", 'pq:\n  image:\n    tag: "main"\n')
    phalanx.commit()
    code, _, err = run(*dumped[:2], "--phalanx", "phalanx", *NOW)
    assert (code, err) == (0, "")
    data = json.loads(Path("out/board.json").read_text("utf-8"))
    (finding, *_) = data["environments"]["drift"]["findings"]
    assert (finding["kind"], finding["severity"]) == ("branch-tag", "error")
    assert data["at"] == "2026-03-20T12:00:00Z"
    assert str(tmp_path) not in Path("out/index.html").read_text("utf-8")


@pytest.mark.parametrize("output_format", ["json", "markdown"])
def test_standard_output_has_the_format_that_is_asked_for(
    run: Run, dumped: list[str], output_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSDB_FORMAT", output_format)
    code, out, _ = run(*dumped[:4])
    assert code == 0
    if output_format == "json":
        assert json.loads(out) == json.loads(Path("out/board.json").read_text("utf-8"))
    else:
        assert out.startswith("### ConsDB schema changes\n")


def test_a_runner_is_told_the_counts_and_the_warnings(
    run: Run, dumped: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    Path("bad.json").write_text("[]")
    code, out, err = run(*dumped[:4], "--facts", "bad.json")
    assert code == 0
    assert "::warning" in out + err
    outputs = (tmp_path / "outputs").read_text()
    for name, count in (("changes", 2), ("attention", 1), ("unread", 1)):
        assert name in outputs
        assert str(count) in outputs
    assert "### ConsDB schema changes" in (tmp_path / "summary").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--repo", "nonsense"), "is not a repository"),
        (("--now", "tomorrow"), "is not a date in ISO 8601"),
        (("--releases", "0"), "--releases"),
        (("--phalanx", "empty"), "this is not a git repository"),
        (("--config", "none.yaml"), "none.yaml"),
    ],
)
def test_f3_what_cannot_be_is_exit_2_and_nothing_is_written(
    run: Run, dumped: list[str], options: tuple[str, str], words: str
) -> None:
    Path("empty").mkdir()
    code, _, err = run(*dumped[:2], *options)
    assert code == 2
    assert words in " ".join(err.split())
    assert not Path("out").exists()


def test_f3_without_a_repository_or_a_folder_that_can_be_written(run: Run, dumped: list[str]) -> None:
    code, _, err = run()
    assert code == 2
    assert "no repository is given" in err
    Path("out").write_text("a file")
    code, _, _ = run(*dumped[:2])
    assert code == 2
    assert Path("out").read_text() == "a file"


def test_the_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["process", "--help"]) == 0
    assert "board" in capsys.readouterr().out
