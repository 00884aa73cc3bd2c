"""Schema files from disk and from git: both sides of a comparison, and the side before a change."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from consdb_actions.adapters import shell
from consdb_actions.adapters.git_read import GitReader
from consdb_actions.adapters.schema_sources import (
    DEFAULT_SCHEMAS,
    RawFile,
    SchemaBase,
    Side,
    read_sides,
    resolve_base,
)
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


TODAY, (EFD,) = SDM_FOLDERS[0], CONSDB_FOLDERS
NAMES = ("cdb_a", "cdb_b", "cdb_c", "efd_x")


def contents_of(base: SchemaBase) -> dict[str, str]:
    """Return the text of each schema that the base has."""
    return {name: found.data.decode() for name in NAMES if (found := base.read(name))}


@pytest.fixture(scope="module")
def made_sdm(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("made") / "sdm_schemas")
    made.put("yml/cdb_a.yaml", "a0")
    made.commit("the old layout")
    made.git("tag", "old")
    made.git("rm", "-q", "-r", "yml")
    made.put(f"{TODAY}/cdb_a.yaml", "a1")
    made.put(f"{TODAY}/cdb_b.yaml", "b1")
    (made.path / "yml").symlink_to(TODAY)
    made.commit("today's layout")
    made.git("checkout", "-q", "-b", "tickets/DM-1")
    made.put(f"{TODAY}/cdb_a.yaml", "a topic")
    made.put(f"{TODAY}/cdb_c.yaml", "c topic")
    made.commit("topic")
    made.git("checkout", "-q", "main")
    made.put(f"{TODAY}/cdb_b.yaml", "b2")
    made.commit("somebody else's")
    made.git("checkout", "-q", "tickets/DM-1")
    return made


@pytest.fixture
def sdm(made_sdm: Repository, tmp_path: Path) -> Repository:
    """Give a checkout with a topic branch; ``main`` went on, and the layout was another at first."""
    return made_sdm.copy(tmp_path / "sdm_schemas")


def short(repository: Repository, revision: str) -> str:
    return repository.git("rev-parse", revision)[:7]


PARTED = {"cdb_a": "a1", "cdb_b": "b1"}


def test_m18_without_being_asked_it_is_where_the_branch_left_the_default_branch(sdm: Repository) -> None:
    base = resolve_base(sdm.path, None)
    assert contents_of(base) == PARTED
    parted = sdm.git("merge-base", "main", "HEAD")
    assert base.label == f"merge base {parted[:7]} with main"
    assert (base.problem, base.remedy) == ("", "")
    assert base.read("cdb_a") == RawFile("cdb_a", f"{parted[:12]}:{TODAY}/cdb_a.yaml", b"a1")


@pytest.mark.parametrize("remote", ["origin/main", "origin/master"])
def test_m18_the_default_branch_is_the_remotes_before_a_local_one(sdm: Repository, remote: str) -> None:
    sdm.git("update-ref", f"refs/remotes/{remote}", "old")
    assert resolve_base(sdm.path, None).label == f"merge base {short(sdm, 'old')} with {remote}"
    sdm.git("update-ref", "refs/remotes/origin/trunk", "main")
    sdm.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    base = resolve_base(sdm.path, None)
    assert base.label.endswith("with origin/trunk")
    assert contents_of(base) == PARTED


@pytest.mark.parametrize("commit", [True, False])
def test_m18_what_is_not_committed_is_part_of_the_change(sdm: Repository, commit: bool) -> None:
    sdm.put(f"{TODAY}/cdb_b.yaml", "edited")
    if commit:
        sdm.git("add", "-A")
    assert contents_of(resolve_base(sdm.path, None)) == PARTED


def test_m18_on_the_default_branch_only_what_is_not_committed_is_new(sdm: Repository) -> None:
    sdm.git("checkout", "-q", "main")
    sdm.put(f"{TODAY}/cdb_a.yaml", "edited")
    base = resolve_base(sdm.path, None)
    assert contents_of(base) == {"cdb_a": "a1", "cdb_b": "b2"}
    assert base.label == f"HEAD ({short(sdm, 'HEAD')}, on main)"
    sdm.git("update-ref", "refs/remotes/origin/main", "main")
    sdm.commit("not pushed")
    base = resolve_base(sdm.path, None)
    assert base.label == f"merge base {short(sdm, 'main^')} with origin/main"
    assert contents_of(base)["cdb_a"] == "a1"


def test_m18_the_merge_of_a_pull_request(sdm: Repository) -> None:
    sdm.git("checkout", "-q", "--detach", "main")
    sdm.git("merge", "-q", "--no-ff", "--no-edit", "tickets/DM-1")
    now = {"cdb_a": "a1", "cdb_b": "b2"}
    assert contents_of(resolve_base(sdm.path, "HEAD^1")) == now
    assert resolve_base(sdm.path, "HEAD^1").label == f"HEAD^1 ({short(sdm, 'main')})"
    assert contents_of(resolve_base(sdm.path, None)) == now


@pytest.mark.parametrize("inside", ["", TODAY, "yml"])
def test_m18_a_folder_of_the_checkout_will_do(sdm: Repository, inside: str) -> None:
    assert contents_of(resolve_base(sdm.path / inside, None)) == PARTED
    assert contents_of(resolve_base(sdm.path / inside, "old")) == {"cdb_a": "a0"}


def test_m18_a_branch_that_has_none_of_our_schemas(sdm: Repository) -> None:
    sdm.git("checkout", "-q", "--orphan", "other")
    sdm.git("rm", "-q", "-r", "-f", ".")
    sdm.put("README", "x")
    sdm.git("branch", "-f", "main", sdm.commit("nothing of ours"))
    base = resolve_base(sdm.path, None)
    assert (base.problem, contents_of(base)) == ("", {})
    # A schema that is new is not one that git has nothing of.
    sdm.put("yml/cdb_a.yaml", "new")
    sdm.commit("the first schema")
    assert (resolve_base(sdm.path, None).problem, contents_of(resolve_base(sdm.path, None))) == ("", {})


def test_m18_folders_of_a_larger_repository(tmp_path: Path) -> None:
    made = Repository(tmp_path / "large")
    made.put("examples/after/cdb_a.yaml", "1")
    made.put("examples/after/of_another_name.yaml", "3")
    made.put("other/cdb_b.yaml", "not meant")
    made.commit()
    made.put("examples/after/cdb_a.yaml", "2")
    base = resolve_base(made.path / "examples" / "after", None)
    assert contents_of(base) == {"cdb_a": "1"}
    found = base.read("of_another_name")
    assert found is not None
    assert found.data == b"3"
    assert base.read("*") is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("old", {"cdb_a": "a0"}),
        ("main", {"cdb_a": "a1", "cdb_b": "b2"}),
        ("main~1", PARTED),
        ("main:yml", {"cdb_a": "a1", "cdb_b": "b2"}),
        (f"main:{TODAY}/", {"cdb_a": "a1", "cdb_b": "b2"}),
        ("old:", {"cdb_a": "a0"}),
        ("HEAD", {"cdb_a": "a topic", "cdb_b": "b1", "cdb_c": "c topic"}),
    ],
)
def test_m18_a_revision_is_given(sdm: Repository, given: str, expected: dict[str, str]) -> None:
    assert contents_of(resolve_base(sdm.path, given)) == expected


def test_m18_a_commit_is_given_by_its_id(sdm: Repository) -> None:
    commit = sdm.git("rev-parse", "old")
    for given in (commit, commit[:8]):
        assert resolve_base(sdm.path, given).label == given[:12]


def test_m18_a_directory_wins_over_a_branch(
    sdm: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main" / "yml").mkdir(parents=True)
    (tmp_path / "main" / "yml" / "cdb_a.yaml").write_text("of a directory")
    monkeypatch.chdir(tmp_path)
    base = resolve_base(sdm.path, "main")
    assert base.read("cdb_a") == RawFile("cdb_a", "main/yml/cdb_a.yaml", b"of a directory")
    assert base.read("cdb_b") is None
    assert base.label == "main"


ODD = [
    "nope",
    "",
    " ",
    "-v",
    "--output=x",
    "a\0b",
    "\ud800",
    "main\n",
    "main..old",
    "old:nope",
    "README",
    ":yml",
]


@pytest.mark.parametrize("given", ODD)
def test_m18_what_is_neither_is_said_with_both_readings(
    sdm: Repository, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        resolve_base(sdm.path, given)
    if given != "old:nope":
        assert "neither a directory nor a revision" in caught.value.cause
    assert caught.value.remedy
    assert "nope" in str(caught.value) or given != "nope"


def test_m18_without_git_there_is_no_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "cdb_a.yaml").write_text("a")
    base = resolve_base(plain, None)
    assert (base.label, base.problem) == ("", "the schema files are not in a git checkout")
    assert base.remedy
    assert base.read("cdb_a") is None
    with pytest.raises(InputError, match=r"neither a directory nor a revision: .* not in a git checkout"):
        resolve_base(plain, "main")
    with pytest.raises(InputError, match="no such directory"):
        resolve_base(tmp_path / "nowhere", None)
    # Nor is there one where the git program is missing.
    Repository(plain).commit()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git" in resolve_base(plain, None).problem


def test_m18_files_that_git_does_not_track_have_no_base(sdm: Repository) -> None:
    """A folder in a checkout of something else: not every schema of it is new."""
    sdm.put("untracked/cdb_a.yaml", "x")
    assert "no schema files" in resolve_base(sdm.path / "untracked", None).problem
    with pytest.raises(InputError, match="no schema files"):
        resolve_base(sdm.path / "untracked", "main")


def test_m18_a_repository_without_a_commit_or_without_a_default_branch(tmp_path: Path) -> None:
    made = Repository(tmp_path / "new")
    made.put("cdb_a.yaml", "a")
    assert "no commit yet" in resolve_base(made.path, None).problem
    made.commit()
    made.git("branch", "-m", "main", "trunk")
    assert "origin/HEAD" in resolve_base(made.path, None).problem


def test_m18_branches_without_a_common_commit(sdm: Repository) -> None:
    sdm.git("checkout", "-q", "--orphan", "alone")
    sdm.commit()
    base = resolve_base(sdm.path, None)
    assert "no commit in common" in base.problem
    assert base.read("cdb_a") is None


@pytest.fixture
def shallow(sdm: Repository, tmp_path: Path) -> Path:
    """Give a clone of the topic branch with its last commit only."""
    sdm.git("checkout", "-q", "main")
    path = tmp_path / "shallow"
    shell.run(["git", "clone", "-q", "--depth=1", "--branch=tickets/DM-1", sdm.path.as_uri(), path])
    return path


def test_m18_a_shallow_clone_says_what_is_missing(shallow: Path) -> None:
    base = resolve_base(shallow, None)
    assert "git has none of" in base.problem
    assert "fetch-depth" in base.remedy
    with pytest.raises(InputError, match="shallow") as caught:
        resolve_base(shallow, "HEAD^1")
    assert "fetch-depth" in caught.value.remedy
    shell.run(["git", "fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main"], cwd=shallow)
    base = resolve_base(shallow, None)
    assert "shallow" in base.problem
    assert "fetch-depth" in base.remedy
    # What is there can be given.
    assert contents_of(resolve_base(shallow, "origin/main")) == {"cdb_a": "a1", "cdb_b": "b2"}
    shell.run(["git", "fetch", "-q", "--unshallow", "origin"], cwd=shallow)
    assert contents_of(resolve_base(shallow, None)) == PARTED


def test_s2_links_are_read_as_git_has_them_and_lead_nowhere_else(sdm: Repository, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("secret")
    sdm.git("checkout", "-q", "main")
    for name, target in (
        ("cdb_a", "cdb_b.yaml"),
        ("cdb_c", "../../../../../secret.yaml"),
        ("efd_x", str(tmp_path / "secret.yaml")),
    ):
        path = sdm.path / TODAY / f"{name}.yaml"
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    sdm.commit("links")
    assert contents_of(resolve_base(sdm.path, None)) == {"cdb_a": "b2", "cdb_b": "b2"}
    (sdm.path / TODAY / "cdb_b.yaml").write_text("edited")
    assert contents_of(resolve_base(sdm.path, "main"))["cdb_a"] == "b2"


def test_s2_a_link_in_circles_is_no_file(sdm: Repository) -> None:
    path = sdm.path / TODAY / "cdb_c.yaml"
    path.unlink()
    path.symlink_to("cdb_c.yaml")
    sdm.commit()
    assert contents_of(resolve_base(sdm.path, "HEAD")) == {"cdb_a": "a topic", "cdb_b": "b1"}


@pytest.fixture
def consdb(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "consdb")
    made.put(f"{EFD}/efd_x.yaml", "x1")
    made.put(f"{EFD}/cdb_a.yaml", "never")
    made.commit()
    made.put(f"{EFD}/efd_x.yaml", "x2")
    return made


@pytest.mark.parametrize("given", [None, "main", "old", "directory"])
def test_m18_a_schema_of_consdb_is_as_at_its_own_merge_base(
    sdm: Repository, consdb: Repository, given: str | None, tmp_path: Path
) -> None:
    if given == "directory":
        given = str(tmp_path / "directory")
        (tmp_path / "directory").mkdir()
        (tmp_path / "directory" / "cdb_a.yaml").write_text("a")
    base = resolve_base(sdm.path, given, consdb=consdb.path)
    found = base.read("efd_x")
    assert found == RawFile("efd_x", f"{consdb.git('rev-parse', 'HEAD')[:12]}:{EFD}/efd_x.yaml", b"x1")
    assert contents_of(base)["cdb_a"] != "never"


def test_m18_a_consdb_tree_without_git_is_taken_as_not_changed(sdm: Repository, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / EFD).mkdir(parents=True)
    (tree / EFD / "efd_x.yaml").write_text("x")
    found = resolve_base(sdm.path, None, consdb=tree).read("efd_x")
    assert found == RawFile("efd_x", str(tree / EFD / "efd_x.yaml"), b"x")


def test_m18_a_schema_that_moved_to_sdm_schemas_was_in_consdb_before(
    sdm: Repository, consdb: Repository
) -> None:
    sdm.put(f"{TODAY}/efd_x.yaml", "x1, moved")
    assert contents_of(resolve_base(sdm.path, None, consdb=consdb.path))["efd_x"] == "x1"


def test_m18_a_preview_without_sides_has_the_same_base(sdm: Repository) -> None:
    sdm.put(f"{TODAY}/cdb_b.yaml", "edited")
    before, after = read_sides(None, None, repository=sdm.path)
    assert {name: file.data.decode() for name, file in before.files.items()} == PARTED
    assert before.label == resolve_base(sdm.path, None).label
    assert after.files["cdb_b"].data == b"edited"
    assert before.files["cdb_a"] == resolve_base(sdm.path, None).read("cdb_a")


def test_m18_in_a_hook_of_another_repository(
    sdm: Repository, consdb: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(consdb.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    assert contents_of(resolve_base(sdm.path, None)) == PARTED


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of somebody else's")
def test_m18_a_checkout_of_another_user(sdm: Repository) -> None:
    subprocess.run(["chown", "-R", "nobody", sdm.path], check=True)
    assert contents_of(resolve_base(sdm.path, None)) == PARTED
