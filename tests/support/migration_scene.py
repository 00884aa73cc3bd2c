"""A schema change that requests a migration, in two repositories, and results of its job."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from consdb_actions.adapters.github import GitHub, connect
from consdb_actions.commands.publication import MigrationPublisher
from consdb_actions.forms import as_json
from consdb_actions.migration.outcome import OpenQuestion as Question
from consdb_actions.migration.outcome import Operation, Reply, RunOutcome, SectionOutcome, VerificationCheck
from consdb_actions.publication.plan import Publication
from consdb_actions.publication.source import Inputs, RequestedMigration
from tests.support.approvals import BASE_COLUMNS, LATISS, REPOSITORY, TOKEN, schema_yaml
from tests.support.github import GitHubDouble, TestClock, World
from tests.support.github.things import Comment, Pull, Repo

TARGET = "lsst-dm/consdb"
LABEL = "consdb: migrate"
INI = "".join(
    f"[{name}]\nscript_location = alembic/{name}\nconsdb.schema_name = {schema}\n"
    for name, schema in (("latiss", "cdb_latiss"), ("lsstcam", "cdb_lsstcam"), ("efd_latiss", "efd_latiss"))
)
FIRST = "0123456789ab"


def script(
    schema: str = "cdb_latiss",
    *,
    revision: str = "aaaaaaaaaaaa",
    down: str | None = FIRST,
    column: str = "dimm_seeing",
    upgrade: str = "",
) -> str:
    """Write a revision as the generator does."""
    body = upgrade or (
        f'op.add_column("exposure", sa.Column("{column}", sa.DOUBLE_PRECISION(), nullable=True), '
        f'schema="{schema}")'
    )
    return f'''"""DM-1

Revision ID: {revision}
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "{revision}"
down_revision: str | Sequence[str] | None = {down!r}
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    {body}


def downgrade() -> None:
    op.drop_column("exposure", "{column}", schema="{schema}")
