"""What may stand in a revision that a job without rights hands over (rules S2 and S3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from consdb_actions.publication.revision_file import RevisionFile, UnfitError, read_revision
from tests.support.migration_scene import FIRST, script

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "migrations" / "alembic"
SCHEMA = "cdb_latiss"


def schema_of(section: str) -> str:
    return section if section.startswith("efd_") else f"cdb_{section}"


@pytest.mark.parametrize("path", sorted(TREE.glob("*/versions/*.py")), ids=lambda path: path.stem)
def test_every_revision_that_the_generator_made_is_taken(path: Path) -> None:
    section = path.parts[-3]
    others = tuple(
        schema_of(folder.name) for folder in TREE.iterdir() if folder.is_dir() and folder.name != section
    )
    read = read_revision(path.read_text(encoding="utf-8"), schema_of(section), others)
    assert path.name.startswith(read.revision)


def test_a_revision_says_its_ids() -> None:
    assert read_revision(script(), SCHEMA) == RevisionFile("aaaaaaaaaaaa", FIRST)
    assert read_revision(script(down=None), SCHEMA) == RevisionFile("aaaaaaaaaaaa", None)


@pytest.mark.parametrize(
    "operation",
    [
        'op.execute("DROP VIEW cdb_latiss.visit1")',
        'op.execute(sa.text("SELECT 1"))',
        'op.drop_table("exposure", schema="cdb_latiss")',
        'op.create_table("t", sa.Column("a", sa.VARCHAR(length=8), nullable=False), schema="cdb_latiss")',
        'op.create_table("t", *[sa.Column("a", sa.INTEGER().with_variant(mysql.INTEGER(), "mysql"))], '
        'schema="cdb_latiss")',
        'op.add_column("t", sa.Column("r", SPoly(), nullable=True), schema="cdb_latiss")',
        'op.alter_column("t", "a", type_=postgresql.TIMESTAMP(precision=6), server_default=sa.text("0"), '
        'schema="cdb_latiss")',
        'op.create_foreign_key(op.f("fk"), "a", "b", ["x"], ["y"], source_schema="cdb_latiss", '
        'referent_schema="cdb_latiss")',
        'op.create_table("t", sa.Column("a", sa.INTEGER(), sa.Identity(start=-1)), comment="{x} %s :y", '
        'schema="cdb_latiss")',
        "pass",
    ],
)
def test_plain_operations_are_taken(operation: str) -> None:
    read_revision(script(upgrade=operation), SCHEMA)


HOSTILE = {
    "a module": "__import__('os').system('id')",
    "an import within": "import os",
    "a system call as argument": 'op.execute(__import__("os").popen("id").read())',
    "an f-string": 'op.execute(f"{1}")',
    "a lambda": "op.execute((lambda: 'x')())",
    "a comprehension": 'op.execute([x for x in ("a",)])',
    "a connection": "op.get_bind().exec_driver_sql('SELECT 1')",
    "an engine": 'op.execute(sa.create_engine("postgresql://h/d"))',
    "an event": 'op.execute(sa.event.listen("x", "y", "z"))',
    "pickles": 'op.add_column("t", sa.Column("a", sa.PickleType()), schema="cdb_latiss")',
    "an inner name of Python": 'op.add_column("t", sa.Column.__init__.__globals__, schema="cdb_latiss")',
    "another schema": 'op.drop_table("exposure", schema="cdb_lsstcam")',
    "another schema within": 'op.create_table("t", sa.Column("a", sa.ENUM("x", schema="public")), '
    'schema="cdb_latiss")',
    "no schema": 'op.drop_table("exposure")',
    "a hidden schema": 'op.drop_table("exposure", **{"schema": "public"})',
    "arguments without end": 'op.execute(*("a", "b"))',
    "options of a statement": 'op.execute("x", execution_options={"a": 1})',
    "another object's method": 'sa.text("x")',
    "a batch": 'with op.batch_alter_table("t"): pass',
    "a loop": "for x in (1,): pass",
    "a condition": "if True: pass",
    "a walrus": 'op.execute((x := "a"))',
    "bytes": 'op.execute(b"x")',
    "a star": 'op.create_table("t", *sa.metadata, schema="cdb_latiss")',
    "an await": "await op.execute('x')",
    "an assignment": "x = 1",
    "a return": "return 1",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_s3_anything_else_in_a_revision_is_refused(what: str) -> None:
    with pytest.raises(UnfitError):
        read_revision(script(upgrade=HOSTILE[what]), SCHEMA, ("cdb_lsstcam",))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from alembic import op", "from alembic import op, command"),
        ("from alembic import op", "from alembic import op as op2"),
        ("import sqlalchemy as sa", "import os as sa"),
        ("import sqlalchemy as sa", "import sqlalchemy as sa, os"),
        ("import sqlalchemy as sa", "from . import sa"),
        ("from collections.abc import Sequence", "from os import system as Sequence"),
        ('revision: str = "aaaaaaaaaaaa"', 'revision: str = "../../x"'),
        ('revision: str = "aaaaaaaaaaaa"', 'revision: exec("x") = "aaaaaaaaaaaa"'),
        ('revision: str = "aaaaaaaaaaaa"', 'revision: str = str("aaaaaaaaaaaa")'),
        ('revision: str = "aaaaaaaaaaaa"', 'revision: str = "aaaaaaaaaaaa"\nrevision = "bbbbbbbbbbbb"'),
        ("depends_on: str | Sequence[str] | None = None", 'depends_on = "efd_latiss"'),
        ("branch_labels: str | Sequence[str] | None = None", 'branch_labels = "main"'),
        ("def downgrade() -> None:", "def downgrade(x=exec('1')) -> None:"),
        ("def downgrade() -> None:", "@print\ndef downgrade() -> None:"),
        ("def downgrade() -> None:", "def downgrade() -> exec('1'):"),
        ("def downgrade() -> None:", "async def downgrade() -> None:"),
        ("def downgrade() -> None:", "class downgrade:"),
        ("def downgrade() -> None:", "def other() -> None:"),
        ("def downgrade() -> None:", "def upgrade() -> None:"),
        ('"""DM-1', 'print("x")\n"""DM-1'),
        ("DM-1", "cdb_lsstcam"),
    ],
)
def test_s3_the_frame_of_a_revision_is_fixed(old: str, new: str) -> None:
    text = script().replace(old, new, 1)
    assert text != script()
    with pytest.raises(UnfitError):
        read_revision(text, SCHEMA, ("cdb_lsstcam",))


@pytest.mark.parametrize(
    "text", ["", "x" * 10, "\0", "(" * 100_000, "a" + ".a" * 50_000, "\ud800", "def upgrade(:", "\t x\n y"]
)
def test_text_that_is_no_revision(text: str) -> None:
    with pytest.raises(UnfitError):
        read_revision(text, SCHEMA)


def test_nothing_of_a_revision_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(UnfitError):
        read_revision(f"open({str(mark)!r}, 'w')\n{script()}", SCHEMA)
    assert not mark.exists()
