"""A dispatch that tags and deploys, and one that deploys: the callers of consdb as they stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.workflows import RELEASE_LOGIN, Run, Workflows
from tests.support.github import Fault, Kind
from tests.support.github.things import Repo
from tests.support.phalanx import PHALANX, files_of
from tests.support.registry import RegistryDouble
from tests.support.releases import REPOSITORY, ReleaseScene

pytestmark = pytest.mark.e2e

NOW = datetime.now(UTC)
OLD = f"{NOW - timedelta(days=62):%y}.{(NOW - timedelta(days=62)).month}.1"
NEW = f"{NOW:%y}.{NOW.month}.1"


class Releasing(ReleaseScene):
    """consdb with a release of two months ago everywhere, and merges since."""

    def __init__(self, workflows: Workflows, registry: RegistryDouble) -> None:
        self.workflows = workflows
        super().__init__(workflows.world)
        self.repo.store.delete_ref("refs/tags/26.6.1")
        self.tag(OLD, self.base)
        self.phalanx: Repo = workflows.world.repo(PHALANX)
        workflows.world.commit(self.phalanx, "main", files_of(OLD), author="maintainer")
        for tag in (OLD, NEW):
            for name in ("hinfo", "pq", "transformed-efd"):
                registry.push(f"lsst-dm/consdb-{name}", tag)
        workflows.variables["CONSDB_REGISTRY_URL"] = registry.url

    def release(self, stage: str = "", ticket: str = "") -> Run:
        payload = {"inputs": {"stage": stage, "ticket": ticket}}
        return self.workflows.run("consdb/release.yaml", REPOSITORY, "workflow_dispatch", payload)

    def deploy(self, stage: str, tag: str = NEW) -> Run:
        payload = {"inputs": {"stage": stage, "tag": tag, "ticket": "DM-7"}}
        return self.workflows.run("consdb/deploy.yaml", REPOSITORY, "workflow_dispatch", payload)


def test_a_dispatch_tags_and_deploys(workflows: Workflows, registry_double: RegistryDouble) -> None:
    place = Releasing(workflows, registry_double)
    run = place.release("test-stands", "DM-7").passed()
    assert set(run.jobs.values()) == {"success"}
    kind, _ = place.repo.store.ref(f"refs/tags/{NEW}") or ("", "")
    assert kind == "tag"
    (pull,) = place.phalanx.pulls.values()
    assert NEW in pull.title
    assert workflows.world.users[pull.author or 0].login == RELEASE_LOGIN
    place.release("test-stands", "DM-7").passed()
    assert len(place.phalanx.pulls) == 1
    workflows.row("dispatch: tag, release, deployment; and again")


def test_a_fault_between_the_tag_and_the_release(
    workflows: Workflows, registry_double: RegistryDouble
) -> None:
    place = Releasing(workflows, registry_double)
    fault = Fault(Kind.FORBIDDEN, method="POST", target=f"/repos/{REPOSITORY}/releases")
    workflows.double.faults.append(fault)
    run = place.release("test-stands", "DM-7")
    assert not run.ok
    assert fault.hits
    assert not place.phalanx.pulls
    run = place.release("test-stands", "DM-7").passed()
    assert NEW in place.tags
    assert len(place.releases) == 1
    assert len(place.phalanx.pulls) == 1
    workflows.row("dispatch, then again", "403 between tag and release")


def test_a_commit_with_red_checks_is_not_tagged(
    workflows: Workflows, registry_double: RegistryDouble
) -> None:
    place = Releasing(workflows, registry_double)
    place.check("tests", "failure", run=7)
    run = place.release()
    assert not run.ok
    assert run.jobs == {"Plan the release": "failure"}
    assert NEW not in place.tags
    workflows.row("dispatch on a red commit", "wrong input")


def test_a_deployment_by_stages(workflows: Workflows, registry_double: RegistryDouble) -> None:
    place = Releasing(workflows, registry_double)
    place.tag(NEW, place.head)
    early = place.deploy("summit")
    assert not early.ok
    assert early.jobs == {"Plan the deployment": "failure"}
    place.deploy("test-stands").passed()
    assert len(place.phalanx.pulls) == 1
    missing = place.deploy("test-stands", "99.1.0")
    assert not missing.ok
    hostile = place.deploy("test-stands", '$(id) "; id; ')
    assert not hostile.ok
    assert "uid=" not in hostile.log
    assert len(place.phalanx.pulls) == 1
    workflows.row("deployment", "a stage too early; no image; a tag that is a command")


def test_no_permission_to_deploy(workflows: Workflows, registry_double: RegistryDouble) -> None:
    place = Releasing(workflows, registry_double)
    place.tag(NEW, place.head)
    target = f"/repos/{PHALANX}/git/trees"
    workflows.double.faults.append(Fault(Kind.FORBIDDEN, method="POST", target=target, times=9))
    run = place.deploy("test-stands")
    assert not run.ok
    assert run.jobs == {"Plan the deployment": "success", "Open the pull request": "failure"}
    assert "HTTP 403" in run.log
    assert not place.phalanx.pulls
    workflows.row("deployment, the token may not write", "no permission")
