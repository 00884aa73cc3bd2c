"""The double keeps to git and to GitHub's description, so that what is tested against it means something."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.github import GitHub, GitHubError, connect
from tests.support.github import Description, GitHubDouble, MismatchError, TestClock, World
from tests.support.github.plugin import Double

REPO = "lsst-dm/consdb"
ROOT = f"/repos/{REPO}"


class Place:
    def __init__(self, world: World, double: GitHubDouble) -> None:
        self.world, self.double = world, double
        self.repo = world.repo(REPO)
        self.base = world.commit(self.repo, "main", {"a/b/one.txt": "1\n", "two.txt": "2\n"})
        self.github: GitHub = connect("token-of-actions", double.url, clock=TestClock())

    def post(self, path: str, **body: Any) -> Any:
        return self.github.write("POST", ROOT + path, body)


@pytest.fixture
def place(world: World, github_double: Double) -> Iterator[Place]:
    place = Place(world, github_double(world))
    yield place
    place.github.close()


def refused(status: int) -> Any:
    return pytest.raises(GitHubError, match=f"HTTP {status}")


def test_a_commit_over_the_api_is_a_commit_of_git(place: Place) -> None:
    blob = place.post("/git/blobs", content="new\n", encoding="utf-8")["sha"]
    tree = place.post(
        "/git/trees",
        base_tree=place.base,
        tree=[
            {"path": "a/b/one.txt", "mode": "100644", "type": "blob", "sha": blob},
            {"path": "two.txt", "mode": "100644", "type": "blob", "sha": None},
            {"path": "c.txt", "mode": "100644", "type": "blob", "content": "c\n"},
        ],
    )["sha"]
    commit = place.post("/git/commits", message="Change", tree=tree, parents=[place.base])["sha"]
    ref = place.post("/git/refs", ref="refs/heads/new", sha=commit)
    assert ref["object"] == {"type": "commit", "sha": commit, "url": ref["object"]["url"]}
    store = place.repo.store
    assert store.git("ls-tree", "-r", "--name-only", "new").decode().split() == ["a/b/one.txt", "c.txt"]
    assert store.git("show", "new:a/b/one.txt") == b"new\n"
    assert store.git("fsck", "--strict", "--no-dangling") == b""
    read = place.github.get(f"{ROOT}/contents/a/b/one.txt", {"ref": "new"})
    assert base64.b64decode(read["content"]) == b"new\n"
    assert place.github.get(f"{ROOT}/git/commits/{commit}")["tree"]["sha"] == tree


def test_refs_are_made_once_and_moved_forward_only(place: Place) -> None:
    later = place.world.commit(place.repo, "other", {"x": "x"}, onto=place.base)
    place.post("/git/refs", ref="refs/heads/new", sha=place.base)
    for bad in (
        {"ref": "refs/heads/new", "sha": later},
        {"ref": "new", "sha": later},
        {"ref": "refs/heads/y", "sha": "0" * 40},
    ):
        with refused(422):
            place.post("/git/refs", **bad)
    path = f"{ROOT}/git/refs/heads/new"
    assert place.github.write("PATCH", path, {"sha": later})["object"]["sha"] == later
    with refused(422):
        place.github.write("PATCH", path, {"sha": place.base})
    place.github.write("PATCH", path, {"sha": place.base, "force": True})
    place.github.write("DELETE", path)
    with refused(404):
        place.github.get(f"{ROOT}/git/ref/heads/new")


def test_an_annotated_tag_is_one(place: Place) -> None:
    tag = place.post("/git/tags", tag="26.3.1", message="Release", object=place.base, type="commit")
    place.post("/git/refs", ref="refs/tags/26.3.1", sha=tag["sha"])
    assert place.github.get(f"{ROOT}/git/ref/tags/26.3.1")["object"]["type"] == "tag"
    assert place.github.get(f"{ROOT}/git/tags/{tag['sha']}")["object"]["sha"] == place.base
    assert place.repo.store.git("describe", place.base).decode().strip() == "26.3.1"
    assert [row["name"] for row in place.github.items(f"{ROOT}/tags")] == ["26.3.1"]
    assert [row["ref"] for row in place.github.get(f"{ROOT}/git/matching-refs/tags/26")] == [
        "refs/tags/26.3.1"
    ]


def test_a_pull_request_from_its_opening_to_its_merge(place: Place) -> None:
    place.world.commit(place.repo, "work", {"two.txt": "two\n"}, onto=place.base)
    made = place.post("/pulls", title="T", head="work", base="main", body="B")
    with refused(422):
        place.post("/pulls", title="T", head="work", base="main")
    number = made["number"]
    assert place.github.write("PATCH", f"{ROOT}/pulls/{number}", {"title": "U"})["title"] == "U"
    assert [row["filename"] for row in place.github.items(f"{ROOT}/pulls/{number}/files")] == ["two.txt"]
    assert len(place.github.items(f"{ROOT}/pulls/{number}/commits")) == 1
    done = place.github.write("PUT", f"{ROOT}/pulls/{number}/merge", {"merge_method": "merge"})
    assert place.github.get(f"{ROOT}/branches/main")["commit"]["sha"] == done["sha"]
    assert place.repo.store.git("show", "main:two.txt") == b"two\n"
    assert place.github.get(f"{ROOT}/pulls/{number}")["merged"] is True
    with refused(405):
        place.github.write("PUT", f"{ROOT}/pulls/{number}/merge", {})


def test_compare_counts_both_sides(place: Place) -> None:
    one = place.world.commit(place.repo, "one", {"x": "1"}, onto=place.base)
    two = place.world.commit(place.repo, "main", {"y": "1"})
    data = place.github.get(f"{ROOT}/compare/{two}...{one}")
    assert (data["status"], data["ahead_by"], data["behind_by"]) == ("diverged", 1, 1)
    assert data["merge_base_commit"]["sha"] == place.base
    assert [row["filename"] for row in data["files"]] == ["x"]


def test_a_file_is_written_only_over_the_version_that_was_read(place: Place) -> None:
    path = f"{ROOT}/contents/two.txt"
    content = base64.b64encode(b"2b\n").decode()
    with refused(409):
        place.github.write("PUT", path, {"message": "m", "content": content, "sha": "0" * 40})
    sha = place.github.get(path)["sha"]
    place.github.write("PUT", path, {"message": "m", "content": content, "sha": sha})
    assert place.repo.store.git("show", "main:two.txt") == b"2b\n"


def test_releases_checks_statuses_and_dispatches(place: Place) -> None:
    place.post("/releases", tag_name="26.3.1", name="26.3.1")
    with refused(422):
        place.post("/releases", tag_name="26.3.1")
    assert place.github.get(f"{ROOT}/releases/tags/26.3.1")["name"] == "26.3.1"
    assert len(place.github.items(f"{ROOT}/releases")) == 1
    assert place.github.get(f"{ROOT}/commits/main/check-runs")["total_count"] == 0
    place.post(f"/statuses/{place.base}", state="failure", context="ci")
    assert place.github.get(f"{ROOT}/commits/main/status")["state"] == "failure"
    assert place.github.get(f"{ROOT}/commits/main")["sha"] == place.base
    place.post("/actions/workflows/deploy.yaml/dispatches", ref="main", inputs={"tag": "26.3.1"})
    place.post("/dispatches", event_type="deploy", client_payload={})
    assert place.repo.rows["workflow dispatches"][0]["inputs"] == {"tag": "26.3.1"}


def test_a_copy_of_the_world_is_independent(place: Place, tmp_path: Path) -> None:
    place.world.open_pull(place.repo, "main", base="main")
    twin = place.world.copy(tmp_path / "copy")
    twin.repos[REPO].pulls[1].title = "Other"
    twin.commit(twin.repos[REPO], "main", {"z": "z"})
    assert place.repo.pulls[1].title != "Other"
    assert place.repo.tip("main") == place.base
    light = place.world.copy()
    assert light.repos[REPO].store is place.repo.store
    light.comment(light.repos[REPO], 1, "author", "hello")
    assert place.repo.comments == []


def test_user_null_is_held_to_be_a_known_difference(place: Place) -> None:
    pull = place.world.open_pull(place.repo, "main", base="main", author="gone")
    place.world.event(pull, "labeled", place.world.user("gone").id, label="x")
    place.world.ensure_label(place.repo, "x")
    place.world.review(place.repo, pull, "gone")
    place.world.delete_user("gone")
    assert place.github.get(f"{ROOT}/pulls/1")["user"] is None
    assert place.github.items(f"{ROOT}/pulls/1/reviews")[0]["user"] is None
    assert place.github.items(f"{ROOT}/issues/1/timeline")[0]["actor"] is None


def test_an_answer_is_completed_and_a_wrong_one_is_found(github_description: Description | None) -> None:
    if github_description is None:
        pytest.skip("GitHub's description is not at hand")
    call = ("GET", "/repos/{owner}/{repo}/labels/{name}", 200)
    label: dict[str, Any] = {"id": 1, "name": "x", "color": "ededed", "description": None}
    github_description.check_response(*call, label)
    assert (label["id"], label["default"]) == (1, False)
    with pytest.raises(MismatchError):
        github_description.check_response(*call, {**label, "id": "one"})
