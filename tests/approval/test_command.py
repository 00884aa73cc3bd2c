"""``consdb-actions approvals`` as its users call it: options, exit codes, output, facts (A8, F3, S4)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.approval.evaluate import ApprovalReport
from tests.support.approvals import CONFIG, LATISS, REPOSITORY, TOKEN, Scene, schema_yaml
from tests.support.github import Fault, GitHubDouble, Kind, World
from tests.support.github.plugin import Double, Run
from tests.support.reports import checked


class Stage:
    """A scene, its double, and the command line pointed at it."""

    def __init__(self, scene: Scene, double: GitHubDouble, run: Run) -> None:
        self.scene, self.double, self.run = scene, double, run

    def sync(self, *args: str) -> tuple[int, str, str]:
        return self.run("sync", "--repo", REPOSITORY, "--pr", "1", "--now", "2026-03-20", *args)

    def status(self, *args: str) -> tuple[int, str, str]:
        return self.run("status", "--repo", REPOSITORY, "--pr", "1", "--now", "2026-03-20", *args)


@pytest.fixture
def run(command: Run) -> Run:
    return partial(command, "approvals")


@pytest.fixture
def stage(world: World, connected: Double, run: Run) -> Callable[..., Stage]:
    def make(**values: Any) -> Stage:
        scene = Scene(world, **values)
        return Stage(scene, connected(world), run)

    return make


def test_f3_sync_exits_0_whatever_the_state_and_status_1_while_a_role_is_missing(
    stage: Callable[..., Stage],
) -> None:
    here = stage()
    assert here.sync()[0] == 0
    assert here.status()[0] == 1
    here.scene.approve("dan", "olga", "carl")
    assert here.status()[0] == 0
    assert here.sync()[0] == 0
    here.scene.world.teams["lsst/data-engineering"].fault = 403
    assert here.sync()[0] == 0
    assert here.status()[0] == 1


def test_text_output_is_for_people(stage: Callable[..., Stage]) -> None:
    here = stage()
    here.scene.approve("dan", "carl")
    code, out, err = here.status()
    assert (code, out) == (
        1,
        "lsst/sdm_schemas#1: Add columns\n"
        "pending: Missing: ConsDB Product Owner\n"
        f"  approved  Data Engineering      dan, 2026-03-02, for the newest commit {here.scene.head[:8]}\n"
        "  missing   ConsDB Product Owner  nobody has approved yet; can approve: olga, dora\n"
        f"  approved  ConsDB team           carl, 2026-03-02, for the newest commit {here.scene.head[:8]}\n",
    )
    assert "calls to GitHub" in err
    assert not [call for call in here.double.log if call.writes]


def test_facts_are_dumped_and_replayed_offline(
    stage: Callable[..., Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = stage()
    here.scene.approve("dan", "olga")
    here.scene.review("carl", "CHANGES_REQUESTED")
    file = tmp_path / "facts.json"
    live = here.status("--dump-facts", str(file), "--explain")
    assert TOKEN not in file.read_text()
    monkeypatch.delenv("GITHUB_TOKEN")
    calls = len(here.double.log)
    replayed = here.run("status", "--facts", str(file), "--explain")
    assert replayed[:2] == live[:2]
    assert len(here.double.log) == calls
    assert "[blocks] review by carl" in replayed[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.pop("format"), "does not say"),
        (lambda data: data.update(extra=1), "unknown key extra"),
        (lambda data: data.pop("pull"), "the file lacks pull"),
        (lambda data: data["pull"].update(number="1"), 'pull.number must be a whole number, not "1"'),
        (lambda data: data["reviews"].append({}), "lacks id"),
        (
            lambda data: data["reviews"][0].update(state="MAYBE"),
            'reviews[0].state is "MAYBE"',
        ),
        (lambda data: data.update(now="today"), 'now: "today" is not a date and time'),
        (lambda data: data["pull"].update(number=True), "pull.number must be a whole number"),
        (lambda data: data["pull"].update(number=float("nan")), "pull.number must be a whole number"),
        (lambda data: data.update(reviews={}), "reviews must be a list, not a mapping"),
    ],
)
def test_facts_that_are_none_are_a_clear_error(
    stage: Callable[..., Stage], tmp_path: Path, change: Callable[[Any], Any], words: str
) -> None:
    here = stage()
    here.scene.approve("dan", "olga")
    file = tmp_path / "facts.json"
    here.status("--dump-facts", str(file))
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    code, _, err = here.run("status", "--facts", str(file))
    assert code == 2
    assert words in " ".join(err.split())
    assert "facts.json" in err


def test_json_output_is_as_its_schema_says(stage: Callable[..., Stage]) -> None:
    here = stage()
    here.scene.approve("dan", "mallory")
    here.scene.review("carl", "CHANGES_REQUESTED")
    data = checked(here.status("--format", "json")[1], ApprovalReport)
    assert [role["outcome"] for role in data["roles"]] == ["approved", "missing", "blocked"]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"rolls": []}, "unknown key approvals.rolls"),
        ({"roles": [{"id": "de", "teem": []}]}, "unknown key approvals.roles[0].teem"),
        ({"roles": [{"title": "X"}]}, "approvals.roles[0] lacks id"),
        ({"roles": [{"id": "de", "teams": ["data-engineering"]}]}, "approvals.roles[0].teams[0]"),
        ({"roles": [{"id": "de", "people": ["a b"]}]}, "approvals.roles[0].people[0]"),
        ({"roles": [{"id": "de", "concerns": ["spelling"]}]}, "approvals.roles[0].concerns[0]"),
        (
            {"roles": [{"id": "de", "designates": [{"login": "x", "until": "2026-02-30"}]}]},
            "designates[0].until",
        ),
        ({"roles": [{"id": "a"}, {"id": "b", "title": "A"}]}, 'can both be called "a"'),
        ({"distinct": "yes"}, "approvals.distinct must be true or false"),
    ],
)
def test_a8_a_mistake_in_the_policy_is_exit_2_with_its_path(
    stage: Callable[..., Stage], policy: dict[str, Any], words: str
) -> None:
    here = stage(policy=policy)
    code, _, err = here.sync()
    assert code == 2
    assert words in " ".join(err.split())
    assert CONFIG in err
    assert not [call for call in here.double.log if call.writes]


def test_a8_without_a_configuration_the_defaults_are_consdbs(stage: Callable[..., Stage]) -> None:
    here = stage(policy=None)
    code, out, _ = here.status()
    assert code == 1
    assert "nobody holds Data Engineering: add people or a team to the role in the policy" in out
    assert "ConsDB Product Owner" in out


def test_a_local_configuration_replaces_the_one_of_the_base_branch(
    stage: Callable[..., Stage], tmp_path: Path
) -> None:
    here = stage()
    here.scene.approve("mallory")
    file = tmp_path / "policy.yaml"
    file.write_text(
        "approvals:\n  roles:\n  - id: po\n    people: [mallory]\n"
        "    designates: [{login: dora, until: 2026-12-31}]\n"
    )
    assert here.status("--config", str(file))[0] == 0


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ({"pull_request": {"number": 1}, "action": "labeled"}, "pull_request"),
        ({"pull_request": {"number": 1}, "review": {}}, "pull_request_review"),
        ({"workflow_run": {"head_sha": "HEAD", "pull_requests": []}}, "workflow_run"),
        ({"schedule": "0 5 * * *"}, "schedule"),
        ({"inputs": {}}, "workflow_dispatch"),
    ],
)
def test_every_event_leads_to_the_pull_request(
    stage: Callable[..., Stage], tmp_path: Path, payload: dict[str, Any], name: str
) -> None:
    here = stage()
    text = json.dumps({**payload, "repository": {"full_name": REPOSITORY}}).replace("HEAD", here.scene.head)
    file = tmp_path / "event.json"
    file.write_text(text)
    code, out, _ = here.run("sync", "--event", str(file), "--event-name", name)
    assert (code, out.splitlines()[0]) == (0, "lsst/sdm_schemas#1: Add columns")
    assert here.scene.repo.statuses


@pytest.mark.parametrize(
    "kind",
    [Kind.MISSING, Kind.FORBIDDEN, Kind.INTERNAL, Kind.TIMEOUT, Kind.GARBLED, Kind.CONFLICT, Kind.INVALID],
)
def test_a10_one_broken_pull_request_stops_no_other(stage: Callable[..., Stage], kind: Kind) -> None:
    here = stage()
    scene = here.scene
    for number in range(2, 5):
        files = {LATISS: schema_yaml(Scene.ADDED, comment=str(number))}
        scene.world.commit(scene.repo, f"tickets/DM-{number}", files, onto=scene.base)
        scene.world.open_pull(scene.repo, f"tickets/DM-{number}")
    scene.world.merge(scene.repo, scene.repo.pulls[4])
    target = f"/repos/{REPOSITORY}/pulls/2/reviews"
    here.double.faults.append(Fault(kind, target=target, times=99))
    code, out, err = here.run("sync", "--repo", REPOSITORY)
    assert code == 3
    assert "Pull request 2 could not be processed" in err
    assert [line.split(":")[0] for line in out.splitlines() if line.startswith("lsst")] == [
        "lsst/sdm_schemas#1",
        "lsst/sdm_schemas#3",
    ]


@pytest.mark.parametrize("kind", [Kind.PRIMARY, Kind.TOO_MANY])
def test_a_limit_that_concerns_all_pull_requests_ends_the_run(
    stage: Callable[..., Stage], kind: Kind
) -> None:
    here = stage()
    scene = here.scene
    scene.world.commit(scene.repo, "tickets/DM-2", {"x": "x"}, onto=scene.base)
    scene.world.open_pull(scene.repo, "tickets/DM-2")
    here.double.faults.append(Fault(kind, target=f"/repos/{REPOSITORY}/pulls/1", times=99, retry_after=400))
    assert here.run("sync", "--repo", REPOSITORY)[0] == 3
    assert not any(call.target.endswith("/pulls/2") for call in here.double.log)


def test_a_locked_conversation_gets_status_and_labels(stage: Callable[..., Stage]) -> None:
    here = stage()
    scene = here.scene
    scene.approve("dan", "olga", "carl")
    scene.pull.locked = True
    for _ in range(2):
        code, _, err = here.sync()
        assert code == 0
        assert "Warning: the conversation of pull request 1 is locked" in err
        assert "kept changing" not in err
    assert [status.state for status in scene.repo.statuses] == ["success"]
    assert len(scene.pull.labels) == 3
    assert not scene.repo.comments


def queue(scene: Scene, *numbers: int, squash: bool = False) -> dict[str, Any]:
    """Make a group of the merge queue, and the event about it."""
    base, last = scene.repo.tip("main"), scene.repo.tip("main")
    for number in numbers:
        head = scene.repo.head(scene.repo.pulls[number])
        message = f"Change (#{number})" if squash else f"Merge pull request #{number} from x"
        files = {f"{number}.md": "x"}
        last = scene.world.commit(
            scene.repo, f"queue-{number}", files, onto=last, message=message, merge=[] if squash else [head]
        )
    ref = f"refs/heads/gh-readonly-queue/main/pr-{numbers[-1]}-{base}"
    return {
        "merge_group": {"head_sha": last, "head_ref": ref, "base_sha": base},
        "repository": {"full_name": REPOSITORY},
    }


@pytest.mark.parametrize("squash", [False, True])
def test_a11_a_group_of_the_merge_queue_gets_the_worst_of_its_pull_requests(
    stage: Callable[..., Stage], tmp_path: Path, squash: bool
) -> None:
    here = stage()
    scene = here.scene
    scene.world.commit(scene.repo, "tickets/DM-2", {"x": "x"}, onto=scene.base)
    scene.world.open_pull(scene.repo, "tickets/DM-2")
    scene.world.commit(scene.repo, "tickets/DM-3", {"y": "y"}, onto=scene.base)
    scene.world.open_pull(scene.repo, "tickets/DM-3")
    file = tmp_path / "event.json"
    event = queue(scene, 2, 1, squash=squash)
    file.write_text(json.dumps(event))
    for people, state in (((), "failure"), (("dan", "olga", "carl"), "success")):
        scene.approve(*people)
        code, out, _ = here.run(
            "sync", "--event", str(file), "--event-name", "merge_group", "--now", "2026-03-20"
        )
        assert code == 0
        assert "sdm_schemas#1" in out
        assert "sdm_schemas#2" in out
        assert "sdm_schemas#3" not in out
        on_group = [item for item in scene.repo.statuses if item.sha == event["merge_group"]["head_sha"]]
        assert [item.context for item in on_group][-1] == "consdb/approvals"
        assert on_group[-1].state == state


def test_a11_a_pull_request_that_cannot_be_read_fails_its_group(
    stage: Callable[..., Stage], tmp_path: Path
) -> None:
    here = stage()
    file = tmp_path / "event.json"
    event = queue(here.scene, 1)
    file.write_text(json.dumps(event))
    here.double.faults.append(Fault(Kind.INTERNAL, target=f"/repos/{REPOSITORY}/pulls/1", times=99))
    assert here.run("sync", "--event", str(file), "--event-name", "merge_group")[0] == 3
    assert [(item.sha, item.state) for item in here.scene.repo.statuses] == [
        (event["merge_group"]["head_sha"], "error")
    ]


def test_a_closed_pull_request_is_left_alone(stage: Callable[..., Stage]) -> None:
    here = stage()
    here.scene.world.merge(here.scene.repo, here.scene.pull)
    code, _, err = here.sync()
    assert code == 0
    assert "pull request 1 is closed; nothing is published" in err
    assert not [call for call in here.double.log if call.writes]


def test_a_repository_that_was_renamed_is_pointed_out(stage: Callable[..., Stage]) -> None:
    here = stage()
    here.scene.world.rename_repo(here.scene.repo, "schemas")
    code, _, err = here.sync()
    assert code == 2
    assert "the repository lsst/sdm_schemas is now called lsst/schemas" in err
    assert "Give lsst/schemas instead" in err


def test_a_dry_run_says_what_it_would_do(stage: Callable[..., Stage]) -> None:
    here = stage()
    here.scene.label("approved: product-owner", "mallory")
    code, out, _ = here.sync("--dry-run")
    assert code == 0
    assert "would remove the label approved: product-owner" in out
    assert "would write the comment" in out
    assert not [call for call in here.double.log if call.writes]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("status", "--repo", "a b/c", "--pr", "1"), '"a b/c" is not a repository'),
        (("status", "--repo", "a/../b", "--pr", "1"), "is not a repository"),
        (("status", "--pr", "1"), "no repository is given"),
        (("status", "--repo", REPOSITORY), "no pull request is given"),
        (("status", "--repo", REPOSITORY, "--pr", "0"), "--pr"),
        (("status", "--repo", REPOSITORY, "--pr", "1", "--now", "soon"), "is not a date in ISO 8601"),
        (("sync", "--repo", REPOSITORY, "--event", "/no/such/file"), "there is no such file"),
        (("status", "--facts", "/no/such/file"), "there is no such file"),
    ],
)
def test_f3_wrong_usage_is_exit_2(stage: Callable[..., Stage], args: tuple[str, ...], words: str) -> None:
    code, _, err = stage().run(*args)
    assert code == 2
    assert words in " ".join(err.split())


def test_f3_a_github_that_fails_is_exit_3_and_names_cause_and_remedy(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = stage()
    here.double.faults.append(Fault(Kind.FORBIDDEN, times=99))
    code, _, err = here.sync()
    assert code == 3
    assert "GitHub refused with HTTP 403: Resource not accessible by integration" in err
    assert "what to do" in err
    monkeypatch.setenv("GITHUB_TOKEN", "")
    code, _, err = here.sync()
    assert code == 2
    assert "there is no token for GitHub" in err


def test_s4_the_token_is_in_no_output_and_no_file(
    stage: Callable[..., Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = stage()
    summary, output = tmp_path / "summary.md", tmp_path / "output"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    code, out, err = here.sync("--explain", "--dump-facts", str(tmp_path / "facts.json"))
    assert code == 0
    here.double.faults.append(Fault(Kind.INVALID, times=99))
    again = here.sync()
    assert again[0] == 3
    texts = [out, err, *again[1:], *(path.read_text() for path in (summary, output, tmp_path / "facts.json"))]
    assert not any(TOKEN in text for text in texts)
    assert "state<<" in output.read_text()
    assert "roles have approved the schema change" in summary.read_text()


def test_options_come_from_the_environment_as_well(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = stage()
    for name, value in {"REPO": REPOSITORY, "PR": "1", "FORMAT": "json", "CONFIG": "", "EVENT": ""}.items():
        monkeypatch.setenv(f"CONSDB_{name}", value)
    code, out, _ = here.run("sync")
    assert code == 0
    assert json.loads(out)["number"] == 1
