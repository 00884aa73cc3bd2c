"""Rule M17: properties and cases of the three-way merge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.catalog import (
    CatalogColumn,
    CatalogConstraint,
    CatalogIndex,
    CatalogRelation,
    Snapshot,
    compare,
)
from consdb_actions.catalog.merge import Side, merge3

NAMES = ("a", "b", "c")
TYPES = ("integer", "bigint", "text")


def column(name: str, type_: str = "integer", **more: Any) -> CatalogColumn:
    return CatalogColumn(name, 0, type_, more.pop("nullable", True), **more)


def unique(name: str, *columns: str, **more: Any) -> CatalogConstraint:
    return CatalogConstraint(name, "unique", f"UNIQUE ({', '.join(columns)})", columns, **more)


def table(
    name: str, *columns: CatalogColumn, constraints: Any = (), indexes: Any = (), **more: Any
) -> CatalogRelation:
    return CatalogRelation(
        name,
        "table",
        {c.name: replace(c, position=i) for i, c in enumerate(columns)},
        {c.name: c for c in constraints},
        {i.name: i for i in indexes},
        **more,
    )


def snapshot(*tables: CatalogRelation) -> Snapshot:
    return Snapshot("s", {t.name: t for t in tables})


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    tables = []
    for name in draw(st.sets(st.sampled_from(("t", "u")))):
        columns = [
            column(
                c,
                draw(st.sampled_from(TYPES)),
                nullable=draw(st.booleans()),
                comment=draw(st.sampled_from((None, "x"))),
                default=draw(st.sampled_from((None, "1"))),
            )
            for c in sorted(draw(st.sets(st.sampled_from(NAMES), min_size=1)))
        ]
        on = [c.name for c in columns]
        constraints = [unique(f"{name}_un_{c}", c) for c in draw(st.sets(st.sampled_from(on)))]
        indexes = (
            [CatalogIndex(f"{name}_ix", "CREATE INDEX", (on[0],), (False,))] if draw(st.booleans()) else []
        )
        tables.append(table(name, *columns, constraints=constraints, indexes=indexes))
    return snapshot(*sorted(tables, key=lambda t: t.name))


@given(snapshots(), snapshots())
def test_without_a_change_current_stays(base: Snapshot, current: Snapshot) -> None:
    merged = merge3(base, replace(base), current)
    assert compare(merged.catalog, current) == []
    assert merged.conflicts == ()


@given(snapshots(), snapshots())
def test_without_another_change_head_comes(base: Snapshot, head: Snapshot) -> None:
    merged = merge3(base, head, replace(base))
    assert compare(merged.catalog, head) == []
    assert not merged.conflicts
    assert not merged.drift


@given(snapshots(), snapshots())
def test_what_is_done_already_is_done(base: Snapshot, head: Snapshot) -> None:
    merged = merge3(base, head, replace(head))
    assert compare(merged.catalog, head) == []
    assert not merged.conflicts
    assert not merged.drift


@given(snapshots(), snapshots(), snapshots())
def test_a_second_merge_changes_nothing(base: Snapshot, head: Snapshot, current: Snapshot) -> None:
    merged = merge3(base, head, current)
    if merged.conflicts:
        return
    again = merge3(base, head, merged.catalog)
    assert compare(again.catalog, merged.catalog) == []
    assert again.conflicts == ()


@given(snapshots(), snapshots(), snapshots())
def test_answers_resolve_every_conflict(base: Snapshot, head: Snapshot, current: Snapshot) -> None:
    sides: tuple[Side, Side] = ("head", "current")
    for side in sides:
        merged = merge3(base, head, current)
        answers: dict[str, Any] = {}
        # An answer can open another question: what stood on a column that goes.
        for _ in range(5):
            answers |= {".".join(p): side for c in merged.open_conflicts for p in c.answers[side]}
            merged = merge3(base, head, current, answers)
        assert merged.open_conflicts == ()


@given(snapshots(), st.sampled_from(("head", "current")))
def test_changes_of_different_elements_commute(base: Snapshot, first: str) -> None:
    table_names = sorted(base.tables)
    if not table_names:
        return
    name = table_names[0]
    old = base.tables[name]
    column_name = next(iter(old.columns))
    commented = replace(old.columns[column_name], comment="theirs")
    theirs = replace(
        base,
        relations={**base.relations, name: replace(old, columns={**old.columns, column_name: commented})},
    )
    ours = replace(base, relations={**base.relations, "new": table("new", column("a"))})
    one, other = (ours, theirs) if first == "head" else (theirs, ours)
    there, back = merge3(base, one, other), merge3(base, other, one)
    assert there.conflicts == back.conflicts == ()
    assert compare(there.catalog, back.catalog) == []
    assert there.catalog.tables[name].columns[column_name].comment == "theirs"
    assert "new" in there.catalog.tables


@given(snapshots(), snapshots(), snapshots())
def test_a_conflict_leaves_its_element_as_it_is_until_it_is_answered(
    base: Snapshot, head: Snapshot, current: Snapshot
) -> None:
    merged = merge3(base, head, current)
    for conflict in merged.open_conflicts:
        if len(conflict.path) != 3 or conflict.stands_on:
            continue
        name, part, attribute = conflict.path
        if attribute in {"type", "nullable", "default", "comment"}:
            found = merged.catalog.tables[name].columns[part]
            assert getattr(found, attribute) == getattr(current.tables[name].columns[part], attribute)


BASE = snapshot(table("t", column("a"), column("b", "text"), constraints=[unique("un_a", "a")]))


def with_column(name: str, **facts: Any) -> Snapshot:
    old = BASE.tables["t"]
    return snapshot(replace(old, columns={**old.columns, name: replace(old.columns[name], **facts)}))


def without_column(name: str) -> Snapshot:
    old = BASE.tables["t"]
    kept = {n: c for n, c in old.columns.items() if n != name}
    return snapshot(replace(old, columns=kept, constraints={} if name == "a" else old.constraints))


def plus_column(name: str, type_: str = "integer") -> Snapshot:
    old = BASE.tables["t"]
    return snapshot(replace(old, columns={**old.columns, name: column(name, type_)}))


@pytest.mark.parametrize(
    ("head", "current", "conflicts"),
    [
        (with_column("a", type="bigint"), with_column("b", comment="x"), []),
        (with_column("a", type="bigint"), with_column("a", comment="x"), []),
        (with_column("a", type="bigint"), with_column("a", type="text"), [("t", "a", "type")]),
        (with_column("a", comment="x"), with_column("a", comment="y"), [("t", "a", "comment")]),
        (without_column("b"), with_column("b", comment="y"), []),
        (without_column("b"), with_column("b", type="integer"), []),
        (with_column("b", type="integer"), without_column("b"), [("t", "b")]),
        (without_column("b"), without_column("b"), []),
        (plus_column("c"), plus_column("d"), []),
        (plus_column("c"), plus_column("c"), []),
        (plus_column("c"), plus_column("c", "text"), [("t", "c")]),
        (snapshot(), plus_column("c"), [("t",)]),
        (snapshot(), with_column("b", comment="x"), []),
        (plus_column("c"), snapshot(), [("t",)]),
    ],
)
def test_two_changes_of_one_table(head: Snapshot, current: Snapshot, conflicts: list[Any]) -> None:
    assert [c.path for c in merge3(BASE, head, current).conflicts] == conflicts


def constrained(*constraints: CatalogConstraint) -> Snapshot:
    return snapshot(replace(BASE.tables["t"], constraints={c.name: c for c in constraints}))


@pytest.mark.parametrize(
    ("base", "head", "current", "expected", "conflict"),
    [
        # An old accident with the name is left alone, and dropped with what it names.
        (("un_a",), ("un_a",), ("fk_key",), {"fk_key"}, False),
        (("un_a",), (), ("fk_key",), set(), False),
        (("un_a",), ("un_new",), ("un_a",), {"un_new"}, False),
        (("un_a",), ("un_new",), ("fk_key",), {"fk_key"}, True),
        ((), ("un_a",), ("fk_key",), {"fk_key"}, True),
        ((), ("un_a",), ("un_a",), {"un_a"}, False),
        (("un_a",), ("un_a",), (), set(), False),
    ],
)
def test_constraints_go_by_what_they_say(
    base: Any, head: Any, current: Any, expected: Any, conflict: bool
) -> None:
    before, after, now = (constrained(*(unique(n, "a") for n in names)) for names in (base, head, current))
    merged = merge3(before, after, now)
    assert set(merged.catalog.tables["t"].constraints) == expected
    assert bool(merged.conflicts) is conflict


def test_a_constraint_of_somebody_else_over_a_dropped_column_is_a_conflict() -> None:
    current = constrained(unique("un_a", "a"), unique("theirs", "a", "b"))
    merged = merge3(BASE, without_column("b"), current)
    assert [c.path for c in merged.conflicts] == [("t", "theirs")]


def referring(name: str = "fk_u", to: str = "a") -> CatalogRelation:
    key = CatalogConstraint(name, "foreign key", "FOREIGN KEY", ("x",), references="t", referenced=(to,))
    return table("u", column("x"), constraints=[key])


def test_what_another_change_refers_to_is_not_dropped_without_a_question() -> None:
    current = snapshot(BASE.tables["t"], referring())
    for head in (snapshot(), constrained()):
        (conflict,) = merge3(BASE, head, current).conflicts
        assert conflict.path == ("u", "fk_u")
        # The key of somebody else goes, or what it stands on stays.
        assert conflict.answers["head"] == (("u", "fk_u"),)
        gone = merge3(BASE, head, current, {"u.fk_u": "head"})
        assert not gone.open_conflicts
        assert gone.catalog.tables["u"].constraints == {}
        (ground,) = conflict.answers["current"]
        kept = merge3(BASE, head, current, {".".join(ground): "current"})
        assert not kept.conflicts
        assert compare(kept.catalog, current) == []


def test_what_stands_on_an_element_that_another_change_dropped_is_asked_about() -> None:
    current = without_column("b")
    head = constrained(unique("un_a", "a"), unique("ours", "a", "b"))
    (conflict,) = merge3(BASE, head, current).conflicts
    assert conflict.answers == {"current": (("t", "ours"),), "head": (("t", "b"),)}
    assert compare(merge3(BASE, head, current, {"t.ours": "current"}).catalog, current) == []
    assert compare(merge3(BASE, head, current, {"t.b": "head"}).catalog, head) == []


def test_a_dropped_element_is_kept_when_the_answer_says_so() -> None:
    assert "b" in merge3(BASE, without_column("b"), BASE, {"t.b": "current"}).catalog.tables["t"].columns
    assert "t" in merge3(BASE, snapshot(), BASE, {"t": "current"}).catalog.tables


def test_an_answer_takes_over_an_element_that_drifted() -> None:
    current = with_column("a", type="text")
    merged = merge3(BASE, plus_column("c"), current, {"t.a": "head"})
    assert merged.drift == ()
    assert merged.catalog.tables["t"].columns["a"].type == "integer"
    assert merged.used == {"t.a"}
