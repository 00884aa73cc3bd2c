"""Hostile text through the real entry points: nothing runs, nothing leaks, no log is forged."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.github import client
from consdb_actions.approval.plan import MARKER, Part
from consdb_actions.cli import main
from consdb_actions.migration.outcome import Operation
from consdb_actions.migration.rewrite.plan import Risk
from tests.actions.hostile import CANARY, TEXTS
from tests.support.approvals import REPOSITORY, TOKEN, Scene
from tests.support.github import GitHubDouble, World
from tests.support.github.plugin import Double
from tests.support.migration_scene import LABEL, TARGET, MigrationScene, generated, outcome_of, write_result
from tests.support.releases import ReleaseScene

pytestmark = pytest.mark.slow

COMMANDS = re.compile(r"::(notice|warning|error|group|endgroup)( [a-z]+=[^:]*)?::[^\r\n]*")
"""The commands to the runner that the program itself gives, each on a line of its own."""


@dataclass
class Runner:
    """A step on a runner, and what it left."""

    folder: Path
    double: GitHubDouble
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str, event: dict[str, Any] | None = None) -> int:
        """Run the command as a step would, and look at everything that it printed and wrote."""
        output, summary = self.folder / "output", self.folder / "summary"
        for path in (output, summary):
            path.write_text("")
        set_to = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_TOKEN": TOKEN,
            "CONSDB_TARGET_TOKEN": TOKEN,
            "GITHUB_API_URL": self.double.url,
            "GITHUB_REPOSITORY": REPOSITORY,
        }
        for name, value in set_to.items():
            self.patch.setenv(name, value)
        if event is not None:
            file = self.folder / "event.json"
            file.write_text(json.dumps(event))
            arguments = (*arguments, "--event", str(file))
        self.patch.chdir(self.folder)
        self.capture.readouterr()
        code = main(list(arguments))
        printed = self.capture.readouterr()
        assert code in (0, 1, 2), printed.err
        self.check(printed.out, printed.err, output.read_text(), summary.read_text())
        return code

    def publish(self, scene: MigrationScene, result: Path) -> int:
        """Publish the result of a job, on the event of the label."""
        arguments = ("--event-name", "pull_request", "--generated-for", scene.head, "--result", str(result))
        return self.run("migrations", "publish", *arguments, event=pull_event(1))

    def check(self, out: str, err: str, output: str, summary: str) -> None:
        assert not list(self.folder.rglob(f"*{CANARY}*")), "something was run"
        assert TOKEN not in out + err + output + summary
        for line in re.split(r"[\r\n]", out + "\n" + err):
            if re.match(r"[\s\x00\ufeff\u200b]*::", line):
                # What stands within one of these is text: the runner looks for the older form nowhere else.
                assert COMMANDS.fullmatch(line), f"a forged command: {line!r}"
            else:
                assert "##[" not in line, f"a forged command: {line!r}"
        names = re.findall(r"^([\w-]+)<<(end-[0-9a-f]{32})\n.*?\n\2$", output, re.MULTILINE | re.DOTALL)
        rest = re.sub(r"^[\w-]+<<(end-[0-9a-f]{32})\n.*?\n\1\n", "", output, flags=re.MULTILINE | re.DOTALL)
        assert rest == "", f"an output that nobody set: {rest!r}"
        assert "forged" not in {name for name, _ in names}
        harmless(summary)


def harmless(markdown: str) -> None:
    """Make sure that nothing of others' text is Markdown, HTML or a mention outside of code."""
    plain = re.sub(r"(?ms)^(`{3,}|~{3,})[^\n]*\n.*?^\1\s*$|(?<!`)(`+)(?!`).+?(?<!`)\2(?!`)", "", markdown)
    assert not re.search(r"(?<![\w`])@(?!\u200b)[a-z]", plain), plain
    assert "<script" not in plain
    assert "<img" not in plain
    assert not re.search(r"(?<!\\)\]\(javascript:", plain), plain
    allowed = "answers|comment -->|digests|process-|migration|rebase|section [a-z]+ -->|this| "
    assert not re.search(rf"<!-- consdb-actions:(?!({allowed}))", plain), plain
    sections = re.findall(r"<!-- consdb-actions:section (\w*)", markdown)
    assert len(sections) == len(set(sections) & set(Part)), sections
    assert "forged -->" not in plain


