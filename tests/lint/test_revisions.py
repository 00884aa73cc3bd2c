"""Revisions as Python: what they send in whichever way, and what they are not allowed to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import psycopg
import pytest
import sqlalchemy as sa

from consdb_actions.adapters.lint_replay import load, replay_range, replay_section
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.revisions import Changes
from consdb_actions.adapters.tree import read_tree
from consdb_actions.errors import InputError
from consdb_actions.lint.finding import LintFinding
from consdb_actions.lint.rules import judge
from consdb_actions.lint.script import RevisionScript
from consdb_actions.schema.model import Name
from tests.support.trees import LintTree

NOTHING = ("pass", "pass")


@pytest.fixture
def tree(tmp_path: Path) -> LintTree:
    """Give a tree with one revision."""
    made = LintTree(tmp_path / "tree")
    made.first()
    return made


def replayed(server: ScratchServer, tree: LintTree, upgrade: str, downgrade: str = "pass") -> RevisionScript:
    """Replay a second revision; its upgrade begins in line 11, its downgrade right after two empty lines."""
    tree.add("a2", "a1", upgrade, downgrade)
    read = read_tree(tree.root)
    section = read.section("demo")
    roles = {"usdf": ("SELECT",), "oods": ("SELECT",)}
    with read.importable():
        load(section)
        found = replay_section(server, read.root, section, {"a2"}, roles=roles, changes=Changes())
        return next(iter(found))[0]


def rules(script: RevisionScript) -> dict[str, LintFinding]:
    return {finding.rule: finding for finding in judge(script, "", {"lock-timeout": "off"})}


def sent(script: RevisionScript) -> list[tuple[int, str]]:
    return [(step.line, step.sql) for step in script.upgrade.steps]


def test_each_statement_has_the_line_that_sends_it(server: ScratchServer, tree: LintTree) -> None:
    script = replayed(
        server,
        tree,
        """
        op.add_column("exposure", sa.Column("a", sa.Integer(), comment="50% :x"), schema="cdb_demo")
        for name in ("b", "c"):
            op.execute(
                f"ALTER TABLE cdb_demo.exposure ADD COLUMN {name} int"
            )
        with op.batch_alter_table("exposure", schema="cdb_demo") as batch:
            batch.drop_column("c")
        """,
        'op.execute("SELECT 1")',
    )
    assert [line for line, _ in sent(script)] == [11, 11, 13, 13, 16]
    assert sent(script)[1][1] == "COMMENT ON COLUMN cdb_demo.exposure.a IS '50% :x'"
    assert [(step.line, step.sql) for step in script.downgrade.steps] == [(21, "SELECT 1")]
    assert script.upgrade.whole


@pytest.mark.parametrize(
    "code",
    [
        'op.execute(sa.text("DELETE FROM cdb_demo.exposure WHERE note = :x").bindparams(x=None))',
        'op.get_bind().exec_driver_sql("DELETE FROM cdb_demo.exposure")',
        'op.get_bind().execute(sa.text("DELETE FROM cdb_demo.exposure WHERE band = :b"), {"b": "it\'s 5%"})',
        'op.get_context().connection.execute(sa.text("DELETE FROM cdb_demo.exposure"))',
        'op.execute(sa.table("exposure", schema="cdb_demo").delete())',
        'op.get_bind().connection.cursor().execute("DELETE FROM cdb_demo.exposure")',
        'op.get_bind().connection.driver_connection.execute("DELETE FROM cdb_demo.exposure")',
        "c = op.get_bind().connection.cursor()\n"
        'c.executemany("DELETE FROM cdb_demo.exposure WHERE band = %s", [("r",)])',
        """
        from sqlalchemy.orm import Session
        session = Session(bind=op.get_bind())
        session.execute(sa.text("DELETE FROM cdb_demo.exposure"))
        session.flush()
        """,
        'op.execute("SELECT 1; DELETE FROM cdb_demo.exposure;")',
        """
        with op.get_bind().begin_nested():
            op.execute("DELETE FROM cdb_demo.exposure")
        """,
        """
        from alembic import context
        if not context.is_offline_mode():
            op.execute("DELETE FROM cdb_demo.exposure")
        """,
        "def delete():\n    op.execute('DELETE FROM cdb_demo.exposure')\ndelete()",
    ],
)
def test_rows_are_lost_however_that_is_sent(server: ScratchServer, tree: LintTree, code: str) -> None:
    script = replayed(server, tree, code)
    assert script.upgrade.failure is None
    finding = rules(script)["data-loss"]
    assert finding.severity == "error"
    assert finding.table == "cdb_demo.exposure"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ('import psycopg\npsycopg.connect("host={socket}")', "psycopg"),
        ('import psycopg\npsycopg.Connection.connect("host={socket}")', "psycopg"),
        (
            'import psycopg\ntry:\n    psycopg.connect("host={socket}")\nexcept Exception:\n    pass',
            "psycopg",
        ),
        ('sa.create_engine("postgresql+psycopg://postgres@/postgres?host={socket}").connect()', "psycopg"),
        ('sa.create_engine("sqlite://").connect()', "sqlite3"),
        ('import subprocess\nsubprocess.run(["true"])', "subprocess"),
        ("import os\nos.system('true')", "os.system"),
        ("import os\nos.posix_spawn('/bin/true', ['true'], {{}})", "posix_spawn"),
        ('import socket\nsocket.create_connection(("127.0.0.1", 9))', "network"),
        ('import urllib.request\nurllib.request.urlopen("http://localhost:9")', "network"),
        ('open("{file}", "w")', "write a file"),
        ('import pathlib\npathlib.Path("{file}").write_text("x")', "write a file"),
    ],
)
def test_l1_what_a_revision_must_not_do_is_refused_and_reported(
    server: ScratchServer, tree: LintTree, tmp_path: Path, code: str, what: str
) -> None:
    file = tmp_path / "written"
    code = code.format(socket=server.url("postgres").query.get("host", ""), file=file)
    script = replayed(server, tree, f'op.execute("SELECT 0")\n{code}')
    finding = rules(script)["not-judged"]
    assert what in finding.message
    assert finding.line >= 12
    assert sent(script) == [(11, "SELECT 0")]
    assert not file.exists()
    assert "script-fails" not in rules(script)


def test_l1_a_refusal_ends_with_the_revision(server: ScratchServer, tree: LintTree, tmp_path: Path) -> None:
    replayed(server, tree, 'import subprocess\nsubprocess.run(["true"])')
    (tmp_path / "x").write_text("x")
    assert os.system("true") == 0
    with sa.create_engine("sqlite://").connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
    with psycopg.connect(server.url("postgres").set(drivername="postgresql").render_as_string(False)):
        pass


def test_l1_a_revision_may_not_connect_when_it_is_imported(tree: LintTree) -> None:
    path = tree.add("a2", "a1")
    path.write_text("import psycopg\npsycopg.connect('host=/nowhere')\n" + path.read_text())
    section = read_tree(tree.root).section("demo")
    with pytest.raises(InputError, match="lint refuses"):
        load(section)


@pytest.mark.parametrize(
    "code",
    [
        "from alembic import context\nif context.is_offline_mode():\n    op.drop_table('exposure')",
        "if op.get_context().as_sql:\n    op.drop_table('exposure')",
        "from alembic import context\nif context.get_x_argument(as_dictionary=True).get('drop'):\n    pass",
        "rows = op.get_bind().execute(sa.text('SELECT note FROM cdb_demo.exposure')).fetchall()",
        "for row in op.get_bind().execute(sa.text('SELECT note FROM cdb_demo.exposure')): pass",
        "op.get_bind().scalar(sa.text('SELECT count(*) FROM cdb_demo.exposure'))",
        """
        try:
            with op.get_bind().begin_nested():
                op.execute("DROP TABLE cdb_demo.gone")
        except Exception:
            pass
        """,
    ],
)
def test_l1_what_depends_on_more_than_the_statements(
    server: ScratchServer, tree: LintTree, code: str
) -> None:
    found = rules(replayed(server, tree, code))
    assert set(found) == {"not-judged"}
    assert found["not-judged"].severity == "warning"


@pytest.mark.parametrize(
    "code",
    [
        "op.get_bind().execute(sa.text('SELECT 1')).fetchall()",
        "sa.inspect(op.get_bind()).get_table_names('cdb_demo')",
        "op.get_bind().scalar(sa.text('SELECT count(*) FROM pg_class'))",
        "op.execute('SELECT 1 FROM cdb_demo.exposure')",
        "print('::error::mine')",
        "t = sa.table('exposure', sa.column('exposure_id'), schema='cdb_demo')\n"
        "op.bulk_insert(t, [{'exposure_id': 1}])",
    ],
)
def test_what_is_no_reason_for_a_finding(
    server: ScratchServer, tree: LintTree, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rules(replayed(server, tree, code)) == {}
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('one\\ntwo')", "RuntimeError: one"),
        ("sys.exit(3)", "NameError: name 'sys' is not defined"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("None.x", "AttributeError: 'NoneType' object has no attribute 'x'"),
    ],
)
def test_a_script_that_fails(server: ScratchServer, tree: LintTree, code: str, message: str) -> None:
    finding = rules(replayed(server, tree, code))["script-fails"]
    assert message in finding.message
    assert finding.line == 11


def test_a_downgrade_that_is_not_supported_or_missing(server: ScratchServer, tree: LintTree) -> None:
    add = 'op.add_column("exposure", sa.Column("a", sa.Integer()), schema="cdb_demo")'
    found = rules(replayed(server, tree, add, 'raise NotImplementedError("no")'))
    assert "NotImplementedError" in found["empty-downgrade"].message
    path = tree.add("a2", "a1", add)
    path.write_text(path.read_text().replace("def downgrade", "def back"))
    section = read_tree(tree.root).section("demo")
    (script, _), *_rest = replay_section(server, tree.root, section, {"a2"}, roles={}, changes=Changes())
    assert "downgrade()" in rules(script)["script-fails"].message


BLOCK = """
with op.get_context().autocommit_block():
    op.create_index("i", "exposure", ["band"], schema="cdb_demo", postgresql_concurrently=True)
