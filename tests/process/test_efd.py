"""The EFD route: schemas made in consdb become one pull request in sdm_schemas, and nobody's work is lost."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from consdb_actions.process.facts import EfdCopy, EfdOrigin, EfdSource, efd_mark, efd_origin, plan_copy
from consdb_actions.process.policy import DEFAULT_POLICY, Route
from consdb_actions.report.publication import EfdReport, copy_body
from tests.support.approvals import REPOSITORY, schema_yaml
from tests.support.github import Fault, GitHubDouble, Kind, World
from tests.support.github.plugin import Double, Run
from tests.support.github.things import Pull
from tests.support.process import CONSDB, ProcessScene
from tests.support.reports import checked

FOLDER = "python/lsst/consdb/transformed_efd/schemas/yml"
TARGET = "python/lsst/sdm/schemas"
COLUMNS = {"exposure_id": {"datatype": "long", "description": "Exposure."}}
MORE = {**COLUMNS, "mean": {"datatype": "double", "description": "Mean."}}


def efd(columns: dict[str, Any] = COLUMNS, name: str = "efd_latiss") -> str:
    return schema_yaml(columns, name=name, table="exposure_efd")


class Stage:
    """A change whose consdb makes EFD schemas, its double, and the command line."""

    def __init__(self, way: ProcessScene, double: GitHubDouble, run: Run) -> None:
        self.way, self.double, self.run = way, double, run
        files = {
            f"{FOLDER}/efd_latiss.yaml": efd(),
            f"{FOLDER}/efd_scheduler.yaml": efd(name="efd_scheduler"),
        }
        way.world.commit(way.consdb, "main", files, author="carl")
        way.world.commit(way.repo, "main", {f"{TARGET}/efd_latiss.yaml": efd()}, author="maintainer")

    def change(self, columns: dict[str, Any] = MORE, branch: str = "tickets/DM-7") -> Pull:
        """Open a pull request in consdb that changes a schema, and adds another one."""
        files = {
            f"{FOLDER}/efd_latiss.yaml": efd(columns),
            f"{FOLDER}/efd_lsstcam.yaml": efd(name="efd_lsstcam"),
            "alembic/efd_latiss/versions/a.py": "# up\n",
        }
        self.way.world.commit(self.way.consdb, branch, files, onto=self.way.consdb.tip("main"), author="carl")
        return self.way.world.open_pull(self.way.consdb, branch, author="carl", title="DM-7: More columns")

    def sync(self, *args: str) -> tuple[int, str, str]:
        return self.run("efd-sync", "--repo", REPOSITORY, *args)

    @property
    def copy(self) -> Pull:
        (pull,) = [item for item in self.way.repo.pulls.values() if item.branch == "tickets/DM-7-efd"]
        return pull

    def file(self, name: str) -> str:
        store = self.way.repo.store
        return store.git("show", f"refs/heads/tickets/DM-7-efd:{name}").decode()


@pytest.fixture
def stage(world: World, connected: Double, command: Run) -> Stage:
    way = ProcessScene(world)
    return Stage(way, connected(world), partial(command, "process"))


def test_a_changed_schema_becomes_a_pull_request_once(stage: Stage) -> None:
    pull = stage.change()
    code, out, _ = stage.sync("--consdb-pr", str(pull.number))
    assert code == 0
    assert out.splitlines()[0].startswith("lsst-dm/consdb#1 at ")
    assert "a pull request was opened, https://github.com/lsst/sdm_schemas/pull/2" in out
    assert out.splitlines()[1:] == [
        "  changed   efd_latiss.yaml",
        "  new       efd_lsstcam.yaml",
        "  left out  efd_scheduler.yaml",
    ]
    assert stage.file(f"{TARGET}/efd_latiss.yaml") == efd(MORE)
    assert stage.copy.title == "DM-7: Copy the schemas of the transformed EFD"
    origin = efd_origin(stage.copy.body or "")
    assert origin == EfdOrigin("lsst-dm/consdb#1", stage.way.consdb.head(pull))
    head = stage.way.repo.tip("tickets/DM-7-efd")
    assert "the pull request is there already" in stage.sync("--consdb-pr", "1")[1]
    assert stage.way.repo.tip("tickets/DM-7-efd") == head


@pytest.mark.slow
def test_the_copy_follows_the_branch_and_then_the_default_branch(stage: Stage) -> None:
    pull = stage.change()
    stage.sync("--consdb-pr", "1")
    third = {**MORE, "max": {"datatype": "double", "description": "Maximum."}}
    stage.way.world.commit(stage.way.consdb, pull.branch, {f"{FOLDER}/efd_latiss.yaml": efd(third)})
    assert "the pull request was updated" in stage.sync("--consdb-pr", "1")[1]
    assert stage.file(f"{TARGET}/efd_latiss.yaml") == efd(third)
    stage.way.world.merge(stage.way.consdb, pull)
    assert stage.sync("--consdb-pr", "1")[0] == 0
    assert stage.file(f"{TARGET}/efd_latiss.yaml") == efd(third)
    stage.way.world.merge(stage.way.repo, stage.copy)
    code, out, _ = stage.sync("--consdb-pr", "1")
    assert code == 0
    assert "nothing differs" in out


@pytest.mark.slow
def test_on_a_branch_only_the_files_that_it_changes_are_copied(stage: Stage) -> None:
    stage.change()
    newer = {f"{FOLDER}/efd_other.yaml": efd(name="efd_other")}
    stage.way.world.commit(stage.way.consdb, "main", newer, author="carl")
    stage.sync("--consdb-pr", "1")
    with pytest.raises(LookupError):
        stage.file(f"{TARGET}/efd_other.yaml")
    code, out, _ = stage.sync("--ticket", "DM-8")
    assert code == 0
    assert "new       efd_other.yaml" in out


@pytest.mark.slow
def test_nothing_is_ever_removed(stage: Stage) -> None:
    stage.way.world.commit(
        stage.way.repo, "main", {f"{TARGET}/efd_old.yaml": efd(name="efd_old")}, author="maintainer"
    )
    stage.change()
    _, out, _ = stage.sync("--consdb-pr", "1")
    assert "  only here efd_old.yaml" in out
    assert stage.file(f"{TARGET}/efd_old.yaml") == efd(name="efd_old")


def test_a_persons_edit_of_the_copy_stops_the_run_and_is_kept(stage: Stage) -> None:
    pull = stage.change()
    stage.sync("--consdb-pr", "1")
    edited = efd(MORE).replace("Mean.", "The mean.")
    stage.way.world.commit(
        stage.way.repo, "tickets/DM-7-efd", {f"{TARGET}/efd_latiss.yaml": edited}, author="dan"
    )
    third = {**MORE, "max": {"datatype": "double", "description": "Maximum."}}
    stage.way.world.commit(stage.way.consdb, pull.branch, {f"{FOLDER}/efd_latiss.yaml": efd(third)})
    code, _, err = stage.sync("--consdb-pr", "1")
    assert code == 1
    assert "efd_latiss.yaml" in err
    assert stage.file(f"{TARGET}/efd_latiss.yaml") == edited


@pytest.mark.slow
def test_a_news_fragment_beside_the_copy_stays(stage: Stage) -> None:
    pull = stage.change()
    stage.sync("--consdb-pr", "1")
    stage.way.world.commit(
        stage.way.repo, "tickets/DM-7-efd", {"docs/changes/DM-7.md": "More columns.\n"}, author="dan"
    )
    third = {**MORE, "max": {"datatype": "double", "description": "Maximum."}}
    stage.way.world.commit(stage.way.consdb, pull.branch, {f"{FOLDER}/efd_latiss.yaml": efd(third)})
    assert stage.sync("--consdb-pr", "1")[0] == 0
    assert stage.file("docs/changes/DM-7.md") == "More columns.\n"
    assert stage.file(f"{TARGET}/efd_latiss.yaml") == efd(third)


def test_a_copy_goes_the_way_of_usdf_with_its_migration_in_consdb(stage: Stage) -> None:
    pull = stage.change()
    stage.sync("--consdb-pr", "1")
    stage.way.pull = stage.copy
    result = stage.way.sync(stage.double)
    assert result.progress.scope.routes == (Route.USDF,)
    assert result.progress.state("efd-sync").text == "equal to consdb"
    assert [item.number for item in result.facts.migrations] == [pull.number]
    assert [item.step.id for item in result.progress.actionable] == ["approve", "dev"]
    stage.way.say("carl", "/consdb done dev")
    stage.way.world.merge(stage.way.consdb, pull)
    assert stage.way.sync(stage.double).progress.state("merge-consdb").done
    stage.way.world.commit(
        stage.way.consdb, "main", {f"{FOLDER}/efd_latiss.yaml": efd()}, author="carl", message="Back"
    )
    words = stage.way.sync(stage.double).progress.state("efd-sync").text
    assert words.startswith("efd_latiss.yaml differs from consdb; consdb-actions process efd-sync")


def test_a_dry_run_changes_nothing_and_json_is_as_its_schema_says(stage: Stage) -> None:
    stage.change()
    code, out, _ = stage.sync("--consdb-pr", "1", "--dry-run", "--format", "json")
    assert code == 0
    data = checked(out, EfdReport)
    assert (data["action"], data["done"], data["new"]) == ("opened", False, ["efd_lsstcam.yaml"])
    assert not [call for call in stage.double.log if call.writes]
    assert "a pull request would be opened" in stage.sync("--consdb-pr", "1", "--dry-run")[1]
    assert "### Copy of EFD schemas" in stage.sync("--consdb-pr", "1", "--format", "markdown")[1]


def test_without_a_number_the_newest_merged_change_names_the_ticket(stage: Stage) -> None:
    assert stage.sync()[0] == 0
    assert "tickets/DM-7-efd" not in [item.branch for item in stage.way.repo.pulls.values()]
    stage.way.world.merge(stage.way.consdb, stage.change())
    stage.way.world.commit(stage.way.consdb, "main", {"README.md": "Another change.\n"}, author="carl")
    assert stage.sync()[0] == 0
    assert "lsst-dm/consdb#1" in (stage.copy.body or "")
    stage.way.world.commit(stage.way.consdb, "main", {f"{FOLDER}/efd_latiss.yaml": efd()}, author="carl")
    code, _, err = stage.sync()
    assert (code, "no ticket is named" in err) == (2, True)


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--ticket", "x;rm"), 2, '"x;rm" is not a ticket'),
        (("--consdb-pr", "99"), 2, "lsst-dm/consdb has no pull request 99"),
        (("--consdb-pr", "1"), 1, "it is not a valid schema, so it is not copied"),
        (("--consdb-pr", "2"), 2, "it was closed without a merge"),
        (("--consdb-pr", "3"), 2, "neither its branch nor its title names a ticket"),
    ],
)
def test_what_cannot_be_copied_is_a_clear_error(
    stage: Stage, args: tuple[str, ...], code: int, words: str
) -> None:
    world, consdb = stage.way.world, stage.way.consdb
    world.commit(consdb, "tickets/DM-9", {f"{FOLDER}/efd_latiss.yaml": "name: [\n"}, onto=consdb.tip("main"))
    world.open_pull(consdb, "tickets/DM-9", title="DM-9")
    world.open_pull(consdb, "tickets/DM-9", title="DM-9").state = "closed"
    world.commit(consdb, "u/carl/x", {"x": "y"}, onto=consdb.tip("main"))
    world.open_pull(consdb, "u/carl/x", title="Nothing")
    got, _, err = stage.sync(*args)
    assert got == code
    assert words in " ".join(err.split())


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("kind", [Kind.INTERNAL, Kind.DONE_THEN_RESET, Kind.RESET, Kind.SECONDARY])
@pytest.mark.parametrize("times", [1, 5])
def test_f1_a_fault_at_any_call_then_a_second_run(stage: Stage, kind: Kind, times: int) -> None:
    stage.change()
    quiet = stage.way.world.copy(stage.way.world.root.parent / "quiet")
    with GitHubDouble(quiet) as double, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_API_URL", double.url)
        stage.sync("--consdb-pr", "1")
        calls = [(call.method, call.target) for call in double.log]
    for place, (method, target) in enumerate(calls):
        if kind is Kind.DONE_THEN_RESET and method == "GET":
            continue
        skip = calls[:place].count((method, target))
        world = stage.way.world.copy(stage.way.world.root.parent / f"w{place}")
        with GitHubDouble(world) as double, pytest.MonkeyPatch.context() as patch:
            patch.setenv("GITHUB_API_URL", double.url)
            double.faults = [Fault(kind, method=method, target=target, skip=skip, times=times)]
            stage.sync("--consdb-pr", "1")
            double.faults = []
            assert stage.sync("--consdb-pr", "1")[0] == 0, (method, target)
        pulls = [item for item in world.repos[REPOSITORY].pulls.values() if item.branch == "tickets/DM-7-efd"]
        assert len(pulls) == 1
        store = world.repos[REPOSITORY].store
        shown = store.git("show", f"refs/heads/tickets/DM-7-efd:{TARGET}/efd_latiss.yaml").decode()
        assert shown == efd(MORE)


# Pure


def test_the_plan_names_every_file_once() -> None:
    sources = {"efd_a.yaml": "1", "efd_b.yaml": "2", "efd_c.yaml": "3", "efd_scheduler.yaml": "4"}
    plan = plan_copy(DEFAULT_POLICY, sources, {"efd_a.yaml": "1", "efd_b.yaml": "x", "efd_z.yaml": "9"})
    assert plan == EfdCopy(
        {f"{TARGET}/efd_b.yaml": "2", f"{TARGET}/efd_c.yaml": "3"},
        new=("efd_c.yaml",),
        equal=("efd_a.yaml",),
        left_out=("efd_scheduler.yaml",),
        only_there=("efd_z.yaml",),
    )
    assert plan_copy(DEFAULT_POLICY, sources, {}, {"efd_a.yaml"}).files == {f"{TARGET}/efd_a.yaml": "1"}


@pytest.mark.parametrize("source", ["lsst-dm/consdb#12", "lsst-dm/consdb", "a-b/c--d#1"])
def test_the_mark_is_read_back(source: str) -> None:
    origin = EfdOrigin(source, "a" * 40)
    text = efd_mark(origin)
    assert efd_origin(f"Before\n{text}\nafter") == origin
    assert text.count("--") == 2


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<!-- consdb-actions:efd {} -->",
        '<!-- consdb-actions:efd {"source": "x", "sha": "' + "a" * 40 + '"} -->',
        '<!-- consdb-actions:efd {"source": "lsst-dm/consdb#1", "sha": "main"} -->',
        '<!-- consdb-actions:efd {"source": ["lsst-dm/consdb#1"], "sha": "' + "a" * 40 + '"} -->',
        "<!-- consdb-actions:efd {broken -->",
    ],
)
def test_a_mark_of_another_form_is_none(body: str) -> None:
    assert efd_origin(body) is None


def test_a_mark_is_never_made_of_something_else() -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        efd_mark(EfdOrigin("x -->", "a" * 40))


def test_s5_the_text_of_the_pull_request_holds_only_what_it_should() -> None:
    source = EfdSource(CONSDB, "a" * 40, "DM-7", 1, "@everyone <b>", "https://github.com/x")
    text = copy_body(source, EfdCopy({f"{TARGET}/efd_`@x`.yaml": "1"}, only_there=("efd_|.yaml",)))
    assert "@everyone" not in text
    assert text.count("<!--") == 1
