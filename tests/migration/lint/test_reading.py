from __future__ import annotations

import pytest

from consdb_actions.migration.lint.actions import (
    Action,
    AddColumn,
    AddConstraint,
    AlterType,
    ChangeColumn,
    Column,
    Constraint,
    CreateIndex,
    CreateTable,
    CreateView,
    DropColumn,
    DropRelation,
    Grant,
    OutsideTransaction,
    Publish,
    Rename,
    SetVariable,
    Transaction,
    UnknownEffect,
    Write,
)
from consdb_actions.migration.lint.column_types import Type
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.reading import SqlError, read

T = Name("s", "t")
INTEGER = Type("int4")


def actions(sql: str, search_path: str = "") -> tuple[Action, ...]:
    """Return what one statement does."""
    (parsed,) = read(sql, search_path)
    return parsed.actions


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE s.t ADD COLUMN a int NOT NULL", AddColumn(T, Column("a", INTEGER, nullable=False))),
        (
            "ALTER TABLE s.t ADD COLUMN a int DEFAULT now()::int",
            AddColumn(T, Column("a", INTEGER, default=True)),
        ),
        (
            "ALTER TABLE s.t ADD COLUMN a int DEFAULT f.random()",
            AddColumn(T, Column("a", INTEGER, default=True, volatile="f.random")),
        ),
        (
            "ALTER TABLE s.t ADD COLUMN a bigserial",
            AddColumn(T, Column("a", Type("int8"), nullable=False, default=True, volatile="serial")),
        ),
        (
            "ALTER TABLE s.t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) STORED",
            AddColumn(T, Column("a", INTEGER, default=True, volatile="GENERATED")),
        ),
        ("ALTER TABLE s.t ADD COLUMN a int DEFAULT NULL", AddColumn(T, Column("a", INTEGER))),
        (
            "ALTER TABLE s.t DROP COLUMN IF EXISTS a CASCADE",
            DropColumn(T, "a", cascade=True, missing_ok=True),
        ),
        ("ALTER TABLE s.t ALTER a TYPE int USING a::int", AlterType(T, "a", INTEGER, using=True)),
        ("ALTER TABLE s.t ALTER a TYPE int USING a", AlterType(T, "a", INTEGER, using=True)),
        (
            "ALTER TABLE s.t ALTER a TYPE int USING length(a)",
            AlterType(T, "a", INTEGER, using=True, computes=True),
        ),
        (
            "ALTER TABLE s.t ALTER a TYPE int USING a::text",
            AlterType(T, "a", INTEGER, using=True, computes=True),
        ),
        ("ALTER TABLE s.t ALTER a SET NOT NULL", ChangeColumn(T, "a", "set not null")),
        (
            "ALTER TABLE s.t ADD CONSTRAINT k UNIQUE USING INDEX i",
            AddConstraint(T, Constraint("unique", "k", index="i")),
        ),
        (
            "ALTER TABLE s.t ADD CONSTRAINT k PRIMARY KEY (a, b)",
            AddConstraint(T, Constraint("primary", "k", ("a", "b"))),
        ),
        ("CREATE INDEX CONCURRENTLY i ON s.t (a)", CreateIndex(T, "i", ("a",), concurrently=True)),
        ("CREATE UNIQUE INDEX i ON s.t (lower(a))", CreateIndex(T, "i", ("",), unique=True)),
        ("CREATE TEMP TABLE t (a int)", CreateTable(Name("", "t"), (Column("a", INTEGER),), temporary=True)),
        ("CREATE TABLE s.t (LIKE s.u)", CreateTable(T, known=False)),
        ("CREATE TABLE s.t AS SELECT 1", CreateTable(T, known=False)),
        ("DROP VIEW IF EXISTS s.t", DropRelation("view", T, missing_ok=True, together=frozenset({T}))),
        ("ALTER TABLE s.t RENAME a TO b", Rename("column", T, "a", "b")),
        ("ALTER VIEW s.t RENAME COLUMN a TO b", Rename("column", T, "a", "b")),
        ("ALTER TABLE s.t RENAME CONSTRAINT a TO b", Rename("constraint", T, "a", "b")),
        ("ALTER TABLE s.t RENAME TO b", Rename("relation", T, "t", "b")),
        ("ALTER INDEX s.t RENAME TO b", Rename("index", T, "t", "b")),
        ("GRANT SELECT, INSERT ON s.t TO u", Grant(("u",), frozenset({"SELECT", "INSERT"}), (T,))),
        ("GRANT SELECT (a) ON s.t TO u", Grant(("u",), frozenset(), (T,))),
        ("ALTER PUBLICATION p ADD TABLE s.t", Publish((T,))),
        ("CREATE PUBLICATION p FOR TABLES IN SCHEMA s", Publish(schemas=("s",))),
        ("SET LOCAL lock_timeout = '5s'", SetVariable("lock_timeout", ("5s",))),
        ("SET lock_timeout = 5000", SetVariable("lock_timeout", ("5000",))),
        (
            "SELECT pg_catalog.set_config('search_path', 'a, b', true)",
            SetVariable("search_path", ("a", "b")),
        ),
        ("BEGIN", Transaction(opens=True)),
        ("COMMIT", Transaction(opens=False)),
        ("VACUUM s.t", OutsideTransaction("VACUUM")),
        ("DO $$ BEGIN END $$", UnknownEffect("DO")),
        ("UPDATE s.t SET a = u.b FROM s.u u WHERE u.k = t.k", None),
    ],
)
def test_actions(sql: str, expected: Action | None) -> None:
    (action,) = actions(sql)
    if expected is None:
        assert isinstance(action, Write)
        assert action.values == {("u", "b")}
        assert ("u", Name("s", "u")) in action.sources
    else:
        assert action == expected