"""


def test_an_autocommit_block_is_the_right_way(server: ScratchServer, tree: LintTree) -> None:
    script = replayed(server, tree, BLOCK, 'op.drop_index("i", schema="cdb_demo")')
    assert rules(script) == {}
    assert [step.in_transaction for step in script.upgrade.steps] == [False]


def test_a_check_that_is_validated_after_a_commit(server: ScratchServer, tree: LintTree) -> None:
    code = dedent(
        """
        op.execute("ALTER TABLE cdb_demo.exposure ADD CONSTRAINT k CHECK (band > '') NOT VALID")
        {}
            op.execute("ALTER TABLE cdb_demo.exposure VALIDATE CONSTRAINT k")
        """
    )
    back = 'op.drop_constraint("k", "exposure", schema="cdb_demo")'
    assert rules(replayed(server, tree, code.format("with op.get_context().autocommit_block():"), back)) == {}
    assert set(rules(replayed(server, tree, code.format("if True:"), back))) == {"check-scan"}


@pytest.mark.parametrize(
    "code",
    [
        'op.execute("COMMIT")\nop.execute("BEGIN")',
        'op.execute("ROLLBACK")',
        "op.get_bind().commit()",
        "op.get_bind().connection.commit()",
        'op.execute("SELECT 1; COMMIT; SELECT 2")',
    ],
)
def test_l1_transactions_that_are_ended_by_hand(server: ScratchServer, tree: LintTree, code: str) -> None:
    found = rules(replayed(server, tree, code))
    assert found["ends-transaction"].severity == "warning"


def test_values_of_an_enum_that_are_used_too_early(server: ScratchServer, tree: LintTree) -> None:
    tree.add("a1", None, "op.execute(\"CREATE TYPE cdb_demo.kind AS ENUM ('a')\")")
    add = "op.execute(\"ALTER TYPE cdb_demo.kind ADD VALUE 'b'\")\n"
    use = "op.execute(\"CREATE TABLE cdb_demo.q AS SELECT 'b'::cdb_demo.kind AS x\")"
    assert rules(replayed(server, tree, add + use))["does-not-apply"].line == 12
    assert "does-not-apply" not in rules(replayed(server, tree, add))


def test_revisions_after_a_downgrade_that_commits(server: ScratchServer, tree: LintTree) -> None:
    add = 'op.add_column("exposure", sa.Column("a", sa.Integer()), schema="cdb_demo")'
    drop = 'op.drop_column("exposure", "a", schema="cdb_demo")'
    tree.add("a2", "a1", add, f'{drop}\nop.execute("COMMIT")')
    tree.add("a3", "a2", drop, add)
    read = read_tree(tree.root)
    section = read.section("demo")
    found = replay_section(server, read.root, section, {"a2", "a3"}, roles={}, changes=Changes())
    assert all("does-not-apply" not in rules(script) for script, _ in found)


def test_a_range_of_revisions_goes_up_and_down(server: ScratchServer, tree: LintTree) -> None:
    add = 'op.add_column("exposure", sa.Column("a", sa.Integer()), schema="cdb_demo")'
    drop = 'op.drop_column("exposure", "a", schema="cdb_demo")'
    tree.add("a2", "a1", add, drop)
    tree.add("a3", "a2", drop, add)
    section = read_tree(tree.root).section("demo")
    ups, downs, known, unrestored = replay_range(server, section, section.revisions()[1:])
    assert known
    assert unrestored is None
    assert [run.whole for run in (*ups, *downs)] == [True] * 4
    assert ups[0].start.relations.keys() == downs[-1].end.relations.keys()


@pytest.mark.parametrize(
    ("down", "left"),
    [
        ('op.drop_column("exposure", "a", schema="cdb_demo")', []),
        ("pass", ["exposure.columns.a"]),
        ('op.execute("ALTER TABLE cdb_demo.nothing ADD a int")', None),
        ('op.execute("ALTER SYSTEM SET work_mem = 100")', None),
    ],
)
def test_a_range_with_the_rights_of_an_owner(
    server: ScratchServer, tree: LintTree, down: str, left: list[str] | None
) -> None:
    add = 'op.add_column("exposure", sa.Column("a", sa.Integer()), schema="cdb_demo")'
    tree.add("a2", "a1", 'op.execute("GRANT SELECT ON cdb_demo.exposure TO usdf")', "pass")
    tree.add("a3", "a2", add, down)
    section = read_tree(tree.root).section("demo")
    (up,), _, _, unrestored = replay_range(server, section, section.revisions()[2:], "usdf")
    assert left == (None if unrestored is None else [".".join(d.path) for d in unrestored])
    # The owner of the tables is another role, so that this is a grant.
    assert ("usdf", "SELECT") in up.start.by_name[Name("cdb_demo", "exposure")].grants


@pytest.fixture(params=["server", "embedded_server"])
def any_server(request: pytest.FixtureRequest) -> Iterator[ScratchServer]:
    """Give each server that a user may have."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def test_spoly_with_and_without_the_extension(any_server: ScratchServer, tree: LintTree) -> None:
    code = (
        'op.execute("CREATE EXTENSION IF NOT EXISTS pg_sphere")\n'
        'op.execute("ALTER TABLE cdb_demo.exposure ADD COLUMN region public.spoly")'
    )
    back = 'op.drop_column("exposure", "region", schema="cdb_demo")'
    script = replayed(any_server, tree, code, back)
    assert set(rules(script)) <= {"downgrade-loss", "downgrade-mirror"}
    assert "public.spoly" in str(script.upgrade.end.by_name) or "spoly" in str(script.upgrade.end.by_name)
