"""Rule M6: constraints that changed are found, renamed where they are equal, and ordered so that they run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.stage import proven, staged
from tests.support.variants import every
from tests.support.workbench import Data, Workbench, column, schema, table


def foreign(name: str, columns: list[str], referenced: list[str], **more: Any) -> Data:
    return {
        "name": name,
        "@type": "ForeignKey",
        "columns": columns,
        "referencedColumns": referenced,
        **more,
    }


def unique(name: str, *columns: str) -> Data:
    return {"name": name, "@type": "Unique", "columns": list(columns)}


def check(name: str, expression: str) -> Data:
    return {"name": name, "@type": "Check", "expression": expression}


def night(*constraints: Data, key: tuple[str, ...] = ("id",), **more: Any) -> Data:
    items = [column(n, "int", nullable=False) for n in ("id", "day_obs", "seq_num")]
    return table("night", items, key=key, constraints=list(constraints), **more)


def child(*constraints: Data, **more: Any) -> Data:
    items = [column(n, "int", nullable=False) for n in ("child_id", "day_obs", "seq_num", "night_id")]
    return table("child", items, key=["child_id"], constraints=list(constraints), **more)


def test_a_primary_key_over_other_columns(bench: Workbench) -> None:
    bench.generate(schema(night()), verify=False)
    proven(bench.generate(schema(night(key=("day_obs", "seq_num")))))
    with staged(bench, 2) as stage:
        (key,) = (c for c in stage.catalog().tables["night"].constraints.values() if c.kind == "primary key")
        assert key.definition == "PRIMARY KEY (day_obs, seq_num)"


def test_equal_constraints_with_another_name_are_renamed(bench: Workbench) -> None:
    def family(prefix: str) -> Data:
        link = foreign(f"{prefix}_fk", ["night_id"], ["night.id"])
        index = {"name": f"{prefix}_Index", "columns": ["seq_num"]}
        rest = [unique(f"{prefix}_un", "day_obs", "seq_num"), check(f"{prefix}_ck", "seq_num >= 0")]
        return schema(night(*rest, indexes=[index]), child(link))

    bench.generate(family("one"), verify=False)
    outcome = proven(bench.generate(family("two")))
    upgrade = outcome.source.split("def upgrade", 1)[1]
    assert "drop_" not in upgrade
    assert "create_" not in upgrade
    assert upgrade.split("def downgrade")[0].count("RENAME") == 4


def test_changed_texts_and_options_are_found(bench: Workbench) -> None:
    before = schema(
        night(check("ck", "seq_num >= 0"), unique("un", "day_obs")),
        child(foreign("fk", ["night_id"], ["night.id"])),
    )
    bench.generate(before, verify=False)
    after = schema(
        night(check("ck", "seq_num > -1 AND day_obs <> 5"), unique("un", "day_obs", "seq_num")),
        child(foreign("fk", ["night_id"], ["night.id"], on_delete="CASCADE")),
    )
    proven(bench.generate(after))
    with staged(bench, 2) as stage:
        tables = stage.catalog().tables
    assert "5" in tables["night"].constraints["ck"].definition
    assert tables["night"].constraints["un"].definition == "UNIQUE (day_obs, seq_num)"
    assert tables["child"].constraints["fk"].definition.endswith("ON DELETE CASCADE")


def test_a_unique_over_the_primary_key_makes_no_endless_difference(bench: Workbench) -> None:
    both = schema(night(unique("un_id", "id"), unique("un_other", "day_obs", "seq_num")))
    bench.generate(both, verify=False)
    assert bench.generate(both).status == "unchanged"
    bench.generate(schema(night()))
    proven(bench.generate(both))
    assert bench.generate(both).status == "unchanged"
    with staged(bench, 3) as stage:
        definitions = [c.definition for c in stage.catalog().tables["night"].constraints.values()]
    assert "PRIMARY KEY (id)" in definitions
    assert "UNIQUE (day_obs, seq_num)" in definitions


def test_a_unique_that_took_the_primary_key_in(bench: Workbench) -> None:
    both = schema(night(unique("un_id", "id")))
    bench.generate(both, verify=False)
    bench.revise(
        'op.execute("DROP TABLE cdb_latiss.night")\n'
        'op.execute("CREATE TABLE cdb_latiss.night (id integer NOT NULL, day_obs integer NOT NULL, '
        'seq_num integer NOT NULL, CONSTRAINT un_id UNIQUE (id), PRIMARY KEY (id))")'
    )
    first = bench.generate(both)
    if first.status != "unchanged":
        proven(first)
    assert bench.generate(both).status == "unchanged"


def test_two_tables_swap_the_names_of_their_constraints(bench: Workbench) -> None:
    def family(one: str, two: str) -> Data:
        return schema(
            night(unique(one, "day_obs", "seq_num"), indexes=[{"name": f"ix_{one}", "columns": ["seq_num"]}]),
            child(unique(two, "day_obs", "seq_num"), indexes=[{"name": f"ix_{two}", "columns": ["seq_num"]}]),
        )

    bench.generate(family("un_a", "un_b"), verify=False)
    outcome = proven(bench.generate(family("un_b", "un_a")))
    assert "drop_constraint" not in outcome.source
    with staged(bench, 2) as stage:
        tables = stage.catalog().tables
    assert "un_b" in tables["night"].constraints
    assert "un_a" in tables["child"].constraints


def test_foreign_keys_go_before_what_they_refer_to_and_come_after_it(bench: Workbench) -> None:
    before = schema(
        night(unique("un_day", "day_obs", "seq_num")),
        child(foreign("fk_day", ["day_obs", "seq_num"], ["night.day_obs", "night.seq_num"])),
    )
    bench.generate(before, verify=False)
    after = schema(
        night(unique("un_new", "seq_num")),
        child(foreign("fk_new", ["night_id"], ["night.seq_num"])),
    )
    outcome = proven(bench.generate(after))
    upgrade = outcome.source.split("def downgrade")[0]
    steps = [upgrade.index(f'"{name}"') for name in ("fk_day", "un_day", "un_new", "fk_new")]
    assert steps == sorted(steps)


def test_m6_a_foreign_key_names_the_columns_of_a_key_in_an_order_of_its_own(bench: Workbench) -> None:
    link = foreign("fk_day", ["seq_num", "day_obs"], ["night.seq_num", "night.day_obs"])
    bench.generate(schema(night(key=("day_obs", "seq_num")), child(link)), verify=False)
    proven(bench.generate(schema(night(unique("un_day", "day_obs", "seq_num")), child(link))))


def test_m6_foreign_keys_of_a_ring_have_descriptions(bench: Workbench) -> None:
    def member(name: str, other: str) -> Data:
        items = [column("id", "int", nullable=False), column("other", "int")]
        key = foreign(f"fk_{name}", ["other"], [f"{other}.id"], description="Its 50 % partner.")
        return table(name, items, key=["id"], constraints=[key])

    ring = schema(member("one", "two"), member("two", "one"))
    proven(bench.generate(ring))
    with staged(bench) as stage:
        comments = {c.comment for t in stage.catalog().tables.values() for c in t.foreign_keys}
        assert comments == {"Its 50 % partner."}


DEFERRED: Data = {"deferrable": True, "initially": "DEFERRED"}


def test_m10_a_downgrade_fills_rows_under_deferred_constraints(bench: Workbench) -> None:
    def owned(name: str, *more: str) -> Data:
        items = [column("id", "int", nullable=False)]
        items += [column(f"{m}_id", "int", nullable=False) for m in more]
        keys = [foreign(f"fk_{name}_{m}", [f"{m}_id"], [f"{m}.id"], **DEFERRED) for m in more]
        keys.append({**unique(f"un_{name}", "id", *(f"{m}_id" for m in more)), **DEFERRED})
        return table(name, items, key=["id"], constraints=keys)

    bench.generate(schema(owned("top"), owned("ccd", "top"), owned("shot", "ccd", "top")), verify=False)
    outcome = proven(bench.generate(schema(owned("top"), owned("shot", "top")), on_question="drop-add"))
    assert outcome.source.count("SET CONSTRAINTS ALL IMMEDIATE") == 1


def test_m10_no_deferred_constraint_no_statement_for_it(bench: Workbench) -> None:
    bench.generate(schema(table("a", [column("id", "int", nullable=False), column("b")], key=["id"])))
    after = table(
        "a", [column("id", "int", nullable=False), column("b", nullable=False, value=0.5)], key=["id"]
    )
    assert "SET CONSTRAINTS" not in proven(bench.generate(schema(after))).source


def test_m10_stand_in_rows_refer_to_stand_in_rows(bench: Workbench) -> None:
    def linked(name: str, *to: str) -> Data:
        items = [column(n, "int", nullable=False) for n in ("id", *(f"{t}_id" for t in to))]
        keys = [foreign(f"fk_{name}_{t}", [f"{t}_id"], [f"{t}.id"], **DEFERRED) for t in to]
        return table(name, items, key=["id"], constraints=keys)

    chain = schema(linked("a", "b"), linked("b", "c"), linked("c", "b"))
    bench.generate(chain, verify=False)
    proven(bench.generate(schema(linked("a")), on_question="drop-add"))


def test_a_new_primary_key_has_its_own_name_and_not_that_of_a_unique_that_is_gone(bench: Workbench) -> None:
    base = schema(night(unique("un_night", "day_obs", "seq_num")))
    bench.generate(base, verify=False)
    proven(bench.generate(schema(night(key=("day_obs", "seq_num"))), base=base))
    with staged(bench, 2) as stage:
        constraints = stage.catalog().tables["night"].constraints
    assert {name: c.kind for name, c in constraints.items()} == {"night_pkey": "primary key"}


@pytest.mark.parametrize("deferrable", [True, False])
def test_deferrable_of_a_unique_over_the_columns_of_the_primary_key_changes(
    bench: Workbench, deferrable: bool
) -> None:
    """Postgres merges the two where their options are equal."""
    key, more = ("day_obs", "seq_num"), {"description": "Kept."}
    plain = night(unique("un_night", *key) | more, key=key)
    changed = night(unique("un_night", *key) | DEFERRED | more, key=key)
    base, after = (plain, changed) if deferrable else (changed, plain)
    bench.generate(schema(base), verify=False)
    outcome = proven(bench.generate(schema(after), base=schema(base)))
    assert outcome.status == "changed"
    with staged(bench, 2) as stage:
        constraints = stage.catalog().tables["night"].constraints
    options = {"deferrable": True, "initially": "DEFERRED"} if deferrable else {}
    found = {name: (c.kind, dict(c.options)) for name, c in constraints.items()}
    assert found == {"night_pkey": ("primary key", {}), "un_night": ("unique", options)}


@pytest.mark.parametrize("kind", ["primary key", "unique"])
def test_two_equal_keys_come_back_with_their_table(bench: Workbench, kind: str) -> None:
    """CREATE TABLE would merge them into one."""
    base = schema(night(unique("un_a", "day_obs")), child())
    bench.generate(base, verify=False)
    key = "night_pkey" if kind == "primary key" else "un_b"
    dropped = "ALTER TABLE cdb_latiss.night DROP CONSTRAINT night_pkey;"
    made = f"ALTER TABLE cdb_latiss.night ADD CONSTRAINT {key} {kind.upper()} (day_obs)"
    bench.revise(f"op.execute({dropped + made!r})")
    with staged(bench, 2) as stage:
        before = stage.catalog().tables["night"].constraints
    assert {(c.kind, c.columns) for c in before.values()} == {(kind, ("day_obs",)), ("unique", ("day_obs",))}
    assert len(before) == 2
    proven(bench.generate(schema(child()), base=base, on_question="drop-add"))
    with staged(bench, 3) as stage:
        stage.downgrade()
        assert stage.catalog().tables["night"].constraints == before


@pytest.mark.parametrize(
    "expression",
    ["seq_num % 2 = 0 OR seq_num > 0", "seq_num * 3 < 7000", "seq_num IN (1, 2, 7)", "seq_num + day_obs > 5"],
)
@pytest.mark.parametrize(("narrow", "wide"), every(3, [("int", "long"), ("short", "int"), ("short", "long")]))
def test_m21_a_check_survives_a_change_of_type_there_and_back(
    bench: Workbench, expression: str, narrow: str, wide: str
) -> None:
    """Postgres casts the column where constants in the text have the wider type."""

    def with_type(datatype: str) -> Data:
        made = night({**check("ck", expression), "description": "Kept."})
        made["columns"][2]["datatype"] = datatype
        return schema(made)

    first = bench.generate(with_type(narrow), verify=False)
    assert first.status == "changed"
    proven(bench.generate(with_type(wide), base=with_type(narrow)))
    proven(bench.generate(with_type(narrow), base=with_type(wide)))


def test_m6_a_foreign_key_that_is_remade_for_another_key_keeps_its_description(bench: Workbench) -> None:
    link = {**foreign("fk", ["night_id"], ["night.seq_num"]), "description": "Of the night."}
    before = night(unique("un", "seq_num"), key=("seq_num",))
    bench.generate(schema(before, child(link)), verify=False)
    after = night(unique("un", "seq_num"), key=("id",))
    outcome = proven(bench.generate(schema(after, child(link)), base=schema(before, child(link))))
    assert outcome.source.count("Of the night.") == 2
