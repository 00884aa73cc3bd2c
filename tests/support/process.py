"""A schema change in four repositories, from the pull request to the merge."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consdb_actions.adapters.github import connect
from consdb_actions.adapters.github.process import ProcessReader
from consdb_actions.adapters.github.pull_requests import PullPublisher
from consdb_actions.approval.comment import MARKER
from consdb_actions.approval.plan import PullPlan
from consdb_actions.commands.process import process_flow
from consdb_actions.commands.pull_requests import sync_pull
from consdb_actions.process.facts import ProcessFacts
from consdb_actions.process.plan import CommentRequests, requests_of
from consdb_actions.process.states import Progress
from consdb_actions.publication.source import Marker
from tests.support.approvals import CONFIG, POLICY, REPOSITORY, TOKEN, Scene, schema_yaml
from tests.support.github import GitHubDouble, TestClock, World
from tests.support.github.things import Comment, Pull, Repo

__all__ = ["CONSDB", "NOW", "PHALANX", "PROCESS", "Way"]

CONSDB = "lsst-dm/consdb"
PHALANX = "lsst-sqre/phalanx"
NOW = datetime(2026, 3, 20, tzinfo=UTC)
REVISION = "alembic/latiss/versions/abc_dm_1.py"
EFD = "python/lsst/consdb/transformed_efd/schemas/yml/efd_latiss.yaml"

PROCESS: dict[str, Any] = {
    "roles": [{"id": "usdf", "people": ["uma"]}],
    "environments": ["base", "summit", "usdfprod"],
    "tap_environments": ["usdfprod"],
}
"""The ConsDB team is that of the approvals, carl and cleo; uma is at USDF."""

IMAGES = ("base", "summit", "usdfprod")


def values(tag: str, *, hinfo: bool) -> str:
    """Write the values file of consdb in one environment."""
    word = "true" if hinfo else "false"
    return (
        f'db:\n  user: "oods"\nhinfo:\n  latiss:\n    enable: {word}\n    tag: "{tag}"\n'
        f'pq:\n  image:\n    tag: "{tag}"\n'
    )


def tap_values(tag: str, week: str) -> str:
    """Write the values file of consdbtap in one environment."""
    url = f"https://github.com/lsst/sdm_schemas/releases/download/{week}/datalink-snippets.zip"
    return (
        'cadc-tap:\n  tapSchema:\n    image:\n      repository: "lsstsqre/tap-schema-usdf-prod-cdb"\n'
        f'      tag: "{tag}"\n  config:\n    datalinkPayloadUrl: "{url}"\n'
    )


def set_tag(repo: Repo, name: str, *, at: datetime | None = None) -> None:
    """Tag the newest commit of main; with a time the tag is annotated."""
    sha = repo.tip("main")
    if at is not None:
        tagger = f"carl <carl@example.org> {int(at.timestamp())} +0000"
        text = f"object {sha}\ntype commit\ntag {name}\ntagger {tagger}\n\n{name}\n"
        sha = repo.store.git("mktag", stdin=text.encode()).decode().strip()
    repo.store.set_ref(f"refs/tags/{name}", sha)


@dataclass(frozen=True)
class ProcessRun:
    """What one run of the program did."""

    facts: ProcessFacts
    progress: Progress
    plan: PullPlan
    warnings: tuple[str, ...]
    requests: CommentRequests


class Way(Scene):
    """The change of `Scene`, and a new table.

    `process` is the section of that name in the configuration.
    """

    def __init__(self, world: World, process: Mapping[str, Any] = PROCESS) -> None:
        super().__init__(world)
        self.consdb = world.repo(CONSDB)
        self.phalanx = world.repo(PHALANX)
        self.migration: Pull | None = None
        world.user("uma")
        config = json.dumps({"approvals": POLICY, "process": process})
        world.commit(self.repo, "main", {CONFIG: config}, author="maintainer")
        self.push(self.new_table())
        files = {"alembic.ini": "[latiss]\n", "python/lsst/consdb/pqserver.py": "# serves\n"}
        world.commit(self.consdb, "main", files, author="maintainer")
        set_tag(self.consdb, "26.2.1")
        files = {
            f"applications/consdb/values-{name}.yaml": values("26.2.1", hinfo=name != "usdfprod")
            for name in IMAGES
        }
        files["applications/consdbtap/values-usdfprod.yaml"] = tap_values("w.2026.5", "w.2026.5")
        world.commit(self.phalanx, "main", files, author="maintainer")

    @staticmethod
    def new_table(columns: Mapping[str, Mapping[str, Any]] = Scene.ADDED) -> str:
        """Write cdb_latiss with the new table exposure_flexdata."""
        table = schema_yaml(columns, table="exposure_flexdata").partition("tables:\n")[2]
        return schema_yaml(columns) + table

    # Actions of people

    def say(self, login: str, body: str) -> Comment:
        return self.world.comment(self.repo, self.pull.number, login, body)

    def generate(self, sha: str = "", *, text: str = "# upgrade\n") -> Pull:
        """Open or update the migration's pull request, as the generator does."""
        sha = sha or self.head
        branch = f"{self.pull.branch}-migration"
        if self.migration is None:
            self.world.commit(
                self.consdb,
                branch,
                {REVISION: text},
                onto=self.consdb.tip("main"),
                author="github-actions[bot]",
            )
            self.migration = self.world.open_pull(
                self.consdb, branch, author="github-actions[bot]", title="DM-1: Migrate", draft=True
            )
        else:
            self.world.commit(self.consdb, branch, {REVISION: text}, author="github-actions[bot]")
        self.migration.body = f"{Marker(f'{REPOSITORY}#{self.pull.number}', sha)}\nThe report."
        return self.migration

    def merge_migration(self) -> str:
        assert self.migration is not None
        self.migration.draft = False
        return self.world.merge(self.consdb, self.migration)

    def tag(self, name: str = "26.3.1") -> None:
        set_tag(self.consdb, name, at=self.world.tick())

    def deploy(self, *environments: str, tag: str = "26.3.1") -> None:
        """Merge a pull request in phalanx that sets a tag in some environments."""
        files = {
            f"applications/consdb/values-{name}.yaml": values(tag, hinfo=name != "usdfprod")
            for name in environments
        }
        self._phalanx(f"deploy/{'-'.join(environments)}", files)

    def deploy_tap(self, tag: str, week: str = "w.2026.5") -> None:
        self._phalanx(f"tap/{tag}", {"applications/consdbtap/values-usdfprod.yaml": tap_values(tag, week)})

    def _phalanx(self, branch: str, files: Mapping[str, str]) -> None:
        self.world.commit(self.phalanx, branch, files, onto=self.phalanx.tip("main"), author="carl")
        pull = self.world.open_pull(self.phalanx, branch, author="carl", title=branch)
        self.world.merge(self.phalanx, pull)

    def merge_schema(self) -> str:
        return self.world.merge(self.repo, self.pull)

    def weekly(self, name: str = "w.2026.12") -> None:
        set_tag(self.repo, name)

    def finish(self, until: str = "") -> None:
        """Do all steps in order, up to and including one."""
        actions: tuple[tuple[str, Any], ...] = (
            ("generate", self.generate),
            ("approve", lambda: self.approve("dan", "olga", "carl")),
            ("bts", lambda: self.say("carl", "/consdb done bts")),
            ("merge consdb", self.merge_migration),
            ("tag", self.tag),
            ("deploy", lambda: self.deploy("base", "summit", "usdfprod")),
            ("summit", lambda: self.say("cleo", "/consdb done summit")),
            ("publication", lambda: self.say("cleo", "/consdb done publication IT-4711")),
            ("usdf", lambda: self.say("uma", "/consdb done usdf")),
            ("pqserver", lambda: self.say("carl", "/consdb done pqserver")),
            ("tap", lambda: self.deploy_tap("tickets-DM-1")),
            ("merge", self.merge_schema),
            ("weekly", self.weekly),
            ("repin", lambda: self.deploy_tap("w.2026.12", "w.2026.12")),
        )
        for name, action in actions:
            action()
            if name == until:
                return

    # Actions of the program, and their results

    def sync(
        self,
        double: GitHubDouble,
        *,
        dry: bool = False,
        request: Callable[[CommentRequests], None] = lambda requests: None,
    ) -> ProcessRun:
        seen: list[CommentRequests] = []

        def see(facts: ProcessFacts, progress: Progress) -> None:
            seen.append(requests_of(facts, progress))
            if seen[-1].regenerate:
                request(seen[-1])

        github = connect(TOKEN, double.url, clock=TestClock())
        try:
            publisher = None if dry else PullPublisher(github, REPOSITORY)
            reader = ProcessReader(github, REPOSITORY)
            result = sync_pull(process_flow(), reader, publisher, self.pull.number, NOW, see)
        finally:
            github.close()
        requests = CommentRequests(seen[-1].answers, any(item.regenerate for item in seen))
        return ProcessRun(result.facts, result.decision, result.plan, result.warnings, requests)

    @property
    def comment(self) -> str:
        (only,) = [item for item in self.repo.comments if item.body.startswith(MARKER)]
        return only.body

    @property
    def status(self) -> tuple[str, str | None]:
        found = [
            item
            for item in self.repo.statuses
            if item.sha == self.head and item.context == "consdb/ready-to-merge"
        ]
        return found[-1].state, found[-1].description

    def reactions(self, comment: Comment) -> list[str]:
        rows = self.repo.rows.get("reactions", [])
        return [item["row"]["content"] for item in rows if item["comment"] == comment.id]

    def shown(self) -> dict[str, Any]:
        shown = super().shown()
        shown["reactions"] = sorted(
            (item["comment"], item["row"]["content"]) for item in self.repo.rows.get("reactions", [])
        )
        return shown
