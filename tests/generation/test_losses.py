"""Rule M10: what a direction cannot keep or restore is named, and nothing else is."""

from __future__ import annotations

import pytest

from consdb_actions.migration.outcome import SectionOutcome
from tests.support.stage import proven, staged
from tests.support.variants import every
from tests.support.workbench import Data, Workbench, column, schema, table


def plain(name: str, *columns: Data) -> Data:
    return table(name, [column("id", "int", nullable=False), *columns], key=["id"])


def test_dropped_and_added_columns_and_tables_are_named(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("gone"), column("stays")), plain("lost")), verify=False)
    after = schema(plain("kept", column("fresh", "text"), column("stays")), plain("brand"))
    outcome = proven(bench.generate(after, "kept.gone=", "lost="))
    named = {(loss.direction, loss.table, loss.column) for loss in outcome.losses}
    assert named == {
        ("upgrade", "kept", "gone"),
        ("upgrade", "lost", None),
        ("downgrade", "kept", "fresh"),
        ("downgrade", "brand", None),
    }
    assert all(loss.table in loss.text and (loss.column or "") in loss.text for loss in outcome.losses)


def test_nothing_is_named_where_nothing_is_lost(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("old", "int"))), verify=False)
    after = plain("kept", column("new", "long", description="Another text."))
    after["indexes"] = [{"name": "ix", "@id": "#ix", "columns": ["#kept.new"]}]
    outcome = proven(bench.generate(schema(after), "kept.old=new"))
    assert outcome.losses == ()
    assert [r.about for r in outcome.risks] == ["kept.old"]
    assert outcome.risks[0].text.startswith("downgrade")


def test_values_that_no_type_can_hold_are_asked_about_and_named(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "timestamp"))), verify=False)
    after = schema(plain("kept", column("x", "boolean")))
    outcome = bench.generate(after)
    assert outcome.status == "question"
    assert not outcome.source
    outcome = proven(bench.generate(after, on_question="drop-add"))
    assert {(loss.direction, loss.column) for loss in outcome.losses} == {
        ("upgrade", "x"),
        ("downgrade", "x"),
    }


def asked(outcome: SectionOutcome) -> list[str]:
    return [
        option for question in outcome.questions for answer in question.answers for option in answer.options
    ]


def test_values_that_no_type_can_hold_in_a_column_that_may_not_be_empty(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "timestamp", nullable=False))), verify=False)
    after = schema(plain("kept", column("x", "boolean", nullable=False)))
    outcome = bench.generate(after)
    assert outcome.status == "question"
    assert asked(outcome) == ["--fill kept.x=VALUE", "--no-fill kept.x"]
    assert not bench.generate(after, fills={("kept", "x"): None}, keep=False).questions
    proven(bench.generate(after, fills={("kept", "x"): "true"}))
    with staged(bench) as stage:
        stage.execute("INSERT INTO kept VALUES (1, '2026-01-01'), (2, '2026-01-02')")
        stage.upgrade()
        assert stage.rows("SELECT x FROM kept") == [(True,), (True,)]
        stage.downgrade()
        (first, _) = stage.rows("SELECT x::text FROM kept")
        assert first == ("1970-01-01 00:00:00",), "a stand-in, which is named as a loss"


def test_values_that_no_type_can_hold_give_way_to_the_default(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "timestamp"))), verify=False)
    after = schema(plain("kept", column("x", "int", nullable=False, value=7)))
    assert asked(bench.generate(after)) == [
        "--fill kept.x=VALUE",
        "--on-question drop-add",
        "--no-fill kept.x",
    ]
    outcome = proven(bench.generate(after, on_question="drop-add"))
    assert {(loss.direction, loss.column) for loss in outcome.losses} == {
        ("upgrade", "x"),
        ("downgrade", "x"),
    }
    with staged(bench) as stage:
        stage.execute("INSERT INTO kept VALUES (1, '2026-01-01'), (2, NULL)")
        stage.upgrade()
        assert stage.rows("SELECT x FROM kept") == [(7,), (7,)]