@pytest.mark.parametrize(
    "sql", ["ANALYZE s.t", "SELECT 1", "CREATE EXTENSION x", "GRANT USAGE ON SCHEMA s TO u"]
)
def test_statements_that_no_rule_cares_about(sql: str) -> None:
    assert actions(sql) == ()


def test_each_part_of_alter_table_is_an_action() -> None:
    changes = "ADD a int, DROP b, ALTER c DROP NOT NULL, ADD CHECK (a IS NOT NULL AND b > 0) NOT VALID"
    add, drop, change, check = actions(f"ALTER TABLE s.t {changes}")
    assert isinstance(add, AddColumn)
    assert isinstance(drop, DropColumn)
    assert change == ChangeColumn(T, "c", "drop not null")
    assert isinstance(check, AddConstraint)
    assert check.constraint.not_null == {"a"}
    assert not check.constraint.valid


@pytest.mark.parametrize(
    ("query", "outputs", "plain"),
    [
        ("SELECT a, b AS c FROM s.t", (("a", None), ("c", None)), True),
        ("SELECT * FROM s.t", (("*", T),), True),
        ("SELECT x.* FROM s.t x", (("*", T),), True),
        ("SELECT a, f(b) FROM s.t", None, True),
        ("SELECT x.a, y.b FROM s.t x JOIN s.u y USING (k)", (("a", None), ("b", None)), True),
        ("SELECT * FROM s.t, s.u", None, True),
        ("SELECT a FROM s.t UNION SELECT b FROM s.u", (("a", None),), False),
        ("WITH q AS (SELECT a FROM s.t) SELECT a FROM q", (("a", None),), False),
    ],
)
def test_views(query: str, outputs: object, plain: bool) -> None:
    (view,) = actions(f"CREATE VIEW s.v AS {query}")
    assert isinstance(view, CreateView)
    assert view.outputs == outputs
    assert view.plain is plain
    assert T in {source for _, source in view.sources}


@pytest.mark.parametrize(
    ("sql", "schemas", "bare"),
    [
        ("ALTER TABLE a.t ADD c b.mood", {"a": True, "b": False}, ()),
        ("SELECT nextval('a.t_seq')", {"a": True}, ()),
        ("SELECT setval('\"A b\".t_seq'::regclass, 1)", {"A b": True}, ()),
        ("SELECT x.y FROM a.t AS x", {"a": True}, ()),
        ("SELECT b.t.y FROM a.t", {"a": True, "b": True}, ()),
        ("WITH q AS (SELECT 1) SELECT * FROM q, t", {}, ("t",)),
        ("SELECT 1 FROM a.t AS x FOR UPDATE OF x", {"a": True}, ()),
        ("DROP TABLE a.t, u", {"a": True}, ("u",)),
        ("COMMENT ON COLUMN a.t.c IS 'b.x'", {"a": True}, ()),
        ("COMMENT ON COLUMN t.c IS 'x'", {}, ("t",)),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA a TO u", {"a": True}, ()),
        ("ALTER TABLE a.t SET SCHEMA b", {"a": True, "b": True}, ()),
        ("ALTER SEQUENCE a.s OWNED BY b.t.c", {"a": True, "b": True}, ()),
        ("DROP SCHEMA a", {"a": True}, ()),
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA a GRANT SELECT ON TABLES TO u", {"a": True}, ()),
        ("SELECT a.f(1)", {"a": False}, ()),
        ("SELECT 'b.x'", {}, ()),
    ],
)
def test_mentions(sql: str, schemas: dict[str, bool], bare: tuple[str, ...]) -> None:
    (parsed,) = read(sql)
    found = {k: v for k, v in parsed.mentions.schemas.items() if k != "pg_catalog"}
    assert found == schemas
    assert parsed.mentions.unqualified == bare


def test_a_search_path_gives_bare_names_their_schema() -> None:
    (action,) = actions("ALTER TABLE t DROP COLUMN a", "s")
    assert action == DropColumn(T, "a")


def test_m9_identifiers_are_measured_in_bytes_before_the_parser_cuts_them() -> None:
    fits, long, wide = "a" * 63, "b" * 64, "é" * 32
    (parsed,) = read(f'ALTER TABLE s.{fits} RENAME COLUMN {long} TO "{wide}" -- {"c" * 70}')
    assert parsed.long_identifiers == (long, wide)


def test_texts_with_several_statements_are_taken_apart() -> None:
    found = read("SELECT 'é;'; -- comment\nDROP TABLE s.t;;  ")
    assert [parsed.sql for parsed in found] == ["SELECT 'é;'", "DROP TABLE s.t"]


@pytest.mark.parametrize("text", ["", "  ", ";", "-- nothing"])
def test_nothing_is_no_statement(text: str) -> None:
    assert read(text) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT 'open", "unterminated quoted string"),
        ("SELECT 1\0", "NUL"),
        ("SELECT '\udcff'", "no Unicode text"),
        (f"SELECT {'(' * 20000}", "memory exhausted"),
    ],
)
def test_what_is_no_sql(text: str, words: str) -> None:
    with pytest.raises(SqlError, match=words):
        read(text)


def test_deep_expressions_do_not_exhaust_the_stack() -> None:
    sql = f"CREATE VIEW s.v AS SELECT {' + '.join(['a'] * 5000)} AS x FROM s.t"
    (view,) = actions(sql)
    assert isinstance(view, CreateView)
    assert view.columns == {("", "a")}