@pytest.fixture
def runner(
    tmp_path: Path,
    world: World,
    github_double: Double,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Runner:
    monkeypatch.setattr(client, "BETWEEN_WRITES", 0.0)
    folder = tmp_path / "runner"
    folder.mkdir()
    return Runner(folder, github_double(world), monkeypatch, capsys)


def pull_event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "action": "labeled",
        "label": {"name": LABEL},
        "pull_request": {"number": number},
        "repository": {"full_name": REPOSITORY},
        **more,
    }


def test_s1_titles_bodies_and_labels_of_a_change(world: World, runner: Runner) -> None:
    scene = MigrationScene(world)
    for text in TEXTS:
        scene.pull.title, scene.pull.body = f"DM-1: {text}", f"{text}\nconsdb: rename {text}"
        runner.run("migrations", "source", "--event-name", "pull_request", event=pull_event(1))
        labelled = pull_event(1, label={"name": text})
        runner.run("migrations", "source", "--event-name", "pull_request", event=labelled)


@pytest.mark.parametrize("field", ["pr", "branch_name", "commit_sha"])
def test_s1_what_a_dispatch_gives(world: World, runner: Runner, field: str) -> None:
    MigrationScene(world)
    good = {"branch_name": "tickets/DM-1", "commit_sha": "a" * 40}
    for text in TEXTS:
        event = {"client_payload": {**good, field: text}}
        assert runner.run("migrations", "source", "--event-name", "repository_dispatch", event=event) == 2
        event = {"inputs": {**good, field: text}}
        assert runner.run("migrations", "source", "--event-name", "workflow_dispatch", event=event) == 2


def test_s1_a_branch_that_is_a_command(world: World, runner: Runner) -> None:
    """Git allows much in a branch's name; the title then says the ticket."""
    for number, text in enumerate(
        ["$(touch PWNED)", "`touch`", "a;b|c&d", "'x'", '"x"', "${{x}}", "::error::x"]
    ):
        name = re.sub(r"[\s~^:?*\[\\]", "-", text)
        scene = MigrationScene(World(runner.folder.parent / f"w{number}"), branch=f"tickets/{name}")
        runner.double.world = scene.world
        assert runner.run("migrations", "source", "--event-name", "pull_request", event=pull_event(1)) == 0
        result = write_result(runner.folder.parent / "result", outcome_of(generated()))
        assert runner.publish(scene, result) == 0
        assert scene.migration.branch == "tickets/DM-1-migration"


def test_s5_words_of_schemas_in_pull_requests_and_comments(world: World, runner: Runner) -> None:
    """Names and descriptions come from YAML that anybody may have written."""
    scene = MigrationScene(world)
    result = runner.folder.parent / "result"
    for number, text in enumerate(TEXTS):
        script = f"{number:012x}"
        section = replace(
            generated(revision=script),
            version=text,
            upgrade=(Operation(text, "exposure"),),
            risks=(Risk(text, text),),
            notes=(text,),
            decisions=(text,),
        )
        write_result(result, outcome_of(section))
        runner.publish(scene, result)
        harmless(scene.migration.body or "")
        harmless(scene.comments[0].body)


def test_s4_what_a_failed_generator_printed(world: World, runner: Runner) -> None:
    scene = MigrationScene(world)
    for text in TEXTS:
        log = f"Bad input: {text}\n{text}\nauthorization: bearer {TOKEN}\nhttps://x:{TOKEN}@github.com/\n"
        result = write_result(runner.folder.parent / "result", None, log=log)
        assert runner.publish(scene, result) == 1
        assert TOKEN not in scene.comments[0].body
        harmless(scene.comments[0].body)


def test_s3_what_an_artifact_may_claim(world: World, runner: Runner) -> None:
    """Paths, names and ids in a report are words of a stranger."""
    scene = MigrationScene(world)
    for text in [*TEXTS, "../../.github/workflows/x.yaml", "alembic/latiss/env.py", "/etc/passwd"]:
        for field in ("path", "name", "schema", "revision", "down_revision", "source"):
            result = write_result(runner.folder.parent / "result", outcome_of(generated()))

            data = json.loads((result / "report.json").read_text())
            data["sections"][0][field] = text
            (result / "report.json").write_text(json.dumps(data))
            assert runner.publish(scene, result) in (1, 2)
    assert not scene.target.pulls
    assert not scene.comments


