"""Whole runs against the double: reviews, pushes and authors."""

from __future__ import annotations

import pytest

from consdb_actions.approval.evaluate import StatusState
from tests.approval.flow import run
from tests.approval.stage import CONSDB, DE, PO, MakeStage
from tests.support.approvals import BASE_COLUMNS, LATISS, Scene, schema_yaml

NEW_COLUMNS = {"dimm_seeing": Scene.ADDED["dimm_seeing"]}


def test_three_approvals_make_a_success(make_stage: MakeStage) -> None:
    scene = make_stage()
    assert scene.sync() is StatusState.PENDING
    assert scene.status == ("pending", "Missing: Data Engineering, ConsDB Product Owner, ConsDB team")
    scene.approve("dan", "olga", "carl")
    assert scene.sync() is StatusState.SUCCESS
    assert scene.status == (
        "success",
        "Approved by Data Engineering (dan), ConsDB Product Owner (olga), ConsDB team (carl)",
    )
    assert scene.pull.labels == [DE, PO, CONSDB]
    assert scene.repo.labels[DE].color == "0e8a16"


def test_a_second_run_changes_nothing(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.approve("dan", "olga")
    scene.sync()
    before = len(scene.double.log)
    scene.sync()
    assert not [call for call in scene.double.log[before:] if call.writes]


def test_a_dry_run_writes_nothing(make_stage: MakeStage) -> None:
    scene = make_stage()
    result = run(scene, scene.double, dry=True)
    assert not result.plan.empty
    assert not [call for call in scene.double.log if call.writes]


# A2 over the API


def test_a_formatting_only_push_keeps_everything(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.approve("dan", "olga", "carl")
    text = schema_yaml(Scene.ADDED, comment="Only a comment.").replace("- name: seeing", "- name:   'seeing'")
    scene.push(text)
    assert scene.sync() is StatusState.SUCCESS
    assert "still valid after later pushes" in scene.comment
    assert f"compare/{scene.first}..{scene.head}" in scene.comment


def test_a_description_only_push_makes_only_data_engineering_stale(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.approve("dan", "olga", "carl")
    scene.sync()
    columns = {**Scene.ADDED, "dimm_seeing": {**Scene.ADDED["dimm_seeing"], "description": "DIMM seeing."}}
    scene.push(schema_yaml(columns))
    assert scene.sync() is StatusState.PENDING
    assert scene.status == ("pending", "Approval stale: Data Engineering")
    assert sorted(scene.pull.labels) == [CONSDB, PO]
    assert scene.world.user("dan").id in scene.pull.asked_people


def test_a_type_change_makes_all_stale(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.approve("dan", "olga", "carl")
    columns = {**Scene.ADDED, "dimm_seeing": {**Scene.ADDED["dimm_seeing"], "datatype": "float"}}
    scene.push(schema_yaml(columns))
    assert scene.sync() is StatusState.PENDING
    assert (scene.status[1] or "").startswith(
        "Approval stale: Data Engineering, ConsDB Product Owner, ConsDB"
    )
    assert "cdb\\_latiss.yaml (structure)" in scene.comment or "cdb_latiss.yaml (structure)" in scene.comment


def test_a_rebase_and_a_squash_after_approval_do_not_matter(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.push(schema_yaml(Scene.ADDED, comment="again"))
    scene.approve("dan", "olga", "carl")
    other = {
        LATISS: schema_yaml({**BASE_COLUMNS, "airmass": {"datatype": "double", "description": "Airmass."}})
    }
    main = scene.world.commit(scene.repo, "main", other, author="maintainer")
    rebased = {
        **BASE_COLUMNS,
        "airmass": {"datatype": "double", "description": "Airmass."},
        **NEW_COLUMNS,
    }
    scene.push(schema_yaml(rebased), onto=main, message="Squashed and rebased")
    assert scene.sync() is StatusState.SUCCESS


def test_a_review_on_a_commit_that_was_rebased_away_holds_by_the_comments_memory(
    make_stage: MakeStage,
) -> None:
    scene = make_stage()
    scene.approve("dan", "olga", "carl")
    scene.sync()
    scene.repo.lost.add(scene.first)
    scene.push(schema_yaml(Scene.ADDED), onto=scene.base, message="Amended")
    assert scene.sync() is StatusState.SUCCESS
    assert "as recorded by an earlier run" in scene.comment


def test_an_unreachable_commit_without_memory_fails_closed(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.approve("dan", "olga", "carl")
    scene.repo.lost.add(scene.first)
    scene.push(schema_yaml(Scene.ADDED), onto=scene.base, message="Amended")
    assert scene.sync() is StatusState.PENDING
    assert "can no longer be read" in scene.comment


def test_a_file_that_is_no_schema_falls_back_to_its_lines(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.push("name: [broken\n")
    scene.approve("dan", "olga", "carl")
    scene.push(None, message="Nothing more")
    assert scene.sync() is StatusState.SUCCESS
    scene.push("name: [broken, too\n")
    assert scene.sync() is StatusState.PENDING
    assert "changed lines" in scene.comment


# A1 over the API


def test_a_co_author_and_a_committer_do_not_approve(make_stage: MakeStage) -> None:
    scene = make_stage()
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
    assert scene.sync() is StatusState.PENDING
    assert scene.pull.labels == []
    for word in ("dan is co-author", "cleo is co-author", "olga is committer"):
        assert word in scene.comment


@pytest.mark.parametrize(
    "trailer",
    [
        "Co-authored-by: Dan <{dan}>\r",
        "Co-authored-by : Dan <{dan}>",
        "Co-authored-by\t\u00a0: Dan <{dan}>",
        "  co-authored-by: Dan <{dan}>",
        "\ufeffCo-authored-by: Dan <{dan}>",
        "\u200b> Co-authored-by: Dan <{dan}>",
        "Co-authored-by: Dan <D> Data <{dan}>",
        "Co-authored-by: < <{dan}>",
        "Co-authored-by: Dan <{dan}> (data)",
        "Co-authored-by: Dan < {dan} >",
        "Co-authored-by: Dan\n <{dan}>",
        "Co-authored-by: Dan {dan}",
        "Co-authored-by:{dan}",
        "Co-authored-by: Olga <olga@x.example>, Dan <{dan}>",
        "Signed-off-by: a\x0bCo-authored-by: Dan <{dan}>",
        "Signed-off-by: a\u2028Co-authored-by: Dan <{dan}>",
        "Co-authored-by: Dan",
        "Co-authored-by: Dan Data <nobody@x.example>",
        "Co-authored-by: Dan <Data>",
    ],
)
def test_every_form_of_co_author_bars_from_approving(make_stage: MakeStage, trailer: str) -> None:
    scene = make_stage()
    dan = scene.world.user("dan")
    dan.name = "Dan Data"
    message = "Help\r\n\r\n" + trailer.format(dan=dan.noreply) + "\r\n"
    scene.push(schema_yaml(Scene.ADDED, comment="x"), message=message)
    scene.approve("dan")
    scene.sync()
    assert scene.pull.labels == []


def test_an_unknown_co_author_is_named_and_barred_by_name(make_stage: MakeStage) -> None:
    scene = make_stage()
    scene.world.user("dan").name = "Dan Data"
    scene.push(
        schema_yaml(Scene.ADDED, comment="x"),
        message="Help\n\nCo-authored-by: dan data <dan@home.example>\nCo-authored-by: X <x@y.example>",
    )
    scene.approve("dan", "carl")
    scene.sync()
    assert scene.pull.labels == [CONSDB]
    assert "No account is known for X" in scene.comment


def test_update_branch_by_an_approver_is_not_writing(make_stage: MakeStage) -> None:
    scene = make_stage()
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