def test_a_column_that_may_be_emptied_is(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "timestamp", nullable=False))), verify=False)
    outcome = proven(
        bench.generate(schema(plain("kept", column("x", "int"))), on_question="drop-add", keep=False)
    )
    assert "NULL::INTEGER" in outcome.source


def test_a_key_whose_values_no_type_can_hold_stays_a_question(bench: Workbench) -> None:
    def keyed(datatype: str) -> Data:
        return schema(table("kept", [column("x", datatype, nullable=False)], key=["x"]))

    bench.generate(keyed("timestamp"), verify=False)
    outcome = bench.generate(keyed("long"), on_question="drop-add")
    assert outcome.status == "question"
    assert asked(outcome) == []
    assert "in the primary key" in outcome.questions[0].text


def test_what_the_upgrade_put_in_place_of_null_is_null_again(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "int"))), verify=False)
    text = "it's 5% \\ :x"
    after = schema(plain("kept", column("x", "text", nullable=False, value=text)))
    proven(bench.generate(after))
    with staged(bench) as stage:
        stage.execute("INSERT INTO kept VALUES (1, NULL), (2, 3)")
        stage.upgrade()
        assert stage.rows("SELECT x FROM kept ORDER BY id") == [(text,), ("3",)]
        stage.downgrade()
        assert stage.rows("SELECT x FROM kept ORDER BY id") == [(None,), (3,)]


def test_what_reads_as_a_value_is_not_taken_for_null(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "short"), column("y", "short"))), verify=False)
    after = schema(
        plain(
            "kept",
            column("x", "boolean", nullable=False, value=True),
            column("y", "text", nullable=False, value="7"),
        )
    )
    outcome = proven(bench.generate(after, keep=False))
    assert "nullif" not in outcome.source


def test_a_stand_in_of_the_downgrade_is_a_loss(bench: Workbench) -> None:
    bench.generate(
        schema(plain("kept", column("x", "int", nullable=False), column("y", "int"))), verify=False
    )
    outcome = proven(bench.generate(schema(plain("kept", column("y", "int"))), "kept.x="))
    words = [loss.text for loss in outcome.losses if loss.direction == "downgrade"]
    assert len(words) == 1
    assert "kept.x" in words[0]
    assert "placeholder" in words[0]


@pytest.mark.parametrize(
    ("expression", "datatype"),
    every(
        2,
        [
            ("kind IN (1, 2)", "int"),
            ("kind IN ('a', 'b')", "string"),
            ("kind LIKE 'sci%'", "string"),
            ("kind >= exposure_id", "int"),
            ("kind BETWEEN 10 AND 20 AND band > 0", "int"),
            ("length(kind) > 3", "string"),
            ("kind > '2020-01-01'", "timestamp"),
            ("kind", "boolean"),
        ],
    ),
)
def test_a_required_column_that_is_dropped_with_its_check_can_come_back(
    bench: Workbench, expression: str, datatype: str
) -> None:
    kept = [column("exposure_id", "int", nullable=False), column("band", "int")]
    check = {"name": "ck", "@type": "Check", "expression": expression}
    kind = column("kind", datatype, nullable=False)
    base = schema(table("exposure", [*kept, kind], key=["exposure_id"], constraints=[check]))
    bench.generate(base, verify=False)
    outcome = proven(bench.generate(schema(table("exposure", kept, key=["exposure_id"])), base=base))
    assert any("get a placeholder" in loss.text for loss in outcome.losses)


