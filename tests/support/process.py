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
from consdb_actions.approval.plan import MARKER, PullPlan
from consdb_actions.commands.process import process_flow
from consdb_actions.commands.pull_requests import sync_pull
from consdb_actions.deploy.model import values_file
from consdb_actions.process.facts import ProcessFacts
from consdb_actions.process.plan import CommentRequests, Progress, requests_of
from consdb_actions.publication.source import Marker
from tests.support.approvals import CONFIG, POLICY, REPOSITORY, TOKEN, Scene, schema_yaml
from tests.support.github import GitHubDouble, TestClock, World
from tests.support.github.things import Comment, Pull
from tests.support.phalanx import CONSDB, PHALANX, consdb_file, tap_file

__all__ = ["CONSDB", "NOW", "PHALANX", "PROCESS", "ProcessScene"]

NOW = datetime(2026, 3, 20, tzinfo=UTC)
TAP = values_file("consdbtap", "usdfprod")
REVISION = "alembic/latiss/versions/abc_dm_1.py"
EFD = "python/lsst/consdb/transformed_efd/schemas/yml/efd_latiss.yaml"

PROCESS: dict[str, Any] = {
    "roles": [{"id": "usdf", "people": ["uma"]}],
    "environments": ["base", "summit", "usdfprod"],
    "tap_environments": ["usdfprod"],
}
"""The ConsDB team is that of the approvals, carl and cleo; uma is at USDF."""


@dataclass(frozen=True)
class ProcessRun:
    """What one run of the program did."""

    facts: ProcessFacts
    progress: Progress
    plan: PullPlan
    warnings: tuple[str, ...]
    requests: CommentRequests


class ProcessScene(Scene):
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
        world.tag(self.consdb, "26.2.1", annotated=False)
        files = {values_file("consdb", name): consdb_file(name, "26.2.1") for name in process["environments"]}
        files[TAP] = tap_file("usdfprod", "w.2026.5", "w.2026.5")
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
        self.world.tag(self.consdb, name, at=self.world.tick())

    def deploy(self, *environments: str, tag: str = "26.3.1") -> None:
        """Merge a pull request in phalanx that sets a tag in some environments."""
        files = {values_file("consdb", name): consdb_file(name, tag) for name in environments}
        self._phalanx(f"deploy/{'-'.join(environments)}", files)

    def deploy_tap(self, tag: str, week: str = "w.2026.5") -> None:
        self._phalanx(f"tap/{tag}", {TAP: tap_file("usdfprod", tag, week)})

    def _phalanx(self, branch: str, files: Mapping[str, str]) -> None:
        self.world.commit(self.phalanx, branch, files, onto=self.phalanx.tip("main"), author="carl")
        pull = self.world.open_pull(self.phalanx, branch, author="carl", title=branch)
        self.world.merge(self.phalanx, pull)

    def merge_schema(self) -> str:
        return self.world.merge(self.repo, self.pull)

    def weekly(self, name: str = "w.2026.12") -> None:
        self.world.tag(self.repo, name, annotated=False)

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
