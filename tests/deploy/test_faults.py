"""Rule F1 for deployments: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.github.client import ATTEMPTS
from tests.deploy.flow import deploy
from tests.support.github import Fault, GitHubDouble, Kind
from tests.support.github.trials import At, faults_at, tried
from tests.support.phalanx import Site, consdb_file
from tests.support.registry import RegistryDouble

BASE = "applications/consdb/values-base.yaml"


def fresh(site: Site, double: GitHubDouble) -> None:
    """Nothing is there yet: branch, pull request and labels are all made."""


def update(site: Site, double: GitHubDouble) -> None:
    """The pull request is there for an older tag, without its label, and the base has moved under it."""
    deploy(site, double, tag="26.6.1")
    text = consdb_file("base", "26.5.1").replace("resources: {}", "resources: {cpu: 2}")
    site.world.commit(site.repo, "main", {BASE: text}, author="po-1")
    site.repo.pulls[1].labels.clear()


FLOWS: dict[str, Callable[[Site, GitHubDouble], None]] = {"open": fresh, "update": update}


def shown(site: Site) -> dict[str, Any]:
    """Return what people see in the repository, without numbers of commits and times."""
    store = site.repo.store
    heads = [name for name, _, _ in store.refs("refs/heads/")]
    assert len(site.repo.pulls) == 1
    return {
        "trees": {name: store.info(site.repo.tip(name.removeprefix("refs/heads/"))).tree for name in heads},
        "commits": {name: len(store.between("main", name)) for name in heads},
        "pulls": [(pull.title, pull.body, pull.state, pull.labels) for pull in site.repo.pulls.values()],
    }


def run(site: Site, double: GitHubDouble) -> None:
    assert deploy(site, double, force_order=True).action in ("opened", "updated", "unchanged")


def faults_of(site: Site, root: Path, flow: str, faults: Callable[[At], Iterator[Fault]]) -> int:
    with GitHubDouble(site.world) as double:
        FLOWS[flow](site, double)
    return tried(f"deploy {flow}", site, lambda name: site.copy(root / name), run, shown, faults)


@pytest.fixture
def site(site_template: Site, tmp_path: Path, registry_double: RegistryDouble) -> Site:
    return site_template.copy(tmp_path / "site", registry_double)


def test_f1_a_fault_at_any_write_that_people_see_then_a_second_run(site: Site, tmp_path: Path) -> None:
    def faults(call: At) -> Iterator[Fault]:
        if call.writes and not call.target.endswith(("/blobs", "/trees", "/commits")):
            yield call.fault(Kind.DONE_THEN_RESET, ATTEMPTS)

    assert faults_of(site, tmp_path, "open", faults) == 3


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("flow", FLOWS)
def test_f1_every_kind_of_fault_at_any_call_then_a_second_run(site: Site, tmp_path: Path, flow: str) -> None:
    once = [Kind.SECONDARY, Kind.GARBLED]
    lasting = [Kind.INVALID, Kind.CONFLICT]
    after = [Kind.TIMEOUT, Kind.BAD_GATEWAY, Kind.DONE_THEN_RESET, Kind.DONE_THEN_502]
    assert faults_of(site, tmp_path, flow, lambda call: faults_at(call, once, lasting, after)) > 100