def test_a_dropped_ring_with_checks_can_come_back(bench: Workbench) -> None:
    later = {"deferrable": True, "initially": "DEFERRED"}
    exposure = table(
        "exposure",
        [column("exposure_id", "int", nullable=False), column("ccd", "int", nullable=False)],
        key=["exposure_id"],
        constraints=[
            {
                "name": "fk_ccd",
                "@type": "ForeignKey",
                "columns": ["ccd"],
                "referencedColumns": ["ccd.ccd_id"],
                **later,
            }
        ],
    )
    ccd = table(
        "ccd",
        [
            column("ccd_id", "int", nullable=False),
            column("exposure", "int", nullable=False),
            column("side", "int", nullable=False),
        ],
        key=["ccd_id"],
        constraints=[
            {
                "name": "fk_exposure",
                "@type": "ForeignKey",
                "columns": ["exposure"],
                "referencedColumns": ["exposure.exposure_id"],
                **later,
            },
            {"name": "ck_side", "@type": "Check", "expression": "side IN (7, 8)"},
        ],
    )
    base = schema(exposure, ccd)
    bench.generate(base, verify=False)
    alone = table("exposure", [column("exposure_id", "int", nullable=False)], key=["exposure_id"])
    proven(bench.generate(schema(alone), base=base))


def refers(to: str, **more: object) -> Data:
    """A foreign key over the column ``TABLE_u`` to ``u``."""
    return {
        "name": f"fk_{to}",
        "@type": "ForeignKey",
        "columns": [f"{to}_u"],
        "referencedColumns": [f"{to}.u"],
        **more,
    }


def required(*names: str, datatype: str = "long") -> list[Data]:
    return [column(name, datatype, nullable=False) for name in names]


@pytest.mark.parametrize(
    ("key", "expressions"),
    every(
        2,
        [
            (["k0", "k1"], ["k0 IN (7, 8)"]),
            (["k0", "k1"], ["k0 IN (7, 8)", "k1 < k0 - 3000"]),
            (["k0"], ["k0 > 90000 AND k0 < u * 1000000", "k1 BETWEEN 3 AND 5"]),
            (["k0", "k1"], ["k0 <= k1 AND k0 + k1 > 10"]),
            (["k0"], ["k0 < -70 AND k1 <> k0"]),
            (["u"], ["k0 = 7 AND k1 = 8 OR k0 = 9 AND k1 = 10"]),
            (["u"], ["k1 = u + 1", "k0 <= u"]),
        ],
    ),
)
@pytest.mark.parametrize("kept", every(2, [True, False]))
def test_rows_of_a_dropped_table_come_back_as_its_checks_and_keys_want_it(
    bench: Workbench, key: list[str], expressions: list[str], kept: bool
) -> None:
    checks = [{"name": f"ck{i}", "@type": "Check", "expression": e} for i, e in enumerate(expressions)]
    unique = [{"name": "un_u", "@type": "Unique", "columns": ["u"]}] if key != ["u"] else []
    ccd = table("ccd", required("k0", "k1", "u"), key=key, constraints=[*checks, *unique])
    before = table("exposure", required("id", "ccd_u"), key=["id"], constraints=[refers("ccd")])
    bench.generate(schema(before, ccd), verify=False)
    left = table("exposure", required("id", "ccd_u") if kept else required("id"), key=["id"])
    proven(bench.generate(schema(left), on_question="drop-add"))


def test_tables_that_two_others_refer_to_come_back_with_rows_for_both(bench: Workbench) -> None:
    later = {"deferrable": True, "initially": "DEFERRED"}
    unique = {"name": "un_u", "@type": "Unique", "columns": ["u"]}

    def made(name: str, *others: str) -> Data:
        constraints = [unique | {"name": f"un_{name}"}]
        constraints += [refers(other, **later) | {"name": f"fk_{name}_{other}"} for other in others]
        columns = required("k0", "k1", "u", *(f"{other}_u" for other in others))
        return table(name, columns, key=["k0", "k1"], constraints=constraints)

    before = schema(made("exposure", "ccd", "quick"), made("ccd", "quick"), made("quick", "exposure"))
    bench.generate(before, verify=False)
    left = table("exposure", required("k0", "k1", "u", "ccd_u", "quick_u"), key=["k0", "k1"])
    proven(bench.generate(schema(left), on_question="drop-add"))


