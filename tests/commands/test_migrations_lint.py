from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from consdb_actions.adapters import postgres, postgres_server
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.cli import main
from consdb_actions.config import CONFIG_PATH
from consdb_actions.lint.finding import LintResult
from tests.support.reports import checked
from tests.support.repository import Repository
from tests.support.trees import LintTree

DROP = 'op.drop_column("exposure", "note", schema="cdb_demo")'
BACK = 'op.add_column("exposure", sa.Column("note", sa.TEXT()), schema="cdb_demo")'
ACK = "# consdb: ack data-loss: DM-1, never filled\n"
ADD = (
    'op.add_column("exposure", sa.Column("a", sa.Integer()), schema="cdb_demo")',
    'op.drop_column("exposure", "a", schema="cdb_demo")',
)
INDEX = (
    'op.create_index("i", "exposure", ["band"], schema="cdb_demo")',
    'op.drop_index("i", schema="cdb_demo")',
)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LintTree:
    """Give a tree with one revision, outside of git, and stand beside it."""
    made = LintTree(tmp_path / "tree")
    made.first()
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Give a repository that holds such a tree on main, and stand in it on another branch."""
    made = Repository(tmp_path / "repo")
    LintTree(made.path / "tree").first()
    made.commit()
    made.git("checkout", "-q", "-b", "tickets/DM-1")
    monkeypatch.chdir(made.path)
    return made


@pytest.fixture(autouse=True)
def shared_server(server: ScratchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use one server for all tests: to start one takes longer than to check a revision."""
    monkeypatch.setattr(postgres_server, "prestarted_server", lambda: nullcontext(None))
    monkeypatch.setattr(postgres, "scratch_server", lambda **_: nullcontext(server))


def of(repository: Repository) -> LintTree:
    """Return the tree of a repository, without making it."""
    tree = LintTree.__new__(LintTree)
    tree.root = repository.path / "tree"
    return tree


def run(*args: str, consdb: str = "tree") -> int:
    """Run the command."""
    return main(["migrations", "lint", "--consdb", consdb, *args])


