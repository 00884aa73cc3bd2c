from __future__ import annotations

import itertools

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.migration.lint.actions import AlterType
from consdb_actions.migration.lint.column_types import Type, casts_by_itself, rewrite_reason
from consdb_actions.migration.lint.reading import read

TYPES = [
    *(
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "numeric",
        "numeric(8,2)",
        "numeric(10,2)",
    ),
    *("numeric(10,4)", "numeric(8)", "text", "varchar", "varchar(10)", "varchar(20)", "char(5)", "char(8)"),
    *("boolean", "date", "timestamp", "timestamp(3)", "timestamp(6)", "timestamptz", "timestamptz(3)"),
    *("time", "time(3)", "timetz", "interval", "uuid", "json", "jsonb", "bytea", "bit(4)", "bit varying"),
    *("bit varying(4)", "bit varying(8)", "inet", "cidr"),
]


def type_of(text: str) -> Type:
    """Read a type as a statement names it."""
    (parsed,) = read(f"ALTER TABLE s.t ALTER COLUMN c TYPE {text}")
    (action,) = parsed.actions
    assert isinstance(action, AlterType)
    return action.type


@pytest.mark.parametrize(
    ("old", "new", "rewrites"),
    [
        ("varchar(10)", "varchar(20)", False),
        ("varchar(10)", "varchar", False),
        ("varchar(10)", "text", False),
        ("text", "varchar", False),
        ("numeric(8,2)", "numeric(10,2)", False),
        ("numeric(8,2)", "numeric", False),
        ("timestamp(3)", "timestamp(6)", False),
        ("timestamp", "timestamp(6)", False),
        ("bit varying(4)", "bit varying(8)", False),
        ("cidr", "inet", False),
        ("varchar(20)", "varchar(10)", True),
        ("text", "varchar(10)", True),
        ("numeric(8,2)", "numeric(10,4)", True),
        ("timestamp", "timestamp(3)", True),
        ("timestamp", "timestamptz", True),
        ("integer", "bigint", True),
        ("char(5)", "char(8)", True),
        ("integer", "integer[]", True),
        ("double precision", "float(53)", False),
        ("real", "float(24)", False),
    ],
)
def test_which_changes_rewrite(old: str, new: str, rewrites: bool) -> None:
    assert bool(rewrite_reason(type_of(old), type_of(new))) is rewrites


def test_a_type_that_is_not_known_may_rewrite() -> None:
    assert "not known" in rewrite_reason(None, type_of("integer"))


def test_spelling() -> None:
    spelled = [
        str(type_of(t)) for t in ("varchar(10)", "float(53)", "timestamp(3) with time zone", "int[]", "spoly")
    ]
    assert spelled == ["varchar(10)", "double precision", "timestamp(3) with time zone", "integer[]", "spoly"]


def test_the_database_agrees(embedded_server: ScratchServer) -> None:
    """Every pair: whether Postgres takes it without USING, and whether the table gets a new file."""
    url = embedded_server.create_database("lint_types")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    wrong = []
    with engine.connect() as connection:
        connection.execute(sa.text("SET TimeZone = 'America/Santiago'"))
        for old, new in itertools.permutations(TYPES, 2):
            with connection.begin_nested() as savepoint:
                connection.execute(sa.text(f"CREATE TABLE t (c {old})"))
                file = sa.text("SELECT pg_relation_filenode('t')")
                before = connection.scalar(file)
                try:
                    connection.execute(sa.text(f"ALTER TABLE t ALTER COLUMN c TYPE {new}"))
                except sa.exc.DBAPIError:
                    taken, rewritten = False, None
                else:
                    taken, rewritten = True, connection.scalar(file) != before
                savepoint.rollback()
            left, right = type_of(old), type_of(new)
            if casts_by_itself(left, right) is not taken:
                wrong.append(f"{old} to {new}: Postgres {'takes' if taken else 'refuses'} it")
            if rewritten is not None and bool(rewrite_reason(left, right)) is not rewritten:
                wrong.append(f"{old} to {new}: {'a' if rewritten else 'no'} rewrite")
    engine.dispose()
    assert not wrong, wrong


@given(st.sampled_from(TYPES))
def test_no_change_is_no_rewrite(text: str) -> None:
    assert rewrite_reason(type_of(text), type_of(text)) == ""
    assert casts_by_itself(type_of(text), type_of(text)) is True
