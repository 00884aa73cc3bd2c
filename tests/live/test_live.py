"""The script of the live workflow where nothing answers, and where it must not run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from consdb_actions.adapters.github import connect
from consdb_actions.errors import InputError
from tests.live.run import PATIENCE, Live, tell, with_column
from tests.support.approvals import CONFIG, LATISS, POLICY, schema_yaml
from tests.support.github import GitHubDouble, TestClock, World
from tests.support.github.plugin import Double

SCHEMAS, TARGET, PHALANX = "try/sdm_schemas", "try/consdb", "try/phalanx"
ROOT = Path(__file__).parents[2]


def live(double: GitHubDouble, clock: TestClock, schemas: str = SCHEMAS) -> Live:
    github = connect("token-of-person", double.url, clock=clock)
    return Live(github, schemas, TARGET, PHALANX, 7, LATISS, ("consdb-migrations", "consdb-releases"))


def test_where_nothing_answers_everything_is_cleaned_up(
    world: World, github_double: Double, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    double, clock = github_double(world), TestClock()
    world.tokens["token-of-person"] = world.user("person").id
    schemas, target = world.repo(SCHEMAS), world.repo(TARGET)
    files = {LATISS: schema_yaml(), CONFIG: json.dumps({"approvals": POLICY})}
    world.commit(schemas, "main", files, author="maintainer")
    for repo in (target, world.repo(PHALANX)):
        world.commit(repo, "main", {"README.md": "Text.\n"}, author="maintainer")
    monkeypatch.setenv("GITHUB_API_URL", double.url)
    monkeypatch.setenv("GITHUB_TOKEN", "token-of-person")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    rows = list(live(double, clock).rows())
    fine = {title for title, good, _ in rows if good}
    assert fine == {"a labelled pull request", "the author cannot approve", "the dry run tags nothing"}
    assert clock.seconds >= PATIENCE
    assert [pull.state for pull in schemas.pulls.values()] == ["closed"]
    for repo in (schemas, target):
        assert [name for name, *_ in repo.store.refs("refs/heads/")] == ["refs/heads/main"]
    assert tell(iter(rows)) == 1
    assert (tmp_path / "summary").read_text().count("❌") == len(rows) - len(fine)


@pytest.mark.parametrize(
    "name", ["lsst/sdm_schemas", "LSST-DM/x", "lsst-sqre/phalanx", "x", "a/b/c", "-/../x"]
)
def test_it_never_runs_in_the_real_repositories(name: str, world: World, github_double: Double) -> None:
    double = github_double(world)
    with pytest.raises(InputError):
        live(double, TestClock(), name)
    assert not double.log


@pytest.mark.parametrize("path", sorted((ROOT / "examples/schemas/before").glob("cdb_*.yaml")))
def test_the_column_is_in_the_first_table_and_nothing_else_changes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    before, after = yaml.safe_load(text), yaml.safe_load(with_column(text, "added"))
    assert after["tables"][0]["columns"].pop(0)["name"] == "added"
    assert after == before


def test_the_page_lists_every_fact() -> None:
    text = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")
    source = (ROOT / "tests" / "live" / "run.py").read_text(encoding="utf-8")
    facts = re.findall(r'yield "([^"]+)"|yield \(?\n? *"([^"]+)"', source)
    assert len(facts) == 11
    for pair in facts:
        assert "".join(pair) in text
