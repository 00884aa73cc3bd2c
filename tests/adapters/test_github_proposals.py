"""Pull requests made over the API alone: one for each branch, kept up to date, never over people's work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHub, connect
from consdb_actions.adapters.github.proposals import Proposals
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.proposal import Proposal, ProposalOutcome
from tests.support.github import GitHubDouble, TestClock, World
from tests.support.github.plugin import Double
from tests.support.github.things import Pull

REPO = "lsst-sqre/phalanx"
BRANCH = "deploy/DM-1/summit"
OURS = "github-actions[bot]"
BASE = {"a/one.yaml": "tag: 1\n", "a/two.yaml": "tag: 1\n", "other.txt": "1\n"}


def proposal(**values: Any) -> Proposal:
    wanted: dict[str, Any] = {
        "repository": REPO,
        "base": "main",
        "branch": BRANCH,
        "files": {"a/one.yaml": b"tag: 2\n"},
        "message": "DM-1: Deploy 2",
        "title": "DM-1: Deploy 2",
        "body": "Text.\n\n- [ ] look",
    }
    return Proposal(**{**wanted, **values})


class Place:
    def __init__(self, world: World, double: GitHubDouble) -> None:
        self.world, self.double = world, double
        self.repo = world.repo(REPO)
        self.base = world.commit(self.repo, "main", BASE)
        self.github: GitHub = connect("token-of-actions", double.url, clock=TestClock())

    def publish(self, **values: Any) -> ProposalOutcome:
        return Proposals(self.github).publish(proposal(**values))

    @property
    def pulls(self) -> list[Pull]:
        return list(self.repo.pulls.values())

    def text(self, path: str, ref: str = BRANCH) -> str:
        return self.repo.store.git("show", f"{ref}:{path}").decode()

    def shown(self) -> str:
        """Return what the pull request shows: the files that the branch changes since it left main."""
        return self.repo.store.git("diff", "--name-only", f"main...{BRANCH}").decode()

    def commits(self) -> list[str]:
        return self.repo.store.between(self.repo.tip("main"), self.repo.tip(BRANCH))

    @property
    def writes(self) -> int:
        return sum(call.writes for call in self.double.log)


@pytest.fixture
def place(world: World, github_double: Double) -> Iterator[Place]:
    place = Place(world, github_double(world))
    yield place
    place.github.close()


def test_a_pull_request_is_opened_and_left_alone_when_all_is_right(place: Place) -> None:
    outcome = place.publish(labels=("consdb",), draft=True)
    (pull,) = place.pulls
    assert (outcome.action, outcome.number, outcome.commit) == ("opened", 1, place.repo.tip(BRANCH))
    assert outcome.url == "https://github.com/lsst-sqre/phalanx/pull/1"
    assert (pull.title, pull.draft, pull.base, pull.labels) == ("DM-1: Deploy 2", True, "main", ["consdb"])
    assert place.text("a/one.yaml") == "tag: 2\n"
    assert place.shown() == "a/one.yaml\n"
    info = place.repo.store.info(outcome.commit)
    assert info.author.name == info.committer.name == OURS
    assert info.message == f"DM-1: Deploy 2\n\nConsdb-Actions-Branch: {BRANCH}"
    before = place.writes
    assert place.publish(labels=("consdb",), draft=True) == replace(outcome, action="unchanged")
    assert place.writes == before


def remake(place: Place, **modes: str) -> None:
    """Give paths of main another mode; of a link the content is where it points to."""
    store, info = place.repo.store, place.repo.store.info(place.base)
    rows = {
        row.path: (row.mode, row.sha)
        for row in store.entries(info.tree, recursive=True)
        if row.type == "blob"
    }
    for path, mode in modes.items():
        sha = rows.get(path, ("", store.git("hash-object", "-w", "--stdin", stdin=b"a").decode().strip()))[1]
        rows[path] = (mode, sha)
    who = info.author
    at = info.committer.date
    assert at is not None
    sha = store.commit_tree(
        store.write_tree(rows), parents=[place.base], message="m", author=who, committer=who, at=at
    )
    store.set_ref("refs/heads/main", sha)


@pytest.mark.parametrize("queries", [True, False])
def test_r3_a_file_keeps_its_mode(place: Place, queries: bool) -> None:
    if not queries:
        place.repo.rows["no queries"] = []
    remake(place, **{"a/one.yaml": "100755"})
    place.publish(
        files={"a/one.yaml": b"tag: 2\n", "a/two.yaml": b"tag: 2\n", "b/new.yaml": b"x\n", "top": b"x\n"}
    )
    tree = place.repo.store.info(place.repo.tip(BRANCH)).tree
    modes = {
        row.path: row.mode for row in place.repo.store.entries(tree, recursive=True) if row.type == "blob"
    }
    assert modes.pop("a/one.yaml") == "100755"
    assert set(modes) == {"a/two.yaml", "b/new.yaml", "other.txt", "top"}
    assert set(modes.values()) == {"100644"}


@pytest.mark.parametrize("queries", [True, False])
@pytest.mark.parametrize(
    ("link", "path"), [("a/one.yaml", "a/one.yaml"), ("l", "l/x.yaml"), ("l", "l/m/x.yaml")]
)
def test_r3_a_link_is_not_written_over(place: Place, queries: bool, link: str, path: str) -> None:
    if not queries:
        place.repo.rows["no queries"] = []
    remake(place, **{link: "120000"})
    with pytest.raises(InputError, match="a link or another repository"):
        place.publish(files={path: b"tag: 2\n"})
    assert place.pulls == []


def test_an_empty_difference_opens_nothing(place: Place) -> None:
    outcome = place.publish(files={"a/one.yaml": b"tag: 1\n", "gone.txt": None})
    assert outcome == ProposalOutcome("nothing")
    assert place.writes == 0


def test_files_come_and_go_with_their_bytes(place: Place) -> None:
    data = bytes(range(256)) + b"\r\n"
    place.publish(files={"new/x.bin": data, "a/one.yaml": None, "a/two.yaml": b"\r\n\xef\xbb\xbf"})
    assert place.shown().split() == ["a/one.yaml", "a/two.yaml", "new/x.bin"]
    assert place.repo.store.git("show", f"{BRANCH}:new/x.bin") == data


def test_it_is_updated_and_not_duplicated(place: Place) -> None:
    place.publish()
    outcome = place.publish(files={"a/two.yaml": b"tag: 3\n"}, title="DM-1: Deploy 3", labels=("x",))
    (pull,) = place.pulls
    assert (outcome.action, pull.title, pull.labels) == ("updated", "DM-1: Deploy 3", ["x"])
    assert place.shown() == "a/two.yaml\n"
    assert len(place.commits()) == 2, "the branch only goes forward"


def test_what_people_write_around_the_body_and_tick_in_it_stays(place: Place) -> None:
    place.publish()
    (pull,) = place.pulls
    assert pull.body is not None
    pull.body = "See Slack.\r\n" + pull.body.replace("- [ ]", "- [x]").replace("\n", "\r\n") + "\r\nBye."
    assert place.publish().action == "unchanged"
    assert place.publish(body="New.").action == "updated"
    assert pull.body.splitlines()[0] == "See Slack."
    assert pull.body.splitlines()[-1] == "Bye."
    assert "New." in pull.body
    assert "look" not in pull.body
    pull.body = "I wrote it again."
    place.publish(body="New.")
    assert pull.body.startswith("<!--")
    assert pull.body.endswith("New.\n<!-- consdb-actions: end -->\n\nI wrote it again.")


def test_a_base_that_moved_elsewhere_disturbs_nobody(place: Place) -> None:
    place.publish()
    place.world.commit(place.repo, "main", {"other.txt": "2\n"}, author="po-1")
    assert place.publish().action == "unchanged"


def test_a_base_that_moved_in_the_same_file_is_taken_in(place: Place) -> None:
    place.publish()
    place.world.commit(place.repo, "main", {"a/one.yaml": "tag: 1\nmore: 1\n", "other.txt": "2\n"})
    outcome = place.publish(files={"a/one.yaml": b"tag: 2\nmore: 1\n"})
    assert outcome.action == "updated"
    assert place.shown() == "a/one.yaml\n"
    assert place.text("other.txt") == "2\n"
    assert place.repo.tip("main") in place.repo.store.info(outcome.commit).parents
    assert place.publish(files={"a/one.yaml": b"tag: 2\nmore: 1\n"}).action == "unchanged"


def test_a_base_that_went_another_way_in_the_same_line_is_taken_in(place: Place) -> None:
    place.publish()
    place.world.commit(place.repo, "main", {"a/one.yaml": "tag: 0\n"})
    outcome = place.publish()
    assert outcome.action == "updated", "the files are the wanted ones, but they no longer merge"
    assert place.repo.store.merge_base(place.repo.tip("main"), outcome.commit) == place.repo.tip("main")


def test_the_difference_that_the_base_has_by_now_is_nothing(place: Place) -> None:
    place.publish()
    place.world.commit(place.repo, "main", {"a/one.yaml": "tag: 2\n"})
    outcome = place.publish()
    assert (outcome.action, outcome.number) == ("nothing", 1), "told, so that somebody closes it"


def test_a_commit_of_somebody_else_stops_and_is_shown(place: Place) -> None:
    place.publish()
    mine = place.world.commit(
        place.repo, BRANCH, {"a/one.yaml": "tag: 9\nx: hunter2\npassword: hunter2\n"}, author="po-1"
    )
    before = place.writes
    with pytest.raises(CheckFailed) as caught:
        place.publish(title="other")
    assert place.writes == before
    assert place.repo.tip(BRANCH) == mine
    assert f"{mine[:8]} by po-1: Change" in caught.value.cause
    assert "-tag: 2\n+tag: 9\n" in caught.value.cause
    assert "password: ***" in caught.value.cause


@pytest.mark.parametrize(
    "how",
    ["committer", "trailer", *(pytest.param(how, marks=pytest.mark.slow) for how in ("branch", "unknown"))],
)
def test_only_commits_with_account_and_trailer_are_ours(place: Place, how: str) -> None:
    place.publish()
    values = {
        "committer": {
            "author": OURS,
            "committer": "po-1",
            "message": f"x\n\nConsdb-Actions-Branch: {BRANCH}",
        },
        "trailer": {"author": OURS, "message": "x"},
        "branch": {"author": OURS, "message": "x\n\nConsdb-Actions-Branch: deploy/DM-2/summit"},
        "unknown": {"author": "po-1", "message": f"x\n\nConsdb-Actions-Branch: {BRANCH}"},
    }[how]
    place.world.commit(place.repo, BRANCH, {"new.txt": "x\n"}, **values)
    if how == "unknown":
        place.world.delete_user("po-1")
    with pytest.raises(CheckFailed, match=r"new\.txt"):
        place.publish()


def test_a_branch_of_somebody_else_is_not_taken_over(place: Place) -> None:
    place.world.commit(place.repo, BRANCH, {"a/one.yaml": "tag: 7\n"}, onto=place.base, author="po-1")
    with pytest.raises(CheckFailed, match="by po-1"):
        place.publish()
    assert place.pulls == []


def test_an_empty_branch_is_taken(place: Place) -> None:
    place.repo.store.set_ref(f"refs/heads/{BRANCH}", place.base)
    place.world.commit(place.repo, "main", {"other.txt": "2\n"})
    assert place.publish().action == "opened"
    assert len(place.commits()) == 1


def test_the_button_that_updates_the_branch_is_no_change(place: Place) -> None:
    place.publish()
    main = place.world.commit(place.repo, "main", {"other.txt": "2\n"}, author="po-1")
    place.world.commit(place.repo, BRANCH, {"other.txt": "2\n"}, merge=[main], author="po-1")
    assert place.publish().action == "unchanged"
    assert place.publish(files={"a/one.yaml": b"tag: 5\n"}).action == "updated"
    assert place.shown() == "a/one.yaml\n"


def test_what_people_made_of_kept_files_stays_and_the_rest_is_renewed(place: Place) -> None:
    files = {"a/one.yaml": b"tag: 2\n", "a/two.yaml": b"tag: 2\n", "a/three.yaml": b"x\n"}
    place.publish(files=files)
    place.world.commit(place.repo, BRANCH, {"a/one.yaml": "tag: mine\n", "b.txt": "mine\n"}, author="po-1")
    wanted = {"a/one.yaml": b"tag: 3\n", "a/two.yaml": b"tag: 3\n"}
    with pytest.raises(CheckFailed, match=r"in b\.txt:"):
        place.publish(files=wanted, keep=("a/*",))
    outcome = place.publish(files=wanted, keep=("a/*", "b.txt"))
    assert (outcome.action, outcome.kept) == ("updated", ("a/one.yaml", "b.txt"))
    assert place.text("a/one.yaml") == "tag: mine\n"
    assert place.text("a/two.yaml") == "tag: 3\n"
    assert place.shown().split() == ["a/one.yaml", "a/two.yaml", "b.txt"]
    again = place.publish(files=wanted, keep=("*",))
    assert again == replace(outcome, action="unchanged")
    with pytest.raises(CheckFailed, match="by po-1"):
        place.publish(files=wanted)


def test_a_pull_request_closed_unmerged_is_told_and_a_new_one_is_for_the_asking(place: Place) -> None:
    place.publish()
    place.pulls[0].state = "closed"
    before = place.writes
    with pytest.raises(CheckFailed, match=r"pull request 1 .* closed without merging") as caught:
        place.publish()
    assert "--reopen" in caught.value.remedy
    assert place.writes == before
    outcome = place.publish(reopen=True)
    assert (outcome.action, outcome.number) == ("opened", 2)
    assert place.publish().action == "unchanged"


@pytest.mark.parametrize(
    "how", ["squash", *(pytest.param(how, marks=pytest.mark.slow) for how in ("merge", "branch deleted"))]
)
def test_after_a_merge_the_next_difference_opens_a_new_one(place: Place, how: str) -> None:
    place.publish()
    (pull,) = place.pulls
    head = place.repo.tip(BRANCH)
    if how == "squash":
        place.world.commit(place.repo, BRANCH, {"b.txt": "by hand\n"}, author="po-1")
        head = place.repo.tip(BRANCH)
        sha = place.world.commit(place.repo, "main", {"a/one.yaml": "tag: 2\n", "b.txt": "by hand\n"})
        pull.state, pull.merged_at, pull.merge_sha = "closed", place.world.now, sha
    else:
        place.world.merge(place.repo, pull)
    if how == "branch deleted":
        place.repo.store.delete_ref(f"refs/heads/{BRANCH}")
    assert place.publish().action == "nothing"
    outcome = place.publish(files={"a/one.yaml": b"tag: 3\n"})
    assert (outcome.action, outcome.number) == ("opened", 2)
    assert place.shown() == "a/one.yaml\n"
    assert how == "branch deleted" or place.repo.store.merge_base(head, outcome.commit) == head


def test_what_was_pushed_after_a_merge_is_not_lost(place: Place) -> None:
    place.publish()
    place.world.merge(place.repo, place.pulls[0])
    place.world.commit(place.repo, BRANCH, {"b.txt": "late\n"}, author="po-1")
    with pytest.raises(CheckFailed, match=r"b\.txt"):
        place.publish(files={"a/one.yaml": b"tag: 3\n"})


def test_a_pull_request_turned_to_another_base_is_told(place: Place) -> None:
    place.publish()
    place.world.commit(place.repo, "release", {}, onto=place.base)
    place.pulls[0].base = "release"
    with pytest.raises(CheckFailed, match="goes to release, not to main"):
        place.publish(title="other")
    assert len(place.pulls) == 1


@pytest.mark.parametrize("exists", [False, True])
def test_somebody_who_pushes_meanwhile_is_not_overwritten(place: Place, exists: bool) -> None:
    if exists:
        place.publish()

    def meanwhile(method: str, target: str) -> None:
        if method in ("POST", "PATCH") and "/git/refs" in target:
            place.double.before = None
            onto = None if exists else place.base
            place.world.commit(place.repo, BRANCH, {"mine.txt": "mine\n"}, author="po-1", onto=onto)

    place.double.before = meanwhile
    with pytest.raises(CheckFailed, match=r"mine\.txt"):
        place.publish(files={"a/one.yaml": b"tag: 4\n"})
    assert place.double.before is None
    assert place.text("mine.txt") == "mine\n"


def test_somebody_who_opens_the_pull_request_meanwhile_has_opened_it(place: Place) -> None:
    def meanwhile(method: str, target: str) -> None:
        if method == "POST" and target.endswith("/pulls"):
            place.double.before = None
            place.world.open_pull(place.repo, BRANCH, author="po-1", title="By hand")

    place.double.before = meanwhile
    assert place.publish().action == "updated"
    assert [(pull.title, pull.number) for pull in place.pulls] == [("DM-1: Deploy 2", 1)]


def test_the_plan_says_what_would_be_done_and_does_nothing(place: Place) -> None:
    plan = Proposals(place.github).plan(proposal())
    assert (plan.action, plan.difference) == ("opened", ("a/one.yaml",))
    assert place.writes == 0


@pytest.mark.parametrize(
    "values",
    [
        {"branch": "main"},
        {"branch": "a..b"},
        {"branch": "-f"},
        {"branch": "a b"},
        {"branch": "refs/heads/x.lock"},
        {"branch": "x\n"},
        {"branch": "a//b"},
        {"base": ""},
        {"files": {"../x": b""}},
        {"files": {"/x": b""}},
        {"files": {"a/.git/config": b""}},
        {"files": {"a//b": b""}},
        {"files": {"a\nb": b""}},
        {"files": {"": b""}},
    ],
)
def test_s1_no_other_names_reach_github(values: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        proposal(**values)


def test_a_base_that_does_not_exist_is_said(place: Place) -> None:
    with pytest.raises(InputError, match="there is no branch nosuch"):
        place.publish(base="nosuch")
