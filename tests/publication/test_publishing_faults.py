"""Rule F1 for publishing: a fault at any call, then a second run, ends as if nothing had happened."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from consdb_actions.adapters.github import GitHubError
from consdb_actions.adapters.github.client import ATTEMPTS
from consdb_actions.approval.comment import MARKER
from tests.support.github import Fault, GitHubDouble, Kind, World
from tests.support.github.plugin import TRIED
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


def copy_of(scene: MigrationScene, root: Path) -> MigrationScene:
    """Return the same scene in a world of its own."""
    return copied(scene, scene.world, root)


def tried(world: World, folder: Path, flow: str, kinds: list[tuple[Kind, int]], writes_only: bool) -> int:
    """Try faults at every call of a flow; return how many there were."""
    start = MigrationScene(world)
    with GitHubDouble(world) as double:
        FLOWS[flow](start, double, folder / "result")
        final = outcome_of(generated())
        if flow == "edited":
            final = outcome_of(generated(), generated("lsstcam", "cdb_lsstcam", revision="bbbbbbbbbbbb"))
        result = write_result(folder / "result", final)
        asked = start.asked("unlabeled" if flow == "withdrawn" else "synchronize")

        def run(scene: MigrationScene) -> None:
            scene.publish(double, result, asked=asked)

        undisturbed = copy_of(start, folder / "undisturbed")
        double.world, double.log = undisturbed.world, []
        run(undisturbed)
        calls = [(call.method, call.target) for call in double.log]
        expected = undisturbed.shown()
        count, seen = 0, Counter[tuple[str, str]]()
        for method, target in calls:
            skip = seen[method, target]
            seen[method, target] += 1
            reads = method == "GET" or target == "/graphql"
            if writes_only and reads:
                continue
            for kind, times in kinds:
                if kind.after and reads:
                    continue
                twin = copy_of(start, folder / f"{count}")
                fault = Fault(kind, method=method, target=target, skip=skip, times=times)
                double.world, double.faults = twin.world, [fault]
                with contextlib.suppress(GitHubError):
                    run(twin)
                assert fault.hits, (method, target, kind)
                double.faults = []
                run(twin)
                assert twin.shown() == expected, (method, target, kind)
                assert sum(c.body.startswith(MARKER) for c in twin.comments) <= 1
                count += 1
    TRIED.faults[f"migrations publish, {flow}"] = TRIED.faults.get(f"migrations publish, {flow}", 0) + count
    return count


def test_f1_a_write_whose_answer_is_lost(world: World, tmp_path: Path) -> None:
    assert tried(world, tmp_path, "first", [(Kind.DONE_THEN_RESET, 1)], writes_only=True) >= 6


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
    assert tried(world, tmp_path, flow, kinds, writes_only=False) > 25
