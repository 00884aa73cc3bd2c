from __future__ import annotations

from pathlib import Path

import pytest

from consdb_actions.adapters.revisions import Changes, revision_changes, revision_id
from consdb_actions.errors import InputError
from tests.support.repository import Repository
from tests.support.trees import LintTree


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Give a repository whose main branch holds two revisions."""
    made = Repository(tmp_path / "repo")
    tree = LintTree(made.path / "tree")
    tree.first()
    tree.add("a2", "a1", 'op.execute("SELECT 2")')
    made.commit()
    made.git("checkout", "-q", "-b", "tickets/DM-1")
    return made


def path_of(repository: Repository, revision: str) -> Path:
    """Return the file of a revision."""
    return repository.path / "tree/alembic/demo/versions" / f"{revision}_change.py"


def changes(repository: Repository, base: str | None = None) -> Changes:
    """Compare the tree as it is now."""
    root = repository.path / "tree"
    folders = [root / "alembic" / name / "versions" for name in ("demo", "efd_demo")]
    return revision_changes(root, folders, base)


def add(repository: Repository, revision: str, down: str) -> Path:
    """Write one more revision."""
    path = path_of(repository, revision)
    text = path_of(repository, "a2").read_text().replace('"a2"', f'"{revision}"').replace("'a1'", f"'{down}'")
    path.write_text(text)
    return path


def test_nothing_is_new(repository: Repository) -> None:
    found = changes(repository)
    assert found == Changes(repository.git("rev-parse", "main"))


@pytest.mark.parametrize("committed", [True, False])
def test_new_revisions_committed_or_not(repository: Repository, committed: bool) -> None:
    path = add(repository, "a3", "a2")
    if committed:
        repository.commit()
    assert changes(repository).new == {path}
    assert not changes(repository).edited


def test_what_came_to_main_later_is_not_ours(repository: Repository) -> None:
    ours = add(repository, "a3", "a2")
    repository.commit()
    repository.git("checkout", "-q", "main")
    path_of(repository, "a1").write_text("changed = True\n")
    add(repository, "b3", "a2")
    repository.commit()
    repository.git("checkout", "-q", "tickets/DM-1")
    found = changes(repository)
    assert found.new == {ours}
    assert not found.edited
    assert not found.removed


def test_m12_edits_that_count(repository: Repository) -> None:
    path = path_of(repository, "a2")
    before = path.read_text()
    path.write_text("# consdb: ack data-loss: why\n" + before)
    assert not changes(repository).edited
    path.write_text(before.replace("SELECT 2", "SELECT 3"))
    assert changes(repository).edited == {path}
    repository.commit()
    assert changes(repository).edited == {path}


def test_m12_revisions_that_are_gone_or_have_another_file(repository: Repository) -> None:
    path = path_of(repository, "a2")
    moved = path.with_name("renamed.py")
    path.rename(moved)
    found = changes(repository)
    assert not found.new
    assert not found.removed
    moved.unlink()
    assert changes(repository).removed == {path: "a2"}


@pytest.mark.parametrize("remote", ["origin/HEAD", "origin/main"])
def test_the_remotes_default_branch_comes_first(repository: Repository, remote: str) -> None:
    start = repository.git("rev-parse", "main")
    repository.git("update-ref", f"refs/remotes/{remote}", start)
    add(repository, "a3", "a2")
    repository.commit()
    repository.git("branch", "-f", "main", "HEAD")
    assert changes(repository).base == start
    assert changes(repository, "main").base == repository.git("rev-parse", "HEAD")


def test_without_a_common_commit_the_branch_itself_counts(repository: Repository) -> None:
    repository.git("checkout", "-q", "--orphan", "alone")
    path = add(repository, "a3", "a2")
    repository.commit()
    assert changes(repository, "main").new == {path}


def test_where_nothing_can_be_compared(tmp_path: Path, repository: Repository) -> None:
    tree = LintTree(tmp_path / "plain")
    folders = [tree.root / "alembic/demo/versions"]
    found = revision_changes(tree.root, folders, None)
    assert found.note == "the tree is not a git checkout"
    with pytest.raises(InputError, match="not a git checkout"):
        revision_changes(tree.root, folders, "main")
    with pytest.raises(InputError, match="no commit"):
        changes(repository, "no-such-branch")
    with pytest.raises(InputError, match="no commit"):
        changes(repository, "--output=x")
    repository.git("branch", "-m", "main", "trunk")
    assert "git has none of" in changes(repository).note
    assert changes(repository, "trunk").base


def test_files_that_are_no_python_are_compared_as_text(repository: Repository) -> None:
    path = path_of(repository, "a2")
    path.write_text("def (:\n")
    assert changes(repository).edited == {path}
    repository.commit()
    assert changes(repository, "HEAD").edited == set()


@pytest.mark.parametrize(
    ("source", "revision"),
    [
        ('revision = "a"', "a"),
        ('revision: str = "a"', "a"),
        ("down_revision = 'b'\nrevision = 'a'", "a"),
        ("x = 1", ""),
        ("def (", ""),
        ("revision: str", ""),
    ],
)
def test_revision_ids(source: str, revision: str) -> None:
    assert revision_id(source) == revision
