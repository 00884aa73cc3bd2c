"""Rule F1 for releases: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHubError
from consdb_actions.adapters.github.client import ATTEMPTS
from consdb_actions.adapters.github.releases import TagTakenError
from tests.release.flow import run
from tests.support.github import Fault, GitHubDouble, Kind
from tests.support.github.plugin import TRIED
from tests.support.releases import ReleaseScene


def nothing(scene: ReleaseScene) -> None:
    """Neither tag nor release is there."""


def half(scene: ReleaseScene) -> None:
    """The tag is there, and its release is not."""
    with GitHubDouble(scene.world) as double:
        run(scene, double)
    scene.repo.rows["releases"].clear()


FLOWS: dict[str, Callable[[ReleaseScene], None]] = {"first run": nothing, "release missing": half}


@dataclass(frozen=True)
class At:
    """A call of the undisturbed run: its method and target, and how many equal ones came before."""

    method: str
    target: str
    before: int


def calls_of(double: GitHubDouble) -> list[At]:
    """List the calls that a double served."""
    seen: Counter[tuple[str, str]] = Counter()
    calls = []
    for call in double.log:
        key = (call.method, call.target)
        calls.append(At(*key, seen[key]))
        seen[key] += 1
    return calls


def attempts(
    call: At, lasting: dict[str, list[Kind]], once: list[Kind], after: list[Kind]
) -> Iterator[Fault]:
    """Make the faults to try at a call: that pass, that last (by its method), that come after the action."""
    where: dict[str, Any] = {"method": call.method, "target": call.target, "skip": call.before}
    yield from (Fault(kind, **where) for kind in once)
    yield from (Fault(kind, times=ATTEMPTS, **where) for kind in lasting.get(call.method, []))
    if call.method != "GET":
        for kind in after:
            yield Fault(kind, **where)
            yield Fault(kind, times=ATTEMPTS, **where)


def twice(scene: ReleaseScene) -> list[str]:
    """Name what was done twice."""
    counted = Counter(tag for tag, _, _ in scene.releases)
    return [tag for tag, count in counted.items() if count > 1]


def tried(
    scene: ReleaseScene,
    root: Path,
    flow: str,
    lasting: dict[str, list[Kind]],
    once: list[Kind],
    after: list[Kind],
) -> int:
    """Try every fault at every call of a flow and return how many there were."""
    FLOWS[flow](scene)
    undisturbed, count = scene.copy(root / "undisturbed"), 0
    with GitHubDouble(undisturbed.world) as double:
        run(undisturbed, double)
        calls, expected = calls_of(double), undisturbed.shown()
        assert len(expected["releases"]) == 1
        for call in calls:
            for fault in attempts(call, lasting, once, after):
                twin = scene.copy(root / f"{count}")
                double.world, double.faults = twin.world, [fault]
                with contextlib.suppress(GitHubError, TagTakenError):
                    run(twin, double)
                assert fault.hits, (call, fault)
                double.faults = []
                run(twin, double)
                assert twin.shown() == expected, (call, fault)
                assert twice(twin) == [], (call, fault)
                count += 1
    TRIED.faults[f"release tag, {flow}"] = TRIED.faults.get(f"release tag, {flow}", 0) + count
    return count


def test_f1_a_fault_at_any_write_then_a_second_run(scene: ReleaseScene, tmp_path: Path) -> None:
    count = tried(scene, tmp_path, "first run", {"POST": [Kind.INTERNAL]}, [], [Kind.DONE_THEN_RESET])
    assert count == 15


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("flow", FLOWS)
def test_f1_every_kind_of_fault_at_any_call_then_a_second_run(
    scene: ReleaseScene, tmp_path: Path, flow: str
) -> None:
    once = [
        *(Kind.TIMEOUT, Kind.INTERNAL, Kind.BAD_GATEWAY, Kind.RESET, Kind.SECONDARY, Kind.TOO_MANY),
        *(Kind.CONFLICT, Kind.GARBLED),
    ]
    lasting = [
        *(Kind.INVALID, Kind.BAD_GATEWAY, Kind.UNAVAILABLE, Kind.RESET, Kind.SECONDARY, Kind.TOO_MANY),
        *(Kind.PRIMARY, Kind.CONFLICT, Kind.FORBIDDEN),
    ]
    after = [Kind.DONE_THEN_RESET, Kind.DONE_THEN_502, Kind.GARBLED]
    assert tried(scene, tmp_path, flow, {"POST": lasting, "GET": lasting}, once, after) > 200


@pytest.mark.parametrize("kind", [Kind.SECONDARY, Kind.DONE_THEN_502, Kind.DONE_THEN_RESET, Kind.RESET])
def test_f1_a_fault_that_passes_is_lived_through(scene: ReleaseScene, kind: Kind) -> None:
    with GitHubDouble(scene.world) as double:
        double.faults = [
            Fault(kind, "POST", f"/repos/lsst-dm/consdb/{path}")
            for path in ("git/tags", "git/refs", "releases")
        ]
        outcome = run(scene, double)
        assert [fault.hits for fault in double.faults] == [1, 1, 1]
    assert (outcome.created, outcome.released) == (True, True)
    assert sorted(scene.tags) == ["26.6.1", "26.6.2", "3.0.0"]
    assert len(scene.releases) == 1


def test_f1_a_tag_that_the_repository_forbids_is_no_race(scene: ReleaseScene) -> None:
    with GitHubDouble(scene.world) as double:
        double.faults = [Fault(Kind.INVALID, "POST", "/repos/lsst-dm/consdb/git/refs")]
        with pytest.raises(GitHubError, match="Validation Failed"):
            run(scene, double)
        assert [call.target for call in double.log].count("/repos/lsst-dm/consdb/git/refs") == 1
    assert "26.6.2" not in scene.tags
