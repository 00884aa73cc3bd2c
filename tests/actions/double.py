"""GitHub and a registry for the job of CI that uses each action; they serve ten minutes.

``python -m tests.actions.double FOLDER`` writes the address of GitHub into ``FOLDER/env``, which bash reads
where BASH_ENV names it, and that of the registry into ``FOLDER/outputs``.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tests.support.budget_scene import Town
from tests.support.github import GitHubDouble, World
from tests.support.registry import RegistryDouble
from tests.support.releases import ReleaseScene

IMAGES = ("hinfo", "pq", "transformed-efd")


def main(folder: Path) -> None:
    """Serve a schema change, two releases of consdb and the values files of phalanx."""
    world = World(folder / "github")
    Town(world)
    ReleaseScene(world)
    registry = RegistryDouble()
    for name in IMAGES:
        registry.push(f"lsst-dm/consdb-{name}", "26.6.1")
    (folder / "outputs").write_text(f"registry-url={registry.url}\n", encoding="utf-8")
    staged = folder / "env.new"
    staged.write_text(f"export GITHUB_API_URL={GitHubDouble(world).url}\n", encoding="utf-8")
    staged.rename(folder / "env")
    threading.Event().wait(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
