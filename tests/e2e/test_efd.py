"""The EFD route: a pull request of consdb with the label gets the revision on its own branch."""

from __future__ import annotations

from typing import Any

import pytest

from consdb_actions.adapters.schema_yaml import CONSDB_FOLDERS
from consdb_actions.approval.plan import MARKER
from tests.e2e.test_migrate import LABEL, tree
from tests.e2e.workflows import ROOT, TARGET, Run, Workflows, pull_event

pytestmark = pytest.mark.e2e

CONFIG = "python/lsst/consdb/transformed_efd/config/config_latiss.yaml"
YAML = f"{CONSDB_FOLDERS[0]}/efd_latiss.yaml"
COLUMN = (
    '  - name: wind_speed_mean\n    "@id": "#exposure_efd.wind_speed_mean"\n    datatype: double\n'
    "    description: Mean speed of the wind.\n    ivoa:unit: m/s\n"
)
AFTER = '- name: exposure_efd_unpivoted\n  "@id"'


def configuration(version: str, *columns: str) -> str:
    """Write the configuration that the schema file was generated from."""
    known = {
        "air_temperature_mean": ("Mean temperature of the air outside.", "deg_C", "phys.temperature"),
        "air_humidity_mean": ("Mean relative humidity outside.", '"\\"%\\""', ""),
        "air_pressure_mean": ("Mean pressure outside.", "Pa", "phys.pressure"),
        "wind_speed_mean": ("Mean speed of the wind.", "m/s", ""),
    }
    text = f'version: "{version}"\ncolumns:\n'
    for name in columns:
        description, unit, ucd = known[name]
        text += (
            f"- name: {name}\n  tables: [exposure_efd]\n  datatype: double\n  description: {description}\n"
        )
        text += f"  ivoa:\n    unit: {unit}\n" + (f"    ucd: {ucd}\n" if ucd else "")
    return text


AIR = ("air_temperature_mean", "air_humidity_mean", "air_pressure_mean")


def test_p9_a_label_in_consdb_becomes_a_pull_request_to_that_branch(workflows: Workflows) -> None:
    world = workflows.world
    repo = world.repo(TARGET)
    yaml = (ROOT / "examples/schemas/before/efd_latiss.yaml").read_text(encoding="utf-8")
    files = {**tree(ROOT / "migrations"), YAML: yaml, CONFIG: configuration("1.0.0", *AIR)}
    base = world.commit(repo, "main", files, author="maintainer")
    stale = {CONFIG: configuration("1.1.0", *AIR, "wind_speed_mean")}
    world.commit(repo, "tickets/DM-1", stale, onto=base)
    pull = world.open_pull(repo, "tickets/DM-1", title="DM-1: Wind")
    world.add_label(repo, pull, LABEL, "author")

    def event(action: str, **more: Any) -> Run:
        payload = pull_event(repo, pull, action, **more)
        return workflows.run("consdb/consdb-efd.yaml", TARGET, "pull_request", payload)

    run = event("labeled", label={"name": LABEL})
    assert not run.ok
    (comment,) = [c.body for c in repo.comments if c.body.startswith(MARKER)]
    assert "generate_schema_from_config.py --instrument latiss" in comment.replace("\\", "")
    assert len(repo.pulls) == 1

    there = yaml.replace(AFTER, COLUMN + AFTER, 1).replace('current: "1.0.0"', 'current: "1.1.0"')
    world.commit(repo, "tickets/DM-1", {YAML: there})
    run = event("synchronize").passed()
    migration = repo.pulls[2]
    assert (migration.base, migration.branch, migration.draft) == (
        "tickets/DM-1",
        "tickets/DM-1-migration",
        True,
    )
    changed = repo.store.git("diff", "--name-only", "tickets/DM-1...tickets/DM-1-migration").decode().split()
    assert [path.split("/")[1] for path in changed] == ["efd_latiss"]
    assert "run through the tree's own env.py" in (migration.body or "")
    assert run.checkouts.count(f"checkout {TARGET} {repo.tip('main')}") == 2
    workflows.row("EFD: label in consdb", "a schema that was not regenerated")
