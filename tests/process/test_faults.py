"""Rule F1 for the process: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from consdb_actions.approval.plan import MARKER
from tests.support.github import Fault, GitHubDouble, Kind, World
from tests.support.github.trials import At, faults_at, tried
from tests.support.github.world import copied
from tests.support.process import ProcessScene

OURS = "github-actions[bot]"

ONCE = [Kind.SECONDARY, Kind.TIMEOUT, Kind.INTERNAL, Kind.RESET, Kind.GARBLED, Kind.CONFLICT]
LASTING = [Kind.INTERNAL, Kind.BAD_GATEWAY, Kind.FORBIDDEN, Kind.INVALID, Kind.PRIMARY]
AFTER = [Kind.DONE_THEN_RESET, Kind.DONE_THEN_502, Kind.GARBLED]


def midway(world: World) -> ProcessScene:
    """Something of everything is to be written: status, reactions, a new comment; old ones go."""
    way = ProcessScene(world)
    way.finish("deploy")
    way.say("mallory", "/consdb done summit")
    way.say("carl", "/consdb rename exposure.a=b")
    world.status(way.repo, way.head, "consdb/ready-to-merge", "success", who="mallory")
    return way


def later(world: World) -> ProcessScene:
    """A comment is there and changes, another one of ours goes, a reaction is replaced, all is merged."""
    way = ProcessScene(world)
    way.finish("approve")
    way.say("carl", "/consdb done bts")
    with GitHubDouble(world) as double:
        way.sync(double)
    world.comment(way.repo, 1, OURS, f"{MARKER}\nold")
    way.merge_migration()
    way.tag()
    way.say("cleo", "/consdb done summit")
    way.deploy_tap("tickets-DM-1")
    way.merge_schema()
    return way


FLOWS = {"midway": midway, "merged": later}


def twice(way: ProcessScene) -> list[str]:
    """Name what was done twice."""
    comments = [item for item in way.repo.comments if item.body.startswith(MARKER)]
    statuses = [
        (item.state, item.description)
        for item in way.repo.statuses
        if item.creator == way.world.user(OURS).id
    ]
    found = ["comment"] if len(comments) != 1 else []
    found += ["status" for one, other in itertools.pairwise(statuses) if one == other]
    reactions = Counter(
        (item["comment"], item["row"]["content"]) for item in way.repo.rows.get("reactions", [])
    )
    return found + [f"reaction {name}" for name, count in reactions.items() if count > 1]


def shown(way: ProcessScene) -> dict[str, Any]:
    """Return what people see, after nothing was done twice."""
    assert twice(way) == []
    return way.shown()


def faults_of(world: World, flow: str, *kinds: list[Kind], each: int = 1) -> int:
    """Try faults at every call of a flow, or at each n-th that reads; nothing in these flows writes git."""
    way = FLOWS[flow](world)

    def faults(call: At) -> Iterator[Fault]:
        if call.writes or call.place % each == 0:
            yield from faults_at(call, *kinds)

    return tried(
        f"process sync, {flow}", way, lambda name: copied(way, world), ProcessScene.sync, shown, faults
    )


def test_f1_a_fault_at_every_write_then_a_second_run(world: World) -> None:
    assert faults_of(world, "midway", [], [], [Kind.DONE_THEN_RESET], each=1000) >= 10


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("flow", FLOWS)
def test_f1_a_fault_at_every_call_then_a_second_run(world: World, flow: str) -> None:
    assert faults_of(world, flow, [Kind.SECONDARY], [Kind.INTERNAL, Kind.FORBIDDEN], AFTER) > 150


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("flow", FLOWS)
def test_f1_every_kind_of_fault_at_many_calls_then_a_second_run(world: World, flow: str) -> None:
    assert faults_of(world, flow, ONCE, LASTING, AFTER, each=12) > 90