'''


def generated(name: str = "latiss", schema: str = "cdb_latiss", **script_values: Any) -> SectionOutcome:
    """Return a section with a verified script."""
    revision = script_values.get("revision", "aaaaaaaaaaaa")
    down = script_values.get("down", FIRST)
    return SectionOutcome(
        name,
        schema,
        "changed",
        version="1.1.0",
        base_version="1.0.0",
        path=f"alembic/{name}/versions/{revision}_dm_1.py",
        revision=revision,
        down_revision=down or "",
        source=script(schema, **script_values),
        upgrade=(Operation("Add column `exposure.dimm_seeing`.", "exposure"),),
        checks=(VerificationCheck("catalog", True, "The upgraded catalog equals that of the YAML."),),
    )


def unchanged(name: str = "latiss", schema: str = "cdb_latiss") -> SectionOutcome:
    return SectionOutcome(name, schema, "unchanged")


def open_question(name: str = "latiss", schema: str = "cdb_latiss") -> SectionOutcome:
    asked = Question(
        "What became of `exposure.seeing`?",
        ("`exposure.dimm_seeing`: same type",),
        (Reply("It was renamed", ("--rename exposure.seeing=dimm_seeing",)),),
    )
    return SectionOutcome(name, schema, "question", questions=(asked,))


def outcome_of(*sections: SectionOutcome) -> RunOutcome:
    whole = RunOutcome(sections, "DM-1", "Postgres 16 (test)", "stand-in")
    return replace(whole, written=whole.verdict == "changed")


def write_result(folder: Path, outcome: RunOutcome | None, log: str = "") -> Path:
    """Write the result of a job; None for one that failed without a report."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text(log)
    if outcome is None:
        return folder
    (folder / "report.json").write_text(json.dumps(as_json(outcome)))
    for section in outcome.changed if outcome.written else ():
        path = folder / section.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(section.source)
    return folder


class MigrationScene:
    """A labelled pull request in sdm_schemas, and consdb with three sections."""

    def __init__(
        self,
        world: World,
        *,
        branch: str = "tickets/DM-1",
        title: str = "DM-1: Add dimm_seeing",
        labels: Sequence[str] = (LABEL,),
        config: str | None = None,
    ) -> None:
        self.world = world
        self.schemas: Repo = world.repo(REPOSITORY)
        self.target: Repo = world.repo(TARGET)
        files = {LATISS: schema_yaml()}
        if config is not None:
            files[".github/consdb-actions.yaml"] = config
        self.base = world.commit(self.schemas, "main", files, author="maintainer")
        world.commit(self.schemas, branch, {LATISS: self.changed()}, onto=self.base)
        self.pull: Pull = world.open_pull(self.schemas, branch, title=title)
        for label in labels:
            world.add_label(self.schemas, self.pull, label, "author")
        world.commit(
            self.target,
            "main",
            {
                "alembic.ini": INI,
                f"alembic/latiss/versions/{FIRST}_initial.py": script(revision=FIRST, down=None),
                "README.md": "Migrations.\n",
            },
            author="maintainer",
        )

    @staticmethod
    def changed(column: str = "dimm_seeing") -> str:
        return schema_yaml({**BASE_COLUMNS, column: {"datatype": "double", "description": "Seeing."}})

    @property
    def head(self) -> str:
        return self.schemas.head(self.pull)

    @property
    def migration(self) -> Pull:
        """Return the newest pull request of the target."""
        return self.target.pulls[max(self.target.pulls)]

    @property
    def comments(self) -> list[Comment]:
        return [item for item in self.schemas.comments if item.issue == self.pull.number]

    def push(self, column: str = "dimm_seeing_2") -> str:
        """Push another version of the change."""
        return self.world.commit(self.schemas, self.pull.branch, {LATISS: self.changed(column)})

    def text(self, path: str, branch: str = "tickets/DM-1-migration") -> str:
        """Return a file of the target."""
        return self.target.store.git("show", f"{branch}:{path}").decode()

    def proposed(self, branch: str = "tickets/DM-1-migration") -> list[str]:
        """List the files that a branch of the target changes."""
        return self.target.store.git("diff", "--name-only", f"main...{branch}").decode().split()

    def edit(self, path: str, text: str | None, who: str = "author") -> None:
        """Commit a person's edit to a file of the migration."""
        self.world.commit(self.target, "tickets/DM-1-migration", {path: text}, author=who, message="By hand")

    def asked(self, action: str = "labeled", label: str = LABEL) -> RequestedMigration:
        return RequestedMigration(self.pull.number, action=action, label=label if "label" in action else "")

    def publisher(self, github: GitHub, **values: Any) -> MigrationPublisher:
        wanted = {
            "schemas": github,
            "migrations": github,
            "repository": REPOSITORY,
            "target": TARGET,
            "label": LABEL,
            "target_label": "migration",
        }
        return MigrationPublisher(**{**wanted, **values})

    def publish(
        self,
        double: GitHubDouble,
        result: Path | None,
        *,
        asked: RequestedMigration | None = None,
        commit: str = "",
        base: str = "",
        target: str = "",
        token: str = TOKEN,
    ) -> Publication:
        github = connect(token, double.url, clock=TestClock())
        try:
            return self.publisher(github).run(
                asked or self.asked(), Inputs(commit or self.head, base=base, target=target), result
            )
        finally:
            github.close()

    def shown(self) -> dict[str, Any]:
        """Return what people see of both repositories: for comparing two runs."""
        logins = {user.id: user.login for user in self.world.users.values()}
        branches = {name: sha for name, _, sha in self.target.store.refs("refs/heads/")}
        return {
            "schemas": self.world.shown(self.schemas, self.pull)["comments"],
            "labels": sorted(self.pull.labels),
            "pulls": [
                (p.title, p.body, p.state, p.draft, sorted(p.labels), p.branch, logins.get(p.author or 0))
                for p in self.target.pulls.values()
            ],
            "files": {
                name: self.target.store.git("diff", "--raw", "main", sha).decode()
                for name, sha in branches.items()
            },
        }
