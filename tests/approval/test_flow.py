"""Whole runs against the double: what people do, and what the pull request then shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHubError
from consdb_actions.approval.memory import MARKER
from consdb_actions.approval.verdict import State
from tests.approval.flow import run
from tests.support.approvals import LATISS, POLICY, Scene, schema_yaml
from tests.support.github import GitHubDouble, World
from tests.support.github.plugin import Double

DE, PO, CONSDB = "approved: data-engineering", "approved: product-owner", "approved: consdb"


class Stage(Scene):
    """A scene with its double running."""

    def __init__(self, world: World, double: GitHubDouble, **values: Any) -> None:
        super().__init__(world, **values)
        self.double = double

    def sync(self) -> State:
        return run(self, self.double).decision.state

    @property
    def status(self) -> tuple[str, str | None]:
        found = [
            item
            for item in self.repo.statuses
            if item.sha == self.head and item.context == "consdb/approvals"
        ]
        return found[-1].state, found[-1].description

    @property
    def comment(self) -> str:
        (only,) = [item for item in self.repo.comments if item.body.startswith(MARKER)]
        return only.body


@pytest.fixture
def stage(world: World, github_double: Double) -> Callable[..., Stage]:
    def make(**values: Any) -> Stage:
        return Stage(world, github_double(world), **values)

    return make


def test_three_approvals_make_a_success(stage: Callable[..., Stage]) -> None:
    scene = stage()
    assert scene.sync() is State.PENDING
    assert scene.status == ("pending", "Missing: Data Engineering, ConsDB Product Owner, ConsDB team")
    scene.approve("dan", "olga", "carl")
    assert scene.sync() is State.SUCCESS
    assert scene.status == (
        "success",
        "Approved by Data Engineering (dan), ConsDB Product Owner (olga), ConsDB team (carl)",
    )
    assert scene.pull.labels == [DE, PO, CONSDB]
    assert scene.repo.labels[DE].color == "0e8a16"


def test_a_second_run_changes_nothing(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.approve("dan", "olga")
    scene.sync()
    before = len(scene.double.log)
    scene.sync()
    assert not [call for call in scene.double.log[before:] if call.writes]


def test_a_dry_run_writes_nothing(stage: Callable[..., Stage]) -> None:
    scene = stage()
    result = run(scene, scene.double, dry=True)
    assert not result.plan.empty
    assert not [call for call in scene.double.log if call.writes]


# A2 over the API


def test_a_formatting_only_push_keeps_everything(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.approve("dan", "olga", "carl")
    text = schema_yaml(Scene.ADDED, comment="Only a comment.").replace("- name: seeing", "- name:   'seeing'")
    scene.push(text)
    assert scene.sync() is State.SUCCESS
    assert "kept over later pushes" in scene.comment
    assert f"compare/{scene.first}..{scene.head}" in scene.comment


def test_a_description_only_push_makes_only_data_engineering_stale(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.approve("dan", "olga", "carl")
    scene.sync()
    columns = {**Scene.ADDED, "dimm_seeing": {**Scene.ADDED["dimm_seeing"], "description": "DIMM seeing."}}
    scene.push(schema_yaml(columns))
    assert scene.sync() is State.PENDING
    assert scene.status == ("pending", "Approval stale: Data Engineering")
    assert sorted(scene.pull.labels) == [CONSDB, PO]
    assert scene.world.user("dan").id in scene.pull.asked_people


def test_a_type_change_makes_all_stale(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.approve("dan", "olga", "carl")
    columns = {**Scene.ADDED, "dimm_seeing": {**Scene.ADDED["dimm_seeing"], "datatype": "float"}}
    scene.push(schema_yaml(columns))
    assert scene.sync() is State.PENDING
    assert (scene.status[1] or "").startswith(
        "Approval stale: Data Engineering, ConsDB Product Owner, ConsDB"
    )
    assert "cdb\\_latiss.yaml (structure)" in scene.comment or "cdb_latiss.yaml (structure)" in scene.comment


def test_a_rebase_and_a_squash_after_approval_do_not_matter(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.push(schema_yaml(Scene.ADDED, comment="again"))
    scene.approve("dan", "olga", "carl")
    other = {
        LATISS: schema_yaml(
            {**schema_columns(), "airmass": {"datatype": "double", "description": "Airmass."}}
        )
    }
    main = scene.world.commit(scene.repo, "main", other, author="maintainer")
    rebased = {
        **schema_columns(),
        "airmass": {"datatype": "double", "description": "Airmass."},
        **new_columns(),
    }
    scene.push(schema_yaml(rebased), onto=main, message="Squashed and rebased")
    assert scene.sync() is State.SUCCESS


def test_a_review_on_a_commit_that_was_rebased_away_holds_by_the_comments_memory(
    stage: Callable[..., Stage],
) -> None:
    scene = stage()
    scene.approve("dan", "olga", "carl")
    scene.sync()
    scene.repo.lost.add(scene.first)
    scene.push(schema_yaml(Scene.ADDED), onto=scene.base, message="Amended")
    assert scene.sync() is State.SUCCESS
    assert "as recorded by an earlier run" in scene.comment


def test_an_unreachable_commit_without_memory_fails_closed(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.approve("dan", "olga", "carl")
    scene.repo.lost.add(scene.first)
    scene.push(schema_yaml(Scene.ADDED), onto=scene.base, message="Amended")
    assert scene.sync() is State.PENDING
    assert "can no longer be read" in scene.comment


def test_a_file_that_is_no_schema_falls_back_to_its_lines(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.push("name: [broken\n")
    scene.approve("dan", "olga", "carl")
    scene.push(None, message="Nothing more")
    assert scene.sync() is State.SUCCESS
    scene.push("name: [broken, too\n")
    assert scene.sync() is State.PENDING
    assert "changed lines" in scene.comment


# A1 over the API


def test_a_co_author_and_a_committer_do_not_approve(stage: Callable[..., Stage]) -> None:
    scene = stage()
    world = scene.world
    world.user("cleo", name="Cleo").emails.append("cleo@obs.example")
    world.commit(scene.repo, "main", {"x": "x"}, author="cleo")
    dan = world.user("dan")
    scene.push(
        schema_yaml(Scene.ADDED, comment="x"),
        message=f"Help\n\nCo-authored-by: Dan <{dan.noreply}>\nco-authored-by: Someone <cleo@obs.example>",
        committer="olga",
    )
    scene.approve("dan", "cleo", "olga")
    assert scene.sync() is State.PENDING
    assert scene.pull.labels == []
    for word in ("dan is co-author", "cleo is co-author", "olga is committer"):
        assert word in scene.comment


def test_an_unknown_co_author_is_named_and_barred_by_name(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.world.user("dan").name = "Dan Data"
    scene.push(
        schema_yaml(Scene.ADDED, comment="x"),
        message="Help\n\nCo-authored-by: dan data <dan@home.example>\nCo-authored-by: X <x@y.example>",
    )
    scene.approve("dan", "carl")
    scene.sync()
    assert scene.pull.labels == [CONSDB]
    assert "No account is known for X" in scene.comment


def test_update_branch_by_an_approver_is_not_writing(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.approve("carl")
    main = scene.world.commit(scene.repo, "main", {"README.md": "More.\n"}, author="maintainer")
    scene.push(None, author="carl", merge=[main], message="Merge branch main")
    scene.sync()
    assert scene.pull.labels == [CONSDB]
    changed = schema_yaml({**Scene.ADDED, "sneaked": {"datatype": "int", "description": "In."}})
    newer = scene.world.commit(scene.repo, "main", {"README.md": "Even more.\n"}, author="maintainer")
    scene.push(changed, author="carl", merge=[newer], message="Merge branch main")
    scene.approve("carl")
    scene.sync()
    assert scene.pull.labels == []


# A5 over the API


def test_a_label_by_an_outsider_goes_and_the_comment_says_why(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.label(PO, "mallory")
    scene.sync()
    assert scene.pull.labels == []
    assert "set by mallory, was taken off: mallory does not hold the role" in scene.comment
    text = scene.comment
    scene.sync()
    assert scene.comment == text


def test_a_label_taken_off_by_hand_comes_back(stage: Callable[..., Stage]) -> None:
    scene = stage()
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
def test_a_team_that_cannot_be_read_is_an_error_status(stage: Callable[..., Stage], fault: int) -> None:
    scene = stage()
    scene.approve("dan", "olga", "carl")
    scene.sync()
    if fault == 404:
        del scene.world.teams["lsst/data-engineering"]
    else:
        scene.world.teams["lsst/data-engineering"].fault = fault
    assert scene.sync() is State.ERROR
    assert scene.status == ("error", "Team unreadable: Data Engineering")
    assert scene.pull.labels == [DE, PO, CONSDB]
    assert f"HTTP {fault}" in scene.comment


# A7 and A8 over the API


def test_no_schema_of_ours_touched(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.push(schema_yaml(), onto=scene.base)
    scene.push(None, message="x")
    scene.world.commit(scene.repo, scene.pull.branch, {"yml/other.yaml": "a: 1\n"})
    assert scene.sync() is State.SUCCESS
    assert (scene.status[1] or "").startswith("Not applicable")
    assert scene.repo.comments == []


def test_a_label_on_a_pull_request_without_schemas_goes_too(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.push(None, onto=scene.base, message="nothing")
    scene.label(PO, "mallory")
    scene.sync()
    assert scene.pull.labels == []


def test_a_draft_is_pending(stage: Callable[..., Stage]) -> None:
    scene = stage(draft=True)
    scene.approve("dan", "olga", "carl")
    assert scene.sync() is State.PENDING
    assert scene.pull.asked_people == []
    scene.pull.draft = False
    assert scene.sync() is State.SUCCESS


def test_the_base_branch_changes(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.approve("dan", "olga", "carl")
    assert scene.sync() is State.SUCCESS
    other = schema_yaml({**schema_columns(), "dimm_seeing": {"datatype": "float", "description": "Other."}})
    scene.world.commit(scene.repo, "release", {LATISS: other}, onto=scene.base, author="maintainer")
    scene.push(None, merge=[scene.repo.tip("release")], message="Merge")
    scene.pull.base = "release"
    assert scene.sync() is State.PENDING
    assert scene.pull.labels == []


def test_the_policy_changed_in_the_same_pull_request_does_not_count(stage: Callable[..., Stage]) -> None:
    import json

    scene = stage()
    mine = {"roles": [{"id": role["id"], "people": ["mallory"]} for role in POLICY["roles"]]}
    scene.world.commit(
        scene.repo, scene.pull.branch, {".github/consdb-actions.yaml": json.dumps({"approvals": mine})}
    )
    scene.approve("mallory")
    assert scene.sync() is State.PENDING
    assert "mallory holds none of the roles" in scene.comment


def test_a_renamed_login_in_the_policy_is_pointed_out(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.world.rename_user("olga", "olga-new")
    scene.approve("olga-new")
    assert scene.sync() is State.PENDING
    assert "The policy names olga, which is no account" in scene.comment


# A10 over the API


def test_a_comment_with_our_marker_by_somebody_else_is_left_alone(stage: Callable[..., Stage]) -> None:
    scene = stage()
    forged = scene.world.comment(scene.repo, 1, "mallory", f"{MARKER}\nall approved")
    scene.sync()
    scene.sync()
    bodies = [item.body for item in scene.repo.comments]
    assert len(bodies) == 2
    assert bodies[0] == forged.body


def test_more_than_a_hundred_of_everything(stage: Callable[..., Stage]) -> None:
    scene = stage()
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
    assert scene.sync() is State.SUCCESS
    assert len([item for item in scene.repo.comments if item.body.startswith(MARKER)]) == 1
    assert scene.sync() is State.SUCCESS
    assert len([item for item in scene.repo.comments if item.body.startswith(MARKER)]) == 1
    assert len([item for item in scene.repo.statuses if item.context == "consdb/approvals"]) == 1


def test_accounts_that_are_gone_crash_nothing(stage: Callable[..., Stage]) -> None:
    scene = stage()
    for login in ("ghost1", "ghost2"):
        scene.review(login, "APPROVED")
        scene.label(PO, login)
        scene.unlabel(PO, login)
        scene.world.comment(scene.repo, 1, login, MARKER)
    scene.label(DE, "ghost1")
    scene.approve("olga")
    for login in ("ghost1", "ghost2", "author"):
        scene.world.delete_user(login)
    assert scene.sync() is State.PENDING
    assert scene.pull.labels == [PO]
    assert "2 reviews by accounts that no longer exist" in "".join(item.body for item in scene.repo.comments)


def test_two_runs_at_once_end_in_the_same_state(stage: Callable[..., Stage]) -> None:
    """A whole second run happens before each single call of the first."""
    scene = stage()
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
    for at in range(len(double.log)):
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


def test_an_approval_during_the_run_is_not_lost(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.approve("dan", "olga")

    def meanwhile(method: str, target: str) -> None:
        if method == "POST" and "/statuses/" in target:
            scene.double.before = None
            scene.approve("carl")

    scene.double.before = meanwhile
    assert scene.sync() is State.SUCCESS
    assert scene.pull.labels == [DE, PO, CONSDB]


def test_what_others_do_meanwhile_is_no_error(stage: Callable[..., Stage]) -> None:
    """A label and a comment go, and a label comes, just before the run gets to them."""
    scene = stage()
    scene.approve("olga")
    scene.label(CONSDB, "mallory")
    scene.world.comment(scene.repo, 1, "github-actions[bot]", f"{MARKER}\nold")

    def meanwhile(method: str, target: str) -> None:
        if method == "DELETE" and CONSDB in scene.pull.labels:
            scene.unlabel(CONSDB, "mallory")
        elif method == "PATCH":
            scene.repo.comments.clear()
        elif method == "POST" and target.endswith("/sdm_schemas/labels"):
            scene.world.ensure_label(scene.repo, PO, "0e8a16")

    scene.double.before = meanwhile
    assert scene.sync() is State.PENDING
    assert scene.pull.labels == [PO]
    assert "ConsDB Product Owner" in scene.comment


def test_people_who_cannot_be_asked_are_a_warning(stage: Callable[..., Stage]) -> None:
    scene = stage(
        policy={"roles": [{"id": "de", "teams": ["lsst/data-engineering"]}, {"id": "po", "people": ["olga"]}]}
    )
    result = run(scene, scene.double)
    assert result.warnings == (
        "the team lsst/data-engineering could not be asked for a review; "
        "the token or their access does not allow it",
    )
    assert scene.pull.asked_people == [scene.world.user("olga").id]


def test_a_pull_request_that_is_not_there_is_a_clear_error(stage: Callable[..., Stage]) -> None:
    scene = stage()
    scene.pull.number = 99
    with pytest.raises(GitHubError, match="HTTP 404"):
        run(scene, scene.double)


def schema_columns() -> dict[str, Any]:
    from tests.support.approvals import BASE_COLUMNS

    return dict(BASE_COLUMNS)


def new_columns() -> dict[str, Any]:
    return {"dimm_seeing": Scene.ADDED["dimm_seeing"]}
