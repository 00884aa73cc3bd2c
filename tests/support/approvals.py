"""A repository with a schema change that needs approvals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.support.github.things import Pull, Repo, Review
from tests.support.github.world import World

REPOSITORY = "lsst/sdm_schemas"
LATISS = "python/lsst/sdm/schemas/cdb_latiss.yaml"
TOKEN = "token-of-actions"
CONFIG = ".github/consdb-actions.yaml"

POLICY: dict[str, Any] = {
    "roles": [
        {"id": "de", "teams": ["lsst/data-engineering"]},
        {"id": "po", "people": ["olga"], "designates": [{"login": "dora", "until": "2026-06-30"}]},
        {"id": "consdb", "people": ["carl", "cleo"]},
    ]
}
"""Data Engineering is the team of dan and dina; the product owner is olga, and dora for a time."""

BASE_COLUMNS: dict[str, dict[str, Any]] = {
    "exposure_id": {"datatype": "long", "nullable": False, "description": "Identifier of the exposure."},
    "seeing": {"datatype": "double", "description": "Seeing.", "ivoa:unit": "arcsec"},
}


def schema_yaml(
    columns: Mapping[str, Mapping[str, Any]] = BASE_COLUMNS,
    *,
    name: str = "cdb_latiss",
    table: str = "exposure",
    comment: str = "",
) -> str:
    """Write a small Felis schema of one table."""
    lines = [f"# {comment}"] if comment else []
    lines += [
        f"name: {name}",
        f'"@id": "#{name}"',
        "description: Test schema.",
        "version:",
        '  current: "1.0.0"',
        "tables:",
        f"- name: {table}",
        f'  "@id": "#{table}"',
        "  description: Exposures.",
        f'  primaryKey: "#{table}.exposure_id"',
        "  columns:",
    ]
    for column, values in columns.items():
        lines += [f"  - name: {column}", f'    "@id": "#{table}.{column}"']
        lines += [f"    {key}: {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


class Scene:
    """A pull request that adds the column `dimm_seeing` to cdb_latiss.

    `policy` is the section ``approvals`` of the base branch; None for no configuration file.
    """

    ADDED: Mapping[str, Mapping[str, Any]] = {
        **BASE_COLUMNS,
        "dimm_seeing": {"datatype": "double", "description": "Seeing by the DIMM.", "ivoa:unit": "arcsec"},
    }

    def __init__(
        self, world: World, policy: Mapping[str, Any] | None = POLICY, *, draft: bool = False
    ) -> None:
        self.world = world
        self.repo: Repo = world.repo(REPOSITORY)
        world.team("lsst/data-engineering", ["dan", "dina"])
        for login in ("olga", "dora", "carl", "cleo", "author", "mallory"):
            world.user(login)
        files = {LATISS: schema_yaml(), "README.md": "Schemas.\n"}
        if policy is not None:
            files[CONFIG] = json.dumps({"approvals": policy})
        self.base = world.commit(self.repo, "main", files, author="maintainer")
        self.first = world.commit(
            self.repo,
            "tickets/DM-1",
            {LATISS: schema_yaml(self.ADDED)},
            onto=self.base,
            message="Add dimm_seeing",
        )
        self.pull: Pull = world.open_pull(self.repo, "tickets/DM-1", draft=draft)

    @property
    def head(self) -> str:
        return self.repo.head(self.pull)

    def approve(self, *logins: str, body: str = "") -> list[Review]:
        return [self.world.review(self.repo, self.pull, login, body=body) for login in logins]

    def review(self, login: str, state: str, body: str = "") -> Review:
        return self.world.review(self.repo, self.pull, login, state, body=body)

    def push(self, text: str | None = None, *, author: str = "author", **options: Any) -> str:
        """Push another version of the schema file, or an empty commit."""
        files = {} if text is None else {LATISS: text}
        return self.world.commit(self.repo, self.pull.branch, files, author=author, **options)

    def label(self, name: str, login: str) -> None:
        self.world.add_label(self.repo, self.pull, name, login)

    def unlabel(self, name: str, login: str) -> None:
        self.world.remove_label(self.repo, self.pull, name, login)

    def shown(self) -> dict[str, Any]:
        return self.world.shown(self.repo, self.pull)
