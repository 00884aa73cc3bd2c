"""What may stand in a revision that a job without rights hands over (rules S2 and S3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from consdb_actions.publication.result import BadFileError, RevisionFile, read_revision
from tests.support.migration_scene import FIRST, script

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "migrations" / "alembic"
SCHEMA = "cdb_latiss"


def schema_of(section: str) -> str:
    return section if section.startswith("efd_") else f"cdb_{section}"


@pytest.mark.parametrize("path", sorted(TREE.glob("*/versions/*.py")), ids=lambda path: path.stem)
def test_every_revision_that_the_generator_made_is_taken(path: Path) -> None:
    section = path.parts[-3]
    read = read_revision(path.read_bytes(), schema_of(section))
    assert path.name.startswith(read.revision)


def read_text(text: str, schema: str) -> RevisionFile:
    return read_revision(text.encode("utf-8", "surrogatepass"), schema)


def test_a_revision_says_its_ids() -> None:
    assert read_text(script(), SCHEMA) == RevisionFile("aaaaaaaaaaaa", FIRST)
    assert read_text(script(down=None), SCHEMA) == RevisionFile("aaaaaaaaaaaa", None)


@pytest.mark.parametrize(
    "operation",
    [
        'op.execute("DROP VIEW cdb_latiss.visit1")',
        'op.execute(sa.text("SELECT 1"))',
        'op.execute("CREATE VIEW cdb_latiss.v AS WITH e AS (SELECT a FROM cdb_latiss.t) SELECT a FROM e")',
        'op.execute("GRANT SELECT ON cdb_latiss.v TO usdf")',
        """op.execute("COMMENT ON COLUMN cdb_latiss.t.a IS 'as in cdb_lsstcam; COPY x TO PROGRAM \\:y'")""",
        """op.execute("SELECT setval('cdb_latiss.s'::regclass, coalesce(max(a), 0)) FROM cdb_latiss.t")""",
        """op.execute("UPDATE cdb_latiss.t AS c SET a = p.a FROM cdb_latiss.p AS p WHERE p.id = c.id")""",
        'op.create_check_constraint("c", "t", sa.text("(a > 0) AND b IN (1, 2)"), schema="cdb_latiss")',
        'op.create_index("i", "t", ["a"], unique=False, schema="cdb_latiss", postgresql_using="gist", '
        'postgresql_where=sa.text("a > 0"), postgresql_include=["b"])',
        'op.alter_column("t", "a", type_=sa.TEXT(), postgresql_using="convert_from(a, \'UTF8\')", '
        'existing_type=sa.VARCHAR(length=8), existing_nullable=True, schema="cdb_latiss")',
        'op.create_table("t", sa.Column("a", sa.INTEGER()), sa.ForeignKeyConstraint(["a"], '
        '["cdb_latiss.p.a"], name="f", initially="DEFERRED", deferrable=True), comment="of cdb_lsstcam", '
        'schema="cdb_latiss")',
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
    read_text(script(upgrade=operation), SCHEMA)


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

HOSTILE_SQL = [
    "COPY cdb_latiss.exposure TO PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "ALTER ROLE usdf SUPERUSER",
    "CREATE ROLE mallory LOGIN",
    "GRANT postgres TO mallory",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SET search_path TO cdb_lsstcam",
    "RESET ALL",
    "DROP SCHEMA cdb_latiss CASCADE",
    "DROP SCHEMA cdb_latiss",
    "DROP TABLE cdb_latiss.exposure CASCADE",
    "DROP TABLE cdb_latiss.exposure",
    "DROP VIEW cdb_latiss.v CASCADE",
    "DROP OWNED BY CURRENT_USER",
    "DROP DATABASE consdb",
    "ALTER SYSTEM SET archive_command TO 'id'",
    "ALTER DATABASE consdb SET search_path TO x",
    "ALTER TABLE cdb_latiss.t OWNER TO mallory",
    "ALTER TABLE cdb_latiss.t SET SCHEMA public",
    "ALTER TABLE cdb_latiss.t DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE cdb_latiss.t DISABLE TRIGGER ALL",
    "ALTER TABLE cdb_latiss.t SET UNLOGGED",
    "ALTER TABLE cdb_latiss.t ALTER COLUMN a SET DEFAULT pg_read_file('x')",
    "ALTER SCHEMA cdb_latiss RENAME TO x",
    "ALTER SCHEMA cdb_latiss OWNER TO mallory",
    "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
    "ALTER PUBLICATION p ADD TABLE cdb_latiss.t",
    "CREATE EXTENSION dblink",
    "CREATE FUNCTION cdb_latiss.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TRIGGER t BEFORE INSERT ON cdb_latiss.t EXECUTE FUNCTION cdb_latiss.f()",
    "CREATE RULE r AS ON INSERT TO cdb_latiss.t DO INSTEAD NOTHING",
    "CREATE TEMPORARY VIEW v AS SELECT 1",
    "CREATE VIEW cdb_latiss.v AS SELECT * FROM cdb_lsstcam.exposure",
    "CREATE VIEW cdb_latiss.v AS SELECT * FROM CDB_LsstCam.exposure",
    'CREATE VIEW cdb_latiss.v AS SELECT * FROM "cdb_lsstcam".exposure',
    'CREATE VIEW cdb_latiss.v AS SELECT * FROM U&"cdb\\005flsstcam".exposure',
    "CREATE VIEW cdb_latiss.v AS SELECT * FROM /* cdb_latiss. */ cdb_lsstcam/**/.exposure",
    "CREATE VIEW cdb_latiss.v AS SELECT * FROM pg_catalog.pg_authid",
    "CREATE VIEW cdb_latiss.v AS SELECT * FROM pg_shadow",
    "CREATE VIEW cdb_latiss.v AS SELECT cdb_lsstcam.t.a FROM cdb_latiss.t",
    "CREATE VIEW v AS SELECT 1",
    "SELECT nextval('cdb_lsstcam.s')",
    "SELECT setval('cdb_lsstcam.s'::regclass, 1)",
    "SELECT pg_terminate_backend(1)",
    "SELECT pg_catalog.pg_read_file('/etc/passwd')",
    "SELECT set_config('search_path', 'x', false)",
    "SELECT query_to_xml('DROP TABLE x', true, true, '')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT dblink('x', 'y')",
    "SELECT cdb_lsstcam.max(1)",
    "SELECT 1 FROM cdb_latiss.t WHERE a = (SELECT max(b) FROM cdb_lsstcam.t)",
    "SELECT 1 INTO x",
    "SELECT 1; DROP SCHEMA cdb_lsstcam",
    "SELECT 1 \\; COMMIT",
    "UPDATE cdb_lsstcam.t SET a = 1",
    "UPDATE cdb_latiss.t SET a = pg_sleep(9)",
    "DELETE FROM public.alembic_version",
    "INSERT INTO cdb_latiss.t SELECT * FROM cdb_lsstcam.t",
    "WITH x AS (DELETE FROM cdb_lsstcam.t RETURNING *) SELECT 1 FROM x",
    "MERGE INTO cdb_latiss.t USING cdb_latiss.u ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE cdb_latiss.t",
    "LOCK TABLE cdb_latiss.t",
    "COMMIT",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "CALL p()",
    "LISTEN x",
    "NOTIFY x",
    "LOAD 'x'",
    "VACUUM",
    "REINDEX DATABASE consdb",
    "EXPLAIN ANALYZE DELETE FROM cdb_latiss.t",
    "COMMENT ON ROLE usdf IS 'x'",
    "COMMENT ON DATABASE consdb IS 'x'",
    "COMMENT ON TABLE cdb_lsstcam.t IS 'x'",
    "GRANT ALL ON SCHEMA cdb_latiss TO mallory",
    "GRANT ALL ON ALL TABLES IN SCHEMA cdb_latiss TO mallory",
    "GRANT ALL ON DATABASE consdb TO mallory",
    "GRANT SET ON PARAMETER log_statement TO mallory",
    "GRANT SELECT ON cdb_lsstcam.t TO usdf",
    "REVOKE SELECT ON cdb_latiss.t FROM usdf",
    "SECURITY LABEL ON ROLE usdf IS 'x'",
    "DO $$BEGIN EXECUTE 'DROP SCHEMA x'; END$$",
    "DO $$BEGIN IF EXISTS (SELECT 1 FROM cdb_lsstcam.t) THEN RAISE EXCEPTION "
    "USING MESSAGE = 'x'; END IF; END$$",
    "DO $$BEGIN IF EXISTS (SELECT pg_sleep(1)) THEN RAISE EXCEPTION USING MESSAGE = 'x'; END IF; END$$",
    "DO $$BEGIN IF EXISTS (SELECT 1) THEN DROP SCHEMA x; END IF; IF EXISTS (SELECT 1) "
    "THEN RAISE EXCEPTION USING MESSAGE = 'x'; END IF; END$$",
    "SELECT :x",
    "",
    "--",
    "nonsense",
    "SELECT '\\x00",
    "(" * 10_000,
]


@pytest.mark.parametrize("sql", HOSTILE_SQL)
@pytest.mark.parametrize("form", ["op.execute({!r})", "op.execute(sa.text({!r}))"])
def test_s3_sql_of_another_kind_is_refused(sql: str, form: str) -> None:
    with pytest.raises(BadFileError):
        read_text(script(upgrade=form.format(sql)), SCHEMA)


def test_s3_sql_is_judged_by_what_python_makes_of_it() -> None:
    for statement in (
        '"DROP VIEW cdb_" "lsstcam.v"',
        '"DROP VIEW cdb\\x5flsstcam.v"',
        '"DROP VIEW \\N{LATIN SMALL LETTER C}db_lsstcam.v"',
    ):
        with pytest.raises(BadFileError, match="another schema"):
            read_text(script(upgrade=f"op.execute({statement})"), SCHEMA)


HOSTILE_ARGUMENTS = [
    'op.create_check_constraint("c", "t", "true) NOT VALID; DROP SCHEMA x; --", OWN)',
    'op.create_check_constraint("c", "t", sa.text("true), ADD CHECK (false"), OWN)',
    'op.create_check_constraint("c", "t", sa.text("a > (SELECT max(b) FROM cdb_lsstcam.t)"), OWN)',
    'op.create_table("t", sa.CheckConstraint("pg_sleep(9) IS NULL"), OWN)',
    'op.create_table("t", sa.Column("a", sa.INTEGER(), sa.Computed("1) STORED; --")), OWN)',
    'op.create_table("t", sa.Column("a", sa.INTEGER(), server_default=sa.text("0, b int")), OWN)',
    'op.create_table("t", sa.Column("a", sa.INTEGER(), server_default=sa.text("0 -- ")), OWN)',
    'op.create_table("t", sa.Column("a int; --", sa.INTEGER(), quote=False), OWN)',
    'op.create_table("t", sa.Column("a", sa.VARCHAR(length="8); DROP SCHEMA x; --")), OWN)',
    'op.create_table("t", sa.Column("a", sa.VARCHAR("8); DROP SCHEMA x; --")), OWN)',
    'op.create_table("t", sa.Column("a", postgresql.INTERVAL(fields="DAY; --")), OWN)',
    'op.create_table("t", sa.Column("a", postgresql.TIMESTAMP(precision="6); --")), OWN)',
    'op.create_table("t", prefixes=["UNLOGGED"], OWN)',
    'op.create_table("t", postgresql_partition_by="x", OWN)',
    'op.create_table("t", postgresql_with={"fillfactor": "1); DROP SCHEMA x; --"}, OWN)',
    'op.create_table("t", sa.ForeignKeyConstraint(["a"], ["cdb_lsstcam.t.a"]), OWN)',
    'op.create_table("t", sa.ForeignKeyConstraint(["a"], ["t.a"]), OWN)',
    'op.create_table("t", sa.ForeignKeyConstraint(["a"], ["cdb_latiss.t.a"], ondelete="CASCADE; x"), '
    'schema="cdb_latiss")',
    'op.create_table("t", sa.ForeignKeyConstraint(["a"], refcolumns=["cdb_lsstcam.t.a"]), OWN)',
    'op.alter_column("t", "a", type_=sa.TEXT(), postgresql_using="a, DROP COLUMN b", OWN)',
    'op.alter_column("t", "a", type_=sa.TEXT(), postgresql_using="a; DROP SCHEMA x", OWN)',
    'op.alter_column("t", "a", type_="text; DROP SCHEMA x", OWN)',
    'op.alter_column("t", "a", server_default=sa.text("now(); DROP SCHEMA x"), OWN)',
    'op.create_index("i", "t", [sa.text("a); DROP SCHEMA x; --")], OWN)',
    'op.create_index("i", "t", ["a"], postgresql_using="btree (a); --", OWN)',
    'op.create_index("i", "t", ["a"], postgresql_ops={"a": "x); --"}, OWN)',
    'op.create_index("i", "t", ["a"], postgresql_where="pg_sleep(1) IS NULL", OWN)',
    'op.create_index("i", "t", ["a"], postgresql_tablespace="x", OWN)',
    'op.create_exclude_constraint("e", "t", ("a", "="), OWN)',
    'op.drop_constraint("c", "t", type_="check; x", OWN)',
    'op.create_foreign_key("f", "a", "b", ["x"], ["y"], source_schema="cdb_latiss", OTHER)',
    'op.create_foreign_key("f", "a", "b", ["x"], ["y"], source_schema="cdb_latiss", onupdate="x; y")',
    'op.add_column("t", sa.Column("a", sa.Enum("x")), OWN)',
    'op.add_column("t", sa.Column("a", SPoly("x")), OWN)',
]


@pytest.mark.parametrize("operation", HOSTILE_ARGUMENTS)
def test_s3_arguments_that_are_written_as_they_are_hold_no_sql(operation: str) -> None:
    full = operation.replace("OWN", f'schema="{SCHEMA}"').replace("OTHER", 'referent_schema="cdb_lsstcam"')
    with pytest.raises(BadFileError):
        read_text(script(upgrade=full), SCHEMA)


@pytest.mark.parametrize(
    "data",
    [
        b"# coding: utf-7\n" + script().encode(),
        b"# -*- coding: unicode_escape -*-\n" + script().encode(),
        b"\n \t# vim: set fileencoding=utf-7 :\n" + script().encode(),
        b"#coding=utf-8\n" + script().encode(),
        b"\xef\xbb\xbf" + script().encode(),
        script().encode("utf-16"),
        script().encode() + b"\xff",
        script().encode() + b"\r",
        script().encode() + b"\x0c",
        script().encode() + b"\x1b[2K",
        *(script().encode() + f"# {c}\n".encode() for c in "\u202e\u2066\u200f\u200b\u2028\x85\u00ad\ue000"),
    ],
)
def test_s3_bytes_that_are_read_in_two_ways_are_refused(data: bytes) -> None:
    with pytest.raises(BadFileError):
        read_revision(data, SCHEMA)


@pytest.mark.parametrize("what", HOSTILE)
def test_s3_anything_else_in_a_revision_is_refused(what: str) -> None:
    with pytest.raises(BadFileError):
        read_text(script(upgrade=HOSTILE[what]), SCHEMA)


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
        ("DM-1", "\u202e1-MD"),
    ],
)
def test_s3_the_frame_of_a_revision_is_fixed(old: str, new: str) -> None:
    text = script().replace(old, new, 1)
    assert text != script()
    with pytest.raises(BadFileError):
        read_text(text, SCHEMA)


@pytest.mark.parametrize(
    "text", ["", "x" * 10, "\0", "(" * 100_000, "a" + ".a" * 50_000, "\ud800", "def upgrade(:", "\t x\n y"]
)
def test_text_that_is_no_revision(text: str) -> None:
    with pytest.raises(BadFileError):
        read_text(text, SCHEMA)


def test_nothing_of_a_revision_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(BadFileError):
        read_text(f"open({str(mark)!r}, 'w')\n{script()}", SCHEMA)
    assert not mark.exists()
