"""Rule O3: the order and the modes of the locks that an upgrade takes beforehand."""

from __future__ import annotations

import pglast
import pytest
import sqlalchemy as sa
from alembic.operations import ops

from consdb_actions.catalog import CatalogConstraint, CatalogRelation, Snapshot
from consdb_actions.migration.rewrite.statements import Phase, Rename, SqlStatement
from consdb_actions.process.apply_facts import (
    TableLock,
    in_order,
    lock_statement,
    locked_first,
    needed_mode,
)
from consdb_actions.schema.model import Name


def table(name: str, *parents: str) -> CatalogRelation:
    keys = {
        f"fk_{parent}": CatalogConstraint(f"fk_{parent}", "foreign key", "", ("a",), parent)
        for parent in parents
    }
    return CatalogRelation(name, "table", {}, keys)


SNAPSHOT = Snapshot(
    "s",
    {
        "a_grandchild": table("a_grandchild", "child"),
        "child": table("child", "exposure", "child"),
        "exposure": table("exposure"),
        "visit1": CatalogRelation("visit1", "view", {}, reads=("child",)),
        "x": table("x", "y"),
        "y": table("y", "x"),
    },
)


def names(*wanted: str) -> list[str]:
    locks = [TableLock(Name("s", name)) for name in wanted]
    return [lock.name.name for lock in in_order(locks, {"s": SNAPSHOT})]


def test_o3_parents_come_first_and_views_after_all_tables() -> None:
    assert names("visit1", "a_grandchild", "child", "exposure") == [
        "exposure",
        "child",
        "a_grandchild",
        "visit1",
    ]
    # Tables that refer to each other have some order; a table that is not known is not left out.
    assert sorted(names("y", "x", "unknown")) == ["unknown", "x", "y"]


@pytest.mark.parametrize(
    ("held", "mode"),
    [
        ((), ""),
        (("ACCESS SHARE", "ROW SHARE"), ""),
        (("ACCESS SHARE", "ROW EXCLUSIVE"), "SHARE ROW EXCLUSIVE"),
        (("SHARE",), "SHARE ROW EXCLUSIVE"),
        (("SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE"), "ACCESS EXCLUSIVE"),
    ],
)
def test_o3_the_mode_is_the_strongest_that_a_run_held(held: tuple[str, ...], mode: str) -> None:
    assert needed_mode(held) == mode


def test_o3_writers_are_kept_out_before_readers_have_to_wait() -> None:
    locks = in_order([TableLock(Name("s", n)) for n in ("visit1", "child", "ex\"po'sure")], {"s": SNAPSHOT})
    text = lock_statement(locks)
    assert len(pglast.parse_sql(text)) == 1
    modes = text[text.index("modes text[]") :].split("\n")[0]
    # Two tables weakly; then the view and both tables.
    assert [part.strip("' ];") for part in modes.partition("ARRAY[")[2].split(",")] == [
        "SHARE ROW EXCLUSIVE",
        "SHARE ROW EXCLUSIVE",
        "ACCESS EXCLUSIVE",
        "ACCESS EXCLUSIVE",
        "ACCESS EXCLUSIVE",
    ]


def add(table: str) -> ops.AddColumnOp:
    return ops.AddColumnOp(table, sa.Column("c", sa.Integer()), schema="s")


NO_VIEW = SqlStatement("DROP VIEW s.visit1", phase=Phase.DROP_VIEW, text="", table="visit1")
REVISIONS: dict[str, tuple[list[ops.MigrateOperation], str]] = {
    "one table": ([add("child"), add("child")], ""),
    "a new table beside it": ([add("child"), add("new")], ""),
    "two": ([add("child"), add("exposure")], "s.exposure, s.child"),
    "an index and a comment": (
        [add("child"), ops.CreateIndexOp("i", "exposure", ["a"]), ops.CreateTableCommentOp("exposure", "x")],
        "",
    ),
    "a foreign key goes from both": (
        [ops.DropConstraintOp("fk_exposure", "child", type_="foreignkey")],
        "s.exposure, s.child",
    ),
    "a table goes with its keys": ([ops.DropTableOp("a_grandchild")], "s.child, s.a_grandchild"),
    "by the names before": (
        [Rename("table", "s", "child", "child", "kid"), add("kid"), add("exposure")],
        "s.exposure, s.child",
    ),
    "a view of one table": ([NO_VIEW, add("child")], ""),
    "two and a view": ([NO_VIEW, add("child"), add("exposure")], "s.exposure, s.visit1, s.child"),
}


@pytest.mark.parametrize("what", REVISIONS)
def test_o3_a_revision_that_locks_several_tables_takes_all_locks_first(what: str) -> None:
    operations, tables = REVISIONS[what]
    found = locked_first(operations, SNAPSHOT)
    assert list(found[-len(operations) :]) == operations
    first = [op.sql for op in found[: -len(operations)] if isinstance(op, SqlStatement)]
    timeout = 800 // (tables.count(",") + 1)
    wanted = [
        f"SET LOCAL lock_timeout = '{timeout}ms'",
        f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE",
    ]
    assert first == (wanted if tables else [])
