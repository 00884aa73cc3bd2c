"""How a repository begins: ``init`` writes what ``doctor`` finds in order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from consdb_actions.adapters.github import connect
from consdb_actions.cli import main
from consdb_actions.commands.adoption import APPS, PROJECT, callers
from tests.e2e.workflows import APP, RELEASE_APP
from tests.support.approvals import TOKEN
from tests.support.github import World
from tests.support.github.plugin import Double

ROOT = Path(__file__).parents[2]
SCHEMAS, TARGET, PHALANX = "lsst/sdm_schemas", "lsst-dm/consdb", "lsst-sqre/phalanx"
ROLES = [
    {"id": "de", "teams": ["lsst/data-engineering"]},
    {"id": "po", "people": ["olga"]},
    {"id": "consdb", "people": ["carl"]},
]


class Adopted:
    """Two repositories in which everything is as it should be."""

    def __init__(self, world: World, url: str, folder: Path) -> None:
        self.world, self.url, self.folder = world, url, folder
        self.own, self.schemas, self.target = (world.repo(name) for name in (PROJECT, SCHEMAS, TARGET))
        self.commit = world.commit(self.own, "main", {"README.md": "Text.\n"})
        self.own.store.set_ref("refs/tags/v1.2.3", self.commit)
        world.team("lsst/data-engineering", ["dan"])
        for login in ("olga", "carl"):
            world.user(login)
        self.apps = [
            world.app(app.name, app.name, {**app.permissions, **more}, app.repositories)
            for app, more in zip(APPS, ({"members": "read"}, {}), strict=True)
        ]

    def release(self) -> None:
        connect(TOKEN, self.url).write("POST", f"/repos/{PROJECT}/releases", {"tag_name": "v1.2.3"})

    def settle(self) -> None:
        """Do what `init` says comes next."""
        for repo, kind in ((self.schemas, "sdm_schemas"), (self.target, "consdb")):
            files = {
                f".github/workflows/{p.name}": p.read_text()
                for p in (self.folder / kind / ".github/workflows").iterdir()
            }
            if kind == "sdm_schemas":
                files[".github/consdb-actions.yaml"] = json.dumps({"approvals": {"roles": ROLES}})
            self.world.commit(repo, "main", files, author="maintainer")
            repo.rows["variables"] = [{"name": "CONSDB_APP_CLIENT_ID", "value": "Iv1"}]
            repo.rows["secrets"] = [{"name": "CONSDB_APP_PRIVATE_KEY"}]
        self.target.rows["variables"].append({"name": "CONSDB_RELEASE_APP_CLIENT_ID", "value": "Iv2"})
        policy = {"protected_branches": True, "custom_branch_policies": False}
        self.target.rows["environments"] = [{"name": "consdb-release", "deployment_branch_policy": policy}]
        self.target.rows["secrets of consdb-release"] = [{"name": "CONSDB_RELEASE_APP_PRIVATE_KEY"}]
        self.world.ensure_label(self.schemas, "consdb: migrate")
        self.require(self.schemas, self.apps[0].id, "consdb/approvals", "consdb/ready-to-merge")
        self.require(self.target, 15368, "revisions / Revisions")

    def require(self, repo: Any, source: int | None, *contexts: str) -> None:
        checks = [{"context": name, **({"integration_id": source} if source else {})} for name in contexts]
        status = {"required_status_checks": checks, "strict_required_status_checks_policy": True}
        review = {"required_approving_review_count": 1}
        repo.rows["rules"] = [
            {"type": "pull_request", "parameters": review},
            {"type": "required_status_checks", "parameters": status},
        ]


@pytest.fixture
def adopted(world: World, github_double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Adopted:
    place = Adopted(world, github_double(world).url, tmp_path)
    monkeypatch.setenv("GITHUB_API_URL", place.url)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    for kind in ("sdm_schemas", "consdb"):
        (tmp_path / kind).mkdir()
    return place


def init(place: Adopted, kind: str, *args: str) -> int:
    pin = ("--pin", place.commit, "--release", "v1.2.3")
    return main(["init", kind, "--directory", str(place.folder / kind), *pin, *args])


def doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, str]]]:
    capsys.readouterr()
    code = main(["doctor", "--format", "json"])
    return code, {item["title"]: item for item in json.loads(capsys.readouterr().out)}


def test_g1_the_apps_are_those_of_the_workflows() -> None:
    assert [app.permissions for app in APPS] == [APP, RELEASE_APP]
    query = parse_qs(urlsplit(APPS[0].link("lsst", teams=True)).query)
    assert {"public": ["true"], "webhook_active": ["false"], "members": ["read"]}.items() <= query.items()
    assert {name: [level] for name, level in APP.items()}.items() <= query.items()


def test_the_page_about_adoption_has_the_links_and_every_caller() -> None:
    text = (ROOT / "docs" / "adopt.md").read_text(encoding="utf-8")
    for app in APPS:
        assert f"[{app.name}]({app.link('lsst')})" in text
        row = text.partition(f"\n| {app.name} | *")[2].partition("\n")[0]
        named = dict(re.findall(r"\*([A-Z][a-z ]+): (read|write)\*", f"*{row}"))
        titles = {"statuses": "Commit statuses", "pull_requests": "Pull requests"}
        wanted = {titles.get(name, name.capitalize()): level for name, level in app.permissions.items()}
        assert named == wanted | ({"Members": "read"} if app is APPS[0] else {})
    for kind in ("sdm_schemas", "consdb"):
        for name in callers(kind):
            assert f"(../examples/{kind}/{name})" in text


@pytest.mark.parametrize("kind", ["sdm_schemas", "consdb"])
def test_init_writes_every_caller_once(
    adopted: Adopted, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(adopted, kind, "--teams") == 0
    out = capsys.readouterr().out
    folder = adopted.folder / kind / ".github"
    assert {path.name for path in (folder / "workflows").iterdir()} == set(callers(kind))
    for path in (folder / "workflows").iterdir():
        ((_, job),) = yaml.safe_load(path.read_text())["jobs"].items()
        assert job["uses"].endswith(f"@{adopted.commit}")
        assert f"@{adopted.commit} # v1.2.3\n" in path.read_text()
        assert job.get("with", {}).get("teams", True) is True
    assert "settings/apps/new?" in out
    config = folder / "consdb-actions.yaml"
    assert config.is_file() == (kind == "sdm_schemas")
    assert init(adopted, kind, "--teams") == 0
    assert "wrote" not in capsys.readouterr().out
    edited = folder / "workflows" / next(iter(callers(kind)))
    edited.write_bytes(b"\xe4")
    assert init(adopted, kind) == 2
    edited.write_text("mine\n")
    if config.exists():
        config.write_text("{}\n")
    assert init(adopted, kind) == 2
    assert edited.read_text() == "mine\n"
    assert init(adopted, kind, "--force") == 0
    assert edited.read_text() != "mine\n"
    assert not config.exists() or config.read_text() == "{}\n"


def test_init_takes_the_newest_release(adopted: Adopted, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(adopted.folder / "consdb")
    assert main(["init", "consdb", "--directory", folder]) == 2
    assert "has no release" in capsys.readouterr().err
    adopted.release()
    assert main(["init", "consdb", "--directory", folder]) == 0
    text = (adopted.folder / "consdb/.github/workflows/deploy.yaml").read_text()
    assert f"@{adopted.commit} # v1.2.3\n" in text
    assert main(["init", "consdb", "--directory", folder, "--pin", "main"]) == 2


def settled(place: Adopted) -> None:
    place.release()
    assert init(place, "sdm_schemas", "--teams") == init(place, "consdb") == 0
    place.settle()


def test_doctor_finds_everything_in_order(adopted: Adopted, capsys: pytest.CaptureFixture[str]) -> None:
    settled(adopted)
    code, points = doctor(capsys)
    assert {title: item["text"] for title, item in points.items() if item["state"] != "ok"} == {}
    assert (code, len(points)) == (0, 33)


def _set(rows: str, **values: Any) -> Callable[[Adopted], None]:
    return lambda place: place.target.rows.update({rows: [values] if values else []})


BREAKS: dict[str, tuple[Callable[[Adopted], object], str]] = {
    "private app": (lambda p: setattr(p.apps[0], "public", False), "app consdb-migrations is public"),
    "permission": (
        lambda p: p.apps[1].permissions.pop("contents"),
        "app consdb-releases has exactly the required permissions",
    ),
    "more permissions": (
        lambda p: p.apps[0].permissions.update(issues="write"),
        "exactly the required permissions",
    ),
    "not installed": (lambda p: p.apps[1].repositories.discard(PHALANX), "installed for lsst-sqre"),
    "variable": (_set("variables"), "variable CONSDB_RELEASE_APP_CLIENT_ID"),
    "secret": (_set("secrets"), "secret CONSDB_APP_PRIVATE_KEY"),
    "environment": (_set("environments"), "environment consdb-release is restricted"),
    "every branch": (
        _set("environments", name="consdb-release", deployment_branch_policy=None),
        "environment consdb-release is restricted",
    ),
    "key": (_set("secrets of consdb-release"), "secret CONSDB_RELEASE_APP_PRIVATE_KEY in the environment"),
    "key for all": (
        lambda p: p.target.rows["secrets"].append({"name": "CONSDB_RELEASE_APP_PRIVATE_KEY"}),
        "is not stored elsewhere",
    ),
    "caller": (
        lambda p: p.world.commit(p.target, "main", {".github/workflows/deploy.yaml": None}),
        "lsst-dm/consdb: caller workflows",
    ),
    "old release": (
        lambda p: p.own.store.set_ref("refs/tags/v1.2.3", p.world.commit(p.own, "main", {"x": "y"})),
        "caller workflows on the newest release",
    ),
    "actions off": (_set("actions", enabled=False), "lsst-dm/consdb: the used actions"),
    "only own": (_set("actions", enabled=True, allowed_actions="local_only"), "the used actions"),
    "direct pushes": (_set("rules"), "lsst-dm/consdb: the default branch"),
    "role": (
        lambda p: p.world.commit(p.schemas, "main", {".github/consdb-actions.yaml": "{}"}),
        "each role has members",
    ),
    "no YAML": (
        lambda p: p.world.commit(p.schemas, "main", {".github/consdb-actions.yaml": "["}),
        "is valid",
    ),
    "person": (lambda p: p.world.rename_user("olga", "olga2"), "people of the roles exist"),
    "team": (lambda p: p.world.teams.clear(), "teams of the roles can be read"),
    "label": (lambda p: p.schemas.labels.clear(), "label “consdb: migrate”"),
    "status": (
        lambda p: p.require(p.schemas, p.apps[0].id, "consdb/approvals"),
        "consdb/ready-to-merge required",
    ),
    "anybody": (
        lambda p: p.require(p.schemas, None, "consdb/approvals", "consdb/ready-to-merge"),
        "consdb/ready-to-merge required",
    ),
    "another app": (
        lambda p: p.require(p.schemas, 7, "consdb/approvals", "consdb/ready-to-merge"),
        "consdb/ready-to-merge required",
    ),
    "old workflow": (
        _set(
            "workflows",
            path=".github/workflows/migrate.yaml",
            state="active",
            created_at="2026-03-02T09:00:00Z",
        ),
        "old workflow migrate.yaml",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_doctor_finds_each_thing_with_its_remedy(
    adopted: Adopted, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    settled(adopted)
    break_it, title = BREAKS[name]
    break_it(adopted)
    code, points = doctor(capsys)
    wrong = {key: item for key, item in points.items() if item["state"] == "wrong"}
    assert code == 1
    assert any(title in key for key in wrong), wrong
    assert all(item["text"] and item["remedy"] for item in wrong.values())
    assert main(["doctor"]) == 1
    assert "✗" in capsys.readouterr().out


def test_a_merge_queue_wants_workflows_that_it_starts(
    adopted: Adopted, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(adopted)
    adopted.target.rows["rules"].append({"type": "merge_queue", "parameters": {}})
    assert doctor(capsys)[0] == 0
    path = ".github/workflows/consdb-revisions.yaml"
    text = (adopted.folder / "consdb" / path).read_text().replace("  merge_group:\n", "")
    adopted.world.commit(adopted.target, "main", {path: text})
    code, points = doctor(capsys)
    assert code == 1
    assert points["lsst-dm/consdb: required workflows run in the merge queue"]["state"] == "wrong"


def test_what_a_token_may_not_see_is_unknown_and_not_wrong(
    adopted: Adopted, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(adopted)
    adopted.world.restrict(
        "token-of-actions", [SCHEMAS, TARGET], {"contents": "read", "pull_requests": "read"}
    )
    code, points = doctor(capsys)
    states = [item["state"] for item in points.values()]
    assert (code, states.count("wrong")) == (0, 0)
    assert states.count("unknown") > 8
    assert all(item["remedy"] for item in points.values() if item["state"] == "unknown")


def test_doctor_goes_on_where_this_project_is_hidden(
    adopted: Adopted, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(adopted)
    del adopted.world.repos[PROJECT]
    code, points = doctor(capsys)
    unknown = {title for title, item in points.items() if item["state"] == "unknown"}
    assert unknown == {f"{name}: caller workflows on the newest release" for name in (SCHEMAS, TARGET)}
    assert (code, len(points)) == (0, 33)
