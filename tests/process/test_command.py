"""``consdb-actions process status`` and ``sync`` as their users call them (F3, S4)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.approval.plan import MARKER
from consdb_actions.process.plan import ProcessReport
from tests.support.approvals import CONFIG, POLICY, REPOSITORY, TOKEN
from tests.support.github import Fault, GitHubDouble, Kind, World
from tests.support.github.plugin import Double, Run
from tests.support.process import CONSDB, PROCESS, ProcessScene
from tests.support.reports import checked


class Stage:
    """A change on its way, its double, and the command line pointed at it."""

    def __init__(self, way: ProcessScene, double: GitHubDouble, run: Run) -> None:
        self.way, self.double, self.run = way, double, run

    def sync(self, *args: str) -> tuple[int, str, str]:
        return self.run("sync", "--repo", REPOSITORY, "--now", "2026-03-20", *args)

    def status(self, *args: str) -> tuple[int, str, str]:
        return self.run("status", "--repo", REPOSITORY, "--pr", "1", "--now", "2026-03-20", *args)

    def event(self, path: Path, payload: dict[str, Any], name: str = "") -> tuple[int, str, str]:
        path.write_text(json.dumps(payload))
        return self.sync("--event", str(path), "--event-name", name)


@pytest.fixture
def run(command: Run) -> Run:
    return partial(command, "process")


@pytest.fixture
def stage(world: World, connected: Double, run: Run) -> Callable[..., Stage]:
    def make(**values: Any) -> Stage:
        way = ProcessScene(world, **values)
        return Stage(way, connected(world), run)

    return make


def test_f3_status_exits_1_while_something_is_stale_or_out_of_order(stage: Callable[..., Stage]) -> None:
    here = stage()
    code, out, err = here.status()
    assert code == 0
    assert out.startswith("lsst/sdm_schemas#1: Add columns\nmerge pending: Next: approve the change")
    assert "next: generate the migration; ConsDB team (carl, cleo), since 2026-03-02" in out
    assert "calls to GitHub" in err
    assert not [call for call in here.double.log if call.writes]
    here.way.say("carl", "/consdb done summit")
    code, out, _ = here.status()
    assert code == 1
    assert "done although “Release tagged” is not done" in out


def test_status_replays_the_facts_of_an_earlier_run_without_a_token(
    stage: Callable[..., Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = stage()
    here.way.finish("tag")
    file = tmp_path / "facts.json"
    live = here.status("--dump-facts", str(file), "--format", "json")
    monkeypatch.delenv("GITHUB_TOKEN")
    calls = len(here.double.log)
    replayed = here.run("status", "--facts", str(file), "--format", "json")
    assert replayed[:2] == live[:2]
    assert len(here.double.log) == calls
    checked(live[1], ProcessReport)


def test_facts_that_are_none_are_a_clear_error(stage: Callable[..., Stage], tmp_path: Path) -> None:
    here = stage()
    file = tmp_path / "facts.json"
    here.status("--dump-facts", str(file))
    data = json.loads(file.read_text())
    data["pull"]["number"] = "one"
    file.write_text(json.dumps(data))
    code, _, err = here.run("status", "--facts", str(file))
    assert code == 2
    assert 'pull.number must be a whole number, not "one"' in " ".join(err.split())
    file.write_text("{}")
    assert "does not say" in " ".join(here.run("status", "--facts", str(file))[2].split())


def test_sync_publishes_and_tells_the_workflow(
    stage: Callable[..., Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = stage()
    output, summary = tmp_path / "output", tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    here.way.generate()
    here.way.say("carl", "/consdb rename exposure.a=b")
    code, out, err = here.sync("--pr", "1")
    assert code == 0
    assert here.way.status[0] == "pending"
    assert here.way.comment.startswith(MARKER)
    text = output.read_text()
    assert "approve" in text
    requests = json.dumps([{"number": 1, "sha": here.way.head}])
    assert requests in text
    assert "### ▶️ Next: approve the change" in summary.read_text()
    texts = [out, err, text, summary.read_text()]
    assert not any(TOKEN in item for item in texts)
    output.write_text("")
    here.sync("--pr", "1")
    assert "[]" in output.read_text()
    assert "true" not in output.read_text()


def test_a_dry_run_says_what_it_would_do(stage: Callable[..., Stage]) -> None:
    here = stage()
    here.way.say("mallory", "/consdb done bts")
    code, out, _ = here.sync("--pr", "1", "--dry-run")
    assert code == 0
    assert "would set the status consdb/ready-to-merge on" in out
    assert "with confused" in out
    assert "would write the comment" in out
    assert not [call for call in here.double.log if call.writes]


@pytest.mark.slow
def test_without_a_number_all_open_and_all_followed_changes_are_looked_at(
    stage: Callable[..., Stage],
) -> None:
    here = stage()
    way = here.way
    for number in (2, 3):
        way.world.commit(
            way.repo, f"tickets/DM-{number}", {"README.md": f"{number}\n"}, onto=way.repo.tip("main")
        )
        way.world.open_pull(way.repo, f"tickets/DM-{number}", title=f"DM-{number}")
    way.world.merge(way.repo, way.repo.pulls[3])
    way.finish("tap")
    assert here.sync()[0] == 0
    way.merge_schema()
    _, out, _ = here.sync()
    assert [line.split(":")[0] for line in out.splitlines() if line.startswith("lsst/")] == [
        "lsst/sdm_schemas#2",
        "lsst/sdm_schemas#1",
    ]
    way.weekly()
    way.deploy_tap("w.2026.12", "w.2026.12")
    assert "All steps are done" in here.sync("--format", "markdown")[1]
    _, out, _ = here.sync()
    assert "lsst/sdm_schemas#1" not in out


@pytest.mark.slow
def test_a_merged_change_is_followed_for_as_long_as_the_policy_says(stage: Callable[..., Stage]) -> None:
    here = stage(process={**PROCESS, "follow_days": 10})
    here.way.finish("tap")
    here.sync("--pr", "1")
    here.way.merge_schema()
    _, out, _ = here.run("sync", "--repo", REPOSITORY, "--now", "2026-03-10")
    assert "lsst/sdm_schemas#1" in out
    _, out, _ = here.run("sync", "--repo", REPOSITORY, "--now", "2026-03-20")
    assert out == "There is no pull request to process.\n"


def test_a_change_that_was_closed_is_left_alone(stage: Callable[..., Stage]) -> None:
    here = stage()
    here.way.pull.state = "closed"
    code, _, err = here.sync("--pr", "1")
    assert code == 0
    assert "pull request 1 is closed without a merge; nothing is published" in err
    assert not [call for call in here.double.log if call.writes]


HERE = {"repository": {"full_name": REPOSITORY}}
THERE = {"repository": {"full_name": CONSDB}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ({**HERE, "issue": {"number": 1, "pull_request": {}}, "comment": {"body": "/consdb help"}}, ""),
        ({**HERE, "pull_request": {"number": 1}, "action": "synchronize"}, "pull_request"),
        ({**HERE, "sha": "HEAD", "context": "consdb/approvals", "state": "success"}, "status"),
        ({**HERE, "schedule": "0 5 * * *"}, "schedule"),
        ({**HERE, "client_payload": {}}, "repository_dispatch"),
        ({**HERE, "ref": "refs/heads/main", "pusher": {}}, "push"),
        ({**THERE, "pull_request": {"number": 7, "body": "MARK"}, "action": "closed"}, "pull_request"),
        ({**THERE, "pull_request": {"number": 7, "body": None}, "action": "closed"}, "pull_request"),
        ({**THERE, "ref": "refs/tags/26.3.1"}, "push"),
        ({"repository": {"full_name": "lsst-sqre/phalanx"}, "ref": "refs/heads/main"}, "push"),
    ],
)
def test_every_event_leads_to_the_pull_request(
    stage: Callable[..., Stage], tmp_path: Path, payload: dict[str, Any], name: str
) -> None:
    here = stage()
    mark = f'<!-- consdb-actions:migration {{"source": "{REPOSITORY}#1", "sha": "{"a" * 40}"}} -->'
    text = json.dumps(payload).replace("HEAD", here.way.head).replace('"MARK"', json.dumps(mark))
    code, out, _ = here.event(tmp_path / "event.json", json.loads(text), name)
    assert (code, out.splitlines()[0]) == (0, "lsst/sdm_schemas#1: Add columns")


def test_an_event_about_no_pull_request_is_a_clear_error(stage: Callable[..., Stage], tmp_path: Path) -> None:
    here = stage()
    code, _, err = here.event(tmp_path / "event.json", {**HERE, "issue": {"number": 5}}, "issues")
    assert code == 2
    assert "is about no pull request" in " ".join(err.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("process", "words"),
    [
        ({"roles": [{"id": "x", "peeple": []}]}, "unknown key process.roles[0].peeple"),
        ({"steps": {"nonsense": {}}}, 'there is no step "nonsense"'),
        ({"steps": {"bts": {"owner": "nobody"}}}, 'names the role "nobody", which does not exist'),
        ({"environments": ["mars"]}, 'the environment "mars" is in no stage'),
        ({"roles": [{"id": "a"}, {"id": "a"}]}, "two roles have the same id"),
        ({"ticket_url": "javascript:alert(1)"}, "process.ticket_url"),
        ({"roles": [{"id": "a", "designates": [{"login": "x", "until": "2026-02-30"}]}]}, "2026-02-30"),
    ],
)
def test_f3_a_mistake_in_the_policy_is_exit_2_with_its_path(
    stage: Callable[..., Stage], tmp_path: Path, process: dict[str, Any], words: str
) -> None:
    here = stage()
    config = {"approvals": POLICY, "process": process}
    here.way.world.commit(here.way.repo, "main", {CONFIG: json.dumps(config)}, author="maintainer")
    code, _, err = here.sync("--pr", "1")
    assert code == 2
    assert words in " ".join(err.split())
    file = tmp_path / "local.yaml"
    file.write_text(json.dumps(config))
    assert here.status("--config", str(file))[0] == 2


@pytest.mark.slow
def test_a_local_configuration_replaces_that_of_the_base_branch(
    stage: Callable[..., Stage], tmp_path: Path
) -> None:
    here = stage()
    here.way.finish("approve")
    here.way.say("mallory", "/consdb done bts")
    file = tmp_path / "local.yaml"
    roles = [{"id": "consdb", "people": ["mallory"], "title": "Others"}]
    file.write_text(json.dumps({"approvals": POLICY, "process": {**PROCESS, "roles": roles}}))
    _, out, _ = here.status("--config", str(file))
    assert "next: merge the migration in consdb; Others (mallory)" in out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("status", "--repo", REPOSITORY), "no pull request is given"),
        (("status", "--pr", "1"), "no repository is given"),
        (("status", "--facts", "/no/such/file"), "there is no such file"),
        (("sync", "--repo", REPOSITORY, "--event", "/no/such/file"), "there is no such file"),
        (("sync", "--repo", "a b", "--pr", "1"), "is not a repository"),
        (("status", "--repo", REPOSITORY, "--pr", "1", "--now", "soon"), "is not a date"),
    ],
)
def test_f3_wrong_usage_is_exit_2(stage: Callable[..., Stage], args: tuple[str, ...], words: str) -> None:
    code, _, err = stage().run(*args)
    assert code == 2
    assert words in " ".join(err.split())


def test_f4_a_checklist_of_a_role_that_is_not_there_is_exit_2(
    stage: Callable[..., Stage], tmp_path: Path
) -> None:
    file = tmp_path / "local.yaml"
    lists = {"checklists": {"consdbb": ["x"]}}
    file.write_text(json.dumps({"approvals": POLICY, "process": PROCESS, "sites": lists}))
    code, _, err = stage().status("--config", str(file))
    assert code == 2
    assert 'Did you mean "consdb"?' in err


def test_f3_a_github_that_fails_is_exit_3(stage: Callable[..., Stage]) -> None:
    here = stage()
    here.double.faults.append(Fault(Kind.INTERNAL, times=99))
    code, _, err = here.sync("--pr", "1")
    assert code == 3
    assert "GitHub failed with HTTP 500" in err


def test_a_locked_conversation_gets_its_status(
    stage: Callable[..., Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = stage()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "out"))
    here.way.say("carl", "/consdb regenerate")
    here.way.pull.locked = True
    for _ in range(2):
        code, _, err = here.sync("--pr", "1")
        assert code == 0
        assert "the conversation of pull request 1 is locked" in err
    assert [status.context for status in here.way.repo.statuses] == ["consdb/ready-to-merge"]
    # It could not be remembered that this was done.
    assert "true" not in (tmp_path / "out").read_text().splitlines()[-9:]


def test_a11_a_group_of_the_merge_queue_gets_its_status(stage: Callable[..., Stage], tmp_path: Path) -> None:
    here = stage()
    way = here.way
    base = way.repo.tip("main")
    head = way.world.commit(way.repo, "queue", {"x": "x"}, onto=base, message="x (#1)")
    group = {"head_sha": head, "head_ref": f"refs/heads/gh-readonly-queue/main/pr-1-{base}", "base_sha": base}
    payload = {"merge_group": group, "repository": {"full_name": REPOSITORY}}
    assert here.event(tmp_path / "event.json", payload, "merge_group")[0] == 0
    (status,) = [item for item in way.repo.statuses if item.sha == head]
    assert (status.context, status.state) == ("consdb/ready-to-merge", "failure")


@pytest.mark.slow
def test_what_is_wrong_with_one_change_stops_no_other(stage: Callable[..., Stage]) -> None:
    here = stage()
    way = here.way
    way.world.commit(way.repo, "tickets/DM-2", {"README.md": "2\n"}, onto=way.repo.tip("main"))
    way.world.open_pull(way.repo, "tickets/DM-2", title="DM-2")
    here.double.faults.append(Fault(Kind.MISSING, target=f"/repos/{REPOSITORY}/pulls/1", times=9))
    code, out, err = here.sync()
    assert code == 3
    assert "Pull request 1 could not be processed" in err
    assert "lsst/sdm_schemas#2" in out


def test_p2_a_comment_by_another_token_of_ours_is_the_one(stage: Callable[..., Stage]) -> None:
    here = stage()
    way = here.way
    way.world.user("consdb[bot]", kind="Bot")
    for login in ("consdb[bot]", "mallory"):
        way.world.comment(way.repo, 1, login, f"{MARKER}\nold")
    assert here.sync("--pr", "1")[0] == 0
    marked = [comment for comment in way.repo.comments if comment.body.startswith(MARKER)]
    assert [way.world.users[comment.user or 0].login for comment in marked] == ["consdb[bot]", "mallory"]
