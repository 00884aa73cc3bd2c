"""Rule F1 for releases: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHubError
from consdb_actions.adapters.github.releases import TagTakenError
from tests.release.flow import run
from tests.support.github import Fault, GitHubDouble, Kind
from tests.support.github.trials import At, faults_at, tried
from tests.support.releases import ReleaseScene


def nothing(scene: ReleaseScene) -> None:
    """Neither tag nor release is there."""


def half(scene: ReleaseScene) -> None:
    """The tag is there, and its release is not."""
    with GitHubDouble(scene.world) as double:
        run(scene, double)
    scene.repo.rows["releases"].clear()


FLOWS: dict[str, Callable[[ReleaseScene], None]] = {"first run": nothing, "release missing": half}


def shown(scene: ReleaseScene) -> dict[str, Any]:
    """Return what people see, after the one release."""
    found = scene.shown()
    assert len(found["releases"]) == 1
    return found


def faults_of(scene: ReleaseScene, root: Path, flow: str, faults: Callable[[At], Iterable[Fault]]) -> int:
    FLOWS[flow](scene)
    ends = (GitHubError, TagTakenError)
    name = f"release tag, {flow}"
    return tried(name, scene, lambda name: scene.copy(root / name), run, shown, faults, ends=ends)


def test_f1_a_fault_at_any_write_then_a_second_run(scene: ReleaseScene, tmp_path: Path) -> None:
    def faults(call: At) -> Iterator[Fault]:
        if call.method == "POST":
            yield from faults_at(call, lasting=[Kind.INTERNAL], after=[Kind.DONE_THEN_RESET])

    assert faults_of(scene, tmp_path, "first run", faults) == 15


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
    assert faults_of(scene, tmp_path, flow, lambda call: faults_at(call, once, lasting, after)) > 200


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
