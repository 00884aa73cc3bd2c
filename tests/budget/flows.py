"""The flows that talk to GitHub, run as their users do, with every call that they make."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from consdb_actions.adapters.github import connect
from consdb_actions.cli import main
from consdb_actions.commands.adoption import PROJECT
from tests.support.approvals import REPOSITORY, TOKEN
from tests.support.budget_scene import (
    DEPLOY,
    Town,
    efd_change,
    handed_over,
    migration_scene,
    release_scene,
    site,
)
from tests.support.github import GitHubDouble, Served, World
from tests.support.github.plugin import Double
from tests.support.migration_scene import LABEL, MigrationScene
from tests.support.phalanx import PHALANX
from tests.support.registry import RegistryDouble
from tests.support.releases import REPOSITORY as CONSDB

AGAIN = ", again"
NOW = ("--now", "2026-03-20")


@dataclass(frozen=True)
class Calls:
    """The calls of one run."""

    served: tuple[Served, ...]

    @property
    def reads(self) -> int:
        """What was read and counts against the limits."""
        return sum(not call.writes and call.status != 304 for call in self.served)

    @property
    def unchanged(self) -> int:
        """What GitHub answered with "not modified", which does not count."""
        return sum(call.status == 304 for call in self.served)

    @property
    def writes(self) -> int:
        return sum(call.writes for call in self.served)

    def __str__(self) -> str:
        return "\n".join(f"{call.status} {call.method} {call.target}" for call in self.served)


@dataclass
class Ground:
    """Where flows are run."""

    folder: Path
    patch: pytest.MonkeyPatch
    connect: Double
    registry: RegistryDouble
    template: Town
    double: GitHubDouble | None = None

    def world(self) -> World:
        return World(self.folder / "github")

    def town(self, until: str = "") -> Town:
        """Return a town of its own, in which the change has come up to a action."""
        town = self.template.copy(self.folder / "town")
        if until:
            town.finish(until)
        return town

    def on(self, world: World) -> None:
        """Let the program talk to a world."""
        self.double = self.connect(world)
        self.patch.chdir(self.folder)

    def run(self, *args: str, code: int = 0) -> Calls:
        """Run a command and return its calls."""
        assert self.double is not None
        start = len(self.double.log)
        assert main(list(args)) == code, args
        return Calls(tuple(self.double.log[start:]))

    def publish(self, scene: MigrationScene, head: str, *sections: str, column: str = "dimm_seeing") -> Calls:
        """Publish what the jobs of some sections hand over."""
        folder = handed_over(self.folder / "result", *sections, column=column)
        what = ("--generated-for", head, "--result", str(folder))
        return self.run("migrations", "publish", *self.event(), *what)

    def event(self) -> tuple[str, ...]:
        """Write the event of the label on the pull request, and return the options that name it."""
        event = {
            "action": "labeled",
            "label": {"name": LABEL},
            "pull_request": {"number": 1},
            "repository": {"full_name": REPOSITORY},
        }
        (self.folder / "event.json").write_text(json.dumps(event))
        return "--repo", REPOSITORY, "--event", "event.json", "--event-name", "pull_request"

    def config(self, **deploy: object) -> tuple[str, str]:
        """Write a configuration with eight environments, and return the option that names it."""
        (self.folder / "deploy.yaml").write_text(json.dumps({"deploy": {**DEPLOY, **deploy}}))
        return "--config", "deploy.yaml"


Measured = Iterator[tuple[str, Calls]]


def twice(ground: Ground, name: str, *args: str) -> Measured:
    """Run a command that changes something, and once more."""
    yield name, ground.run(*args)
    yield f"{name}{AGAIN}", ground.run(*args)


def approvals(ground: Ground) -> Measured:
    town = ground.town()
    town.approve("dan", "olga")
    ground.on(town.world)
    args = ("--repo", REPOSITORY, "--pr", "1", *NOW)
    yield "approvals status", ground.run("approvals", "status", *args, code=1)
    yield from twice(ground, "approvals sync", "approvals", "sync", *args)


def process(ground: Ground) -> Measured:
    ground.on(ground.town("deploy").world)
    args = ("--repo", REPOSITORY, "--pr", "1", *NOW)
    yield "process status", ground.run("process", "status", *args)
    yield from twice(ground, "process sync", "process", "sync", *args)


def board(ground: Ground) -> Measured:
    town = ground.town("deploy")
    town.more()
    ground.on(town.world)
    yield "deploy drift", ground.run("deploy", "drift", "--repo", PHALANX, *NOW, *ground.config())
    yield "process board", ground.run("process", "board", "--repo", REPOSITORY, *NOW, "--output", "out")


def efd_sync(ground: Ground) -> Measured:
    town = ground.town()
    number = efd_change(town)
    ground.on(town.world)
    args = ("process", "efd-sync", "--repo", REPOSITORY, "--consdb-pr", str(number))
    yield from twice(ground, "process efd-sync", *args)


def migrations(ground: Ground) -> Measured:
    scene = migration_scene(ground.world())
    ground.on(scene.world)
    yield "migrations source", ground.run("migrations", "source", *ground.event())
    yield "migrations outdated", ground.run("migrations", "outdated", "--repo", REPOSITORY)
    yield "migrations publish", ground.publish(scene, scene.head)
    yield f"migrations publish{AGAIN}", ground.publish(scene, scene.head)
    yield "migrations publish, after a push", ground.publish(scene, scene.push(), column="dimm_seeing_2")


def adoption(ground: Ground) -> Measured:
    town = ground.town()
    own = town.world.repo(PROJECT)
    own.store.set_ref("refs/tags/v1.2.3", town.world.commit(own, "main", {"README.md": "Text."}))
    ground.on(town.world)
    assert ground.double is not None
    connect(TOKEN, ground.double.url).write("POST", f"/repos/{PROJECT}/releases", {"tag_name": "v1.2.3"})
    yield "init", ground.run("init", "consdb")
    yield "doctor", ground.run("doctor", code=1)


def release(ground: Ground) -> Measured:
    ground.on(release_scene(ground.world()).world)
    args = ("--repo", CONSDB, "--now", "2026-06-20")
    yield "release next", ground.run("release", "next", *args)
    yield from twice(ground, "release tag", "release", "tag", *args)


def deploy(ground: Ground) -> Measured:
    made = site(ground.world(), ground.registry)
    ground.on(made.world)
    where = ("--registry-url", ground.registry.url, "--now", "2026-06-10", *ground.config(labels=["consdb"]))
    what = ("--tag", "26.6.2", "--ticket", "DM-1", "--stage", "test-stands")
    yield "deploy plan", ground.run("deploy", "plan", *what, *where)
    yield from twice(ground, "deploy open", "deploy", "open", *what, *where)


@dataclass(frozen=True)
class Family:
    """Flows that are run one after the other in the same world."""

    run: Callable[[Ground], Measured]
    flows: tuple[str, ...]


FAMILIES = (
    Family(approvals, ("approvals status", "approvals sync")),
    Family(process, ("process status", "process sync")),
    Family(efd_sync, ("process efd-sync",)),
    Family(board, ("process board", "deploy drift")),
    Family(
        migrations,
        (
            "migrations source",
            "migrations outdated",
            "migrations publish",
            "migrations publish, after a push",
        ),
    ),
    Family(adoption, ("init", "doctor")),
    Family(release, ("release next", "release tag")),
    Family(deploy, ("deploy plan", "deploy open")),
)
