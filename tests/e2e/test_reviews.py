"""Reviews and comments: labels, statuses and the comment of the process, by the callers as they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consdb_actions.approval.plan import MARKER, Part, split
from tests.e2e.test_migrate import ONE, Change
from tests.e2e.workflows import APP_JWT, APP_LOGIN, Run, Workflows, pull_event
from tests.support.approvals import REPOSITORY, Scene
from tests.support.github import Fault, Kind

pytestmark = pytest.mark.e2e

APPROVALS, PROCESS = "sdm_schemas/consdb-approvals.yaml", "sdm_schemas/consdb-process.yaml"


class Reviewed:
    """The scene of the approvals, with its workflows; one of its roles is held by a team."""

    def __init__(self, workflows: Workflows, *, teams: bool = True) -> None:
        self.workflows = workflows
        self.scene = Scene(workflows.world)
        if teams:
            workflows.edits = [("teams: false", "teams: true")]
            workflows.world.apps[APP_JWT].permissions["members"] = "read"

    def review(self, stranger: str = "") -> Run:
        payload = self._payload("submitted")
        return self.workflows.run(APPROVALS, REPOSITORY, "pull_request_review", payload, stranger=stranger)

    def _payload(self, action: str, **more: Any) -> dict[str, Any]:
        return pull_event(self.scene.repo, self.scene.pull, action, **more)

    def state(self, context: str) -> str:
        found = [s for s in self.scene.repo.statuses if s.context == context and s.sha == self.scene.head]
        return found[-1].state if found else ""


def test_a_review_becomes_labels_and_a_status(workflows: Workflows) -> None:
    place = Reviewed(workflows)
    place.scene.approve("dan")
    place.review().passed()
    assert place.scene.pull.labels == ["approved: data-engineering"]
    assert place.state("consdb/approvals") == "pending"
    place.scene.approve("olga", "carl")
    place.review().passed()
    assert place.state("consdb/approvals") == "success"
    authors = {workflows.world.users[c.user or 0].login for c in place.scene.repo.comments}
    assert (authors, len(place.scene.repo.comments)) == ({APP_LOGIN}, 1)
    workflows.row("reviews: labels, status, comment")


@pytest.mark.parametrize(("kind", "state"), [("Bot", ""), ("User", "pending")])
def test_a_label_of_our_own_starts_nothing(workflows: Workflows, kind: str, state: str) -> None:
    place = Reviewed(workflows)
    sender = {"login": APP_LOGIN, "type": kind}
    payload = place._payload("labeled", sender=sender, label={"name": "approved: consdb"})
    assert workflows.run(APPROVALS, REPOSITORY, "pull_request", payload).ok
    assert place.state("consdb/approvals") == state


def test_a_fault_in_the_middle_of_approvals_and_a_second_run(workflows: Workflows) -> None:
    place = Reviewed(workflows)
    place.scene.approve("dan", "olga", "carl")
    path = f"/repos/{REPOSITORY}/issues/1/labels"
    faults = [
        Fault(Kind.FORBIDDEN, method="POST", target=path),
        Fault(Kind.DONE_THEN_RESET, method="POST", target=f"/repos/{REPOSITORY}/issues/1/comments"),
    ]
    workflows.double.faults += faults
    assert not place.review().ok
    place.review().passed()
    assert all(fault.hits for fault in faults)
    assert len(place.scene.pull.labels) == 3
    assert len(place.scene.repo.comments) == 1
    workflows.row("reviews, then again", "403 for a label; answer lost for the comment")


def test_approvals_without_permission(workflows: Workflows) -> None:
    place = Reviewed(workflows)
    place.scene.approve("dan", "olga", "carl")
    path = f"/repos/{REPOSITORY}/statuses/{place.scene.head}"
    workflows.double.faults.append(Fault(Kind.FORBIDDEN, method="POST", target=path, times=9))
    run = place.review()
    assert not run.ok
    assert "HTTP 403" in run.log
    assert "The token lacks a permission" in run.log
    assert (place.state("consdb/approvals"), place.scene.pull.labels) == ("", [])
    workflows.row("reviews, the token may set no status", "no permission")


def test_g1_members_are_asked_for_only_where_a_team_holds_a_role(workflows: Workflows) -> None:
    place = Reviewed(workflows, teams=False)
    people = {"roles": [{"id": "consdb", "people": ["carl"]}]}
    config = {".github/consdb-actions.yaml": json.dumps({"approvals": people})}
    workflows.world.commit(place.scene.repo, "main", config, author="maintainer")
    place.scene.approve("carl")
    run = place.review().passed()
    assert place.state("consdb/approvals") == "success"
    assert "members" not in "".join(run.checkouts)
    workflows.row("reviews, the roles are held by people")


def test_g1_an_app_that_lacks_a_permission_gives_no_token(workflows: Workflows) -> None:
    place = Reviewed(workflows)
    del workflows.world.apps[APP_JWT].permissions["members"]
    run = place.review()
    assert not run.ok
    assert "HTTP 422" in run.log
    assert place.state("consdb/approvals") == ""
    workflows.row("reviews, the app may not read teams", "no permission")


def test_g2_dependabot_starts_nothing_that_could_fail(workflows: Workflows) -> None:
    place = Reviewed(workflows)
    for caller in (APPROVALS, PROCESS):
        payload = place._payload("opened")
        run = workflows.run(caller, REPOSITORY, "pull_request", payload, stranger="dependabot[bot]")
        assert run.jobs == {}, run.log
    assert not workflows.double.log
    assert not place.scene.repo.statuses
    place.workflows.edits = []
    workflows.run(APPROVALS, REPOSITORY, "schedule", {}).passed()
    assert place.state("consdb/approvals") == "pending"
    workflows.row("a pull request by Dependabot, then the schedule")


def test_a5_a_label_by_hand_is_taken_off(workflows: Workflows) -> None:
    place = Reviewed(workflows)
    place.scene.label("approved: product-owner", "mallory")
    payload = place._payload("labeled", label={"name": "approved: product-owner"})
    workflows.run(APPROVALS, REPOSITORY, "pull_request", payload).passed()
    assert place.scene.pull.labels == []
    workflows.row("a role's label by hand", "wrong input")


def test_comments_are_answered_and_make_the_migration_again(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    change.roster()
    workflows.world.user("mallory")

    def comment(who: str, body: str) -> Run:
        workflows.world.comment(change.schemas, change.pull.number, who, body)
        issue = {"number": change.pull.number, "pull_request": {"url": "x"}}
        payload = {"action": "created", "issue": issue, "comment": {"body": body, "user": {"login": who}}}
        return workflows.run(PROCESS, REPOSITORY, "issue_comment", payload)

    assert comment("author", "Nice.").jobs == {}
    run = comment("mallory", "/consdb regenerate").passed()
    assert set(run.jobs) == {"Process"}, "who is on no roster starts nothing"
    assert not change.target.pulls
    run = comment("carl", "/consdb regenerate").passed()
    assert len(change.target.pulls) == 1
    states = {status.context: status.state for status in change.schemas.statuses}
    assert states["consdb/ready-to-merge"] == "pending"
    workflows.variables = {}  # the app is gone: the approvals run with the workflow's own token
    run = workflows.run(APPROVALS, REPOSITORY, "pull_request_review", change.payload("submitted")).passed()
    (ours,) = [item.body for item in change.schemas.comments if item.body.startswith(MARKER)]
    assert list(split(ours)) == [Part.PROCESS, Part.APPROVALS, Part.MIGRATION]
    workflows.row("comments: the process, the migration again", "by somebody on no roster")
