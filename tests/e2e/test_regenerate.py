"""Migrations that are made again: another revision was merged, requests in comments, conflicts."""

from __future__ import annotations

import ast

import pytest

from tests.e2e.test_migrate import FOLDER, LABEL, ONE, Change
from tests.e2e.workflows import ROOT, SCHEMAS, TARGET, Run, Workflows
from tests.support.github import Fault, Kind
from tests.support.github.things import Pull

pytestmark = pytest.mark.e2e

PROCESS, REGENERATE = "sdm_schemas/consdb-process.yaml", "consdb/consdb-regenerate.yaml"
SECTION = "startrackerwide"
COLUMN = """\
  - name: dome_wind
    '@id': '#exposure.dome_wind'
    datatype: double
    description: Speed of the wind in the dome.
    ivoa:unit: m/s
"""


class Pair(Change):
    """Two changes of one section, both with the label."""

    def __init__(self, workflows: Workflows) -> None:
        super().__init__(workflows, ONE)
        before = (ROOT / "examples/schemas/before" / ONE).read_text(encoding="utf-8")
        anchor = "  - name: exp_time\n"
        assert anchor in before
        files = {f"{FOLDER}/{ONE}": before.replace(anchor, COLUMN + anchor)}
        self.world.commit(self.schemas, "tickets/DM-2", files, onto=self.base)
        self.other: Pull = self.world.open_pull(self.schemas, "tickets/DM-2", title="DM-2: Dome")

    def label_both(self) -> None:
        self.label().passed()
        self.pull, self.other = self.other, self.pull
        self.label().passed()
        self.pull, self.other = self.other, self.pull

    def heads(self, commit: str) -> set[str]:
        """Return the heads of the section at a commit of the target."""
        store = self.target.store
        listing = store.git("ls-tree", "-r", "--name-only", commit, f"alembic/{SECTION}/versions").decode()
        ids = []
        for path in listing.split():
            values = {}
            for node in ast.parse(store.git("show", f"{commit}:{path}").decode()).body:
                target = (
                    node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
                )
                if isinstance(target, ast.Name):
                    values[target.id] = getattr(getattr(node, "value", None), "value", None)
            ids.append((str(values["revision"]), values["down_revision"]))
        return {revision for revision, _ in ids} - {str(down) for _, down in ids}

    def push_event(self) -> Run:
        """Tell the target of a push to its default branch."""
        payload = {"ref": "refs/heads/main", "pusher": {"name": "maintainer"}}
        return self.workflows.run(REGENERATE, TARGET, "push", payload)


def test_m20_the_second_of_two_changes_is_made_again_when_the_first_is_merged(workflows: Workflows) -> None:
    pair = Pair(workflows)
    pair.label_both()
    store = pair.target.store
    first, second = (pair.target.pulls[number] for number in (1, 2))
    (before,) = pair.proposed(second.branch)
    assert store.merge(pair.target.tip("main"), pair.target.head(first))
    pair.world.merge(pair.target, first)
    pair.world.merge(pair.schemas, pair.pull)
    assert len(pair.heads("main")) == 1
    pair.push_event().passed()
    (after,) = pair.proposed(second.branch)
    assert after != before
    script = store.git("show", f"{second.branch}:{after}").decode()
    assert f'"{next(iter(pair.heads("main")))}"' in script
    assert "dome_wind" in script
    assert "camera_temperature" not in script
    merged = store.merge(pair.target.tip("main"), pair.target.head(second))
    assert merged is not None
    assert len(pair.heads(merged)) == 1
    assert "and `downgrade -1` run through the tree's own env.py" in (second.body or "")
    pair.world.merge(pair.target, second)
    assert len(pair.heads("main")) == 1
    again = pair.push_event().passed()
    assert "None." in again.log or set(again.jobs) == {"Find outdated migrations"}
    workflows.row("two changes of one section: the second is made again", "another revision was merged")


def test_m18_a_conflict_is_told_and_tried_again_by_schedule(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    path = f"{FOLDER}/{ONE}"
    text = change.schemas.store.git("show", f"main:{path}").decode()
    anchor = "  - name: exp_time\n"
    assert anchor in text
    mine = change.schemas.store.git("show", f"tickets/DM-1:{path}").decode()
    clash = mine.replace("camera_temperature", "housing_temperature")
    change.world.commit(change.schemas, "main", {path: clash}, author="maintainer")
    run = change.label()
    assert not run.ok
    assert run.jobs == {"Resolve the request": "success", "Publish": "failure"}
    assert "resolve the conflict" in change.comments[0]
    assert not change.target.pulls
    schedule = workflows.run(REGENERATE, TARGET, "schedule", {"schedule": "27,57 * * * *"}).passed()
    assert set(schedule.jobs) == {"Find outdated migrations"}, "it is told once"
    change.world.commit(change.schemas, "main", {path: text}, author="maintainer")
    schedule = workflows.run(REGENERATE, TARGET, "schedule", {"schedule": "27,57 * * * *"}).passed()
    assert len(change.target.pulls) == 1
    workflows.row("a merge conflict, then resolved", "merge conflict")


def test_p6_every_request_is_acted_on_by_whatever_run_reads_it(workflows: Workflows) -> None:
    pair = Pair(workflows)
    pair.roster()
    path = f"{FOLDER}/{ONE}"
    before = (ROOT / "examples/schemas/before" / ONE).read_text(encoding="utf-8")
    renamed = {path: before.replace("exp_time", "exposure_time")}
    pair.world.commit(pair.schemas, "tickets/DM-1", renamed)
    pair.world.comment(pair.schemas, 1, "carl", "/consdb rename exposure.exp_time=exposure_time")
    pair.world.comment(pair.schemas, 2, "carl", "/consdb regenerate")
    workflows.run(PROCESS, SCHEMAS, "schedule", {"schedule": "7,37 * * * *"}).passed()
    assert sorted(pull.branch for pull in pair.target.pulls.values()) == [
        "tickets/DM-1-migration",
        "tickets/DM-2-migration",
    ]
    (script,) = pair.proposed()
    assert "drop_column" not in pair.target.store.git("show", f"tickets/DM-1-migration:{script}").decode()
    again = workflows.run(PROCESS, SCHEMAS, "schedule", {"schedule": "7,37 * * * *"}).passed()
    assert set(again.jobs) == {"Process"}, "each is acted on once"
    # The answer holds for a later push, too.
    pair.world.add_label(pair.schemas, pair.pull, LABEL, "author")
    pair.push("How long light was collected", "How long light was gathered")
    pair.event("synchronize").passed()
    (script,) = pair.proposed()
    assert "drop_column" not in pair.target.store.git("show", f"tickets/DM-1-migration:{script}").decode()
    workflows.row("requests in two pull requests, read by a schedule")


def test_p6_a_request_outlives_a_run_that_fails(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    change.roster()
    change.world.comment(change.schemas, 1, "carl", "/consdb regenerate")
    # A label that is none of ours: the event is about something else.
    path = f"/repos/{SCHEMAS}/statuses/{change.head}"
    workflows.double.faults.append(Fault(Kind.FORBIDDEN, method="POST", target=path))
    payload = change.payload("labeled", label={"name": "other"})
    run = workflows.run(PROCESS, SCHEMAS, "pull_request", payload)
    assert not run.ok
    assert run.jobs["Process"] == "failure"
    assert len(change.target.pulls) == 1, run.log
    workflows.row("a request read by a run about a label, which fails", "403 for the status")