def test_s5_reviews_and_titles_in_approvals(world: World, runner: Runner) -> None:
    scene = Scene(world)
    for text in TEXTS:
        scene.pull.title = text
        scene.review("dan", "APPROVED", text)
        scene.review("carl", "CHANGES_REQUESTED", text)
        scene.label(text[:50].strip() or "x", "mallory")
    event = {"action": "submitted", "pull_request": {"number": 1}, "repository": {"full_name": REPOSITORY}}
    assert (
        runner.run("approvals", "sync", "--explain", "--event-name", "pull_request_review", event=event) == 0
    )
    harmless(scene.repo.comments[0].body)


def test_s5_comments_in_the_process(world: World, runner: Runner) -> None:
    scene = Scene(world)
    world.commit(world.repo(TARGET), "main", {"alembic.ini": ""})
    world.commit(world.repo("lsst-sqre/phalanx"), "main", {"README.md": ""})
    for text in TEXTS:
        world.comment(scene.repo, 1, "author", f"/consdb done {text}")
        world.comment(scene.repo, 1, "carl", f"/consdb rename exposure.{text}={text}")
        world.comment(scene.repo, 1, "mallory", f"/consdb {text}\n{text}")
    event = {"issue": {"number": 1, "pull_request": {}}, "repository": {"full_name": REPOSITORY}}
    assert runner.run("process", "sync", "--event-name", "issue_comment", event=event) == 0
    ours = [c.body for c in scene.repo.comments if c.body.startswith(MARKER)]
    assert len(ours) == 1
    harmless(ours[0])


def test_s5_what_was_merged_in_a_release(world: World, runner: Runner) -> None:
    scene = ReleaseScene(world)
    for number, text in enumerate(TEXTS):
        title = text.replace("\n", " ").replace("\0", "") or "x"
        scene.merge(f"u/author/{number}", f"DM-{number + 100}: {title}", {f"{number}.txt": "x"})
    scene.green()
    arguments = ("--repo", scene.repo.full_name, "--now", "2026-06-20T12:00:00Z")
    assert runner.run("release", "tag", *arguments) == 0
    (notes,) = [body for tag, _, body in scene.releases if tag == "26.6.2"]
    harmless(notes or "")


@pytest.mark.parametrize("option", ["--tag", "--ticket", "--stage", "--env", "--component", "--repo"])
def test_s1_what_a_deployment_is_given(world: World, runner: Runner, option: str) -> None:
    good = {"--tag": "26.6.2", "--ticket": "DM-1", "--stage": "summit", "--repo": "lsst-sqre/phalanx"}
    for text in TEXTS:
        given = {**good, option: text}
        if option == "--env":
            del given["--stage"]
        arguments = [word for pair in given.items() for word in pair]
        assert runner.run("deploy", "plan", *arguments, "--registry-url", "http://127.0.0.1:1") in (1, 2)


def test_s2_yaml_that_is_more_than_data(world: World, runner: Runner) -> None:
    """Tags, bombs and links in a schema file end in an error, or are words."""
    scene = Scene(world)
    bombs = [
        f"!!python/object/apply:os.system ['touch {CANARY}']\n",
        f"name: !!python/name:os.system\nx: !!python/object/new:os.system ['touch {CANARY}']\n",
        "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{'*a,' * 9}]\n" for n in range(30)),
        "[" * 100_000,
        "{a: " * 50_000,
        "x: " + "y" * 4_000_000,
        "\0\1\2",
        "name: *nothing\n",
        "%TAG ! tag:x,2000:\n---\n!x {}\n",
    ]
    for bomb in bombs:
        scene.push(bomb)
        event = {"action": "synchronize", "pull_request": {"number": 1}}
        event["repository"] = {"full_name": REPOSITORY}
        runner.run("approvals", "sync", "--event-name", "pull_request", event=event)
        file = runner.folder / "cdb_latiss.yaml"
        file.write_text(bomb)
        runner.run("migrations", "preview", str(file), str(file), "--format", "markdown")
        file.unlink()


def test_s2_a_schema_file_that_is_a_link(runner: Runner) -> None:
    """A link in a pull request may point anywhere; what stands there is not told."""
    secret = runner.folder.parent / "secret"
    secret.write_text(f"password: {TOKEN}\nname: cdb_latiss\n")
    (runner.folder / "cdb_latiss.yaml").symlink_to(secret)
    runner.run("migrations", "preview", str(runner.folder), str(runner.folder))
    runner.run("migrations", "preview", *[str(runner.folder / "cdb_latiss.yaml")] * 2)
