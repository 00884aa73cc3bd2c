"""Typical repositories for counting calls: 11 sections, 8 environments, active pull requests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from consdb_actions.approval.plan import Part, join
from tests.support.approvals import CONFIG, LATISS, POLICY, schema_yaml
from tests.support.github import World
from tests.support.github.things import BOT
from tests.support.github.world import copied
from tests.support.migration_scene import MigrationScene, generated, outcome_of, script, write_result
from tests.support.phalanx import DEFAULTS as PHALANX_DEFAULTS
from tests.support.phalanx import Site, consdb_file, tap_file
from tests.support.process import EFD, PROCESS, ProcessScene
from tests.support.registry import RegistryDouble
from tests.support.releases import ReleaseScene, migration

SECTIONS = (
    *("latiss", "lsstcam", "lsstcomcam", "lsstcomcamsim"),
    *("startrackerwide", "startrackernarrow", "startrackerfast"),
    *("efd_latiss", "efd_lsstcam", "efd_lsstcomcam", "efd_scheduler"),
)
CAMERAS = ("base", "tucson-teststand", "summit", "summit-spare")
USDF = ("usdfdev", "usdfint", "usdfprod", "usdfspare")
DEPLOY: dict[str, Any] = {
    "stages": [
        {"name": "test-stands", "environments": ["base", "tucson-teststand"]},
        {"name": "summit", "environments": ["summit", "summit-spare"]},
        {"name": "usdf", "environments": ["usdfdev", "usdfint"]},
        {"name": "prod", "environments": ["usdfprod", "usdfspare"]},
    ]
}
TAP = ("usdfdev", "usdfint", "usdfprod")
TAGS = ("25.9.1", "25.10.1", "25.11.1", "25.12.1", "26.1.1", "26.1.2", "26.2.1")
WEEKS = ("w.2025.40", "w.2025.45", "w.2026.2", "w.2026.5")


def schema_of(section: str) -> str:
    return section if section.startswith("efd_") else f"cdb_{section}"


def revision_of(number: int, word: str = "dm_1") -> str:
    return f"{number:012x}_{word}.py"


class Town(ProcessScene):
    """All four repositories, with history, and an active pull request."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        process = {**PROCESS, "environments": [*CAMERAS, *USDF], "tap_environments": list(TAP)}
        config = {"approvals": POLICY, "process": process, "deploy": DEPLOY}
        schemas = {
            f"python/lsst/sdm/schemas/{schema_of(name)}.yaml": schema_yaml(name=schema_of(name))
            for name in SECTIONS
            if name != "latiss"
        }
        world.commit(self.repo, "main", {CONFIG: json.dumps(config), **schemas}, author="maintainer")
        self._releases()
        self._deployments()
        self.push(self.new_table(), message="Mend a description")
        self.push(message="Empty")
        for login in ("mallory", "olga", "carl"):
            self.say(login, "A word on the units.")
        self.review("mallory", "COMMENTED", "Why?")
        self.review("carl", "CHANGES_REQUESTED", "Rename it.")
        self.label("schema", "author")

    def copy(self, root: Path) -> Town:
        return copied(self, self.world, root)

    def _releases(self) -> None:
        """Make seven releases of consdb, each with two merged pull requests and a migration."""
        for number, tag in enumerate(TAGS):
            for part in ("a", "b"):
                files = {f"notes/{tag}-{part}.md": "x\n"}
                if part == "a":
                    name = SECTIONS[number]
                    down = f"{number - 1:012x}" if number else ""
                    text = migration(f"{number:012x}", down, "add", "pass")
                    files[f"alembic/{name}/versions/{revision_of(number)}"] = text
                branch = f"tickets/DM-9{number}{part}"
                self.world.commit(self.consdb, branch, files, onto=self.consdb.tip("main"))
                pull = self.world.open_pull(self.consdb, branch, title=f"DM-9{number}: {tag} {part}")
                self.world.merge(self.consdb, pull)
            self.world.tag(self.consdb, tag, at=self.world.tick())

    def _deployments(self) -> None:
        """Deploy every release, one pull request for each, week after week."""
        self.world.commit(self.phalanx, "main", dict(PHALANX_DEFAULTS), author="maintainer")
        for number, tag in enumerate(TAGS[-4:]):
            self.deploy(*CAMERAS, *USDF, tag=tag)
            week = WEEKS[number]
            files = {f"applications/consdbtap/values-{name}.yaml": tap_file(name, week, week) for name in TAP}
            self._phalanx(f"tap/{week}", files)

    def deploy(self, *environments: str, tag: str = "26.3.1") -> None:
        names = (*CAMERAS, *USDF) if environments == ("base", "summit", "usdfprod") else environments
        files = {f"applications/consdb/values-{name}.yaml": consdb_file(name, tag) for name in names}
        self._phalanx(f"deploy/{tag}", files)

    def generate(self, sha: str = "", *, text: str = "# upgrade\n") -> Any:
        """Open the migration's pull request, with a revision for every section."""
        pull = super().generate(sha, text=text)
        files = {f"alembic/{name}/versions/{revision_of(77)}": text for name in SECTIONS}
        self.world.commit(self.consdb, pull.branch, files, author=BOT)
        return pull

    def more(self) -> None:
        """Add two more open changes, and a merged one that is still followed."""
        base = self.repo.tip("main")
        for number, section in ((2, "lsstcam"), (3, "lsstcomcam"), (4, "lsstcomcamsim")):
            path, name = f"python/lsst/sdm/schemas/{schema_of(section)}.yaml", schema_of(section)
            files = {path: schema_yaml(self.ADDED, name=name)}
            self.world.commit(self.repo, f"tickets/DM-{number}", files, onto=base)
            pull = self.world.open_pull(self.repo, f"tickets/DM-{number}", title=f"DM-{number}: Add a column")
            self.world.review(self.repo, pull, "olga")
            self.world.comment(self.repo, pull.number, "carl", "A word.")
        self.world.comment(self.repo, pull.number, BOT, join({Part.PROCESS: "Some steps are left."}))
        self.world.merge(self.repo, pull)


