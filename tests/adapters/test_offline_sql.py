from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from consdb_actions.adapters.offline_sql import quiet, render
from consdb_actions.adapters.tree import read_tree
from consdb_actions.migration.lint.script import Direction, Rendering
from tests.support.lint_tree import LintTree


@pytest.fixture
def tree(tmp_path: Path) -> LintTree:
    """Give an empty tree."""
    return LintTree(tmp_path / "tree")


def rendered(tree: LintTree, upgrade: str, direction: Direction = "upgrade") -> Rendering:
    """Render a revision with this code in one direction; the code starts in line 11 or 15."""
    code = {"upgrade": "pass", "downgrade": "pass", direction: upgrade}
    tree.add("a1", None, code["upgrade"], code["downgrade"])
    section = read_tree(tree.root).section("demo")
    script = section.scripts.get_revision("a1")
    assert script is not None
    return render(section, script, direction)


def test_each_statement_has_the_line_that_sends_it(tree: LintTree) -> None:
    found = rendered(
        tree,
        """
        op.add_column("exposure", sa.Column("a", sa.Integer(), comment="50% :x"), schema="cdb_demo")
        for name in ("b", "c"):
            op.execute(
                f"DROP TABLE cdb_demo.{name}"
            )
        with op.batch_alter_table("exposure", schema="cdb_demo") as batch:
            batch.drop_column("d")
        """,
    )
    assert found.failure is None
    assert found.line == 10
    assert [(s.line, s.sql) for s in found.statements] == [
        (11, "ALTER TABLE cdb_demo.exposure ADD COLUMN a INTEGER"),
        (11, "COMMENT ON COLUMN cdb_demo.exposure.a IS '50% :x'"),
        (13, "DROP TABLE cdb_demo.b"),
        (13, "DROP TABLE cdb_demo.c"),
        (16, "ALTER TABLE cdb_demo.exposure DROP COLUMN d"),
    ]


def test_the_downgrade_as_well(tree: LintTree) -> None:
    found = rendered(tree, 'op.execute("SELECT 1")', "downgrade")
    assert [(s.line, s.sql) for s in found.statements] == [(15, "SELECT 1")]
    assert found.line == 14


@pytest.mark.parametrize(
    ("code", "sql"),
    [
        (
            'op.create_index("i", "t", ["a"], schema="s", postgresql_concurrently=True)',
            "CONCURRENTLY i ON s.t",
        ),
        (
            'op.create_foreign_key("f", "t", "u", ["a"], ["b"], source_schema="s", referent_schema="s", '
            "postgresql_not_valid=True)",
            "REFERENCES s.u (b) NOT VALID",
        ),
        (
            'op.alter_column("t", "a", type_=sa.Integer(), postgresql_using="a::int", schema="s")',
            "TYPE INTEGER USING a::int",
        ),
        ('op.execute(sa.text("SELECT :a").bindparams(a="it\'s 5%"))', "SELECT 'it''s 5%'"),
        (
            'op.bulk_insert(sa.table("t", sa.column("a"), schema="s"), [{"a": 1}])',
            "INSERT INTO s.t (a) VALUES (NULL)",
        ),
        ('op.get_bind().execute(sa.text("SELECT :a"), {"a": 3})', "SELECT 3"),
        (
            'sa.Table("t", sa.MetaData(schema="s"), sa.Column("a", sa.Integer())).create(op.get_bind())',
            "TABLE s.t",
        ),
        (f'op.add_column("t", sa.Column("{"a" * 70}", sa.Integer()), schema="s")', "a" * 70),
        ('op.get_context().connection.execute(sa.text("SELECT 1"))', "SELECT 1"),
        (
            "from alembic import context\nif context.is_offline_mode():\n    op.execute('SELECT 7')",
            "SELECT 7",
        ),
    ],
)
def test_what_operations_become(tree: LintTree, code: str, sql: str) -> None:
    found = rendered(tree, code)
    assert found.failure is None
    assert sql in found.statements[0].sql


def test_an_autocommit_block_ends_the_transaction(tree: LintTree) -> None:
    code = 'with op.get_context().autocommit_block():\n    op.execute("VACUUM")'
    assert [s.sql for s in rendered(tree, code).statements] == ["COMMIT", "VACUUM", "BEGIN"]


@pytest.mark.parametrize(
    "code",
    [
        'rows = op.get_bind().execute(sa.text("SELECT 1")).fetchall()',
        'for row in op.get_bind().execute(sa.text("SELECT 1")): pass',
        'assert op.get_bind().execute(sa.text("SELECT 1"))',
        "sa.inspect(op.get_bind()).get_table_names()",
        'op.get_bind().scalar(sa.text("SELECT 1"))',
        "op.get_bind().begin()",
        'sa.create_engine("postgresql+psycopg://localhost/x").connect()',
    ],
)
def test_what_needs_a_connection_ends_there(tree: LintTree, code: str) -> None:
    found = rendered(tree, f'op.execute("SELECT 0")\n{code}\nop.execute("never")')
    assert found.failure is not None
    assert found.failure.kind == "connection", found.failure
    assert found.failure.line == 12
    assert found.failure.words
    assert found.statements[0].sql == "SELECT 0"
    assert "never" not in {s.sql for s in found.statements}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('one\\ntwo')", "RuntimeError: one"),
        ("sys.exit(3)", "NameError: name 'sys' is not defined"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("None.x", "AttributeError: 'NoneType' object has no attribute 'x'"),
        ('op.execute("SELECT :missing")', "CompileError: parameter :missing has no value"),
        ("raise NotImplementedError", "NotImplementedError"),
    ],
)
def test_a_script_that_fails(tree: LintTree, code: str, words: str) -> None:
    found = rendered(tree, code)
    assert found.failure is not None
    assert found.failure.kind == "error"
    assert found.failure.words.startswith(words)
    assert found.failure.line == 11


def test_a_downgrade_that_says_that_it_cannot(tree: LintTree) -> None:
    failure = rendered(tree, 'raise NotImplementedError("no way back")', "downgrade").failure
    assert failure is not None
    assert failure.kind == "unsupported"


def test_a_function_that_is_not_there(tree: LintTree) -> None:
    path = tree.add("a1", None)
    path.write_text(path.read_text().replace("def downgrade", "def back"))
    section = read_tree(tree.root).section("demo")
    script = section.scripts.get_revision("a1")
    assert script is not None
    failure = render(section, script, "downgrade").failure
    assert failure is not None
    assert "no function downgrade()" in failure.words


def test_engines_can_connect_again_afterwards(tree: LintTree, tmp_path: Path) -> None:
    rendered(tree, 'op.execute("SELECT 1")')
    with sa.create_engine("sqlite://").connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_what_the_trees_code_prints_is_kept_away(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        print("::set-output name=x::y")  # noqa: T201
        print("to the log", file=sys.stderr)  # noqa: T201
    assert capfd.readouterr() == ("", "")
    assert os.environ.get("GITHUB_ACTIONS") is None
