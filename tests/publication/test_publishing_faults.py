"""Rule F1 for publishing: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.github.client import ATTEMPTS
from consdb_actions.approval.plan import MARKER
from tests.support.github import Fault, GitHubDouble, Kind, World
from tests.support.github.trials import At, tried
from tests.support.github.world import copied
from tests.support.migration_scene import (
    LABEL,
    MigrationScene,
    generated,
    outcome_of,
    script,
    write_result,
)

PATH = "alembic/latiss/versions/aaaaaaaaaaaa_dm_1.py"
Flow = Callable[[MigrationScene, GitHubDouble, Path], Path | None]


def first(_scene: MigrationScene, _double: GitHubDouble, _folder: Path) -> None:
    """Everything is made."""


def update(scene: MigrationScene, double: GitHubDouble, folder: Path) -> None:
    """A later commit of the change, while the target moved."""
    scene.publish(double, write_result(folder, outcome_of(generated(revision="cccccccccccc"))))
    scene.push()
    scene.world.commit(scene.target, "main", {"README.md": "Newer.\n"}, author="maintainer")


def edited(scene: MigrationScene, double: GitHubDouble, folder: Path) -> None:
    """A later commit of the change, after a person edited one of two files."""
    other = generated("lsstcam", "cdb_lsstcam", revision="dddddddddddd")
    scene.publish(double, write_result(folder, outcome_of(generated(), other)))
    scene.edit(PATH, script(upgrade="pass"))
    scene.push()


def withdrawn(scene: MigrationScene, double: GitHubDouble, folder: Path) -> None:
    """The label is taken off."""
    scene.publish(double, write_result(folder, outcome_of(generated())))
    scene.world.remove_label(scene.schemas, scene.pull, LABEL, "author")


FLOWS = {function.__name__: function for function in (first, update, edited, withdrawn)}


def shown(scene: MigrationScene) -> dict[str, Any]:
    """Return what people see, after the one comment."""
    assert sum(c.body.startswith(MARKER) for c in scene.comments) <= 1
    return scene.shown()


def faults_of(
    world: World, folder: Path, flow: str, kinds: list[tuple[Kind, int]], *, writes_only: bool
) -> int:
    """Try faults at every call of a flow; return how many there were."""
    start = MigrationScene(world)
    with GitHubDouble(world) as double:
        FLOWS[flow](start, double, folder / "result")
    final = outcome_of(generated())
    if flow == "edited":
        final = outcome_of(generated(), generated("lsstcam", "cdb_lsstcam", revision="bbbbbbbbbbbb"))
    result = write_result(folder / "result", final)
    asked = start.asked("unlabeled" if flow == "withdrawn" else "synchronize")

    def run(scene: MigrationScene, double: GitHubDouble) -> None:
        scene.publish(double, result, asked=asked)

    def faults(call: At) -> Iterator[Fault]:
        if call.writes or not writes_only:
            yield from (call.fault(*kind) for kind in kinds if call.writes or not kind[0].after)

    name = f"migrations publish, {flow}"
    return tried(name, start, lambda name: copied(start, world, folder / name), run, shown, faults)


def test_f1_a_write_whose_answer_is_lost(world: World, tmp_path: Path) -> None:
    assert faults_of(world, tmp_path, "first", [(Kind.DONE_THEN_RESET, 1)], writes_only=True) >= 6


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("flow", FLOWS)
def test_f1_a_fault_at_any_call_then_a_second_run(world: World, tmp_path: Path, flow: str) -> None:
    kinds = [
        (Kind.SECONDARY, 1),
        (Kind.INTERNAL, ATTEMPTS),
        (Kind.DONE_THEN_502, 1),
        (Kind.DONE_THEN_RESET, ATTEMPTS),
    ]
    assert faults_of(world, tmp_path, flow, kinds, writes_only=False) > 25
