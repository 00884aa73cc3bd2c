"""``process runbook`` on a checkout: what it refuses, and what it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from consdb_actions.cli import main
from tests.support.repository import Repository
from tests.support.trees import BEFORE, SiteTree, refuse_postgres

COLUMN = ("ALTER TABLE cdb_latiss.exposure ADD a int", "ALTER TABLE cdb_latiss.exposure DROP a")


@pytest.fixture
def made(tmp_path: Path) -> SiteTree:
    tree = SiteTree(tmp_path / "consdb")
    Repository(tree.root).commit()
    return tree


def run(made: SiteTree, *args: str) -> int:
    return main(["process", "runbook", "--consdb", str(made.root), "--ticket", "DM-1", *args])


def test_p4_the_tag_must_be_there_and_hold_the_revisions(
    made: SiteTree, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    git = Repository(made.root)
    way = ("--section", f"latiss:{BEFORE}..head")
    git.git("tag", "-a", "-m", "x", "26.5.0")
    revision = made.add("more", *COLUMN)
    git.commit()
    git.git("tag", "-a", "-m", "x", "26.6.0")
    with monkeypatch.context() as patch:
        refuse_postgres(patch)
        assert run(made, *way, "--tag", "99.9.9") == 2
        assert 'no tag "99.9.9"' in capsys.readouterr().err
        assert run(made, *way, "--tag", "26.5.0") == 2
    assert f"does not contain revision {revision}" in capsys.readouterr().err
    assert run(made, *way, "--tag", "26.6.0") == 0


def test_a_section_with_nothing_new_is_named(made: SiteTree, capsys: pytest.CaptureFixture[str]) -> None:
    made.add("more", *COLUMN)
    assert run(made, "--section", "latiss", "--section", "lsstcam", "--since", "HEAD") == 2
    assert "section lsstcam has no new revision" in capsys.readouterr().err


def test_a_downgrade_that_does_nothing_is_a_warning(
    made: SiteTree, capsys: pytest.CaptureFixture[str]
) -> None:
    revision = made.add("more", "ALTER TABLE cdb_latiss.exposure ADD a int", "")
    assert run(made, "--section", f"latiss:{BEFORE}..head") == 1
    assert f"The downgrade of revision {revision} of latiss does nothing" in capsys.readouterr().out


def test_m16_an_env_py_that_cannot_run_is_a_warning(
    made: SiteTree, capsys: pytest.CaptureFixture[str]
) -> None:
    made.add("more", *COLUMN)
    way = ("--section", f"latiss:{BEFORE}..head")
    assert run(made, *way) == 0
    env = made.root / "alembic" / "env.py"
    good = env.read_text()
    for line, words in (
        ("{}['cdb_latiss.ccdexposure']", "KeyError: 'cdb_latiss.ccdexposure'"),
        ("raise SystemExit('no schema')", "no schema"),
        ("os._exit(0)", "exit code 0"),
    ):
        env.write_text(f"{good}\nimport os\n{line}\n")
        capsys.readouterr()
        assert run(made, *way) == 1
        said = capsys.readouterr().out
        assert "env.py cannot run section latiss" in said
        assert words in said
