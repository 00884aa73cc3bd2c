"""Rule F1 for whole runs: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHub, GitHubError, connect
from consdb_actions.adapters.github.client import ATTEMPTS
from consdb_actions.adapters.github.pull_requests import open_pulls, pulls_of_commit
from consdb_actions.approval.plan import MARKER
from tests.approval.flow import run
from tests.support.approvals import REPOSITORY, TOKEN, Scene, schema_yaml
from tests.support.github import Fault, GitHubDouble, Kind, TestClock, World
from tests.support.github.plugin import TRIED
from tests.support.github.trials import At, faults_at, tried
from tests.support.github.world import copied
from tests.support.variants import every

OURS = "github-actions[bot]"


def fresh(world: World) -> Scene:
    """Nothing is there yet: status, comment, labels and requests are all made."""
    scene = Scene(world)
    scene.approve("dan", "carl")
    return scene


def update(world: World) -> Scene:
    """Something of everything is there and wrong: it is changed, taken off or removed."""
    scene = Scene(world)
    scene.approve("dan", "carl", "olga")
    columns = {**Scene.ADDED, "dimm_seeing": {**Scene.ADDED["dimm_seeing"], "description": "DIMM seeing."}}
    scene.push(schema_yaml(columns))
    for label in ("approved: data-engineering", "approved: product-owner"):
        scene.label(label, "mallory")
    world.comment(scene.repo, 1, "mallory", f"{MARKER}\nforged")
    for _ in range(3):
        world.comment(scene.repo, 1, OURS, f"{MARKER}\nold")
    world.status(scene.repo, scene.head, "consdb/approvals", "success", who="mallory")
    return scene


FLOWS: dict[str, Callable[[World], Scene]] = {"first run": fresh, "update": update}
FINDING: dict[str, Callable[[Scene, GitHub], list[int]]] = {
    "event of a fork": lambda scene, github: pulls_of_commit(github, REPOSITORY, scene.head),
    "schedule": lambda scene, github: open_pulls(github, REPOSITORY),
}
"""How a run finds out which pull requests are meant; each is a flow of its own."""

QUICK = {"once": [Kind.SECONDARY], "lasting": [Kind.INTERNAL], "after": [Kind.DONE_THEN_RESET]}
"""Faults that pass by themselves, that last, and that come after the action."""

ALL = {
    "once": [
        *(*QUICK["once"], Kind.TIMEOUT, Kind.INTERNAL, Kind.BAD_GATEWAY, Kind.RESET, Kind.TOO_MANY),
        *(Kind.CONFLICT, Kind.GARBLED),
    ],
    "lasting": [
        *(*QUICK["lasting"], Kind.INVALID, Kind.BAD_GATEWAY, Kind.UNAVAILABLE, Kind.RESET, Kind.SECONDARY),
        *(Kind.TOO_MANY, Kind.PRIMARY, Kind.CONFLICT, Kind.FORBIDDEN),
    ],
    "after": [*QUICK["after"], Kind.DONE_THEN_502, Kind.GARBLED],
}


def shown(scene: Scene) -> dict[str, Any]:
    """Return what people see, after nothing was done twice."""
    assert twice(scene) == []
    return scene.shown()


def twice(scene: Scene) -> list[str]:
    """Name what was done twice."""
    comments = [
        item.body
        for item in scene.repo.comments
        if item.body.startswith(MARKER) and "forged" not in item.body
    ]
    statuses = [
        (item.state, item.description)
        for item in scene.repo.statuses
        if item.creator == scene.world.user(OURS).id
    ]
    asked = [event.data.get("user") for event in scene.pull.timeline if event.kind == "review_requested"]
    found = ["comment"] if len(comments) != 1 else []
    found += ["status" for one, other in itertools.pairwise(statuses) if one == other]
    return found + [f"request {person}" for person, count in Counter(asked).items() if count > 1]


def faults_of(flow: str, world: World, *, every: bool) -> int:
    """Try every fault at every call of a flow, or at each call the next; nothing here writes git."""
    scene = FLOWS[flow](world)

    def faults(call: At) -> list[Fault]:
        found = list(faults_at(call, **(ALL if every else QUICK)))
        return found if every else [found[call.place % len(found)]]

    return tried(f"approvals sync, {flow}", scene, lambda name: copied(scene, world), run, shown, faults)


@pytest.mark.parametrize("flow", every(2, FLOWS))
def test_f1_a_fault_at_any_call_then_a_second_run(world: World, flow: str) -> None:
    assert faults_of(flow, world, every=False) > 30


@pytest.mark.parametrize("flow", FINDING)
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.MISSING])
@pytest.mark.parametrize("times", [1, ATTEMPTS])
def test_f1_a_fault_while_finding_the_pull_requests(world: World, flow: str, kind: Kind, times: int) -> None:
    scene = fresh(world)
    with GitHubDouble(world) as double:
        github = connect(TOKEN, double.url, clock=TestClock())
        double.faults.append(Fault(kind, times=times))
        try:
            found = FINDING[flow](scene, github)
        except GitHubError:
            assert times > 1 or kind in (Kind.INVALID, Kind.FORBIDDEN)
            double.faults.clear()
            found = FINDING[flow](scene, github)
        github.close()
    assert found == [1]
    TRIED.faults[f"approvals sync, {flow}"] = TRIED.faults.get(f"approvals sync, {flow}", 0) + 1


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("flow", FLOWS)
def test_f1_every_kind_of_fault_at_any_call_then_a_second_run(world: World, flow: str) -> None:
    assert faults_of(flow, world, every=True) > 600
