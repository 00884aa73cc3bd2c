from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from consdb_actions.adapters.git_read import GitReader
from consdb_actions.adapters.schema_sources import DEFAULT_SCHEMAS, Side, read_sides
from consdb_actions.adapters.schema_yaml import CONSDB_FOLDERS, SDM_FOLDERS
from consdb_actions.errors import ExternalError, InputError
from tests.support.repository import Repository

NEW = SDM_FOLDERS[0]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Give a repository whose schema files moved from yml/ to where they are today; a link is left."""
    made = Repository(tmp_path / "repo")
    made.put("README", "x")
    made.commit("empty")
    made.git("tag", "empty")
    made.put("yml/cdb_a.yaml", "old a")
    made.put("yml/notes.yaml", "no schema")
    made.commit("old")
    made.git("tag", "old")
    made.git("rm", "-q", "-r", "yml")
    made.put(f"{NEW}/cdb_a.yaml", "new a")
    made.put(f"{NEW}/efd_b.yml", "new b")
    made.put(f"{CONSDB_FOLDERS[0]}/efd_c.yaml", "new c")
    (made.path / "yml").symlink_to(NEW)
    (made.path / "cdb_link.yaml").symlink_to(f"{NEW}/cdb_a.yaml")
    (made.path / "cdb_dead.yaml").symlink_to("nowhere.yaml")
    made.commit("new")
    return made


def sides(
    repository: Repository, before: str, after: str | None = None, schemas: tuple[str, ...] = DEFAULT_SCHEMAS
) -> tuple[Side, Side]:
    """Read both sides from a repository."""
    return read_sides(before, after, repository=repository.path, schemas=schemas)


def contents(side: Side) -> dict[str, str]:
    """Return the text of each file."""
    return {name: file.data.decode() for name, file in side.files.items()}


ALL = {"cdb_a": "new a", "cdb_link": "new a", "efd_b": "new b", "efd_c": "new c"}


def test_revisions_and_ranges(repository: Repository) -> None:
    for before, after in (("old", "main"), ("old..main", None), ("old..", None), ("old...main", None)):
        one, two = sides(repository, before, after)
        assert contents(one) == {"cdb_a": "old a"}
        assert contents(two) == ALL
        assert not one.single
    assert sides(repository, "old..main")[1].files["efd_b"].source == f"main:{NEW}/efd_b.yml"


def test_three_dots_start_where_the_branches_parted(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "topic", "old")
    repository.put("yml/cdb_a.yaml", "topic a")
    repository.commit()
    assert contents(sides(repository, "main...topic")[0]) == {"cdb_a": "old a"}
    assert contents(sides(repository, "main..topic")[0]) == ALL


def test_the_work_tree_is_the_other_side(repository: Repository) -> None:
    repository.put(f"{NEW}/cdb_a.yaml", "edited")
    assert contents(sides(repository, "main")[1])["cdb_a"] == "edited"
    assert contents(sides(repository, "main", str(repository.path))[1])["cdb_a"] == "edited"


@pytest.mark.parametrize("inside", ["yml", NEW, f"./{NEW}/", "yml/../yml"])
def test_folders_at_a_revision_links_included(repository: Repository, inside: str) -> None:
    assert contents(sides(repository, "old", f"main:{inside}")[1]) == {"cdb_a": "new a", "efd_b": "new b"}


def test_single_files_are_compared_whatever_they_are_called(repository: Repository, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("mine", encoding="utf-8")
    one, two = sides(repository, "main:cdb_link.yaml", str(path))
    assert contents(one) == {"other": "new a"}
    assert contents(two) == {"other": "mine"}
    assert one.single
    assert two.single


def test_a_single_file_picks_its_counterpart(repository: Repository) -> None:
    one, two = sides(repository, "old", str(repository.path / NEW / "cdb_a.yaml"))
    assert (contents(one), contents(two)) == ({"cdb_a": "old a"}, {"cdb_a": "new a"})
    one, two = sides(repository, f"main:{NEW}/efd_b.yml", "old")
    assert (contents(one), contents(two)) == ({"efd_b": "new b"}, {})


def test_schemas_are_chosen_by_name(repository: Repository) -> None:
    assert set(sides(repository, "old", "main", ("efd_*",))[1].files) == {"efd_b", "efd_c"}
    assert contents(sides(repository, "old", "main", ("notes",))[0]) == {"notes": "no schema"}


def test_a_side_without_schemas_is_one_where_all_are_new(repository: Repository) -> None:
    one, two = sides(repository, "empty..main")
    assert (contents(one), contents(two)) == ({}, ALL)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("nope", "main", 'git has no commit "nope"'),
        ("nope..main", None, 'git has no commit "nope"'),
        ("--output=x", "main", 'git has no commit "--output=x"'),
        ("main", "main:nope", 'no file or folder "nope"'),
        ("main", "main:cdb_dead.yaml", 'no file or folder "cdb_dead.yaml"'),
        ("main", "nope.yaml", "no such file"),
        ("empty", "empty", "no schema files"),
        ("HEAD:README", "main:nope", "no file or folder"),
    ],
)
def test_what_is_not_there(repository: Repository, before: str, after: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        sides(repository, before, after)
    assert caught.value.remedy


def test_places_that_are_none(repository: Repository, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="no schema files"):
        sides(repository, "main", str(empty))
    with pytest.raises(InputError, match="not a git repository"):
        read_sides("main", None, repository=empty)
    with pytest.raises(InputError, match="no such directory"):
        read_sides("main", None, repository=tmp_path / "none")


def test_branches_without_a_common_commit(repository: Repository) -> None:
    repository.git("checkout", "-q", "--orphan", "alone")
    repository.commit()
    with pytest.raises(InputError, match="no commit in common"):
        sides(repository, "main...alone")


def test_a_folder_wins_over_a_branch_of_its_name(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.git("branch", NEW, "old")
    monkeypatch.chdir(repository.path)
    assert contents(sides(repository, "old", NEW)[1]) == {"cdb_a": "new a", "efd_b": "new b"}
    assert contents(sides(repository, "old", f"{NEW}:")[1]) == {"cdb_a": "old a"}


def test_reading_keeps_to_a_limit_and_shares_equal_files(repository: Repository) -> None:
    git = GitReader(repository.path)
    files = git.files(git.commit("main"))
    wanted = {"one": files[f"{NEW}/cdb_a.yaml"], "two": files[f"{NEW}/efd_b.yml"], "three": files["README"]}
    assert git.read(wanted, limit=3) == {"one": b"new", "two": b"new", "three": b"x"}
    assert git.read({}, limit=3) == {}
    gone = replace(files["README"], sha="0" * 40)
    with pytest.raises(ExternalError, match="no content for 000000000000"):
        git.read({"gone": gone}, limit=3)