def test_a_table_with_one_row_for_each_of_another_comes_back(bench: Workbench) -> None:
    """The key of ccd is a foreign key, so that its rows cannot all refer to the same."""
    exposure = table("exposure", required("u"), key=["u"])
    ccd = table("ccd", required("exposure_u", "u"), key=["exposure_u"], constraints=[refers("exposure")])
    ccd["constraints"].append({"name": "un_u", "@type": "Unique", "columns": ["u"]})
    kept = table("kept", required("u", "ccd_u"), key=["ccd_u"], constraints=[refers("ccd")])
    bench.generate(schema(exposure, ccd, kept), verify=False)
    left = table("kept", required("u", "ccd_u"), key=["ccd_u"])
    proven(bench.generate(schema(exposure, left), on_question="drop-add"))


def test_a_placeholder_of_a_lost_reference_is_one_that_the_table_allows(bench: Workbench) -> None:
    check = {"name": "ck", "@type": "Check", "expression": "u IN (7, 8)"}
    ccd = table("ccd", required("u"), key=["u"], constraints=[check])
    before = table("exposure", required("id", "ccd_u"), key=["id"], constraints=[refers("ccd")])
    bench.generate(schema(before, ccd), verify=False)
    proven(bench.generate(schema(table("exposure", required("id"), key=["id"])), on_question="drop-add"))


def test_a_lost_reference_gets_a_value_that_both_tables_allow(bench: Workbench) -> None:
    """Checks of the column that refers, and of the row that comes back for it."""
    inside = {"name": "ck_ccd", "@type": "Check", "expression": "u IN (5, 7, 11)"}
    outside = {"name": "ck_exposure", "@type": "Check", "expression": "ccd_u + side > 9"}
    ccd = table("ccd", required("u"), key=["u"], constraints=[inside])
    columns = required("id", "ccd_u", "side")
    before = table("exposure", columns, key=["id"], constraints=[refers("ccd"), outside])
    side = {"name": "ck_side", "@type": "Check", "expression": "side BETWEEN 1 AND 2"}
    before["constraints"].append(side)
    bench.generate(schema(before, ccd), verify=False)
    left = table("exposure", required("id", "side"), key=["id"], constraints=[side])
    proven(bench.generate(schema(left), on_question="drop-add"))


def test_a_ring_that_may_stay_open_gets_the_values_of_the_side_that_may_not(bench: Workbench) -> None:
    wanted = {"name": "ck_ccd", "@type": "Check", "expression": "quick_u IN (7, 8)"}
    other = {"name": "ck_quick", "@type": "Check", "expression": "u > -7"}
    ccd = table("ccd", required("u", "quick_u"), key=["u"], constraints=[refers("quick"), wanted])
    open_end = refers("ccd", deferrable=True) | {"name": "fk_quick"}
    columns = [*required("u"), column("ccd_u", "long")]
    quick = table("quick", columns, key=["u"], constraints=[open_end, other])
    before = table("exposure", required("id", "ccd_u"), key=["id"], constraints=[refers("ccd")])
    before["constraints"][0]["name"] = "fk_exposure"
    bench.generate(schema(before, ccd, quick), verify=False)
    left = table("exposure", required("id", "ccd_u"), key=["id"])
    proven(bench.generate(schema(left), on_question="drop-add"))


def test_a_column_that_tells_few_rows_apart_comes_back_with_few_values(bench: Workbench) -> None:
    """Rows of the same id had at most the four allowed sides, and have no more now."""
    check = {"name": "ck", "@type": "Check", "expression": "side IN (1, 2, 7, 8)"}
    again = check | {"name": "ck2"}
    exposure = table("exposure", required("id", "side", "u"), key=["id", "side"], constraints=[check, again])
    exposure["constraints"].append({"name": "un_u", "@type": "Unique", "columns": ["u"]})
    bench.generate(schema(exposure), verify=False)
    proven(bench.generate(schema(table("exposure", required("id", "u"), key=["u"])), on_question="drop-add"))
    with staged(bench) as stage:
        stage.execute(
            "INSERT INTO exposure SELECT i, s, 10 * i + s "
            "FROM generate_series(1, 6) i, unnest(ARRAY[7, 8, 1]) s"
        )
        stage.upgrade()
        stage.downgrade()
        assert stage.rows("SELECT count(DISTINCT id), count(*), max(side) FROM exposure") == [(6, 18, 7)]
