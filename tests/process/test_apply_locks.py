"""Rule O3: the order and the modes of the locks that an upgrade takes beforehand."""

from __future__ import annotations

import pglast
import pytest

from consdb_actions.catalog import Constraint, Relation, Snapshot
from consdb_actions.lint.state import Name
from consdb_actions.process.apply_locks import TableLock, in_order, lock_statement, needed_mode


def table(name: str, *parents: str) -> Relation:
    keys = {
        f"fk_{parent}": Constraint(f"fk_{parent}", "foreign key", "", ("a",), parent) for parent in parents
    }
    return Relation(name, "table", {}, keys)


SNAPSHOT = Snapshot(
    "s",
    {
        "a_grandchild": table("a_grandchild", "child"),
        "child": table("child", "exposure", "child"),
        "exposure": table("exposure"),
        "visit1": Relation("visit1", "view", {}),
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
