"""Releases against the double of GitHub: tag object, ref, GitHub release (rule R2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consdb_actions.adapters.github import GitHubError
from consdb_actions.adapters.github.releases import MARK, TagTakenError
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.release.versions import CheckRules, ReleasePolicy
from tests.release.flow import NOW, run
from tests.support.github import Fault, GitHubDouble, Kind
from tests.support.github.plugin import Double
from tests.support.releases import FIRST, ReleaseScene

MESSAGE = f"""\
consdb 26.6.2

1 migration, 2 pull requests, 1 ticket, 4 commits since 26.6.1.

Migrations:
  lsstcam: add the pointing (bbbbbbbbbbbb)

Tickets: DM-7

Pull requests:
  #1 DM-7: Add the pointing
  #2 Mend typos

{MARK}"""


@pytest.fixture
def double(scene: ReleaseScene, github_double: Double) -> GitHubDouble:
    return github_double(scene.world)


def written(double: GitHubDouble) -> list[str]:
    return [f"{call.method} {call.target.partition('consdb/')[2]}" for call in double.log if call.writes]


def test_r2_the_newest_commit_is_tagged(scene: ReleaseScene, double: GitHubDouble) -> None:
    outcome = run(scene, double)
    assert (outcome.created, outcome.released, outcome.plan.tag) == (True, True, "26.6.2")
    commit, tagger, message = scene.tags["26.6.2"]
    assert commit == scene.head
    assert tagger == f"github-actions[bot] {NOW}"
    assert message == MESSAGE
    ((tag, name, notes),) = scene.releases
    assert (tag, name) == ("26.6.2", "26.6.2")
    assert notes is not None
    assert "- add 2 columns to exposure: azimuth, altitude" in notes
    assert "- **DM-7**: Add the pointing (#1, author)" in notes
    assert outcome.url.endswith("/lsst-dm/consdb/releases/tag/26.6.2")
    assert written(double) == ["POST git/tags", "POST git/refs", "POST releases"]


def test_r1_a_name_that_github_refuses_for_good_can_be_skipped(
    scene: ReleaseScene, double: GitHubDouble
) -> None:
    scene.repo.refused_tags |= {"26.6.2", "26.6.3"}
    with pytest.raises(GitHubError) as caught:
        run(scene, double)
    assert "skip" in caught.value.remedy
    outcome = run(scene, double, policy=ReleasePolicy(skip=("26.6.3", "26.06.2", "26.7.1")))
    assert outcome.plan.tag == "26.6.4"
    assert "26.6.3 is skipped" in outcome.plan.reason
    assert scene.tags["26.6.4"][0] == scene.head


def test_r2_a_release_of_an_older_commit_needs_no_permission_for_workflows(
    scene: ReleaseScene, double: GitHubDouble
) -> None:
    before = scene.head
    scene.world.commit(scene.repo, "main", {".github/workflows/x.yaml": "x\n"})
    assert run(scene, double, commit=before).released


def test_r2_only_the_newest_checks_that_the_commit_started_count(
    scene: ReleaseScene, double: GitHubDouble
) -> None:
    scene.check("deploy", "failure", run=20)
    scene.check("nightly", "failure", run=21)
    scene.check("lint", "failure", run=22)
    scene.check("lint", "success", run=23)
    scene.check("scan", "failure", run=24, app="scanner")
    scene.check("scan", "success", run=25, app="scanner")
    scene.repo.runs |= {20: ("workflow_dispatch", 7), 21: ("schedule", 8), 22: ("push", 9), 23: ("push", 9)}
    assert run(scene, double).created


@pytest.mark.parametrize("hidden", [False, True])
def test_r2_a_check_of_the_same_name_in_another_workflow_counts(
    scene: ReleaseScene, double: GitHubDouble, hidden: bool
) -> None:
    scene.check("build", "failure", run=22)
    scene.check("build", "success", run=23)
    scene.repo.runs |= {22: ("push", 9), 23: ("push", 10)}
    if hidden:
        double.faults.append(Fault(Kind.FORBIDDEN, target="/repos/lsst-dm/consdb/actions/runs", times=9))
    with pytest.raises(CheckFailed, match="build"):
        run(scene, double)


def test_r2_a_dry_run_changes_nothing(scene: ReleaseScene, double: GitHubDouble) -> None:
    before = scene.shown()
    outcome = run(scene, double, dry=True)
    assert outcome.dry_run
    assert outcome.message == MESSAGE + "\n"
    assert written(double) == []
    assert scene.shown() == before


def test_r2_a_second_run_changes_nothing(scene: ReleaseScene, double: GitHubDouble) -> None:
    first, after = run(scene, double), scene.shown()
    again = run(scene, double)
    assert (again.created, again.released, again.plan.tag) == (False, False, "26.6.2")
    assert again.url == first.url
    assert scene.shown() == after
    assert len(written(double)) == 3


@pytest.mark.parametrize("annotated", [True, False])
def test_r2_what_somebody_tagged_by_hand_is_left(
    scene: ReleaseScene, double: GitHubDouble, annotated: bool
) -> None:
    scene.tag("26.6.2", scene.head, annotated=annotated)
    outcome = run(scene, double)
    assert (outcome.created, outcome.plan.action, outcome.plan.tag) == (False, "nothing", "26.6.2")
    assert [("lightweight" in warning) for warning in outcome.warnings] == ([] if annotated else [True])
    assert written(double) == []


def test_r2_a_tag_without_its_release_is_completed(scene: ReleaseScene, double: GitHubDouble) -> None:
    run(scene, double)
    after = scene.shown()
    scene.repo.rows["releases"].clear()
    outcome = run(scene, double)
    assert (outcome.created, outcome.released) == (False, True)
    assert scene.shown() == after


def before_the_ref(double: GitHubDouble, act: Callable[[int], None]) -> None:
    """Have somebody do something just before a ref is made."""
    count = 0

    def meanwhile(method: str, target: str) -> None:
        nonlocal count
        if (method, target) == ("POST", "/repos/lsst-dm/consdb/git/refs"):
            count += 1
            act(count)

    double.before = meanwhile


def test_r2_the_tag_appears_on_another_commit_between_read_and_write(
    scene: ReleaseScene, double: GitHubDouble
) -> None:
    def act(count: int) -> None:
        if count == 1:
            scene.tag("26.6.2", scene.base)

    before_the_ref(double, act)
    outcome = run(scene, double)
    assert (outcome.created, outcome.plan.tag) == (True, "26.6.3")
    assert scene.tags["26.6.2"][0] == scene.base
    assert scene.tags["26.6.3"][0] == scene.head
    assert [tag for tag, _, _ in scene.releases] == ["26.6.3"]


@pytest.mark.parametrize("annotated", [True, False])
def test_r2_the_tag_appears_on_the_same_commit_between_read_and_write(
    scene: ReleaseScene, double: GitHubDouble, annotated: bool
) -> None:
    before_the_ref(double, lambda count: scene.tag("26.6.2", scene.head, annotated=annotated))
    outcome = run(scene, double)
    assert (outcome.created, outcome.plan.tag) == (False, "26.6.2")
    assert scene.releases == []


def test_r2_two_runs_at_once_end_with_one_tag(scene: ReleaseScene, double: GitHubDouble) -> None:
    twice = []

    def act(count: int) -> None:
        if count == 1:
            twice.append(run(scene, double))

    before_the_ref(double, act)
    outcome = run(scene, double)
    assert (outcome.plan.tag, twice[0].plan.tag) == ("26.6.2", "26.6.2")
    assert sorted(scene.tags) == ["26.6.1", "26.6.2", "3.0.0"]
    assert len(scene.releases) == 1


def test_r2_tags_are_read_again_at_most_three_times(scene: ReleaseScene, double: GitHubDouble) -> None:
    before_the_ref(double, lambda count: scene.tag(f"26.6.{count + 1}", scene.base))
    with pytest.raises(TagTakenError, match=r"26\.6\.5 appeared") as caught:
        run(scene, double)
    assert caught.value.exit_code == 3
    assert written(double).count("POST git/refs") == 4


def test_r2_the_expected_tag_appears_on_another_commit(scene: ReleaseScene, double: GitHubDouble) -> None:
    before_the_ref(double, lambda count: scene.tag("26.6.2", scene.base))
    with pytest.raises(CheckFailed, match=r"the tag 26\.6\.2 exists"):
        run(scene, double, tag="26.6.2")


def test_r2_an_older_commit_of_the_branch(scene: ReleaseScene, double: GitHubDouble) -> None:
    older = scene.first.merge_sha
    scene.green(older)
    outcome = run(scene, double, commit=older)
    assert (outcome.plan.tag, outcome.plan.commit) == ("26.6.2", older)
    assert "#2" not in outcome.message
    following = run(scene, double)
    assert following.plan.tag == "26.6.3"
    assert "#1" not in following.message
    assert "No migrations, 1 pull request, no tickets, 2 commits since 26.6.2." in following.message
    with pytest.raises(CheckFailed, match=r"the newest release, 26\.6\.3, already contains it"):
        run(scene, double, commit=scene.repo.store.info(scene.head).parents[1])


def test_r2_a_commit_beside_the_branch(scene: ReleaseScene, double: GitHubDouble) -> None:
    aside = scene.world.commit(scene.repo, "tickets/DM-8", {"x": "y"}, onto=scene.head)
    scene.green(aside)
    with pytest.raises(CheckFailed, match="not in the history of main"):
        run(scene, double, commit=aside)


def test_r2_a_commit_that_is_not_there(scene: ReleaseScene, double: GitHubDouble) -> None:
    with pytest.raises(InputError, match="knows no commit ffff"):
        run(scene, double, commit="f" * 40)


def test_r2_a_release_beside_the_branch(scene: ReleaseScene, double: GitHubDouble) -> None:
    aside = scene.world.commit(scene.repo, "hotfix", {"x": "y"}, onto=scene.base)
    scene.tag("26.6.2", aside)
    outcome = run(scene, double)
    assert outcome.plan.tag == "26.6.3"
    assert "26.6.2 is not in the history" in outcome.warnings[0]
    assert "#1 DM-7" in outcome.message


@pytest.mark.parametrize(
    ("conclusion", "words"),
    [
        ("failure", r"checks have failed: docker \(failure\)"),
        ("timed_out", r"checks have failed: docker \(timed out\)"),
        (None, r"checks have not finished: docker \(in progress\)"),
    ],
)
def test_r2_checks_that_are_not_green(
    scene: ReleaseScene, double: GitHubDouble, conclusion: str | None, words: str
) -> None:
    scene.check("docker", conclusion)
    with pytest.raises(CheckFailed, match=words):
        run(scene, double)
    assert written(double) == []


@pytest.mark.parametrize("state", ["failure", "error", "pending"])
def test_r2_a_commit_status_that_is_not_green(scene: ReleaseScene, double: GitHubDouble, state: str) -> None:
    scene.world.status(scene.repo, scene.head, "ci/docs", state)
    with pytest.raises(CheckFailed, match=rf"ci/docs \({state}\)"):
        run(scene, double)


@pytest.mark.parametrize("conclusion", ["neutral", "skipped"])
def test_r2_checks_that_had_nothing_to_do_are_green(
    scene: ReleaseScene, double: GitHubDouble, conclusion: str
) -> None:
    scene.check("docker", conclusion)
    assert run(scene, double).created


def test_r2_the_run_does_not_wait_for_itself(scene: ReleaseScene, double: GitHubDouble) -> None:
    scene.check("release / tag", "failure", run=76)
    scene.check("release / tag", None, run=77)
    with pytest.raises(CheckFailed, match="release / tag"):
        run(scene, double, dry=True)
    scene.check("release / tag", "failure", run=78, app="another-app")
    with pytest.raises(CheckFailed, match=r"checks have failed: release / tag \(failure\)\n"):
        run(scene, double, dry=True, run_id="77")
    del scene.repo.rows["check runs"][-1]
    assert run(scene, double, run_id="77").created


def test_r2_more_than_a_hundred_of_everything(scene: ReleaseScene, double: GitHubDouble) -> None:
    refs = "".join(f"create refs/tags/26.5.{number} {scene.base}\n" for number in range(1, 106))
    scene.repo.store.git("update-ref", "--stdin", stdin=refs.encode())
    for number in range(1, 106):
        scene.check(f"job {number}")
    scene.check("job 0", "failure")
    with pytest.raises(CheckFailed, match=r": checks have failed: job 0 \(failure\)\n"):
        run(scene, double, dry=True)
    outcome = run(scene, double, dry=True, policy=ReleasePolicy(checks=CheckRules(ignored=("job 0",))))
    assert outcome.plan.tag == "26.6.2"


def test_r2_edited_and_removed_migrations_are_named(scene: ReleaseScene, double: GitHubDouble) -> None:
    path = "alembic/lsstcam/versions/bbbbbbbbbbbb_pointing.py"
    run(scene, double)
    scene.merge("tickets/OSW-3", "OSW-3: Edit", {FIRST: "edited = True\n", path: None})
    scene.green()
    outcome = run(scene, double)
    assert dict(outcome.notes.contents.changed) == {FIRST: "changed", path: "removed"}
    assert f"`{path}` was removed" in outcome.markdown


def test_r2_a_tag_of_the_workflows_own_token_starts_no_build_which_is_said(
    scene: ReleaseScene, double: GitHubDouble
) -> None:
    assert "GitHub starts no workflow" in run(scene, double).warnings[0]
    scene.merge("tickets/OSW-3", "OSW-3: More", {"x": "y"})
    scene.green()
    scene.world.tokens["token-of-actions"] = scene.world.user("release-app[bot]", kind="Bot").id
    assert run(scene, double).warnings == ()
