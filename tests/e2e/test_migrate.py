"""From the label to the draft pull request: the caller of sdm_schemas as it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.approval.plan import MARKER
from tests.e2e.workflows import (
    APP_KEY,
    APP_LOGIN,
    PHALANX,
    ROOT,
    SCHEMAS,
    TARGET,
    TOKEN,
    Run,
    Workflows,
    pull_event,
)
from tests.support.github import Fault, Kind
from tests.support.github.things import Pull, Repo

pytestmark = pytest.mark.e2e

LABEL = "consdb: migrate"
FOLDER = "python/lsst/sdm/schemas"
ONE = "cdb_startrackerwide.yaml"
CALLER = "sdm_schemas/consdb-migrate.yaml"


def tree(root: Path, prefix: str = "") -> dict[str, str | bytes | None]:
    return {
        f"{prefix}{path.relative_to(root)}": path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


class Change:
    """The example change in sdm_schemas, or some `files` of it, and the example tree in consdb."""

    def __init__(self, workflows: Workflows, *files: str, title: str = "DM-1: Wind") -> None:
        self.workflows, self.world = workflows, workflows.world
        self.schemas: Repo = self.world.repo(SCHEMAS)
        self.target: Repo = self.world.repo(TARGET)
        examples = ROOT / "examples" / "schemas"
        before = tree(examples / "before", f"{FOLDER}/")
        self.base = self.world.commit(self.schemas, "main", before, author="maintainer")
        after = tree(examples / "after", f"{FOLDER}/")
        wanted = {path: text for path, text in after.items() if not files or Path(path).name in files}
        self.world.commit(self.schemas, "tickets/DM-1", wanted, onto=self.base)
        self.pull: Pull = self.world.open_pull(self.schemas, "tickets/DM-1", title=title)
        self.world.commit(self.target, "main", tree(ROOT / "migrations"), author="maintainer")

    @property
    def head(self) -> str:
        return self.schemas.head(self.pull)

    def payload(self, action: str, **more: Any) -> dict[str, Any]:
        return pull_event(self.schemas, self.pull, action, **more)

    def label(self) -> Run:
        """Set the label, and let the workflow run."""
        self.world.add_label(self.schemas, self.pull, LABEL, "author")
        return self.event("labeled", label={"name": LABEL})

    def event(self, action: str, spoil: str = "", **more: Any) -> Run:
        return self.workflows.run(CALLER, SCHEMAS, "pull_request", self.payload(action, **more), spoil=spoil)

    def push(self, old: str, new: str, file: str = ONE) -> None:
        path = f"{FOLDER}/{file}"
        text = self.schemas.store.git("show", f"{self.pull.branch}:{path}").decode()
        assert old in text
        self.world.commit(self.schemas, self.pull.branch, {path: text.replace(old, new)})

    def roster(self) -> None:
        """Let carl be the ConsDB team, and have a phalanx."""
        policy = {"roles": [{"id": "consdb", "people": ["carl"]}]}
        files = {".github/consdb-actions.yaml": json.dumps({"approvals": policy})}
        self.world.commit(self.schemas, "main", files, author="maintainer")
        self.world.commit(self.world.repo(PHALANX), "main", {"README.md": "Phalanx.\n"})
        self.world.user("carl")

    @property
    def comments(self) -> list[str]:
        return [c.body for c in self.schemas.comments if c.body.startswith(MARKER)]

    def proposed(self, branch: str = "tickets/DM-1-migration") -> list[str]:
        return self.target.store.git("diff", "--name-only", f"main...{branch}").decode().split()

    def untouched(self) -> bool:
        """Tell whether nothing was written anywhere."""
        return not self.target.pulls and not self.comments and len(self.target.store.refs("refs/heads/")) == 1


def test_a_label_becomes_a_pull_request_and_a_comment(workflows: Workflows) -> None:
    change = Change(workflows)
    run = change.label().passed()
    assert set(run.jobs.values()) == {"success"}
    pull = change.target.pulls[1]
    author = workflows.world.users[pull.author or 0].login
    assert (pull.draft, pull.labels, author) == (True, ["migration"], APP_LOGIN)
    sections = [path.split("/")[1] for path in change.proposed()]
    assert sections == ["latiss", "lsstcam", "startrackerwide"]
    assert "and `downgrade -1` run through the tree's own env.py" in (pull.body or "")
    (comment,) = change.comments
    assert "3 verified revisions: latiss, lsstcam, startrackerwide" in comment
    for secret in (TOKEN, "ghs_", APP_KEY):
        assert secret not in "".join(comment + (pull.body or ""))
    merge = change.schemas.test_merge(change.pull)
    assert run.checkouts.count(f"checkout {SCHEMAS} {merge}") == 1
    assert run.checkouts.count(f"checkout {TARGET} {change.target.tip('main')}") == 1
    assert [line for line in run.checkouts if line.startswith("token")] == [
        f"token for {TARGET} contents=write pull_requests=write",
        f"token for {SCHEMAS} contents=read pull_requests=write",
    ]
    workflows.figure("from the label to the pull request, three sections", f"{run.seconds:.1f} s")
    workflows.row("label: pull request and comment")


def test_each_section_in_a_job_of_its_own(workflows: Workflows) -> None:
    change = Change(workflows)
    workflows.edits = [('with: {pr: "${{ inputs.pr }}"}', 'with: {pr: "${{ inputs.pr }}", matrix: true}')]
    run = change.label().passed()
    assert run.checkouts.count(f"checkout {TARGET} {change.target.tip('main')}") == 4
    assert [path.split("/")[1] for path in change.proposed()] == ["latiss", "lsstcam", "startrackerwide"]
    assert "3 verified revisions: latiss, lsstcam, startrackerwide" in change.comments[0]
    workflows.row("label: a job for each section")


def test_a_fault_in_the_middle_and_a_second_run(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    faults = [
        Fault(Kind.FORBIDDEN, method="POST", target=f"/repos/{TARGET}/pulls"),
        Fault(Kind.DONE_THEN_RESET, method="POST", target=f"/repos/{TARGET}/git/refs"),
    ]
    workflows.double.faults += faults
    run = change.label()
    assert not run.ok
    assert run.jobs["Publish"] == "failure"
    assert "HTTP 403" in run.log
    assert not change.target.pulls
    change.event("labeled", label={"name": LABEL}).passed()
    assert all(fault.hits for fault in faults)
    assert (len(change.target.pulls), len(change.comments)) == (1, 1)
    assert len(change.target.store.between("main", "tickets/DM-1-migration")) == 1
    workflows.row("label, then again", "403 for the pull request; answer lost for the branch")


def test_a_push_keeps_what_a_person_edited(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    assert change.label().ok
    (path,) = change.proposed()
    text = change.target.store.git("show", f"tickets/DM-1-migration:{path}").decode()
    edited = text.replace('"""', '"""Looked at. ', 1)
    workflows.world.commit(change.target, "tickets/DM-1-migration", {path: edited}, author="author")
    change.push("camera_temperature", "housing_temperature")
    change.event("synchronize").passed()
    assert change.proposed() == [path]
    assert change.target.store.git("show", f"tickets/DM-1-migration:{path}").decode() == edited
    assert "Edited manually and unchanged" in change.comments[0]
    workflows.row("push after an edit by hand")


def test_a_label_that_is_taken_off_again(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    assert change.label().ok
    workflows.world.remove_label(change.schemas, change.pull, LABEL, "author")
    run = change.event("unlabeled", label={"name": LABEL}).passed()
    assert run.jobs == {"Resolve the request": "success", "Publish": "success"}
    assert change.target.pulls[1].state == "closed"
    assert "The label “consdb: migrate” was removed from" in change.comments[0]
    workflows.row("label taken off")


def test_another_label_starts_nothing(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    assert change.event("synchronize").jobs == {}
    run = change.event("labeled", label={"name": "other"})
    # All jobs are skipped; act itself then stumbles over the matrix of one of them.
    assert run.jobs == {}
    assert not workflows.double.log
    assert change.untouched()


def test_a_pull_request_that_moves_meanwhile(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    moved: list[str] = []

    def push(_method: str, target: str) -> None:
        # The configuration is read when publishing begins: generating is over by then.
        if not moved and target.startswith(f"/repos/{SCHEMAS}/git/commits/"):
            moved.append(change.head)
            change.push("camera_temperature", "housing_temperature")

    workflows.double.before = push
    run = change.label()
    workflows.double.before = None
    assert run.ok, run.log
    assert moved
    assert change.untouched()
    assert "Nothing was published" in run.log
    change.event("synchronize").passed()
    assert len(change.target.pulls) == 1
    workflows.row("moved while it was generated, then the next run")


def test_s3_a_fork_gets_a_result_and_no_token(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    change.pull.fork = "mallory/sdm_schemas"
    workflows.secrets = {"GITHUB_TOKEN": TOKEN}
    run = change.label().passed()
    assert run.jobs == {"Resolve the request": "success", "Generate": "success"}
    assert "A maintainer can review the change and start the workflow manually for number 1" in run.log
    assert not [line for line in run.checkouts if line.startswith("token")]
    assert change.untouched()
    workflows.secrets["CONSDB_APP_PRIVATE_KEY"] = APP_KEY
    workflows.run(CALLER, SCHEMAS, "workflow_dispatch", {"inputs": {"pr": "1"}}).passed()
    assert len(change.target.pulls) == 1
    workflows.row("a fork's pull request, then by hand")


def test_a_schema_file_that_cannot_be_read(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    change.push("tables:", "tables: [}")
    run = change.label()
    assert not run.ok
    assert run.jobs["Generate"] == "success", "what went wrong is told by the job that publishes"
    assert not change.target.pulls
    assert "it could not be generated" in change.comments[0]
    assert ONE in change.comments[0]
    workflows.row("a schema file that is no YAML", "wrong input")


def test_a_question_is_asked_and_answered_in_the_pull_request(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    text = (ROOT / "examples/schemas/before" / ONE).read_text(encoding="utf-8")
    files = {f"{FOLDER}/{ONE}": text.replace("exp_time", "exposure_time")}
    workflows.world.commit(change.schemas, "tickets/DM-1", files)
    run = change.label()
    assert not run.ok
    assert "a question is unanswered" in change.comments[0]
    assert "/consdb rename exposure.exp_time=exposure_time" in change.comments[0]
    assert not change.target.pulls
    change.pull.body = "New names.\n\nconsdb: rename exposure.exp_time=exposure_time\n"
    run = change.event("edited").passed()
    (path,) = change.proposed()
    script = change.target.store.git("show", f"tickets/DM-1-migration:{path}").decode()
    assert "drop_column" not in script
    assert "exposure_time" in script
    assert "a question is unanswered" not in change.comments[0]
    workflows.row("a question, and its answer in the text", "a rename that nothing says")


def test_no_permission_in_the_target(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    workflows.secrets = {"GITHUB_TOKEN": TOKEN, "CONSDB_APP_PRIVATE_KEY": "wrong"}
    run = change.label()
    assert not run.ok
    assert change.untouched()
    workflows.secrets = {"GITHUB_TOKEN": TOKEN}
    workflows.variables = {}
    run = change.event("labeled", label={"name": LABEL})
    assert not run.ok
    assert "there is no token for lsst-dm/consdb" in run.log
    assert change.untouched()
    workflows.row("no key, no token", "no permission")


def test_g1_two_tokens_do_instead_of_an_app(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    workflows.variables = {}
    workflows.secrets = {"GITHUB_TOKEN": TOKEN}
    for name, repository, permissions in (
        ("TARGET", TARGET, {"contents": "write", "pull_requests": "write"}),
        ("SOURCE", SCHEMAS, {"contents": "read", "pull_requests": "write", "statuses": "write"}),
    ):
        token = f"github_pat_{name}"
        workflows.secrets[f"CONSDB_{name}_TOKEN"] = token
        workflows.world.tokens[token] = workflows.world.user(f"owner-of-{name.lower()}").id
        workflows.world.restrict(token, [repository], permissions)
    change.label().passed()
    (pull,), (comment,) = change.target.pulls.values(), change.schemas.comments
    users = workflows.world.users
    assert (users[pull.author or 0].login, users[comment.user or 0].login) == (
        "owner-of-target",
        "owner-of-source",
    )
    workflows.row("label, with two tokens and no app")


def test_g2_a_push_by_dependabot_ends_green(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    workflows.world.add_label(change.schemas, change.pull, LABEL, "author")
    payload = change.payload("synchronize")
    run = workflows.run(CALLER, SCHEMAS, "pull_request", payload, stranger="dependabot[bot]").passed()
    assert "Publish" not in run.jobs
    assert change.untouched()
    workflows.row("a push by Dependabot")


def test_s3_an_artifact_of_another_kind_is_refused(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    workflows.world.add_label(change.schemas, change.pull, LABEL, "author")
    spoil = 'mkdir -p "$1/.github/workflows" && touch "$1/.github/workflows/x.yaml"'
    run = change.event("labeled", spoil=spoil, label={"name": LABEL})
    assert not run.ok
    assert "no report lists this file" in run.log
    assert change.untouched()
    workflows.row("an artifact with a workflow in it", "hostile artifact")


def test_a_dispatch_from_consdb(workflows: Workflows) -> None:
    change = Change(workflows, ONE)
    given = {"branch_name": "tickets/DM-1", "commit_sha": "0" * 40}
    payload = {"action": "consdb-migration", "client_payload": given}
    caller = "consdb/consdb-migrate.yaml"
    late = workflows.run(caller, TARGET, "repository_dispatch", payload).passed()
    assert "has moved from 00000000" in late.log
    assert change.untouched()
    given["commit_sha"] = change.head
    run = workflows.run(caller, TARGET, "repository_dispatch", payload).passed()
    assert len(change.target.pulls) == 1
    tokens = [line for line in run.checkouts if line.startswith("token")]
    assert tokens == [
        f"token for {TARGET} contents=write pull_requests=write",
        f"token for {SCHEMAS} contents=read pull_requests=write",
    ]
    wrong = workflows.run(
        caller, TARGET, "workflow_dispatch", {"inputs": {"branch_name": "$(id)", "commit_sha": change.head}}
    )
    assert not wrong.ok
    assert "is not a branch" in wrong.log
    assert "uid=" not in wrong.log
    workflows.row("dispatch with branch and commit", "an old commit; a branch that is a command")
