"""What runs by itself: the copy of EFD schemas, the board, and checks of revisions by hand."""

from __future__ import annotations

import pytest

from tests.e2e.test_migrate import ONE, Change
from tests.e2e.workflows import APP_LOGIN, PHALANX, SCHEMAS, TARGET, Run, Workflows, pull_event
from tests.support.approvals import schema_yaml
from tests.support.phalanx import files_of

pytestmark = pytest.mark.e2e

SOURCE = "python/lsst/consdb/transformed_efd/schemas/yml/efd_latiss.yaml"


def test_efd_schemas_are_copied_by_the_schedule(workflows: Workflows) -> None:
    world = workflows.world
    schemas, consdb = world.repo(SCHEMAS), world.repo(TARGET)
    for repo in (schemas, consdb):
        world.commit(repo, "main", {"README.md": "Text.\n"}, author="maintainer")
    text = schema_yaml(name="efd_latiss", table="exposure_efd")
    world.commit(consdb, "tickets/DM-7", {SOURCE: text}, onto=consdb.tip("main"))
    world.merge(consdb, world.open_pull(consdb, "tickets/DM-7", title="DM-7: Means"))
    for _ in range(2):
        workflows.run("sdm_schemas/consdb-efd-sync.yaml", SCHEMAS, "schedule", {}).passed()
    (pull,) = schemas.pulls.values()
    assert (pull.branch, world.users[pull.author or 0].login) == ("tickets/DM-7-efd", APP_LOGIN)
    workflows.row("schedule: EFD schemas; and again")


def test_the_board_is_made_by_the_schedule(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    workflows.world.commit(workflows.world.repo(PHALANX), "main", files_of("26.3.1"), author="maintainer")
    run = workflows.run("consdb/consdb-board.yaml", TARGET, "schedule", {}).passed()
    assert not [call for call in workflows.double.log if call.writes]
    assert f"{SCHEMAS}#{change.pull.number}" in run.log or change.pull.title in run.log
    workflows.row("schedule: drift and board")


def test_a_revision_by_hand_is_checked_and_linted(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    target, world = change.target, workflows.world

    def check(branch: str, files: dict[str, str | bytes | None]) -> Run:
        world.commit(target, branch, files, onto=target.tip("main"))
        pull = world.open_pull(target, branch)
        assert target.renew_test_merge(pull)
        payload = pull_event(target, pull, "opened", source="mallory/consdb")
        caller = "consdb/consdb-revisions.yaml"
        return workflows.run(caller, TARGET, "pull_request", payload, stranger="mallory")

    nothing = check("docs", {"README.md": "Text.\n"}).passed()
    assert f"checkout {SCHEMAS}" not in "\n".join(nothing.checkouts)
    assert change.label().ok
    (path,) = change.proposed()
    good = target.store.git("show", f"tickets/DM-1-migration:{path}").decode()
    run = check("tickets/DM-1", {path: good}).passed()
    assert f"checkout {SCHEMAS} tickets/DM-1" in run.checkouts
    wrong = check("tickets/DM-1-again", {path: good.replace("camera_temperature", "other")})
    assert not wrong.ok
    assert f"checkout {SCHEMAS} " in wrong.checkouts, "there is no such branch of the schemas"
    workflows.row("pull requests with revisions by hand", "a column that is in no schema")
