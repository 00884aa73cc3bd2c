"""Whole runs against the double: labels, teams, scope, policy, and runs that meet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consdb_actions.approval.evaluate import StatusState
from consdb_actions.approval.plan import MARKER, Part, join
from consdb_actions.errors import InputError
from tests.approval.flow import run
from tests.approval.stage import CONSDB, DE, PO, MakeStage, Stage
from tests.support.approvals import BASE_COLUMNS, LATISS, POLICY, Scene, schema_yaml
from tests.support.github import GitHubDouble

# A5 over the API


def test_a_label_by_an_outsider_goes_and_the_comment_says_why(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.label(PO, "mallory")
    scene.sync()
    assert scene.pull.labels == []
    assert "set by mallory, was removed: mallory does not hold the role" in scene.comment
    text = scene.comment
    scene.sync()
    assert scene.comment == text


def test_a_label_taken_off_by_hand_comes_back(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.approve("olga")
    scene.sync()
    scene.unlabel(PO, "mallory")
    scene.sync()
    assert scene.pull.labels == [PO]
    scene.unlabel(PO, "olga")
    scene.sync()
    assert scene.pull.labels == [PO]


# A6 over the API


@pytest.mark.parametrize("fault", [403, 404, 500])
def test_a_team_that_cannot_be_read_is_an_error_status(make_stage: MakeStage, fault: int) -> None:
    scene = make_stage()
    scene.approve("dan", "olga", "carl")
    scene.sync()
    if fault == 404:
        del scene.world.teams["lsst/data-engineering"]
    else:
        scene.world.teams["lsst/data-engineering"].fault = fault
    assert scene.sync() is StatusState.ERROR
    assert scene.status == ("error", "Team unreadable: Data Engineering")
    assert scene.pull.labels == [DE, PO, CONSDB]
    assert f"HTTP {fault}" in scene.comment


# A7 and A8 over the API


def test_no_schema_of_ours_touched(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.push(schema_yaml(), onto=scene.base)
    scene.push(None, message="x")
    scene.world.commit(scene.repo, scene.pull.branch, {"yml/other.yaml": "a: 1\n"})
    assert scene.sync() is StatusState.SUCCESS
    assert (scene.status[1] or "").startswith("Not applicable")
    assert scene.repo.comments == []


def test_a_label_on_a_pull_request_without_schemas_goes_too(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.push(None, onto=scene.base, message="nothing")
    scene.label(PO, "mallory")
    scene.sync()
    assert scene.pull.labels == []


def test_a_draft_is_pending(make_stage: MakeStage) -> None:
    scene = make_stage(draft=True)
    scene.approve("dan", "olga", "carl")
    assert scene.sync() is StatusState.PENDING
    assert scene.pull.asked_people == []
    scene.pull.draft = False
    assert scene.sync() is StatusState.SUCCESS


def test_the_base_branch_changes(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.approve("dan", "olga", "carl")
    assert scene.sync() is StatusState.SUCCESS
    other = schema_yaml({**BASE_COLUMNS, "dimm_seeing": {"datatype": "float", "description": "Other."}})
    scene.world.commit(scene.repo, "release", {LATISS: other}, onto=scene.base, author="maintainer")
    scene.push(None, merge=[scene.repo.tip("release")], message="Merge")
    scene.pull.base = "release"
    assert scene.sync() is StatusState.PENDING
    assert scene.pull.labels == []


def test_the_policy_changed_in_the_same_pull_request_does_not_count(make_stage: MakeStage) -> None:
    scene = make_stage()
    mine = {"roles": [{"id": role["id"], "people": ["mallory"]} for role in POLICY["roles"]]}
    scene.world.commit(
        scene.repo, scene.pull.branch, {".github/consdb-actions.yaml": json.dumps({"approvals": mine})}
    )
    scene.approve("mallory")
    assert scene.sync() is StatusState.PENDING
    assert "mallory holds none of the roles" in scene.comment


def test_a_renamed_login_in_the_policy_is_pointed_out(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.world.rename_user("olga", "olga-new")
    scene.approve("olga-new")
    assert scene.sync() is StatusState.PENDING
    assert "The policy names olga, which is not an account" in scene.comment


# A10 over the API


def test_a_comment_with_our_marker_by_somebody_else_is_left_alone(make_stage: MakeStage) -> None:
    scene = make_stage()
    forged = scene.world.comment(scene.repo, 1, "mallory", f"{MARKER}\nall approved")
    scene.sync()
    scene.sync()
    bodies = [item.body for item in scene.repo.comments]
    assert len(bodies) == 2
    assert bodies[0] == forged.body


def test_more_than_a_hundred_of_everything(make_stage: MakeStage) -> None:
    scene = make_stage()
    for number in range(120):
        scene.world.comment(scene.repo, 1, "author", f"comment {number}")
        scene.label("bug", "author")
        scene.unlabel("bug", "author")
        scene.review("mallory", "COMMENTED")
        scene.push(schema_yaml(Scene.ADDED, comment=str(number)))
        scene.world.status(scene.repo, scene.head, f"ci/{number}", "success")
    members = [f"member-{number}" for number in range(130)]
    scene.world.team("lsst/data-engineering", [*members, "dan"])
    scene.approve("dan", "olga", "carl")
    head = scene.head
    for number in range(120):
        scene.world.status(scene.repo, head, f"ci/{number}", "success")
    scene.label(PO, "mallory")
    assert scene.sync() is StatusState.SUCCESS
    assert len([item for item in scene.repo.comments if item.body.startswith(MARKER)]) == 1
    assert scene.sync() is StatusState.SUCCESS
    assert len([item for item in scene.repo.comments if item.body.startswith(MARKER)]) == 1
    assert len([item for item in scene.repo.statuses if item.context == "consdb/approvals"]) == 1


def test_accounts_that_are_gone_crash_nothing(make_stage: MakeStage) -> None:
    scene = make_stage()
    for login in ("ghost1", "ghost2"):
        scene.review(login, "APPROVED")
        scene.label(PO, login)
        scene.unlabel(PO, login)
        scene.world.comment(scene.repo, 1, login, MARKER)
    scene.label(DE, "ghost1")
    scene.approve("olga")
    for login in ("ghost1", "ghost2", "author"):
        scene.world.delete_user(login)
    assert scene.sync() is StatusState.PENDING
    assert scene.pull.labels == [PO]
    assert "2 reviews by accounts that no longer exist" in "".join(item.body for item in scene.repo.comments)


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_two_runs_at_once_end_in_the_same_state(make_stage: MakeStage, step: int) -> None:
    """A whole second run happens before a call of the first, at each of its calls or at some."""
    scene = make_stage()
    scene.approve("dan", "olga")
    scene.label(CONSDB, "mallory")
    alone = scene.world.copy()
    twin = Stage.__new__(Stage)
    twin.__dict__.update(scene.__dict__)
    twin.world, twin.repo = alone, alone.repos["lsst/sdm_schemas"]
    twin.pull = twin.repo.pulls[1]
    with GitHubDouble(alone, scene.double.description) as double:
        run(twin, double)
    expected = twin.shown()
    calls = [call for call in double.log if call.writes]
    assert len(calls) > 5
    for at in range(0, len(double.log), step):
        both = scene.world.copy()
        other = Stage.__new__(Stage)
        other.__dict__.update(scene.__dict__)
        other.world, other.repo = both, both.repos["lsst/sdm_schemas"]
        other.pull = other.repo.pulls[1]
        with GitHubDouble(both) as crossed:
            count = iter(range(1_000_000))

            def meanwhile(
                method: str, target: str, at: int = at, count: Any = count, other: Stage = other
            ) -> None:
                if next(count) == at:
                    run(other, crossed)

            crossed.before = meanwhile
            run(other, crossed)
        assert other.shown() == expected, at


def test_an_approval_during_the_run_is_not_lost(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.approve("dan", "olga")

    def meanwhile(method: str, target: str) -> None:
        if method == "POST" and "/statuses/" in target:
            scene.double.before = None
            scene.approve("carl")

    scene.double.before = meanwhile
    assert scene.sync() is StatusState.SUCCESS
    assert scene.pull.labels == [DE, PO, CONSDB]


def test_what_others_do_meanwhile_is_no_error(make_stage: MakeStage) -> None:
    """A label and a comment go, and a label comes, just before the run gets to them."""
    scene = make_stage()
    scene.approve("olga")
    scene.label(CONSDB, "mallory")
    scene.world.comment(scene.repo, 1, "github-actions[bot]", join({Part.APPROVALS: "old"}))

    def meanwhile(method: str, target: str) -> None:
        if method == "DELETE" and CONSDB in scene.pull.labels:
            scene.unlabel(CONSDB, "mallory")
        elif method == "PATCH":
            scene.repo.comments.clear()
        elif method == "POST" and target.endswith("/sdm_schemas/labels"):
            scene.world.ensure_label(scene.repo, PO, "0e8a16")

    scene.double.before = meanwhile
    assert scene.sync() is StatusState.PENDING
    assert scene.pull.labels == [PO]
    assert "ConsDB Product Owner" in scene.comment


def test_people_who_cannot_be_asked_are_a_warning(make_stage: MakeStage) -> None:
    scene = make_stage(
        policy={"roles": [{"id": "de", "teams": ["lsst/data-engineering"]}, {"id": "po", "people": ["olga"]}]}
    )
    result = run(scene, scene.double)
    assert result.warnings == (
        "the team lsst/data-engineering could not be asked for a review; "
        "the token or their access does not allow it",
    )
    assert scene.pull.asked_people == [scene.world.user("olga").id]


def test_a_pull_request_that_is_not_there_is_a_clear_error(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.pull.number = 99
    with pytest.raises(InputError, match="lsst/sdm_schemas has no pull request"):
        run(scene, scene.double)


def test_a6_a_team_that_is_not_there_is_told_from_one_that_may_not_be_read(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.sync()
    scene.world.team("lsst/other", ["dan"])
    team = scene.world.teams.pop("lsst/data-engineering")
    assert scene.sync() is not StatusState.SUCCESS
    assert "there is no such team" in scene.comment
    scene.world.teams["lsst/data-engineering"] = team
    for item in scene.world.teams.values():
        item.fault = 403
    scene.sync()
    assert "the token may not read teams" in scene.comment


def test_p2_a_comment_by_another_token_of_ours_is_the_one(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.world.user("consdb[bot]", kind="Bot")
    for login in ("consdb[bot]", "mallory"):
        scene.world.comment(scene.repo, 1, login, f"{MARKER}\nold")
    scene.sync()
    authors = [scene.world.users[comment.user or 0].login for comment in scene.repo.comments]
    assert authors == ["consdb[bot]", "mallory"]
