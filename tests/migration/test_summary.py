"""A revision's file in words, without running it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.migration.summary import RevisionSummary, read_revision

ROOT = Path(__file__).parents[2]
VERSIONS = ROOT / "migrations" / "alembic"

HEAD = '''\
"""{message}

Revision ID: 0123456789ab
"""

import sqlalchemy as sa
from alembic import op

revision = "0123456789ab"
down_revision = None


def upgrade() -> None:
'''


def told(body: str, message: str = "change") -> tuple[str, ...]:
    revision = read_revision(HEAD.format(message=message) + textwrap.indent(textwrap.dedent(body), "    "))
    return (*revision.operations, *revision.others)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            'op.add_column("exposure", sa.Column("airmass", sa.DOUBLE_PRECISION(), comment="x"))',
            "add column exposure.airmass (double precision)",
        ),
        (
            'op.add_column("t", sa.Column("a", sa.FLOAT().with_variant(mysql.FLOAT(), "mysql")), schema="s")',
            "add column t.a (float)",
        ),
        ('op.add_column("t", sa.Column("region", cdb_pgsphere.SPOLY()))', "add column t.region (spoly)"),
        (
            'op.add_column("t", sa.Column("a", sa.String(length=32), nullable=False))',
            "add column t.a (varchar(32) not null)",
        ),
        ('op.drop_column("t", "a", schema="s")', "drop column t.a"),
        (
            'op.create_table("t", sa.Column("a", sa.BIGINT()), *[sa.Column("b", sa.TEXT())], '
            'sa.PrimaryKeyConstraint("a"), comment="T")',
            "create table t with 2 columns",
        ),
        ('op.drop_table("t")', "drop table t"),
        ('op.rename_table("t", "u")', "rename table t to u"),
        ('op.alter_column("t", "a", new_column_name="b")', "rename column t.a to b"),
        (
            'op.alter_column("t", "a", type_=sa.Integer(), existing_type=sa.SMALLINT())',
            "change type of t.a from smallint to integer",
        ),
        ('op.alter_column("t", "a", type_=sa.Integer())', "change type of t.a to integer"),
        ('op.alter_column("t", "a", nullable=False)', "make t.a not null"),
        ('op.alter_column("t", "a", server_default=None)', "drop default of t.a"),
        ('op.alter_column("t", "a", comment="A")', "change comment on t.a"),
        ('op.create_table_comment("t", "T", existing_comment=None)', "change comment on table t"),
        ('op.create_primary_key("t_pkey", "t", ["a", "b"])', "add primary key t_pkey to t (a, b)"),
        ('op.create_unique_constraint(op.f("un_t"), "t", ["a"])', "add unique un_t to t (a)"),
        ('op.create_foreign_key("fk", "t", "u", ["a"], ["b"])', "add foreign key fk from t (a) to u"),
        (
            'op.create_check_constraint("ck", "t", sa.column("a") > 0)',
            "run op.create_check_constraint (line 14)",
        ),
        ('op.create_check_constraint("ck", "t", "a > 0")', "add check ck to t"),
        ('op.drop_constraint("fk", "t", type_="foreignkey")', "drop foreign key fk of t"),
        ('op.drop_constraint("fk", "t")', "drop constraint fk of t"),
        ('op.create_index("ix", "t", ["a"])', "create index ix on t"),
        ('op.drop_index("ix", table_name="t")', "drop index ix"),
        ('op.execute("ALTER TABLE s.t RENAME COLUMN a TO b")', "rename column t.a to b"),
        ('op.execute(sa.text("ALTER TABLE s.t ALTER COLUMN a TYPE bigint"))', "change type of t.a to bigint"),
        ('op.execute("ALTER TABLE s.t ALTER a SET NOT NULL")', "make t.a not null"),
        ('op.execute("ALTER TABLE s.t ADD CONSTRAINT x UNIQUE (a)")', "add unique x to t"),
        ('op.execute("ALTER TABLE s.t RENAME CONSTRAINT a TO b")', "rename constraint a to b of t"),
        ('op.execute("UPDATE s.t SET a = 1")', "write rows of t"),
        ('op.execute("DELETE FROM s.t")', "remove rows of t"),
        ('op.execute("GRANT SELECT ON s.t TO usdf, oods")', "grant SELECT on t to usdf, oods"),
        ('op.execute("ALTER PUBLICATION p ADD TABLE s.t")', "add t to a publication"),
        ('op.execute("COMMENT ON COLUMN s.t.a IS $$x$$")', "change comment on t.a"),
        ('op.execute("no sql at all")', "run other SQL (line 14)"),
        ('op.execute("SELECT pg_sleep(1)")', "run other SQL (line 14)"),
        ("op.execute(make())", "run SQL that the script puts together (line 14)"),
        ("op.bulk_insert(t, [])", "run op.bulk_insert (line 14)"),
        ("for x in things():\n    pass", "run Python code of its own (line 14)"),
        ("os.remove('x')", "run Python code of its own (line 14)"),
    ],
)
def test_one_operation(body: str, words: str) -> None:
    assert told(body) == (words,)


def test_what_leaves_no_trace_is_not_told() -> None:
    assert told('"""Doc."""\nop.execute("SET lock_timeout = 0")\npass') == ()


def test_operations_of_one_kind_on_one_table_are_one_sentence() -> None:
    body = "\n".join(f'op.add_column("{t}", sa.Column("{c}", sa.TEXT()))' for c in "abc" for t in ("t", "u"))
    assert told(body) == ("add 3 columns to t: a, b, c", "add 3 columns to u: a, b, c")


def test_a_long_list_is_cut_but_names_all_that_is_lost() -> None:
    adds = "\n".join(f'op.add_column("t", sa.Column("c{n}", sa.TEXT()))' for n in range(40))
    drops = "\n".join(f'op.drop_column("t", "c{n}")' for n in range(40))
    (added,), (dropped,) = told(adds), told(drops)
    assert added.startswith("add 40 columns to t: c0, c1")
    assert added.endswith("c29, and 10 more")
    assert dropped.endswith("c38, c39")


def test_a_view_that_is_made_anew_is_told_once_without_its_grants() -> None:
    body = """
    op.execute("DROP VIEW s.visit1")
    op.add_column("exposure", sa.Column("a", sa.TEXT()))
    op.execute("CREATE VIEW s.visit1 AS SELECT a FROM s.exposure")
    op.execute("ALTER VIEW s.visit1 RENAME COLUMN a TO b")
    op.execute("GRANT SELECT ON s.visit1 TO usdf")
    op.execute("GRANT SELECT ON s.exposure TO usdf")
    """
    assert told(body) == (
        "add column exposure.a (text)",
        "remake view visit1",
        "grant SELECT on exposure to usdf",
    )


def test_a_loop_over_names_is_followed() -> None:
    body = """
    schema = "s"
    keys = {"t": "k", "u": "l"}
    for table in ("t", "u"):
        op.execute(f"UPDATE {schema}.{table} SET a = {keys[table]}")
        op.alter_column(table, "a", nullable=False)
    """
    assert told(body) == ("write rows of 2 tables: t, u", "make t.a not null", "make u.a not null")


def test_what_readers_notice_stands_apart() -> None:
    body = """
    op.create_unique_constraint("un", "t", ["a"])
    op.alter_column("t", "a", nullable=False)
    op.drop_column("t", "b")
    op.execute("GRANT SELECT ON s.t TO usdf")
    """
    revision = read_revision(HEAD.format(message="x") + textwrap.indent(textwrap.dedent(body), "    "))
    assert revision.operations == ("drop column t.b",)
    assert revision.others == ("add unique un to t (a)", "make t.a not null", "grant SELECT on t to usdf")


def test_head_of_a_revision() -> None:
    revision = read_revision(HEAD.format(message="add the pointing") + "    pass\n")
    assert revision == RevisionSummary("0123456789ab", "add the pointing", ())


@pytest.mark.parametrize(
    "text", ["def upgrade(:", "x = '\0'", "(" * 100_000, "a = " + "-" * 50_000 + "1", ""]
)
def test_s2_a_file_that_is_no_python(text: str) -> None:
    revision = read_revision(text)
    assert revision.id == ""
    assert len(revision.operations) <= 1
    assert revision.others == ()


def test_s2_nothing_is_run(tmp_path: Path) -> None:
    target = tmp_path / "ran"
    body = f"""
    open({str(target)!r}, "w")
    op.execute(open({str(target)!r}, "w").name)
    op.add_column("t", sa.Column(open({str(target)!r}, "w"), sa.TEXT()))
    op.add_column("t", sa.Column("a", sa.create_engine("sqlite://")))
    """
    assert len(told(body)) == 4
    assert not target.exists()


@pytest.mark.parametrize(
    "grow",
    ["x{n} = x{m} + x{m}", "x{n} = f'{{x{m}}}{{x{m}}}'", "x{n} = [x{m}, x{m}]", "x{n} = [*x{m}, *x{m}]"],
)
def test_s2_values_do_not_grow_without_end(grow: str) -> None:
    first = "x0 = ['a']" if "*" in grow else "x0 = 'a'"
    lines = [first, *(grow.format(n=n, m=n - 1) for n in range(1, 60)), "op.execute(x59)"]
    assert told("\n".join(lines)) == ("run SQL that the script puts together (line 74)",)


def test_s2_loops_are_bounded() -> None:
    body = ""
    for depth in range(12):
        body += "    " * depth + f"for x{depth} in {list(range(90))}:\n"
    body += "    " * 12 + "op.drop_column('t', 'a')\n"
    assert told(body)[-1] == "drop column t.a"


@given(st.text(max_size=200))
def test_s2_any_text_gives_an_answer(text: str) -> None:
    read_revision(text)
    told(f"op.execute({text!r})\nop.drop_column('t', {text!r})")


def test_every_revision_of_the_tree_is_told_whole() -> None:
    files = sorted(VERSIONS.glob("*/versions/*.py"))
    assert files
    for file in files:
        revision = read_revision(file.read_text(encoding="utf-8"))
        assert file.name.startswith(revision.id)
        words = (*revision.operations, *revision.others)
        assert words
        assert not [item for item in words if "(line " in item], file