def findings(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[dict[str, list[int]], list[str]]:
    """Run the command; return the lines of each rule, and the revisions that were looked at."""
    capsys.readouterr()
    run("--format", "json", *args)
    result = checked(capsys.readouterr().out, LintResult)
    lines: dict[str, list[int]] = {}
    for finding in result["findings"]:
        lines.setdefault(finding["rule"], []).extend(finding["lines"])
    return lines, [checked["revision"] for checked in result["revisions"]]


@pytest.mark.parametrize(
    ("upgrade", "downgrade", "args", "code"),
    [
        (*ADD, (), 0),
        (DROP, BACK, (), 1),
        (ACK + DROP, BACK, (), 0),
        (DROP, BACK, ("--fail-on", "never"), 0),
        (*INDEX, (), 0),
        (*INDEX, ("--fail-on", "warning"), 1),
        (*ADD, ("--section", "no-such"), 2),
        (*ADD, ("--revision", "zz"), 2),
        (*ADD, ("--new-only",), 2),
        (*ADD, ("--base", "main"), 2),
        (*ADD, ("--config", "no-such.yaml"), 2),
    ],
)
def test_f3_exit_codes(
    tree: LintTree, upgrade: str, downgrade: str, args: tuple[str, ...], code: int
) -> None:
    tree.add("a2", "a1", upgrade, downgrade)
    assert run(*args) == code


def test_text(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.add("a2", "a1", f"{DROP}\n{ACK}{DROP.replace('note', 'band')}", BACK)
    assert run("--section", "demo") == 1
    lines = capsys.readouterr().out.splitlines()
    place = "tree/alembic/demo/versions/a2_change.py"
    assert lines[0] == "Lint of 1 revision of demo (heads)"
    assert "the tree is not a git checkout" in lines[1]
    lost, acknowledged = [line for line in lines if "error data-loss" in line]
    assert lost.startswith(f"{place}:11: ")
    assert "note" in lost
    assert acknowledged.startswith(f"{place}:13: ")
    assert acknowledged.endswith("(acknowledged: DM-1, never filled)")
    assert sum("What to do" in line for line in lines) == 1
    assert lines[-1] == "1 error, 1 warning, 1 note, 1 acknowledged"


def test_no_findings(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.add("a2", "a1", 'op.execute("GRANT SELECT ON cdb_demo.exposure TO usdf")')
    assert run("--section", "demo", "--fail-on", "warning") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "No findings"


def test_markdown_holds_no_markup_of_others(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    name = "@team <!-- | [x](y)"
    drop = f'op.drop_column("exposure", {name!r}, schema="cdb_demo")'
    add = f'op.add_column("exposure", sa.Column({name!r}, sa.TEXT()), schema="cdb_demo")'
    tree.add("a2", "a1", add, drop)
    tree.add("a3", "a2", f"# consdb: ack cascade: {name}\n{drop}", add)
    run("--format", "markdown", "--section", "demo")
    out = capsys.readouterr().out
    assert out.startswith("### Lint of the migrations: ❌ 1 error")
    assert "<!--" not in out
    assert "@team" not in out
    assert "[x](y)" not in out
    rows = [line for line in out.splitlines() if line.startswith("| ❌")]
    assert len(rows) == 1
    assert rows[0].replace(r"\|", "").count("|") == 4


def test_l3_many_findings_of_a_kind_are_one_row(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    code = "\n".join(f'op.create_index("i{n}", "exposure", ["band"], schema="cdb_demo")' for n in range(5))
    tree.add("a2", "a1", code, "\n".join(f'op.drop_index("i{n}", schema="cdb_demo")' for n in range(5)))
    run("--format", "markdown", "--section", "demo")
    rows = [
        line for line in capsys.readouterr().out.splitlines() if "index-under-lock" in line and "|" in line
    ]
    assert len(rows) == 1
    assert "12, 13, 14, 15" in rows[0]


def test_which_revisions_outside_of_git(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    path = tree.add("a2", "a1", *ADD)
    tree.add("b1", None, section="efd_demo")
    assert findings(capsys)[1] == ["a2", "b1"]
    assert findings(capsys, "--all")[1] == ["a1", "a2", "b1"]
    assert findings(capsys, "--section", "cdb_demo")[1] == ["a2"]
    assert findings(capsys, "--section", "demo", "--section", "efd_demo", "--all")[1] == ["a1", "a2", "b1"]
    assert findings(capsys, "--revision", "a1")[1] == ["a1"]
    assert findings(capsys, "--revision", "b")[1] == ["b1"]
    assert findings(capsys, "--revision", str(path))[1] == ["a2"]
    assert findings(capsys, "--revision", "alembic/demo/versions/a2_change.py")[1] == ["a2"]
    assert findings(capsys, "--revision", "a1", "--revision", "b1")[1] == ["a1", "b1"]


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        ("a", "several revisions: a1, a2"),
        ("tree/alembic.ini", "not a revision of the chosen sections"),
        ("", "no revision ''"),
    ],
)
def test_revisions_that_cannot_be_found(
    tree: LintTree, capsys: pytest.CaptureFixture[str], revision: str, words: str
) -> None:
    tree.add("a2", "a1", *ADD)
    assert run("--revision", revision) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_which_revisions_are_new(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    assert findings(capsys)[1] == ["a1"]
    assert findings(capsys, "--new-only")[1] == []
    of(repository).add("a2", "a1", *ADD)
    of(repository).add("b1", None, section="efd_demo")
    assert findings(capsys)[1] == ["a2", "b1"]
    repository.commit()
    of(repository).add("a3", "a2")
    assert findings(capsys)[1] == ["a2", "a3", "b1"]
    assert findings(capsys, "--base", "HEAD")[1] == ["a3"]
    assert findings(capsys, "--all")[1] == ["a1", "a2", "a3", "b1"]


def test_m12_edited_and_removed_revisions(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    tree = of(repository)
    path = tree.root / "alembic/demo/versions/a1_change.py"
    path.write_text(path.read_text().replace("BIGINT", "INTEGER"))
    assert "edited-merged-revision" in findings(capsys)[0]
    repository.git("checkout", "-q", "--", ".")
    assert "edited-merged-revision" not in findings(capsys)[0]
    tree.add("a2", "a1", *ADD)
    repository.commit()
    (tree.root / "alembic/demo/versions/a2_change.py").unlink()
    lines, looked = findings(capsys, "--base", "HEAD")
    assert looked == ["a1"]
    assert lines["edited-merged-revision"] == [7]


def test_m12_two_heads(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    tree = of(repository)
    tree.add("a2", "a1", *ADD)
    tree.add("a3", "a1", *ADD)
    lines, looked = findings(capsys)
    assert looked == ["a2", "a3"] or looked == ["a3", "a2"]
    assert lines["two-heads"] == [7, 7]
    assert run() == 1


def test_m12_a_revision_that_is_there_twice(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    path = tree.root / "alembic/demo/versions/a1_change.py"
    path.with_name("copy.py").write_text(path.read_text())
    assert run() == 2
    assert "section demo cannot be read: Revision a1 is present more than once" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize("text", ["def (", "import no_such_module", "1 / 0", "raise SystemExit(3)", "x = 1"])
def test_a_revision_that_cannot_be_read(
    tree: LintTree, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tree.root / "alembic/demo/versions/bad.py").write_text(text)
    assert run() == 2
    assert "demo" in capsys.readouterr().err


def test_states_go_on_over_a_merge_of_two_branches(
    tree: LintTree, capsys: pytest.CaptureFixture[str]
) -> None:
    tree.add("a2", "a1", *ADD)
    tree.add("b2", "a1", *(code.replace('"a"', '"b"') for code in ADD))
    tree.add("a3", ("a2", "b2"))
    both = 'op.execute("ALTER TABLE cdb_demo.exposure DROP COLUMN a, DROP COLUMN b")'
    tree.add("a4", "a3", both, both)
    lines, looked = findings(capsys)
    assert looked == ["a4"]
    assert lines["data-loss"] == [11]
    assert lines["does-not-apply"] == [15]


def test_l1_a_revision_that_asks_the_database(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    ask = 'n = op.get_bind().execute(sa.text("SELECT 1")).scalar()\nop.execute(f"SELECT {n}")'
    tree.add("a2", "a1", ask)
    rows = 'for (note,) in op.get_bind().execute(sa.text("SELECT note FROM cdb_demo.exposure")): pass'
    tree.add("a3", "a2", rows)
    assert findings(capsys, "--revision", "a2")[0] == {}
    assert findings(capsys, "--revision", "a3")[0] == {"not-judged": [11]}


def test_l1_a_history_that_does_not_apply(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.add("a2", "a1", 'op.execute("ALTER TABLE cdb_demo.exposure DROP COLUMN made_by_hand")')
    gone = 'op.drop_column("exposure", "by_hand_too", schema="cdb_demo")'
    tree.add("a3", "a2", gone)
    assert set(findings(capsys, "--revision", "a2")[0]) >= {"does-not-apply"}
    assert findings(capsys, "--revision", "a3")[0] == {"not-judged": [7]}


def test_roles_that_only_the_real_server_has(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    """Both sections are replayed at the same time, and create the roles for themselves."""
    tree.add("a2", "a1", 'op.execute("GRANT SELECT ON cdb_demo.exposure TO auditor, hinfo")')
    table = 'op.create_table("t", sa.Column("a", sa.Integer()), schema="efd_demo")'
    grant = 'op.execute("GRANT SELECT ON efd_demo.t TO hinfo, auditor")'
    tree.add("b1", None, f"{table}\n{grant}", 'op.drop_table("t", schema="efd_demo")', section="efd_demo")
    lines, looked = findings(capsys, "--all")
    assert looked == ["a1", "a2", "b1"]
    assert "does-not-apply" not in lines


def test_branches_are_judged_from_their_own_beginning(
    tree: LintTree, capsys: pytest.CaptureFixture[str]
) -> None:
    tree.add("a2", "a1", *ADD)
    tree.add("b2", "a1", *ADD)
    lines, looked = findings(capsys)
    assert {"a2", "b2"} <= set(looked)
    assert "does-not-apply" not in lines


def test_severities_come_from_the_configuration(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.add("a2", "a1", DROP, BACK)
    config = Path(CONFIG_PATH)
    config.parent.mkdir()
    config.write_text("lint: {severity: {data-loss: info, lock-timeout: off}}\n")
    assert run() == 0
    assert set(findings(capsys)[0]) == {"data-loss", "downgrade-mirror"}
    config.write_text("lint: {severity: {dataloss: off}}\n")
    assert run() == 2
    assert "data-loss" in capsys.readouterr().err


def test_grants_come_from_the_configuration(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    config = Path("consdb.yaml")
    config.write_text("grants: {cdb_*: {reader: [SELECT]}}\n")
    capsys.readouterr()
    run("--config", str(config), "--revision", "a1")
    assert "SELECT for reader" in capsys.readouterr().out


def test_annotations_and_summary_on_a_runner(
    tree: LintTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree.add("a2", "a1", DROP, BACK)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    assert run("--section", "demo") == 1
    commands = [line for line in capsys.readouterr().err.splitlines() if line.startswith("::")]
    place = "file=tree/alembic/demo/versions/a2_change.py,line="
    assert [line.partition("::")[2].split("::")[0] for line in commands] == [
        f"error {place}11,title=data-loss",
        f"warning {place}14,title=downgrade-mirror",
    ]
    assert "data-loss" in (tmp_path / "summary.md").read_text()
    assert "errors" in (tmp_path / "output").read_text()


def test_the_tree_stays_as_it_was(tree: LintTree, capsys: pytest.CaptureFixture[str]) -> None:
    path = tree.add("a2", "a1", 'print("::error::mine")\nimport sys\nsys.stderr.write("::warning::mine")')
    path.write_text("print('::error::on import')\n" + path.read_text())
    before = sorted(p for p in tree.root.rglob("*"))
    assert run() == 0
    assert sorted(p for p in tree.root.rglob("*")) == before
    out, err = capsys.readouterr()
    assert "mine" not in out + err
    assert "on import" not in out + err
