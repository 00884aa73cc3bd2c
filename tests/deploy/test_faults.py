"""Rule F1 for deployments: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHubError
from consdb_actions.adapters.github.client import ATTEMPTS
from consdb_actions.report.deploy import Shown
from tests.deploy.flow import deploy
from tests.support.github import Fault, GitHubDouble, Kind
from tests.support.github.plugin import TRIED
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


@dataclass(frozen=True)
class At:
    """A call of the undisturbed run: its method and target, and how many equal ones came before."""

    method: str
    target: str
    before: int

    @property
    def writes(self) -> bool:
        return self.method != "GET" and self.target != "/graphql"


def shown(site: Site) -> dict[str, Any]:
    """Return what people see in the repository, without numbers of commits and times."""
    store = site.repo.store
    heads = [name for name, _, _ in store.refs("refs/heads/")]
    return {
        "trees": {name: store.info(site.repo.tip(name.removeprefix("refs/heads/"))).tree for name in heads},
        "commits": {name: len(store.between("main", name)) for name in heads},
        "pulls": [(pull.title, pull.body, pull.state, pull.labels) for pull in site.repo.pulls.values()],
    }


def attempts(once: list[Kind], lasting: list[Kind], after: list[Kind], call: At) -> Iterator[Fault]:
    """Make the faults to try at a call."""
    where: dict[str, Any] = {"method": call.method, "target": call.target, "skip": call.before}
    yield from (Fault(kind, **where) for kind in once)
    yield from (Fault(kind, times=ATTEMPTS, **where) for kind in lasting)
    if call.writes:
        for kind in after:
            yield Fault(kind, **where)
            yield Fault(kind, times=ATTEMPTS, **where)


def run(site: Site, double: GitHubDouble) -> Shown:
    return deploy(site, double, force_order=True)


def tried(site: Site, root: Path, flow: str, faults: Callable[[At], Iterator[Fault]]) -> int:
    """Try faults at every call of a flow and return how many there were."""
    with GitHubDouble(site.world) as double:
        FLOWS[flow](site, double)
    undisturbed, count = site.copy(root / "undisturbed"), 0
    with GitHubDouble(undisturbed.world) as double:
        run(undisturbed, double)
        seen: Counter[tuple[str, str]] = Counter()
        calls = []
        for served in double.log:
            calls.append(At(served.method, served.target, seen[served.method, served.target]))
            seen[served.method, served.target] += 1
        expected = shown(undisturbed)
        assert len(undisturbed.repo.pulls) == 1
        for call in calls:
            for fault in faults(call):
                twin = site.copy(root / str(count))
                double.world, double.faults = twin.world, [fault]
                with contextlib.suppress(GitHubError):
                    run(twin, double)
                assert fault.hits, (call, fault)
                double.faults = []
                assert run(twin, double).action in ("opened", "updated", "unchanged")
                assert shown(twin) == expected, (call, fault)
                shutil.rmtree(twin.world.root)
                count += 1
    TRIED.faults[f"deploy {flow}"] = TRIED.faults.get(f"deploy {flow}", 0) + count
    return count


@pytest.fixture
def site(site_template: Site, tmp_path: Path, registry_double: RegistryDouble) -> Site:
    return site_template.copy(tmp_path / "site", registry_double)


def test_f1_a_fault_at_any_write_that_people_see_then_a_second_run(site: Site, tmp_path: Path) -> None:
    def faults(call: At) -> Iterator[Fault]:
        if call.writes and not call.target.endswith(("/blobs", "/trees", "/commits")):
            yield Fault(Kind.DONE_THEN_RESET, call.method, call.target, call.before, ATTEMPTS)

    assert tried(site, tmp_path, "open", faults) == 3


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("flow", FLOWS)
def test_f1_every_kind_of_fault_at_any_call_then_a_second_run(site: Site, tmp_path: Path, flow: str) -> None:
    once = [Kind.SECONDARY, Kind.GARBLED]
    lasting = [Kind.INVALID, Kind.CONFLICT]
    after = [Kind.TIMEOUT, Kind.BAD_GATEWAY, Kind.DONE_THEN_RESET, Kind.DONE_THEN_502]
    assert tried(site, tmp_path, flow, lambda call: attempts(once, lasting, after, call)) > 100
