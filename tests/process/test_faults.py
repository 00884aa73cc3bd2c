"""Rule F1 for the process: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHubError
from consdb_actions.adapters.github.client import ATTEMPTS
from consdb_actions.approval.comment import MARKER
from tests.support.github import Fault, GitHubDouble, Kind, World
from tests.support.github.plugin import TRIED
from tests.support.github.world import copied
from tests.support.process import Way

OURS = "github-actions[bot]"

ONCE = [Kind.SECONDARY, Kind.TIMEOUT, Kind.INTERNAL, Kind.RESET, Kind.GARBLED, Kind.CONFLICT]
LASTING = [Kind.INTERNAL, Kind.BAD_GATEWAY, Kind.FORBIDDEN, Kind.INVALID, Kind.PRIMARY]
AFTER = [Kind.DONE_THEN_RESET, Kind.DONE_THEN_502, Kind.GARBLED]


def midway(world: World) -> Way:
    """Something of everything is to be written: status, reactions, a new comment; old ones go."""
    way = Way(world)
    way.finish("deploy")
    way.say("mallory", "/consdb done summit")
    way.say("carl", "/consdb rename exposure.a=b")
    world.status(way.repo, way.head, "consdb/ready-to-merge", "success", who="mallory")
    return way


def later(world: World) -> Way:
    """A comment is there and changes, another one of ours goes, a reaction is replaced, all is merged."""
    way = Way(world)
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


@dataclass(frozen=True)
class At:
    """A call of the undisturbed run: its method and target, and how many equal ones came before."""

    method: str
    target: str
    before: int


def copy_of(way: Way) -> Way:
    """Return the same in a world of its own; nothing in these flows writes git."""
    return copied(way, way.world)


def calls_of(double: GitHubDouble) -> list[At]:
    """List the calls that a double served."""
    seen: Counter[tuple[str, str]] = Counter()
    calls = []
    for call in double.log:
        key = (call.method, call.target)
        calls.append(At(*key, seen[key]))
        seen[key] += 1
    return calls


def twice(way: Way) -> list[str]:
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


def tried(
    world: World, flow: str, once: list[Kind], lasting: list[Kind], after: list[Kind], *, each: int = 1
) -> int:
    """Try faults at every call of a flow (or at each n-th that reads) and return how many there were."""
    way = FLOWS[flow](world)
    undisturbed = copy_of(way)
    count = 0
    with GitHubDouble(undisturbed.world) as double:
        undisturbed.sync(double)
        calls = calls_of(double)
        expected = undisturbed.shown()
        assert twice(undisturbed) == []
        for place, call in enumerate(calls):
            where: dict[str, Any] = {"method": call.method, "target": call.target, "skip": call.before}
            writes = call.method != "GET" and call.target != "/graphql"
            if not writes and place % each:
                continue
            faults = [Fault(kind, **where) for kind in once]
            faults += [Fault(kind, times=ATTEMPTS, **where) for kind in lasting]
            faults += [
                Fault(kind, times=times, **where) for kind in after for times in (1, ATTEMPTS) if writes
            ]
            for fault in faults:
                twin = copy_of(way)
                double.world, double.faults = twin.world, [fault]
                with contextlib.suppress(GitHubError):
                    twin.sync(double)
                assert fault.hits, (call, fault)
                double.faults = []
                twin.sync(double)
                assert twin.shown() == expected, (call, fault)
                assert twice(twin) == [], (call, fault)
                count += 1
        double.world = way.world
        way.sync(double)
    TRIED.faults[f"process sync, {flow}"] = TRIED.faults.get(f"process sync, {flow}", 0) + count
    return count


def test_f1_a_fault_at_every_write_then_a_second_run(world: World) -> None:
    assert tried(world, "midway", [], [], [Kind.DONE_THEN_RESET], each=1000) >= 10


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("flow", FLOWS)
def test_f1_a_fault_at_every_call_then_a_second_run(world: World, flow: str) -> None:
    assert tried(world, flow, [Kind.SECONDARY], [Kind.INTERNAL, Kind.FORBIDDEN], AFTER) > 150


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("flow", FLOWS)
def test_f1_every_kind_of_fault_at_many_calls_then_a_second_run(world: World, flow: str) -> None:
    assert tried(world, flow, ONCE, LASTING, AFTER, each=12) > 90