def efd_change(way: ProcessScene) -> int:
    folder, target = EFD.rpartition("/")[0], LATISS.rpartition("/")[0]
    names = [name for name in SECTIONS if name.startswith("efd_")]

    def texts(columns: Iterable[str]) -> dict[str, str]:
        made = {name: {"datatype": "long", "description": name} for name in ("exposure_id", *columns)}
        return {name: schema_yaml(made, name=name, table="exposure_efd") for name in names}

    for repo, where in ((way.consdb, folder), (way.repo, target)):
        files = {f"{where}/{name}.yaml": text for name, text in texts(()).items()}
        way.world.commit(repo, "main", files, author="carl")
    files = {f"{folder}/{name}.yaml": text for name, text in texts(("mean",)).items()}
    way.world.commit(way.consdb, "tickets/DM-7", files, onto=way.consdb.tip("main"), author="carl")
    pull = way.world.open_pull(way.consdb, "tickets/DM-7", author="carl", title="DM-7: More columns")
    return pull.number


def migration_scene(world: World) -> MigrationScene:
    """Return a change that requests migrations of all 11 sections."""
    scene = MigrationScene(world)
    ini = "".join(
        f"[{name}]\nscript_location = alembic/{name}\nconsdb.schema_name = {schema_of(name)}\n"
        for name in SECTIONS
    )
    files = {"alembic.ini": ini}
    for name in SECTIONS:
        first = script(schema_of(name), revision="0123456789ab", down=None)
        files[f"alembic/{name}/versions/0123456789ab_initial.py"] = first
    world.commit(scene.target, "main", files, author="maintainer")
    for number in range(3):
        world.comment(scene.schemas, scene.pull.number, "carl", f"Word {number}.")
    return scene


def handed_over(folder: Path, *names: str, column: str) -> Path:
    """Write the results of some sections' jobs; of all 11 by default."""
    sections = [
        generated(name, schema_of(name), revision=f"{number:012x}", column=column)
        for number, name in enumerate(names or SECTIONS, 0xAAAAAAAAAAAA)
    ]
    return write_result(folder, outcome_of(*sections))


def release_scene(world: World) -> ReleaseScene:
    """Return a repository whose next release has a migration for each section."""
    scene = ReleaseScene(world)
    for number, name in enumerate(SECTIONS[2:], 1):
        text = migration(f"{number:012x}", "", f"add to {name}", "pass")
        files = {f"alembic/{name}/versions/{revision_of(number)}": text}
        scene.merge(f"tickets/DM-8{number}", f"DM-8{number}: {name}", files)
    scene.green()
    return scene


def site(world: World, registry: RegistryDouble) -> Site:
    made = Site(world)
    made.registry = registry
    for tag in ("26.5.1", "26.6.1", "26.6.2"):
        made.images(tag)
    files = {
        f"applications/consdb/values-{name}.yaml": consdb_file(name, "26.5.1")
        for name in ("summit-spare", "usdfspare")
    }
    world.commit(made.repo, "main", files, author="maintainer")
    return made
