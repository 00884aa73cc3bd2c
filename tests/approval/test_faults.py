"""Rule F1 for whole runs: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHub, GitHubError, connect
from consdb_actions.adapters.github.client import ATTEMPTS
from consdb_actions.adapters.github.pull_requests import open_pulls, pulls_of_commit
from consdb_actions.approval.comment import MARKER
from tests.approval.flow import run
from tests.support.approvals import REPOSITORY, TOKEN, Scene, schema_yaml
from tests.support.github import Fault, GitHubDouble, Kind, TestClock, World
from tests.support.github.plugin import TRIED
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

QUICK = ([Kind.SECONDARY], [Kind.INTERNAL], [Kind.DONE_THEN_RESET])
"""Faults that pass by themselves, that last, and that come after the action."""

ALL = (
    [
        *QUICK[0],
        Kind.TIMEOUT,
        Kind.INTERNAL,
        Kind.BAD_GATEWAY,
        Kind.RESET,
        Kind.TOO_MANY,
        Kind.CONFLICT,
        Kind.GARBLED,
    ],
    [
        *QUICK[1],
        Kind.INVALID,
        Kind.BAD_GATEWAY,
        Kind.UNAVAILABLE,
        Kind.RESET,
        Kind.SECONDARY,
        Kind.TOO_MANY,
        Kind.PRIMARY,
        Kind.CONFLICT,
        Kind.FORBIDDEN,
    ],
    [*QUICK[2], Kind.DONE_THEN_502, Kind.GARBLED],
)


@dataclass(frozen=True)
class At:
    """A call of the undisturbed run: its method and target, and how many equal ones came before."""

    method: str
    target: str
    before: int


def copy_of(scene: Scene) -> Scene:
    """Return the same scene in a world of its own; nothing in these flows writes git."""
    twin = Scene.__new__(Scene)
    twin.__dict__.update(scene.__dict__)
    twin.world = scene.world.copy()
    twin.repo = twin.world.repos[scene.repo.full_name]
    twin.pull = twin.repo.pulls[scene.pull.number]
    return twin


def calls_of(double: GitHubDouble) -> list[At]:
    """List the calls that a double served."""
    seen: Counter[tuple[str, str]] = Counter()
    calls = []
    for call in double.log:
        key = (call.method, call.target)
        calls.append(At(*key, seen[key]))
        seen[key] += 1
    return calls


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


def attempts(kinds: tuple[list[Kind], list[Kind], list[Kind]], call: At) -> list[Fault]:
    """Make the faults to try at a call."""
    where: dict[str, Any] = {"method": call.method, "target": call.target, "skip": call.before}
    passing, lasting, after = kinds
    faults = [Fault(kind, **where) for kind in passing]
    faults += [Fault(kind, times=ATTEMPTS, **where) for kind in lasting]
    if call.method != "GET":
        faults += [Fault(kind, times=times, **where) for kind in after for times in (1, ATTEMPTS)]
    return faults


def tried(world: World, flow: str, *, every: bool) -> int:
    """Try every fault at every call of a flow, or at each call the next; return how many there were."""
    scene = FLOWS[flow](world)
    undisturbed = copy_of(scene)
    count = 0
    with GitHubDouble(undisturbed.world) as double:
        run(undisturbed, double)
        calls = calls_of(double)
        expected = undisturbed.shown()
        assert twice(undisturbed) == []
        for number, call in enumerate(calls):
            faults = attempts(ALL if every else QUICK, call)
            for fault in faults if every else [faults[number % len(faults)]]:
                twin = copy_of(scene)
                double.world, double.faults = twin.world, [fault]
                with contextlib.suppress(GitHubError):
                    run(twin, double)
                assert fault.hits, (call, fault)
                double.faults = []
                run(twin, double)
                assert twin.shown() == expected, (call, fault)
                assert twice(twin) == [], (call, fault)
                count += 1
        double.world = scene.world
        run(scene, double)
    TRIED.faults[f"approvals sync, {flow}"] = TRIED.faults.get(f"approvals sync, {flow}", 0) + count
    return count


@pytest.mark.parametrize("flow", every(2, FLOWS))
def test_f1_a_fault_at_any_call_then_a_second_run(world: World, flow: str) -> None:
    assert tried(world, flow, every=False) > 30


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
    assert tried(world, flow, every=True) > 600
