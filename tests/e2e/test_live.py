"""The script of the live workflow, with the callers of sdm_schemas as they stand."""

from __future__ import annotations

import json
import re
import time

import pytest

from consdb_actions.adapters.github import connect
from tests.e2e.test_migrate import CALLER, FOLDER, tree
from tests.e2e.test_reviews import APPROVALS, PROCESS
from tests.e2e.workflows import PHALANX, ROOT, SCHEMAS, TARGET, Workflows, pull_event
from tests.live import run
from tests.support.approvals import CONFIG
from tests.support.phalanx import files_of
from tests.support.releases import ReleaseScene

pytestmark = pytest.mark.e2e


class Runners:
    """A clock in whose waiting the workflows run that GitHub would start."""

    def __init__(self, workflows: Workflows) -> None:
        self.workflows, self.events = workflows, ["labeled", "closed"]

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Run what a label, and later the end of the pull request, start."""
        if seconds < run.PAUSE or not self.events:
            return
        (pull,) = self.workflows.world.repo(SCHEMAS).pulls.values()
        action = self.events.pop(0)
        assert (action == "closed") is (pull.state == "closed")
        repo = self.workflows.world.repo(SCHEMAS)
        payload = pull_event(repo, pull, action, label={"name": run.LABEL})
        for caller in (CALLER, APPROVALS, PROCESS) if action == "labeled" else (CALLER,):
            self.workflows.run(caller, SCHEMAS, "pull_request", payload).passed()


def documented() -> dict[str, str]:
    """Return what docs/live.md has the token made with; in public copies, everybody may read checks."""
    text = " ".join((ROOT / "docs" / "live.md").read_text(encoding="utf-8").split())
    names = {"Commit statuses": "statuses", "Variables": "actions_variables"}
    found = re.findall(r"\*([A-Z][a-z ]+): (read|write)\*", text)
    return {"checks": "read"} | {
        names.get(name, name.lower().replace(" ", "_")): level for name, level in found
    }


def test_the_whole_way_as_the_live_workflow_goes_it(
    workflows: Workflows, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = workflows.world
    releases = ReleaseScene(world)
    schemas, target = world.repo(SCHEMAS), releases.repo
    roles = [{"id": name, "people": ["olga"]} for name in ("de", "po", "consdb")]
    files = tree(ROOT / "examples/schemas/before", f"{FOLDER}/")
    files[CONFIG] = json.dumps({"approvals": {"roles": roles}})
    world.commit(schemas, "main", files, author="maintainer")
    old = target.store.git("ls-tree", "-r", "--name-only", "main", "alembic").decode().split()
    files = {**dict.fromkeys(old), **tree(ROOT / "migrations")}
    releases.merge("tickets/DM-8", "DM-8: The tree", files)
    releases.green()
    world.commit(world.repo(PHALANX), "main", files_of("26.3.1"), author="maintainer")
    world.tokens["token-of-person"] = world.user("person").id
    world.restrict("token-of-person", [SCHEMAS, TARGET, PHALANX], documented())
    monkeypatch.setattr(run, "REAL", ())
    monkeypatch.setenv("GITHUB_API_URL", workflows.double.url)
    monkeypatch.setenv("GITHUB_TOKEN", "token-of-person")
    github = connect("token-of-person", workflows.double.url, clock=Runners(workflows))
    schema = f"{FOLDER}/cdb_startrackerwide.yaml"
    apps = ("consdb-migrations", "consdb-releases")
    rows = list(run.Live(github, SCHEMAS, TARGET, PHALANX, 7, schema, apps).rows())
    wrong = {title: words for title, fine, words in rows if not fine}
    assert set(wrong) == {"doctor finds nothing wrong"}, wrong
    assert len(rows) == 11
    assert [pull.state for repo in (schemas, target) for pull in (list(repo.pulls.values())[-1],)] == [
        "closed"
    ] * 2
    assert [name for name, *_ in schemas.store.refs("refs/heads/")] == ["refs/heads/main"]
    workflows.row("the live workflow's script: label to migration, and closed")
