"""Rule F1 for whole runs: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from consdb_actions.adapters.github import GitHubError
from consdb_actions.adapters.github.client import ATTEMPTS
from tests.support.github.faults import Fault, Kind
from tests.support.github.plugin import TRIED
from tests.support.github.server import GitHubDouble
from tests.support.github.world import World


class Scene(Protocol):
    world: World


S = TypeVar("S", bound=Scene)


@dataclass(frozen=True)
class At:
    """A call of the undisturbed run: its place in it, and how many equal ones came before."""

    place: int
    method: str
    target: str
    before: int

    @property
    def writes(self) -> bool:
        return self.method != "GET" and self.target != "/graphql"

    def fault(self, kind: Kind, times: int = 1) -> Fault:
        return Fault(kind, self.method, self.target, self.before, times)


def faults_at(
    call: At, once: Iterable[Kind] = (), lasting: Iterable[Kind] = (), after: Iterable[Kind] = ()
) -> Iterator[Fault]:
    """Make faults that pass, that last, and that come after the action of a POST or the like."""
    yield from (call.fault(kind) for kind in once)
    yield from (call.fault(kind, ATTEMPTS) for kind in lasting)
    if call.method != "GET":
        yield from (call.fault(kind, times) for kind in after for times in (1, ATTEMPTS))


def tried(
    flow: str,
    scene: S,
    copy: Callable[[str], S],
    run: Callable[[S, GitHubDouble], object],
    shown: Callable[[S], Any],
    faults: Callable[[At], Iterable[Fault]],
    *,
    ends: Sequence[type[Exception]] = (GitHubError,),
) -> int:
    """Try faults at every call of a run, each in a copy of the scene; return how many there were.

    `shown` returns what people see, and asserts that nothing was done twice.
    """
    undisturbed, count = copy("undisturbed"), 0
    with GitHubDouble(undisturbed.world) as double:
        run(undisturbed, double)
        seen: Counter[tuple[str, str]] = Counter()
        calls = []
        for place, served in enumerate(double.log):
            key = (served.method, served.target)
            calls.append(At(place, *key, seen[key]))
            seen[key] += 1
        expected = shown(undisturbed)
        for call in calls:
            for fault in faults(call):
                twin = copy(str(count))
                double.world, double.faults = twin.world, [fault]
                with contextlib.suppress(*ends):
                    run(twin, double)
                assert fault.hits, (call, fault)
                double.faults = []
                run(twin, double)
                assert shown(twin) == expected, (call, fault)
                if twin.world.root != scene.world.root:
                    shutil.rmtree(twin.world.root)
                count += 1
        double.world = scene.world
        run(scene, double)
    TRIED.faults[flow] = TRIED.faults.get(flow, 0) + count
    return count
